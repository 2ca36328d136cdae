"""One model call: the only place that retries, and where a message is found complete or not."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from langchain_core.messages import AIMessage, AnyMessage
from tenacity import (
    AsyncRetrying,
    RetryError,
    retry_if_exception,
    stop_after_attempt,
    wait_random_exponential,
)

from backend_coordinator.domain.usage import Usage
from backend_coordinator.errors import ModelCallFailed, ModelUnavailable

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

_FAIL_FAST = frozenset({401, 403, 404})
_RETRIED = frozenset({408, 409, 429, 500, 502, 503, 504, 529})
_PASSING = frozenset({"APIConnectionError", "APITimeoutError", "APIError"})
_COMPLETE = frozenset({None, "", "stop", "tool_calls", "function_call", "end_turn", "tool_use"})


async def call_model(
    model: "BaseChatModel",
    messages: Sequence[AnyMessage],
    *,
    tools: Sequence[Mapping[str, object]],
    seconds: float,
    attempts: int,
) -> tuple[AIMessage, Usage]:
    """One complete assistant message and what it used; `seconds` bounds all attempts together.

    Raises ModelUnavailable for a wrong key, an unknown model or an empty account, ModelCallFailed when no
    complete message came: cut off, filtered, or out of retries.
    """
    bound = model.bind_tools([dict(tool) for tool in tools])
    started = time.monotonic()
    try:
        async with asyncio.timeout(seconds):
            async for attempt in AsyncRetrying(
                stop=stop_after_attempt(attempts),
                wait=wait_random_exponential(multiplier=0.5, max=20),
                retry=retry_if_exception(_is_passing),
            ):
                with attempt:
                    reply = await bound.ainvoke(list(messages))
                    _demand_an_end(model, reply)
    except TimeoutError as error:
        msg = f"the model gave no answer within {seconds:g} s"
        raise ModelCallFailed(msg) from error
    except RetryError as error:
        cause = error.last_attempt.exception()
        msg = f"the model failed {attempts} times: {_one_line(cause)}"
        raise ModelCallFailed(msg) from cause
    except Exception as error:
        status = getattr(error, "status_code", None)
        if status in _FAIL_FAST or getattr(error, "code", None) == "insufficient_quota":
            msg = f"the model cannot be used: {_one_line(error)}"
            raise ModelUnavailable(msg) from error
        msg = f"the model call failed: {_one_line(error)}"
        raise ModelCallFailed(msg) from error
    return _complete(reply), _usage(reply, time.monotonic() - started)


def _demand_an_end(model: "BaseChatModel", reply: AIMessage) -> None:
    """A stream that just stops leaves half a tool call that looks whole. Raises ConnectionError."""
    if getattr(model, "streaming", False) and not reply.response_metadata.get("finish_reason"):
        msg = "the stream ended before the message did"
        raise ConnectionError(msg)


def _is_passing(error: BaseException) -> bool:
    if getattr(error, "code", None) == "insufficient_quota":
        return False
    status = getattr(error, "status_code", None)
    if status is not None:
        return status in _RETRIED
    return isinstance(error, ConnectionError) or type(error).__name__ in _PASSING


def _one_line(error: BaseException | None) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:300]


def _complete(reply: AIMessage) -> AIMessage:
    reason = reply.response_metadata.get("finish_reason")
    if reason not in _COMPLETE:
        msg = f"the model's message is not complete (finish_reason {reason}); none of its tool calls was run"
        raise ModelCallFailed(msg)
    return reply


def _usage(reply: AIMessage, seconds: float) -> Usage:
    counted = reply.usage_metadata
    if counted is None:
        return Usage(model_calls=1, seconds=seconds)
    return Usage(
        model_calls=1,
        input_tokens=counted["input_tokens"],
        output_tokens=counted["output_tokens"],
        cached_tokens=counted.get("input_token_details", {}).get("cache_read", 0) or 0,
        seconds=seconds,
    )
