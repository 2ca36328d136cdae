"""Faults that the loop of a specialist survives or ends on: F010, F015, F018, F032, F033."""

import json
from collections.abc import Sequence
from dataclasses import replace

import pytest
from langchain_core.messages import AIMessage, BaseMessage, ToolMessage

from backend_coordinator.domain.failure import FailureClass, Level
from backend_coordinator.nodes.ladder import rule_of
from backend_coordinator.nodes.mishaps import NOTES
from backend_coordinator.nodes.models.faults import Kind
from backend_coordinator.nodes.tools.bench import MOST_OUTPUT, Bench
from backend_coordinator.nodes.window import SHRUNK
from backend_coordinator.testing import calls
from tests.faults.conftest import Bad, bad
from tests.faults.server import FAULTS, Asked, refused, whole
from tests.support.openai_server import Json

TOO_LONG = refused(400, "This model's maximum context length is 8192 tokens", code="context_length_exceeded")
FILES = 12


def reader(messages: Sequence[BaseMessage], tools: Sequence[str]) -> AIMessage:
    """Reads one file after the other; decides by the last turn it is shown."""
    said = [message for message in messages if isinstance(message, AIMessage)]
    number = int(said[-1].tool_calls[0]["id"].partition("-")[0]) + 1 if said else 0
    step = ("read", {"path": f"app/{number}.txt"}) if number < FILES else ("submit", {"summary": "read"})
    return calls(step, turn=number)


def with_files(bench: Bench) -> Bench:
    for number in range(FILES):
        (bench.tree / "app" / f"{number}.txt").write_text(f"{number}\n" + "lorem ipsum dolor sit amet\n" * 200)
    return bench


def size(asked: Asked) -> int:
    return len(json.dumps(asked.body["messages"]))


def tool_texts(body: Json) -> list[str]:
    return [message["content"] for message in body["messages"] if message["role"] == "tool"]


def refused_as_too_long(server: Bad) -> list[Asked]:
    return [asked for asked in server.asked if size(asked) > 30_000]


async def test_f010_a_prompt_refused_as_too_long_is_shrunk_in_one_step_and_the_task_goes_on(
    bench: Bench, streaming: bool
) -> None:
    with bad(reader, streaming=streaming) as server:
        server.always = lambda asked: TOO_LONG(asked) if size(asked) > 30_000 else whole(asked)
        worked = await server.work(with_files(bench))
        assert worked.submission is not None, worked.failure
        (too_long,) = refused_as_too_long(server)
        after = server.asked[too_long.number + 1]
        assert size(after) < size(too_long) * 0.6
        for before, now in zip(too_long.body["messages"][:2], after.body["messages"][:2], strict=True):
            assert now["content"].startswith(before["content"])
        assert SHRUNK in after.body["messages"][-1]["content"]
        assert len(server.asked) == FILES + 2


@pytest.mark.parametrize(("good", "requests"), [(0, 1), (3, 5)])
async def test_f010_what_is_still_too_long_ends_the_attempt_and_goes_to_the_coordinator(
    bench: Bench, streaming: bool, good: int, requests: int
) -> None:
    with bad(reader, streaming=streaming) as server:
        server.faults, server.always = [None] * good, TOO_LONG
        worked = await server.work(with_files(bench))
        assert worked.failure is not None
        assert worked.failure.kind is FailureClass.CONTEXT_OVERFLOW
        assert rule_of(worked.failure.kind).level is Level.COORDINATOR_REVIEW
        assert len(server.asked) == requests


@pytest.mark.parametrize(
    ("name", "kind", "failure"),
    [
        ("null content", Kind.EMPTY, FailureClass.EMPTY_ANSWER),
        ("length", Kind.LENGTH, FailureClass.CUT_OFF),
    ],
)
async def test_f015_f018_f020_an_unusable_message_is_told_twice_and_then_fails_the_attempt(
    calling: Bad, bench: Bench, name: str, kind: Kind, failure: FailureClass
) -> None:
    calling.faults = [FAULTS[name]] * 2
    worked = await calling.work(bench)
    assert worked.submission is not None
    assert [NOTES[kind] in str(asked.body["messages"]) for asked in calling.asked] == [False, True, True, True]
    assert worked.usage.model_calls == len(calling.asked) == 4
    assert (bench.tree / "docs" / "a.md").read_text() == "one\ntwo\n"


@pytest.mark.parametrize(
    ("name", "requests", "failure"),
    [
        ("null content", 3, FailureClass.EMPTY_ANSWER),
        ("length", 3, FailureClass.CUT_OFF),
        ("refusal", 1, FailureClass.REFUSAL),
        ("content filter", 1, FailureClass.CONTENT_FILTER),
    ],
)
async def test_f015_f016_f017_f018_f020_what_comes_again_is_a_failed_attempt_of_its_class(
    calling: Bad, bench: Bench, name: str, requests: int, failure: FailureClass
) -> None:
    calling.always = FAULTS[name]
    worked = await calling.work(bench)
    assert worked.failure is not None
    assert worked.failure.kind is failure
    assert worked.usage.model_calls == len(calling.asked) == requests
    assert not (bench.tree / "docs" / "a.md").exists(), "nothing of such a message is run"


async def test_f032_the_same_failing_call_for_the_third_time_ends_the_attempt(bench: Bench, streaming: bool) -> None:
    def again(messages: Sequence[BaseMessage], tools: Sequence[str]) -> AIMessage:
        return calls(("read", {"path": "gone.py"}), turn=len(messages))

    with bad(again, streaming=streaming) as server:
        worked = await server.work(bench)
        assert worked.failure is not None
        assert worked.failure.kind is FailureClass.STUCK
        assert worked.failure.summary == "read gave the same result three times, unchanged tree"
        assert len(server.asked) == 3


async def test_f033_a_megabyte_of_binary_output_is_cut_with_a_marker_kept_and_read_by_range(
    bench: Bench, streaming: bool
) -> None:
    def work(messages: Sequence[BaseMessage], tools: Sequence[str]) -> AIMessage:
        shown = [message for message in messages if isinstance(message, ToolMessage)]
        steps = (
            ("bash", {"command": "cat app/noise.bin"}),
            ("recall", {"call": "0-0", "offset": 500_000, "limit": 20}),
            ("submit", {"summary": "seen"}),
        )
        return calls(steps[len(shown)], turn=len(shown))

    if bench.context.sandbox.level == "none":
        pytest.skip("no sandbox on this machine, so bash asks")
    (bench.tree / "app" / "noise.bin").write_bytes(b"\x00\x1b\xff\xfe" * 125_000 + b"die Mitte" + b"\xc3" * 500_000)
    allowed = bench.specialist.model_copy(update={"permission": (("bash", (("*", "allow"),)),)})
    with bad(work, streaming=streaming) as server:
        worked = await server.work(replace(bench, specialist=allowed))
        assert worked.submission is not None, worked.failure
        first, second = tool_texts(server.asked[2].body)
        assert len(first) <= MOST_OUTPUT
        assert 'characters left out: recall call="0-0" offset=' in first
        assert first.endswith("[exit 0]")
        assert second.startswith("die Mitte")
        (file,) = (bench.context.folder / "results").rglob("*.txt")
        assert file.read_text(encoding="utf-8").startswith("\ufffd" * 1000)
        assert 1_900_000 < file.stat().st_size <= 2_000_000
        assert file.stat().st_mode & 0o777 == 0o600
