"""Answers that are no answers, and connections that end too soon: F012, F013, F014, F021, F023, F026."""

from functools import partial

import pytest

from backend_coordinator.domain.failure import FailureClass
from backend_coordinator.errors import ModelCallFailed, ModelUnavailable
from backend_coordinator.nodes.models.faults import Kind, failure_class
from tests.faults.conftest import Bad
from tests.faults.server import (
    FAULTS,
    Asked,
    Fault,
    Response,
    cut_off,
    error_object,
    json_body,
    no_choices,
    page,
    streamed,
    whole,
)
from tests.support.openai_server import COMPLETION_TOKENS, PROMPT_TOKENS, USAGE, Json


async def passes_and_is_bounded(bad: Bad, fault: Fault) -> str:
    """The fault once is survived with one more request; for ever, it fails the call after its attempts."""
    bad.faults = [fault]
    reply, used = await bad.ask()
    assert reply.text == "all is well"
    assert (used.retries, len(bad.asked)) == (1, 2)
    bad.always = fault
    with pytest.raises(ModelCallFailed, match="3 times") as failed:
        await bad.ask(attempts=3)
    assert len(bad.asked) == 2 + 3
    assert failure_class(failed.value) is FailureClass.EXTERNAL_BLOCK
    return str(failed.value)


async def test_f012_a_proxys_page_is_a_passing_fault(talking: Bad) -> None:
    said = await passes_and_is_bounded(talking, page(200))
    assert "instructions" not in said


@pytest.mark.parametrize("name", ["empty body", "cut json"])
async def test_f013_a_body_that_cannot_be_read_is_a_passing_fault(talking: Bad, name: str) -> None:
    await passes_and_is_bounded(talking, FAULTS[name])


@pytest.mark.parametrize("fault", [no_choices([]), no_choices(None), error_object], ids=["none", "null", "error"])
async def test_f014_a_body_without_an_answer_is_a_passing_fault(talking: Bad, fault: Fault) -> None:
    await passes_and_is_bounded(talking, fault)


@pytest.mark.parametrize(("code", "kind"), [(429, Kind.RATE_LIMITED), (502, Kind.SERVER), (400, Kind.REQUEST)])
async def test_f014_a_gateways_error_within_a_good_status_is_taken_as_what_it_says(
    talking: Bad, code: int, kind: Kind
) -> None:
    error = {"error": {"message": "upstream", "code": code}}
    talking.always = lambda asked: streamed([error]) if asked.streaming else json_body(error)
    with pytest.raises(ModelCallFailed) as failed:
        await talking.ask(attempts=2)
    assert failed.value.kind == kind


async def test_f014_an_empty_account_is_told_even_with_a_good_status(talking: Bad) -> None:
    error = {"error": {"message": "top up", "code": "insufficient_quota"}}
    talking.always = lambda asked: streamed([error]) if asked.streaming else json_body(error)
    with pytest.raises(ModelUnavailable, match="is empty: top up"):
        await talking.ask()
    assert len(talking.asked) == 1


async def test_f021_text_that_never_ended_is_not_complete(talking: Bad) -> None:
    def unfinished(asked: Asked) -> Response:
        if asked.streaming:
            return cut_off(asked, at="end")
        (text,) = whole(asked).parts
        return Response((text.replace('"finish_reason": "stop"', '"finish_reason": null'),))

    said = await passes_and_is_bounded(talking, unfinished)
    assert "ended before the message did" in said


async def test_f021_an_end_that_is_said_twice_is_one(talking: Bad) -> None:
    def twice(asked: Asked) -> Response:
        if not asked.streaming:
            return whole(asked)
        *most, last, usage = asked.frames
        return streamed([*most, last, last, usage])

    talking.always = twice
    reply, used = await talking.ask()
    assert (reply.text, used.retries) == ("all is well", 0)


@pytest.mark.parametrize("how", ["early close", "reset"])
async def test_f023_a_lost_connection_is_a_passing_fault(calling: Bad, how: str) -> None:
    calling.faults = [FAULTS[how]]
    reply, used = await calling.ask()
    assert [call["args"]["content"] for call in reply.tool_calls] == ["one\ntwo\n"]
    assert (used.retries, len(calling.asked)) == (1, 2)
    assert calling.clock.now() < 20


@pytest.mark.parametrize("how", ["early close", "reset"])
async def test_f023_a_connection_that_is_lost_again_and_again_fails_the_call(talking: Bad, how: str) -> None:
    talking.always = FAULTS[how]
    with pytest.raises(ModelCallFailed, match=r"3 times: the (connection was lost|server broke off)") as failed:
        await talking.ask(attempts=3)
    assert len(talking.asked) == 3
    assert failed.value.kind == Kind.CONNECTION


async def test_f023_a_stream_that_is_lost_after_its_last_word_is_not_complete(talking: Bad) -> None:
    talking.faults = [partial(cut_off, at="end", ends="short")]
    reply, used = await talking.ask()
    assert (reply.text, used.retries) == ("all is well", 1)


@pytest.mark.parametrize("name", ["error object", "bad chunk"])
async def test_f026_an_error_within_a_stream_is_a_passing_fault(talking: Bad, name: str) -> None:
    await passes_and_is_bounded(talking, FAULTS[name])


@pytest.mark.parametrize(
    "last", [{}, {"prompt_tokens": 0, "total_tokens": COMPLETION_TOKENS}], ids=["whole", "partial"]
)
async def test_usage_that_comes_with_every_chunk_is_counted_once(talking: Bad, last: Json) -> None:
    def counting(asked: Asked) -> Response:
        if not asked.streaming:
            return whole(asked)
        frames = [{**frame, "usage": {**USAGE, "completion_tokens": n}} for n, frame in enumerate(asked.frames)]
        return streamed([*frames, {**asked.frames[-1], "usage": {**USAGE, **last}}])

    talking.always = counting
    _, used = await talking.ask()
    assert (used.input_tokens, used.output_tokens) == (PROMPT_TOKENS, COMPLETION_TOKENS)
