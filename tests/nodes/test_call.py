"""One model call: what is retried, what fails at once, and what is no complete message."""

import asyncio
from collections.abc import Callable, Sequence

import pytest
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from langchain_core.messages.tool import tool_call

from backend_coordinator.errors import ModelCallFailed, ModelUnavailable
from backend_coordinator.nodes.models.call import call_model
from backend_coordinator.nodes.models.replies import settled
from backend_coordinator.testing import ScriptedModel

HALF = AIMessage("", tool_calls=[tool_call(name="write", args={"path": "a", "content": "import os\ndef ha"}, id="1")])


class Streaming(ScriptedModel):
    """A model that says it streams, as LangChain's own clients do."""

    streaming: bool = True


class Refused(Exception):
    """What a provider's client raises for an HTTP status."""

    def __init__(self, status: int, code: str = "") -> None:
        self.status_code, self.code = status, code
        super().__init__(f"status {status}")


async def asked(
    script: Callable[[], AIMessage], *, attempts: int = 1, model: type[ScriptedModel] = ScriptedModel
) -> AIMessage:
    def answer(messages: Sequence[BaseMessage], tools: Sequence[str]) -> AIMessage:
        return script()

    reply, _ = await call_model(model(script=answer), [HumanMessage("?")], tools=[], seconds=20, attempts=attempts)
    return reply


async def test_a_stream_that_just_stops_is_no_message_and_its_half_call_never_comes_back() -> None:
    with pytest.raises(ModelCallFailed, match="the stream ended before the message did"):
        await asked(lambda: HALF, model=Streaming)
    whole = HALF.model_copy(update={"response_metadata": {"finish_reason": "tool_calls"}})
    assert (await asked(lambda: whole, model=Streaming)).tool_calls == HALF.tool_calls


@pytest.mark.parametrize("reason", ["length", "content_filter", "max_tokens"])
async def test_a_message_that_was_cut_or_filtered_is_refused(reason: str) -> None:
    with pytest.raises(ModelCallFailed, match=f"not complete \\(finish_reason {reason}\\)"):
        await asked(lambda: HALF.model_copy(update={"response_metadata": {"finish_reason": reason}}))


@pytest.mark.parametrize(("status", "code"), [(401, ""), (403, ""), (404, ""), (429, "insufficient_quota")])
async def test_a_key_a_model_or_an_account_that_is_wrong_fails_at_once(status: int, code: str) -> None:
    made: list[int] = []

    def fails() -> AIMessage:
        made.append(1)
        raise Refused(status, code)

    with pytest.raises(ModelUnavailable, match="the model cannot be used"):
        await asked(fails, attempts=5)
    assert len(made) == 1


async def test_a_passing_fault_is_retried() -> None:
    faults: list[Exception] = [Refused(503), ConnectionError("reset")]

    def recovers() -> AIMessage:
        if faults:
            raise faults.pop()
        return AIMessage("here")

    assert (await asked(recovers, attempts=3)).content == "here"


@pytest.mark.parametrize("error", [ValueError("No generations"), KeyError("choices"), Refused(422)])
async def test_whatever_a_client_raises_fails_the_call_in_one_line(error: Exception) -> None:
    def fails() -> AIMessage:
        raise error

    with pytest.raises(ModelCallFailed, match=f"the model call failed: {type(error).__name__}"):
        await asked(fails, attempts=3)


async def test_one_deadline_bounds_all_attempts() -> None:
    class Slow(ScriptedModel):
        async def _agenerate(self, *args: object, **kwargs: object) -> object:  # type: ignore[override]
            await asyncio.Event().wait()
            raise AssertionError

    with pytest.raises(ModelCallFailed, match=r"no answer within 0\.2 s"):
        await call_model(Slow(script=lambda m, t: HALF), [HumanMessage("?")], tools=[], seconds=0.2, attempts=9)


def test_ids_become_unique_and_text_writable() -> None:
    twice = AIMessage(
        "\ud800",
        tool_calls=[tool_call(name="a", args={"x": ["\udfff"]}, id=i) for i in ("1", "1", None, "old")],
        additional_kwargs={"tool_calls": [{"id": "1"}], "refusal": "\ud800"},
    )
    safe = settled(twice, {"old"}, 3)
    assert [call["id"] for call in safe.tool_calls] == ["1", "call-3-1", "call-3-2", "call-3-3"]
    assert safe.tool_calls[0]["args"] == {"x": ["?"]}
    assert (safe.content, safe.additional_kwargs) == ("?", {"refusal": "?"})
