"""Messages that must not be acted on, or not as they are: F015 to F020, F022, F027, F028, F029."""

import json
from functools import partial

import pytest
from langchain_core.messages import AIMessage, ToolMessage

from backend_coordinator.domain.events import ToolCalled
from backend_coordinator.domain.failure import FailureClass
from backend_coordinator.errors import ModelCallFailed
from backend_coordinator.nodes.models.completion import demand_whole
from backend_coordinator.nodes.models.faults import Fault as Named
from backend_coordinator.nodes.models.faults import Kind, failure_class, usage_in
from backend_coordinator.nodes.models.replies import settled
from backend_coordinator.nodes.tools.bench import Bench
from tests.faults.conftest import WRITTEN, Bad
from tests.faults.server import FAULTS, Asked, Fault, Response, calls_changed, changed, cut_off, ending, says, streamed
from tests.support.openai_server import Json

REFUSALS = {"refusal": "I cannot help with that."}


async def fails_as(bad: Bad, failure: FailureClass) -> str:
    """The call fails with that class after one request, and tells what it used."""
    with pytest.raises(ModelCallFailed) as failed:
        await bad.ask()
    assert failure_class(failed.value) is failure
    assert len(bad.asked) == 1
    assert usage_in(failed.value).model_calls == 1
    return str(failed.value)


def tool_runs(bench: Bench) -> list[tuple[str, bool]]:
    """The tools that ran, and whether they did what they were asked."""
    return [(event.tool, event.ok) for _, event in bench.context.ledger.events() if isinstance(event, ToolCalled)]


def told(bad: Bad) -> list[str]:
    """What the last request said of tools."""
    return [message["content"] for message in bad.asked[-1].body["messages"] if message["role"] == "tool"]


async def worked_through(bad: Bad, bench: Bench, *, writes: int = 1) -> None:
    """The attempt ends well, and the file was written once, whatever else was."""
    worked = await bad.work(bench)
    assert worked.submission is not None
    assert (bench.tree / "docs" / "a.md").read_text() == "one\ntwo\n"
    assert [run for run in tool_runs(bench) if run[0] == "write"] == [("write", True)] * writes


@pytest.mark.parametrize("content", [None, "", " \n"])
async def test_f015_an_empty_answer_is_a_failure_of_its_own(talking: Bad, content: str | None) -> None:
    talking.always = says({"content": content})
    await fails_as(talking, FailureClass.EMPTY_ANSWER)


async def test_f015_an_attempt_of_empty_answers_is_never_a_result(talking: Bad, bench: Bench) -> None:
    talking.always = says({})
    worked = await talking.work(bench)
    assert worked.submission is None
    assert worked.failure is not None
    assert worked.failure.kind is FailureClass.EMPTY_ANSWER


async def test_f016_a_refusal_is_recognised_and_not_asked_for_again(talking: Bad) -> None:
    talking.always = says(REFUSALS)
    assert "refused to answer" in await fails_as(talking, FailureClass.REFUSAL)


async def test_f016_a_refusal_ends_the_attempt(talking: Bad, bench: Bench) -> None:
    talking.always = says(REFUSALS)
    worked = await talking.work(bench)
    assert worked.failure is not None
    assert worked.failure.kind is FailureClass.REFUSAL
    assert len(talking.asked) == 1


@pytest.mark.parametrize("message", [{}, {"content": "Here is how"}])
async def test_f017_a_filtered_answer_fails_with_its_reason(talking: Bad, message: Json) -> None:
    talking.always = says(message, "content_filter")
    assert "content filter" in await fails_as(talking, FailureClass.CONTENT_FILTER)


async def test_f017_a_filtered_answer_ends_the_attempt(calling: Bad, bench: Bench) -> None:
    calling.always = partial(ending, "content_filter")
    worked = await calling.work(bench)
    assert worked.failure is not None
    assert worked.failure.kind is FailureClass.CONTENT_FILTER
    assert (len(calling.asked), tool_runs(bench)) == (1, [])


async def test_f018_text_that_was_cut_off_is_no_answer(talking: Bad) -> None:
    talking.always = partial(ending, "length")
    await fails_as(talking, FailureClass.CUT_OFF)


async def test_f018_an_attempt_of_cut_off_text_is_never_a_result(talking: Bad, bench: Bench) -> None:
    talking.always = partial(ending, "length")
    worked = await talking.work(bench)
    assert worked.submission is None
    assert worked.failure is not None
    assert worked.failure.kind is FailureClass.CUT_OFF


async def test_f019_unreadable_arguments_are_answered_and_nothing_runs(calling: Bad, bench: Bench) -> None:
    calling.faults = [FAULTS["malformed arguments"]]
    await worked_through(calling, bench)
    (error,) = [text for text in told(calling) if "wrote" not in text]
    assert error.startswith("write: its arguments were not valid JSON: Unterminated string")
    assert "http" not in error
    assert len(calling.asked) == 3


async def test_f019_what_goes_back_to_the_server_can_be_parsed(calling: Bad, bench: Bench) -> None:
    calling.faults = [FAULTS["malformed arguments"]]
    await calling.work(bench)
    said = [message for asked in calling.asked for message in asked.body["messages"] if message.get("tool_calls")]
    arguments = [call["function"]["arguments"] for message in said for call in message["tool_calls"]]
    assert arguments
    assert all(text.startswith("{") and text.endswith("}") for text in arguments)


async def test_f019_arguments_that_were_cut_off_do_not_run(calling: Bad, bench: Bench) -> None:
    def cut(asked: Asked) -> Response:
        def change(choice: Json) -> None:
            for call in choice["message"].get("tool_calls", ()):
                call["function"]["arguments"] = '{"path": "docs/a' if "name" in call["function"] else ""
            choice["finish_reason"] = choice["finish_reason"] and "length"

        return changed(change, asked)

    calling.faults = [cut]
    await worked_through(calling, bench)


async def test_f020_no_tool_of_a_message_that_was_cut_off_runs(calling: Bad, bench: Bench) -> None:
    calling.always = partial(ending, "length")
    worked = await calling.work(bench)
    assert worked.failure is not None
    assert worked.failure.kind is FailureClass.CUT_OFF
    assert tool_runs(bench) == []
    assert not (bench.tree / "docs").exists()


@pytest.mark.parametrize("at", ["arguments", "end"])
async def test_f022_a_stream_that_ends_in_a_tool_call_runs_nothing(calling: Bad, bench: Bench, at: str) -> None:
    def cut(asked: Asked) -> Response:
        return cut_off(asked, at=at)  # type: ignore[arg-type]

    calling.faults = [cut]
    await worked_through(calling, bench)
    first, second = calling.asked[:2]
    assert first.body["messages"] == second.body["messages"]


@pytest.mark.parametrize("streaming", [True], ids=["streaming"], indirect=True)
async def test_f022_arguments_are_never_completed(calling: Bad, bench: Bench) -> None:
    """What was cut could be read as an object by whoever closes its brackets."""

    def half(asked: Asked) -> Response:
        return changed(calls_half, asked)

    def calls_half(choice: Json) -> None:
        for call in choice["message"].get("tool_calls", ()):
            call["function"]["arguments"] = (
                '{"path": "docs/a.md", "content": "one' if "name" in call["function"] else ""
            )

    calling.faults = [half]
    await worked_through(calling, bench)


async def test_f027_arguments_that_are_no_object_fail_without_a_crash(calling: Bad, bench: Bench) -> None:
    calling.faults = [FAULTS["arguments no object"]]
    await worked_through(calling, bench)
    answered = [text for text in told(calling) if "they are not a JSON object" in text]
    assert len(answered) == calling.streaming, "the client makes nothing of such a body: it is asked for once more"


async def test_f027_arguments_that_are_never_an_object_end_the_attempt(calling: Bad, bench: Bench) -> None:
    calling.always = FAULTS["arguments no object"]
    worked = await calling.work(bench)
    assert worked.failure is not None
    assert tool_runs(bench) == []


@pytest.mark.parametrize("streaming", [False], ids=["whole"], indirect=True)
async def test_f027_arguments_that_come_as_an_object_are_read(calling: Bad, bench: Bench) -> None:
    def parsed(call: Json) -> None:
        call["function"]["arguments"] = WRITTEN.tool_calls[0]["args"] if "name" in call["function"] else ""

    calling.faults = [calls_changed(parsed)]
    await worked_through(calling, bench)
    assert len(calling.asked) == 2


def doubled(asked: Asked) -> Response:
    """Two calls of one id."""
    answer = WRITTEN.tool_calls[0]
    other = {**answer, "args": {"path": "docs/b.md", "content": "b\n"}}
    asked.__dict__["answer"] = AIMessage("", tool_calls=[answer, other])
    return FAULTS["same ids"](asked)


async def test_f028_two_calls_with_one_id_get_ids_of_their_own(calling: Bad) -> None:
    calling.faults = [doubled]
    reply, _ = await calling.ask()
    assert [call["id"] for call in settled(reply, (), 7).tool_calls] == ["call_1", "call-7-1"]


async def test_f028_a_tool_that_does_not_exist_is_answered(calling: Bad, bench: Bench) -> None:
    def renamed(call: Json) -> None:
        call["function"].update({"name": "create_file"} if "name" in call["function"] else {})

    calling.faults = [calls_changed(renamed)]
    await worked_through(calling, bench)
    assert any(text.startswith("there is no tool 'create_file'") for text in told(calling))


@pytest.mark.parametrize("name", ["same ids", "no ids"])
async def test_f028_ids_become_unique_and_every_call_runs_once(calling: Bad, bench: Bench, name: str) -> None:
    calling.always = FAULTS[name]
    await worked_through(calling, bench)
    said = calling.asked[-1].body["messages"]
    made = [call["id"] for message in said for call in message.get("tool_calls", ())]
    assert all(made)
    assert made == [message["tool_call_id"] for message in said if message["role"] == "tool"]


async def test_f028_two_calls_with_one_id_both_run(calling: Bad, bench: Bench) -> None:
    calling.faults = [doubled]
    await worked_through(calling, bench, writes=2)
    assert (bench.tree / "docs" / "b.md").read_text() == "b\n"


def in_pieces(*pieces: Json) -> Fault:
    """A stream of these pieces of tool calls."""

    def play(asked: Asked) -> Response:
        first, *_, last, usage = asked.frames
        middle = [{**first, "choices": [{"index": 0, "delta": {"tool_calls": [piece]}}]} for piece in pieces]
        return streamed([first, *middle, last, usage])

    return play


def piece(arguments: str, name: str | None = None, *, id: str | None = None, index: int = 0) -> Json:
    """A part of a call."""
    return {"index": index, "id": id, "type": "function", "function": {"name": name, "arguments": arguments}}


A, B = '{"path": "docs/a.md", "content": "one\\ntwo\\n"}', '{"path": "docs/b.md", "content": "b"}'
only_streaming = pytest.mark.parametrize("streaming", [True], ids=["streaming"], indirect=True)


@only_streaming
@pytest.mark.parametrize(
    ("pieces", "read"),
    [
        ([piece("", "write", id="0"), piece(A[:9], id="1"), piece(A[9:], id="2"), piece("", id="3")], [A]),
        ([piece(A, "write", id=""), piece(B, "write", id="")], [A, B]),
        ([piece(A, "write", id="0"), piece(B, "write", id="1")], [A, B]),
        ([piece("", "list"), piece(B, "write")], ["{}", B]),
        ([piece(A[:9], "write", id="0"), piece(A[9:], "write", id="0")], [A]),
    ],
    ids=["an id each time", "no ids", "whole calls", "no arguments", "a name each time"],
)
async def test_f028_calls_are_put_together_however_they_are_numbered(
    calling: Bad, pieces: list[Json], read: list[str]
) -> None:
    calling.always = in_pieces(*pieces)
    reply, _ = await calling.ask()
    assert [call["args"] for call in reply.tool_calls] == [json.loads(text) for text in read]
    assert reply.invalid_tool_calls == []


@only_streaming
@pytest.mark.parametrize(
    "stray", [piece('{"path": "x"}', id="9"), piece('{"path": "x"}', index=1)], ids=["another id", "another index"]
)
async def test_f028_arguments_that_belong_to_no_call_keep_every_call_from_running(
    calling: Bad, bench: Bench, stray: Json
) -> None:
    calling.faults = [in_pieces(piece(B, "write", id="0"), stray)]
    await worked_through(calling, bench)
    assert not (bench.tree / "docs" / "b.md").exists()
    said = [call for message in calling.asked[-1].body["messages"] for call in message.get("tool_calls", ())]
    assert [call["function"]["name"] for call in said][:2] == ["write", "unnamed"]


@only_streaming
@pytest.mark.parametrize("value", ["absent", None])
async def test_f028_pieces_of_calls_without_an_index_are_not_lost(
    calling: Bad, bench: Bench, value: str | None
) -> None:
    def strip(call: Json) -> None:
        call["index"] = value
        if value == "absent":
            del call["index"]

    calling.always = calls_changed(strip)
    await worked_through(calling, bench)


async def test_f028_a_message_that_says_it_calls_and_calls_nothing_is_not_whole(calling: Bad) -> None:
    calling.faults = [says({"content": "I will write it now."}, "tool_calls")]
    reply, used = await calling.ask()
    assert (len(reply.tool_calls), used.retries) == (1, 1)


@pytest.mark.parametrize(("sent", "kept"), [("a\ud800b", "a\ufffdb"), ("\ud83d\ude00", "\U0001f600")])
async def test_f029_a_lone_surrogate_costs_one_character(calling: Bad, bench: Bench, sent: str, kept: str) -> None:
    def spoken(asked: Asked) -> Response:
        def change(choice: Json) -> None:
            if "role" in choice["message"]:
                choice["message"]["content"] = sent

        return changed(change, asked)

    calling.faults = [spoken]
    await worked_through(calling, bench)
    assert calling.asked[-1].body["messages"][2]["content"] == kept
    journal = bench.context.transcript(f"{bench.task.id}-1").read().messages
    assert isinstance(journal[0], AIMessage)
    assert journal[0].text == kept
    assert any(isinstance(message, ToolMessage) for message in journal)


async def test_f029_a_lone_surrogate_in_arguments_is_written_as_a_replacement(calling: Bad, bench: Bench) -> None:
    def change(call: Json) -> None:
        if "name" in call["function"]:
            call["function"]["arguments"] = '{"path": "docs/a.md", "content": "one\\ud800"}'
        else:
            call["function"]["arguments"] = ""

    calling.faults = [calls_changed(change)]
    worked = await calling.work(bench)
    assert worked.submission is not None
    assert (bench.tree / "docs" / "a.md").read_text() == "one\ufffd"


ENDS: dict[tuple[str, str], Kind | None] = {
    **dict.fromkeys([("stopReason", end) for end in ("end_turn", "tool_use", "stop_sequence")], None),
    ("stopReason", "max_tokens"): Kind.LENGTH,
    **dict.fromkeys([("stopReason", end) for end in ("guardrail_intervened", "content_filtered")], Kind.FILTERED),
    **dict.fromkeys([("finish_reason", end) for end in ("COMPLETE", "TOOL_CALL", "eos_token", "STOP")], None),
    **dict.fromkeys([("finish_reason", end) for end in ("MAX_TOKENS", "length")], Kind.LENGTH),
    **dict.fromkeys([("finish_reason", end) for end in ("ERROR_TOXIC", "SAFETY")], Kind.FILTERED),
    **dict.fromkeys([("finish_reason", end) for end in ("ERROR", "MALFORMED_FUNCTION_CALL")], Kind.CUT),
    **dict.fromkeys([("stop_reason", end) for end in ("end_turn", "tool_use", "pause_turn")], None),
    ("stop_reason", "max_tokens"): Kind.LENGTH,
    ("stop_reason", "refusal"): Kind.REFUSAL,
    ("stop_reason", "model_context_window_exceeded"): Kind.OVERFLOW,
    ("done_reason", "stop"): None,
    ("done_reason", "length"): Kind.LENGTH,
    ("done_reason", "load"): Kind.CUT,
}
"""How providers say why a message ended: Bedrock, Cohere, HuggingFace, Gemini, Anthropic, Ollama."""


@pytest.mark.parametrize(("where", "end"), ENDS)
def test_every_providers_end_is_known(where: str, end: str) -> None:
    message = AIMessage("", tool_calls=WRITTEN.tool_calls, response_metadata={where: end})
    kind = ENDS[where, end]
    if kind is None:
        assert demand_whole(message, ends=False) is message
    else:
        with pytest.raises(Named) as found:
            demand_whole(message, ends=False)
        assert found.value.kind is kind
