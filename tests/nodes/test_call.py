"""One model call: what is retried, what fails at once, and what is no complete message."""

import asyncio
import re
from collections.abc import Callable, Sequence

import pytest
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from langchain_core.messages.tool import tool_call

from backend_coordinator.errors import ModelCallFailed, ModelUnavailable
from backend_coordinator.nodes.models.call import Request, call_model
from backend_coordinator.nodes.models.replies import settled
from backend_coordinator.settings import ModelSettings
from backend_coordinator.testing import ScriptedModel
from tests.support.clock import VirtualClock

HALF = AIMessage("", tool_calls=[tool_call(name="write", args={"path": "a", "content": "import os\ndef ha"}, id="1")])


class Refused(Exception):
    """What a provider's client raises for an HTTP status."""

    def __init__(self, status: int, code: str = "") -> None:
        self.status_code, self.code = status, code
        super().__init__(f"status {status}")


async def asked(script: Callable[[], AIMessage], *, attempts: int = 1, known: bool = False) -> AIMessage:
    """One answer; of a model that has answered before where it is `known`."""
    steps = [script, *[lambda: AIMessage("here")] * known]

    def answer(messages: Sequence[BaseMessage], tools: Sequence[str]) -> AIMessage:
        return (steps.pop() if len(steps) > 1 else script)()

    terms, model = ModelSettings(seconds=20, attempts=attempts), ScriptedModel(script=answer)
    for _ in range(1 + known):
        reply, _ = await call_model(model, Request([HumanMessage("?")]), terms, clock=VirtualClock())
    return reply


@pytest.mark.parametrize("reason", ["length", "content_filter", "max_tokens"])
async def test_a_message_that_was_cut_or_filtered_is_refused(reason: str) -> None:
    with pytest.raises(ModelCallFailed, match=r"cut off at the output limit|content filter"):
        await asked(lambda: HALF.model_copy(update={"response_metadata": {"finish_reason": reason}}))


@pytest.mark.parametrize(("status", "code"), [(401, ""), (403, ""), (404, ""), (429, "insufficient_quota")])
async def test_a_key_a_model_or_an_account_that_is_wrong_fails_at_once(status: int, code: str) -> None:
    made: list[int] = []

    def fails() -> AIMessage:
        made.append(1)
        raise Refused(status, code)

    with pytest.raises(ModelUnavailable, match=r"the key for|there is no model|the account behind"):
        await asked(fails, attempts=5)
    assert len(made) == 1


async def test_a_passing_fault_is_retried() -> None:
    faults: list[Exception] = [Refused(503), ConnectionError("reset")]

    def recovers() -> AIMessage:
        if faults:
            raise faults.pop()
        return AIMessage("here")

    assert (await asked(recovers, attempts=3)).content == "here"


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (ValueError("No generations"), "3 times: the server's answer could not be read (ValueError)"),
        (KeyError("choices"), "3 times: the server's answer could not be read (KeyError)"),
        (Refused(422), "the server refused the request (status 422)"),
    ],
)
async def test_whatever_a_client_raises_fails_the_call_in_one_line(error: Exception, told: str) -> None:
    def fails() -> AIMessage:
        raise error

    with pytest.raises(ModelCallFailed, match=re.escape(told)):
        await asked(fails, attempts=3, known=True)
    with pytest.raises(ModelUnavailable, match=r"^model ScriptedModel cannot be used, .*: name another model, or corr"):
        await asked(fails, attempts=3)


async def test_other_providers_are_told_of_their_own_key() -> None:
    def fails() -> AIMessage:
        raise Refused(401)

    said = r"^the key for model ScriptedModel was refused \(status 401\): set its key to a valid one$"
    with pytest.raises(ModelUnavailable, match=said):
        await asked(fails)


def test_a_request_s_size_counts_tools_and_arguments() -> None:
    tool = {"type": "function", "function": {"name": "write", "description": "x" * 400}}
    assert Request([HumanMessage("?" * 400)]).tokens < 110
    assert Request([HumanMessage("?" * 400)], tools=[tool]).tokens > 200
    assert Request([HALF.model_copy(update={"content": "?" * 400})]).tokens > 110


async def test_one_deadline_bounds_all_attempts() -> None:
    class Slow(ScriptedModel):
        async def _agenerate(self, *args: object, **kwargs: object) -> object:  # type: ignore[override]
            await asyncio.Event().wait()
            raise AssertionError

    with pytest.raises(ModelCallFailed, match=r"no answer within 0\.2 s"):
        await call_model(Slow(script=lambda m, t: HALF), Request([HumanMessage("?")]), ModelSettings(seconds=0.2))


def test_ids_become_unique_and_text_writable() -> None:
    twice = AIMessage(
        "\ud800",
        tool_calls=[tool_call(name="a", args={"x": ["\udfff"]}, id=i) for i in ("1", "1", None, "old")],
        additional_kwargs={"tool_calls": [{"id": "1"}], "refusal": "\ud800"},
    )
    safe = settled(twice, {"old"}, 3)
    assert [call["id"] for call in safe.tool_calls] == ["1", "call-3-1", "call-3-2", "call-3-3"]
    assert safe.tool_calls[0]["args"] == {"x": ["\ufffd"]}
    assert (safe.content, safe.additional_kwargs) == ("\ufffd", {"refusal": "\ufffd"})
