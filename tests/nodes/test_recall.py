"""Results too long for a prompt: head and tail in the conversation, the whole beside it, readable by range."""

import stat
from dataclasses import replace
from pathlib import Path

import pytest
from langchain_core.messages import ToolMessage

from backend_coordinator.nodes.tools.bench import Bench, ToolRefused
from backend_coordinator.nodes.tools.recall import MOST_KEPT, kept
from backend_coordinator.nodes.tools.registry import TOOLS


def only_file(folder: Path) -> Path:
    (file,) = (path for path in folder.rglob("*") if path.is_file())
    return file


async def recalled(bench: Bench, **arguments: object) -> str:
    return await TOOLS["recall"](bench, arguments)


def test_what_is_short_stays_as_it_is(bench: Bench) -> None:
    assert kept(replace(bench, most=10, call="a"), "0123456789") == "0123456789"
    assert not (bench.context.folder / "results").exists()


async def test_what_is_long_keeps_its_ends_and_can_be_read_whole(bench: Bench) -> None:
    bench = replace(bench, most=1000, call="../../a/b")
    text = "".join(f"line {number}\n" for number in range(1000))
    shown = kept(bench, text)
    assert len(shown) <= 1000
    assert shown.startswith("line 0\n")
    assert shown.endswith("line 999\n")
    assert 'recall call="../../a/b" offset=400 reads on' in shown
    file = only_file(bench.context.folder / "results")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    read, offset = "", 0
    while offset < len(text):
        part = await recalled(bench, call="../../a/b", offset=offset)
        body = part.partition("\n[")[0] if "more characters" in part else part
        read, offset = read + body, offset + len(body)
        assert len(part) <= 1000
    assert read == text
    assert await recalled(bench, call="../../a/b", offset=offset) == "[nothing more]"


def test_control_characters_and_half_characters_never_reach_a_protocol(bench: Bench) -> None:
    assert kept(bench, "a\x00b\x1b[31mc\td\n\ud800") == "a\ufffdb\ufffd[31mc\td\n?"


def test_no_more_than_two_megabytes_are_kept_and_they_are_utf_8(bench: Bench) -> None:
    kept(replace(bench, call="a"), "ä" * MOST_KEPT)
    file = only_file(bench.context.folder / "results")
    assert MOST_KEPT - 4 < file.stat().st_size <= MOST_KEPT
    assert set(file.read_text(encoding="utf-8")) == {"ä"}


async def test_a_result_that_was_short_enough_is_read_from_the_journal(bench: Bench) -> None:
    bench.context.transcript("backend-T001-1").add(ToolMessage("0123456789", tool_call_id="7", name="read"))
    assert await recalled(bench, call="7", offset=2, limit=3) == "234\n[5 more characters: recall on from 5]"


async def test_calls_of_other_attempts_and_tasks_are_unknown(bench: Bench) -> None:
    kept(replace(bench, most=300, call="a"), "x" * 1000)
    with pytest.raises(ToolRefused, match="no call 'a' of this attempt has a result"):
        await recalled(replace(bench, attempt=2), call="a")
