"""F064: pages that never end, unpack to more than fits, go round, trickle, or lie about their letters."""

import asyncio
import gzip
from dataclasses import replace
from itertools import count

import pytest

from backend_coordinator.nodes.tools.bench import Bench, ToolRefused
from backend_coordinator.nodes.tools.registry import TOOLS
from tests.support.clock import VirtualClock
from tests.support.pages import Answer, page, redirect, site


async def fetched(bench: Bench, answers: dict[str, Answer], clock: VirtualClock | None = None) -> str:
    """What the model reads of the first page, or why it reads nothing."""
    async with site(answers) as where, asyncio.timeout(20):
        context = replace(bench.context, fetcher=where.fetcher(), clock=clock or VirtualClock())
        try:
            return await TOOLS["webfetch"](replace(bench, context=context), {"url": "http://docs.example/0"})
        except ToolRefused as error:
            return str(error)


@pytest.mark.parametrize("declared", [True, False])
async def test_f064_a_body_without_end_is_cut_off(bench: Bench, declared: bool) -> None:
    sent = 0

    async def endless(writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        length = "Content-Length: 10000000000\r\n" if declared else ""
        writer.write(f"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n{length}\r\n".encode())
        while sent < 100_000_000:
            writer.write(bytes(100_000))
            await writer.drain()
            sent += 100_000

    assert "larger than 5,000,000 bytes" in await fetched(bench, {"docs.example/0": endless})
    assert sent < 50_000_000


@pytest.mark.parametrize("size", [200_000, 10_000_000])
async def test_f064_a_body_that_unpacks_a_thousandfold_is_refused(bench: Bench, size: int) -> None:
    bomb = page(gzip.compress(bytes(size)), Content_Encoding="gzip")
    assert "more than 100 times its size" in await fetched(bench, {"docs.example/0": bomb})


async def test_f064_what_unpacks_to_more_than_the_limit_is_refused_and_less_is_read(bench: Bench) -> None:
    large, small = (page(gzip.compress(b"x" * size, 0), Content_Encoding="gzip") for size in (5_100_000, 9))
    assert "larger than 5,000,000 bytes" in await fetched(bench, {"docs.example/0": large})
    assert "\nxxxxxxxxx\n" in await fetched(bench, {"docs.example/0": small})


async def test_f064_redirects_end(bench: Bench) -> None:
    circle = {"docs.example/0": redirect("/1"), "docs.example/1": redirect("http://docs.example:80/0")}
    assert "it goes round" in await fetched(bench, dict(circle))
    for hops, words in ((5, "\nend\n"), (6, "more than 5 redirects")):
        chain: dict[str, Answer] = {f"docs.example/{i}": redirect(f"/{i + 1}") for i in range(hops)}
        assert words in await fetched(bench, {**chain, f"docs.example/{hops}": page("end")})


@pytest.mark.parametrize("start", [b"", b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n"])
async def test_f064_a_trickle_ends_with_the_time(bench: Bench, start: bytes) -> None:
    clock = VirtualClock()

    async def trickle(writer: asyncio.StreamWriter) -> None:
        writer.write(start or b"HTTP/1.1 200 OK\r\n")
        for number in count():
            writer.write(b"x" if start else f"X-{number}: y\r\n".encode())
            await writer.drain()
            await clock.pass_by(1)

    assert await fetched(bench, {"docs.example/0": trickle}, clock) == "not fetched: it took longer than 30 s"
    assert 30 <= clock.now() < 60


@pytest.mark.parametrize(
    ("kind", "body", "text"),
    [
        ("text/plain; charset=utf-8", "gr\xfc\xdfe".encode("latin-1"), "gr\ufffd\ufffde"),
        ("text/plain; charset=iso-8859-1", "gr\xfc\xdfe".encode("latin-1"), "gr\xfc\xdfe"),
        ("text/plain; charset=utf-16", b"\xff\xfea\x00b", "a\ufffd"),
        ("text/plain; charset=klingon", "gr\xfc\xdfe".encode(), "gr\xfc\xdfe"),
        ("text/plain; charset=punycode", b"plain-" + b"9" * 200_000, "plain-"),
        ("text/plain; charset=utf-99", b"plain", "plain"),
        ("text/plain; charset=undefined", b"plain", "plain"),
        ("text/plain; charset=zlib", b"plain", "plain"),
        ("text/html", b"<meta charset='windows-1252'>\x80", "\u20ac"),
        ("application/problem+json", '{"a": "\xfc"}'.encode(), '{"a": "\xfc"}'),
    ],
)
async def test_f064_a_wrong_charset_never_fails(bench: Bench, kind: str, body: bytes, text: str) -> None:
    assert text in await fetched(bench, {"docs.example/0": page(body, kind)})
