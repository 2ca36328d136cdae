"""The screen: what it knows again, in which forms, and what it leaves alone."""

import base64
import json
import urllib.parse
from collections.abc import Iterator
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend_coordinator.nodes.screen import WITHHELD, screen
from backend_coordinator.nodes.tools.bench import Bench, ToolRefused
from backend_coordinator.nodes.tools.registry import TOOLS
from tests.support.canaries import canary, forms

KEY = "q7Xw2Lr9Tz4Bv8Nc1Kd6Mf3P"
LINE = "The replica in Frankfurt lags by nine minutes on Mondays"
BEFORE = screen([f"- {LINE}.\n- its key is {KEY}"], ["Told: the weather is fine today"])
CANARIES = st.integers(0, 999_999).map(lambda seed: canary(Random(seed)))


@pytest.mark.parametrize(
    "said",
    [
        LINE,
        LINE.upper(),
        f"# {LINE}",
        f"12\t* **{LINE}**",
        f"docs/a.md:12: {LINE}",
        f'x = "{LINE}"',
        json.dumps({"summary": f"first\n{LINE}\nlast"}),
        "1\tThe replica in Frankfurt\n2\tlags by nine minutes\n3\ton Mondays",
        "The   replica\tin Frankfurt,\nlags by nine minutes - on Mondays!",
        KEY,
        f"notes-{KEY}.md",
        f"x{KEY}y",
    ],
)
def test_a_line_and_a_random_name_are_known_however_they_are_wrapped_quoted_or_numbered(said: str) -> None:
    shown = BEFORE(f"before {said} after")
    assert WITHHELD in shown
    assert "replica" not in shown.lower()
    assert KEY[4:16] not in shown
    assert shown.startswith("before ")
    assert shown.endswith(" after")


@settings(derandomize=True)
@given(CANARIES, st.text(max_size=20), st.text(max_size=20))
def test_no_form_of_a_random_name_comes_through(key: str, left: str, right: str) -> None:
    before = screen([f"the key is {key}"], [])
    for form in forms(key):
        assert form.decode() not in before(f"{left}\n{form.decode()}\n{right}")


@settings(derandomize=True)
@given(CANARIES, st.integers(0, 70), st.integers(8, 76))
def test_codes_of_whole_texts_are_looked_into_wherever_they_are_broken(key: str, shift: int, width: int) -> None:
    text = f"{'x ' * shift}{key} and {LINE}, which nobody else may know"
    before = screen([f"the key is {key}", LINE], [])
    for code in codes(text, width):
        shown = before(f"told: {code} end")
        assert WITHHELD in shown, code
        assert {key, LINE}.isdisjoint(plain(shown))


def codes(text: str, width: int) -> Iterator[str]:
    raw = text.encode()
    yield raw.hex()
    yield urllib.parse.quote(text)
    yield base64.b64encode(raw).decode()
    yield base64.urlsafe_b64encode(raw).decode().rstrip("=")
    yield base64.encodebytes(raw).decode()
    whole = base64.b64encode(raw).decode()
    yield "\n".join(whole[at : at + width] for at in range(0, len(whole), width))


def plain(shown: str) -> set[str]:
    return {shown[at : at + size] for size in (len(KEY), len(LINE)) for at in range(len(shown))}


def test_what_is_told_anyway_stays() -> None:
    before = screen([LINE, f"its key is {KEY}", "the weather is fine today, they say"], [LINE, f"use {KEY}"])
    said = f"{LINE}; {KEY}; the weather is fine"
    assert before(said) == said
    assert before("The weather is fine today, they say.") == f"{WITHHELD}."


def test_what_may_be_read_anyway_stays_and_is_looked_up_once_and_only_when_something_was_found() -> None:
    asked: list[int] = []

    def seen() -> Iterator[str]:
        asked.append(1)
        yield f"# {LINE}\n"

    before = screen([LINE, "Nobody was told about this line"], [], seen)
    assert before("nothing of it") == "nothing of it"
    assert asked == []
    assert before(f"{LINE}\nNobody was told about this line") == f"{LINE}\n{WITHHELD}"
    assert before(LINE) == LINE
    assert asked == [1]


@pytest.mark.parametrize(
    "said",
    [
        "UserRegistrationController",
        "order_line_items_archive",
        "notification-dispatcher-service",
        "oauth2-authorization-code-flow",
        "Sha256PasswordHasher",
        "OAuth2ClientCredentials",
        "OAuth2JwtS256TokenV2Verifier",
        "OAuth2AuthorizationCodeGrantV2",
        "TestUserCanLoginWith2FAAndSMS",
        "getUserByIDOrURLOrXML",
        "authenticationmiddleware",
        "usertransactionrepository",
        "AUTHENTICATIONSERVICEURL",
        "internationalization",
        "Add the endpoint",
    ],
)
def test_identifiers_and_short_lines_are_no_secrets(said: str) -> None:
    assert screen([f"- {said}"], [])(f"class {said}: ...") == f"class {said}: ..."


@pytest.mark.parametrize("key", ["7351764667698101", "xqkvbtrwzplmnhgfdscjkrtw", "QKVBTRWZPLMNHGFDSCJKRTWX"])
def test_numbers_and_letters_that_are_no_words_are_known(key: str) -> None:
    assert screen([f"key {key}"], [])(f"x = {key}") == f"x = {WITHHELD}"


HEX = [f"{byte:02x}" for byte in KEY.encode()]
BASE64 = base64.b64encode(KEY.encode()).decode()


@pytest.mark.parametrize(
    "code",
    [
        *("\n".join(BASE64[at : at + width] for at in range(0, len(BASE64), width)) for width in (4, 6, 12)),
        *("\n".join("".join(HEX)[at : at + width] for at in range(0, 48, width)) for width in (7, 8)),
        "\n".join(f"e.txt:{at + 1}: {BASE64[at : at + 8]}" for at in range(0, len(BASE64), 8)),
        "\n".join(f"e.txt:{at + 1}: {''.join(HEX[at : at + 4])}" for at in range(0, 24, 4)),
        "\n".join(":".join(HEX[at : at + 6]) for at in range(0, 24, 6)),
        f"{BASE64[:12]}\\n{BASE64[12:24]}\\n{BASE64[24:]}",
        ", ".join(f"0x{pair}" for pair in HEX),
        ",\n  ".join(f"0X{pair.upper()}" for pair in HEX),
        str(HEX),
        json.dumps(HEX, indent=4),
        "-".join(HEX),
        "".join(f"\\\\x{pair}" for pair in HEX),
    ],
)
def test_codes_are_known_as_programs_and_tools_write_them(code: str) -> None:
    shown = BEFORE(f"told: {code} end")
    assert WITHHELD in shown
    assert HEX[12] + HEX[13] not in shown
    assert BASE64[16:20] not in shown


def test_part_of_a_line_is_not_the_line() -> None:
    said = "The replica in Frankfurt is fine; it lags by nine minutes on Mondays"
    assert BEFORE(said) == said


LINES = st.lists(st.text("ab \n.", min_size=20, max_size=60), max_size=6)


@given(LINES, LINES, st.text("ab \n.", max_size=300), st.randoms(use_true_random=False))
def test_the_order_of_what_is_known_changes_nothing_and_what_was_screened_stays_as_it_is(
    hidden: list[str], told: list[str], text: str, random: Random
) -> None:
    first = screen(hidden, told)
    shuffled, other = random.sample(hidden, len(hidden)), random.sample(told, len(told))
    assert screen(shuffled, other)(text) == first(text)
    assert first(first(text)) == first(text)


@pytest.mark.parametrize(
    "text",
    [
        "a" * 500_000,
        "ab " * 170_000,
        "\n" * 500_000,
        "%41" * 170_000,
        "QUJD" * 120_000,
        "- == \n1\t" * 70_000,
        ("a" + " " * 999) * 500,
        "a\n" * 200_000,
        "ab:" * 160_000,
        "a, '" * 120_000,
    ],
    ids=lambda text: repr(text[:8]),
)
def test_a_large_text_takes_no_more_than_its_share(text: str) -> None:
    hidden = [f"a a a a a a a a a a a {number} ab ab" for number in range(500)]
    assert screen(hidden, [])(text).count(WITHHELD) == 0


async def test_what_was_left_out_is_not_written_over_the_file_s_own_text(bench: Bench) -> None:
    path = bench.tree / "docs" / "a.md"
    path.parent.mkdir()
    path.write_text(f"one\n{LINE}\n")
    for name, arguments in (
        ("edit", {"path": "docs/a.md", "old": "one\n", "new": f"two\n{WITHHELD}\n"}),
        ("edit", {"path": "docs/a.md", "old": f"one\n{WITHHELD}\n", "new": "two\n"}),
        ("write", {"path": "docs/a.md", "content": f"two\n{WITHHELD}\n"}),
    ):
        with pytest.raises(ToolRefused, match="stands for text that is kept from you"):
            await TOOLS[name](bench, arguments)
    assert path.read_text() == f"one\n{LINE}\n"
    path.write_text(f"the mark is {WITHHELD}\n")
    assert await TOOLS["edit"](bench, {"path": "docs/a.md", "old": "the", "new": f"{WITHHELD}: the"})
