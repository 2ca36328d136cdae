# ruff: noqa: RUF001  # letters that look like others are what is tested
"""A URL is judged by its spelling and the rules, and never leads to an address that is not public."""

import json
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend_coordinator.nodes.permissions.hosts import public
from backend_coordinator.nodes.permissions.rules import Decision
from backend_coordinator.nodes.permissions.urls import judge_url

CORPUS = Path(__file__).parents[1] / "corpora" / "ssrf_corpus.jsonl"
ROWS = [json.loads(line) for line in CORPUS.read_text(encoding="utf-8").splitlines()]
URLS = [row for row in ROWS if ":" in row["url"].split(" ")[0]]
LISTED: dict[str, Decision] = {
    "[2606:2800:220:1::1946]/a": "allow",
    "https://example.com/*": "allow",
    "https://docs.example.org/api/*": "deny",
    "docs.example.org": "allow",
    "*.shop.example": "allow",
    "ports.example:8080": "allow",
    "exact.example/a[?]q=1": "allow",
    "bücher.example": "allow",
    "start.example*": "allow",
}


def urls(text: str) -> list[str]:
    """One URL a word."""
    return text.split()


@pytest.mark.parametrize("row", URLS, ids=lambda row: row["id"])
def test_rows_of_the_corpus(row: dict[str, str]) -> None:
    assert judge_url(row["url"]).decision == row["expect"]


@pytest.mark.parametrize(
    "url", urls("""
    http://127.1/ http://127.0.1/ http://0x7f.1/ http://0x7f000001/ http://017700000001/ http://0X7F.0.0.1/
    http://127.0.0.1./ http://0/ http://00.0.0.0/ http://1.1/ http://0x/ http://4294967295/ http://1.2.3.256/
    http://０.0.0.0/ http://127。0。0。1/ http://127．0．0．1/ http://⓪/ http://①②⑦.①/ http://𝟏𝟐𝟕.0.0.1/
    http://[::]/ http://[::1]/ http://[0:0:0:0:0:0:0:1]/ http://[::127.0.0.1]/ http://[::ffff:8.8.8.8]/
    http://[64:ff9b::7f00:1]/ http://[64:ff9b:1::a00:1]/ http://[2002:7f00:1::]/ http://[2002:808:808::]/
    http://[2001::1]/ http://[2001:db8::1]/ http://[3fff::1]/ http://[fec0::1]/ http://[ff02::1]/ http://[fe80::1]/
    http://[fe80::1%eth0]/ http://[::1/ http://::1/ http://[]/ http://[127.0.0.1]/ http://[v1.a]/ http://[::1]x/
    http://10.0.0.1/ http://192.168.0.1/ http://100.64.0.1/ http://100.100.100.200/ http://192.0.0.192/
    http://198.18.0.1/ http://203.0.113.1/ http://240.0.0.1/ http://255.255.255.255/ http://168.63.129.16/
    http://192.88.99.1/ http://8.8.8.8.:x/ http://localhost/ http://localhost./ http://a.localhost/ http://LocalHost:80/
    http://ⓛocalhost/ http://ſhop.example/ http://printer/ http://printer.local/ http://a.internal/ http://x.home.arpa/
    http://metadata/ http://metadata.google.internal/ http://metadata.goog/ http://1.0.0.127.in-addr.arpa/ http://kubernetes.default.svc/
    http://10.0.0.1.nip.io/ http://localtest.me/ http://www.localtest.me/ http://127.0.0.1.sslip.io/
    https://user@example.com/ https://user:pw@example.com/ https://@example.com/ https://example.com@127.0.0.1/
    https://example.com%40127.0.0.1/ https://example%2ecom/ https://example.com:22/ https://example.com:0/
    https://example.com:65536/ https://example.com:/ https://example.com:８０/ https://example.com:80:80/
    https:example.com https:/example.com https:///example.com //example.com example.com javascript:alert(1)
    file:///etc/passwd data:text/html,x ws://example.com/ httpss://example.com/ view-source:https://example.com/
    https://example.com\\@127.0.0.1/ https://example.com\\.a.org/ https://exam\u200bple.com/ https://example.com/\u202ea
    https://example..com/ https://.example.com/ https://-a.example.com/ https://a_.b-.example.com/ https://xn--a.com/
    https://x.test/ https://x.invalid/ https://x.onion/
    https://example.com/a/../b https://example.com/a/.;/.%2e/b https://example.com/%2e%2e/b https://example.com/a/%2E./b
    https://example.com/..%2fb https://example.com/./..
    https://example.com/..;/b https://example.com/%00 https://example.com/%0d%0aX
    https://xn--80ak6aa92e.com/ https://аррӏе.com/ https://gооgle.com/ https://ехаmрlе.com/ https://οpenai.com/
    """),
)  # fmt: skip
def test_never_fetched_whatever_the_rules(url: str) -> None:
    assert judge_url(url).decision == "deny"
    assert judge_url(url, {"*": "allow"}).decision == "deny"


@pytest.mark.parametrize(
    "url", ["", "http://", " https://example.com/", "https://example.com/\n", "https://exa\tmple.com/",
            "https://a\0.com/", "https://example.com/\ud800", "https://example.com/a b", "https://a\u00a0b.com",
            f"https://a.com/{'x' * 2000}",
            f"https://{'a' * 64}.com/", f"https://{'a.' * 130}com/"],
)  # fmt: skip
def test_a_text_that_is_no_plain_url_is_never_fetched(url: str) -> None:
    assert judge_url(url, {"*": "allow"}).decision == "deny"


@pytest.mark.parametrize(
    "url", urls("""
    https://example.com http://example.com/ HTTPS://Example.COM/ https://example.com./ https://example.com:443/a?b=c#d
    http://example.com:8080/ https://example.com:8443/ https://a-b.c_d.example.com/~x/%20;a=b,c?q=http://127.0.0.1/
    https://bücher.example/ https://xn--bcher-kva.example/ https://日本語テスト.example/ https://пример.example/
    https://93.184.216.34/ https://[2606:2800:220:1:248:1893:25c8:1946]/ https://example.com/ü?x=%2e%2e
    https://metadata.example.org/ https://example.com/a/./b https://example.com/. https://example.com/a/%2e
    https://1.1.1.1.example.com/ https://123.example/ https://internal.example.com/ https://a.b.c.d.example/.well-known/x
    """),
)  # fmt: skip
def test_a_public_page_may_be_fetched_without_rules_and_is_asked_about_with_others(url: str) -> None:
    assert judge_url(url).decision == "allow"
    assert judge_url(url, {}).decision == "allow"
    assert judge_url(url, {"https://elsewhere.example/*": "allow"}).decision == "ask"
    assert judge_url(url, {"*": "deny"}).decision == "deny"


@pytest.mark.parametrize(
    ("url", "decision"),
    [
        ("https://example.com/a?b", "allow"),
        ("https://EXAMPLE.com", "allow"),
        ("http://example.com/a", "ask"),
        ("https://www.example.com/", "ask"),
        ("https://example.com.evil.example/", "ask"),
        ("https://evil.example/https://example.com/", "ask"),
        ("https://exаmple.com/", "deny"),
        ("https://exämple.com/", "ask"),
        ("https://www.xn--exmple-cua.com/", "ask"),
        ("https://docs.example.org/", "allow"),
        ("http://docs.example.org:8080/apis", "allow"),
        ("https://docs.example.org/api/a", "deny"),
        ("https://docs.example.org/%61pi/a", "deny"),
        ("https://docs.example.org//api//a", "deny"),
        ("https://docs.example.org/./api/./a", "deny"),
        ("https://docs.example.org/api/.", "deny"),
        ("https://docs.example.org/.//%2e/api/a", "deny"),
        ("https://docs.example.org/api/a?b=/", "deny"),
        ("https://a.b.shop.example/", "allow"),
        ("https://shop.example/", "ask"),
        ("https://evil.example/.shop.example", "ask"),
        ("https://evilshop.example/", "ask"),
        ("http://ports.example:8080/", "allow"),
        ("http://ports.example/", "ask"),
        ("http://exact.example/a?q=1", "allow"),
        ("http://exact.example/a?q=2", "ask"),
        ("http://exact.example/a", "ask"),
        ("https://BÜCHER.example/x", "allow"),
        ("https://xn--bcher-kva.example/x", "allow"),
        ("https://start.example/x", "allow"),
        ("https://start.example.evil.example/x", "ask"),
        ("https://[2606:2800:220:1::1946]/a", "allow"),
        ("https://[2606:2800:220:1:0:0:0:1946]:443/a", "allow"),
        ("https://[2606:2800:220:1::1947]/a", "ask"),
        ("https://[2606:2800:220:1::1946]/b", "ask"),
    ],
)
def test_the_most_specific_rule_decides_in_any_order(url: str, decision: str) -> None:
    for rules in (LISTED, dict(reversed(LISTED.items())), dict(sorted(LISTED.items()))):
        assert judge_url(url, rules).decision == decision


def spellings(address: IPv4Address | IPv6Address) -> list[str]:
    """An address as programs read it."""
    if isinstance(address, IPv6Address):
        return [f"[{address}]", f"[{address.exploded}]", f"[{str(address).upper()}]", f"[{address}%25lo]"]
    a, b, c, d = address.packed
    return [
        *(str(address), str(int(address)), hex(int(address)), oct(int(address)).replace("o", ""), f"{address}."),
        *(f"{a:#o}.{b}.{c}.{d}".replace("o", ""), f"{a:#x}.{b:#x}.{c:#x}.{d:#x}", f"{a}.{int(address) & 0xFFFFFF}"),
        *(f"{a}.{b}.{c << 8 | d}", f"[::ffff:{address}]", f"[::{address}]", f"[64:ff9b::{address}]"),
        *(f"[2002:{int(address) >> 16:x}:{int(address) & 0xFFFF:x}::]", str(address).replace(".", "。")),
        str(address).translate({ord("0") + n: ord("０") + n for n in range(10)}),
    ]


ADDRESSES = st.one_of(
    st.ip_addresses(v=4),
    st.ip_addresses(v=6),
    *(st.ip_addresses(network=net) for net in ("10.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "::/96")),
)


@given(ADDRESSES)
def test_an_address_that_is_not_public_is_denied_in_every_spelling(address: IPv4Address | IPv6Address) -> None:
    for host in spellings(address):
        ruling = judge_url(f"http://{host}/", {"*": "allow"})
        if ruling.decision == "allow":
            assert public(address)
            assert ip_address(address).is_global
            assert not address.is_multicast


@given(st.one_of(st.text(), st.text().map("https://{}".format), st.from_regex(r"https?://[^/]{1,20}/.{0,9}")))
def test_judging_never_fails_and_says_why_in_one_line(url: str) -> None:
    ruling = judge_url(url, {"a.*": "allow", "bücher.example": "ask", "[": "deny"})
    assert ruling.decision in ("allow", "ask", "deny")
    assert len(ruling.reason.splitlines()) == 1
