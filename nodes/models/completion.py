"""From what a server sent to one whole message: assembled strictly, complete or refused."""

import json
from collections.abc import Sequence
from typing import Any

from langchain_core.messages import AIMessage, AIMessageChunk, InvalidToolCall
from langchain_core.messages.ai import UsageMetadata, add_ai_message_chunks
from langchain_core.messages.tool import ToolCall, ToolCallChunk, invalid_tool_call, tool_call

from backend_coordinator.nodes.models.faults import Fault, Kind

_CALLING = frozenset({"tool_calls", "tool_use", "tool_call"})
_WHOLE = _CALLING | {"stop", "function_call", "end_turn", "stop_sequence", "pause_turn", "complete", "completed"}
_WHOLE |= {"eos", "eos_token"}
_ENDS = {
    **dict.fromkeys(("length", "max_tokens", "max_output_tokens", "model_length"), Kind.LENGTH),
    **dict.fromkeys(("content_filter", "content_filtered", "guardrail_intervened", "error_toxic"), Kind.FILTERED),
    **dict.fromkeys(("safety", "recitation", "prohibited_content", "blocklist", "spii"), Kind.FILTERED),
    "refusal": Kind.REFUSAL,
    "model_context_window_exceeded": Kind.OVERFLOW,
}
_SAID = {
    Kind.LENGTH: "the message was cut off at the output limit; none of its tool calls was run",
    Kind.FILTERED: "the provider's content filter stopped the message",
    Kind.OVERFLOW: "the message was cut off where the model's context window ended; none of its tool calls was run",
    Kind.REFUSAL: "the model refused to answer",
    Kind.EMPTY: "the message holds neither text nor a tool call",
}


def assembled(chunks: Sequence[AIMessageChunk], *, running: bool = False) -> AIMessage:
    """One message from a stream; arguments of tools are parsed as they stand and never completed.

    `running` says that each usage in the stream counts from its beginning; otherwise they add up. Raises Fault where
    the stream brought nothing.
    """
    if not chunks:
        raise Fault(Kind.CUT, "the stream ended before it began")
    whole = add_ai_message_chunks(chunks[0], *chunks[1:])
    calls, broken = _calls([piece for chunk in chunks for piece in chunk.tool_call_chunks])
    counts = [chunk.usage_metadata for chunk in chunks if chunk.usage_metadata]
    ends = [end for chunk in chunks if (end := _end(chunk.response_metadata))]
    return AIMessage(
        content=whole.content,
        tool_calls=calls,
        invalid_tool_calls=broken,
        additional_kwargs=whole.additional_kwargs,
        response_metadata={**whole.response_metadata, "finish_reason": ends[-1] if ends else None},
        usage_metadata=_highest(counts) if running and counts else whole.usage_metadata,
        id=whole.id,
    )


def _highest(counts: Sequence[UsageMetadata]) -> UsageMetadata:
    """The usage as it stood at the end; some servers leave out of the last what they said before."""
    highest = max(reversed(counts), key=lambda each: each["total_tokens"]).copy()
    highest["input_tokens"] = max(each["input_tokens"] for each in counts)
    highest["output_tokens"] = max(each["output_tokens"] for each in counts)
    highest["total_tokens"] = highest["input_tokens"] + highest["output_tokens"]
    return highest


def _calls(pieces: Sequence[ToolCallChunk]) -> tuple[list[ToolCall], list[InvalidToolCall]]:
    """Pieces belong together by index. Where arguments belong to no call, none of the message's calls is one to run."""
    merged: list[ToolCallChunk] = []
    for piece in pieces:
        last = next((m for m in reversed(merged) if piece["index"] in (None, m["index"])), None)
        if last is None or _begins(piece, last):
            merged.append(piece.copy())
            continue
        last["args"] = (last["args"] or "") + (piece["args"] or "")
        last["id"], last["name"] = last["id"] or piece["id"], last["name"] or piece["name"]
    stray = any(each["args"] and not each["name"] for each in merged)
    calls, broken = [], []
    for each in merged:
        arguments, problem = _arguments(each["args"])
        if stray or arguments is None or not each["name"]:
            error = problem or (
                "some of the message's arguments belong to no call" if stray else "the call has no name"
            )
            broken.append(invalid_tool_call(name=each["name"], args=each["args"], id=each["id"], error=error))
        else:
            calls.append(tool_call(name=each["name"], args=arguments, id=each["id"]))
    return calls, broken


def _begins(piece: ToolCallChunk, last: ToolCallChunk) -> bool:
    """Whether a piece at a known index is another call; a new id alone says little, some send one with every piece."""
    fresh = bool(piece["id"] and last["id"] and piece["id"] != last["id"])
    more = bool(piece["args"] and piece["args"].strip() and last["args"] and _arguments(last["args"])[0] is not None)
    if not piece["name"]:
        return fresh and more
    return fresh or more or piece["index"] is None or (last["name"] or piece["name"]) != piece["name"]


def _arguments(text: str | None) -> tuple[dict[str, Any] | None, str]:
    try:
        value = json.loads(text or "{}", strict=False)
    except ValueError as error:
        return None, str(error)
    if value is None:
        return {}, ""
    return (value, "") if isinstance(value, dict) else (None, "they are not a JSON object")


def readable(message: AIMessage) -> AIMessage:
    """The message, what is wrong with its unreadable calls said in one line as it is for those of a stream."""
    broken = [{**call, "error": _arguments(call["args"])[1] or call["error"]} for call in message.invalid_tool_calls]
    return message.model_copy(update={"invalid_tool_calls": broken}) if broken else message


def demand_whole(message: AIMessage, *, ends: bool) -> AIMessage:
    """The message, once it is found complete; `ends` says that this server always names a reason for the end.

    Raises Fault: cut off, filtered, refused, or empty. None of its tool calls may be run then.
    """
    end = _end(message.response_metadata)
    refused = message.additional_kwargs.get("refusal") or any(
        isinstance(block, dict) and block.get("type") == "refusal" for block in message.content
    )
    if refused or _ENDS.get(end) is Kind.REFUSAL:
        raise Fault(Kind.REFUSAL, _SAID[Kind.REFUSAL])
    if kind := _ENDS.get(end):
        raise Fault(kind, _SAID[kind])
    if end not in _WHOLE and (end or ends):
        raise Fault(Kind.CUT, f"the message ended with {end!r}" if end else "the stream ended before the message did")
    called = message.tool_calls or message.invalid_tool_calls
    if end in _CALLING and not called:
        raise Fault(Kind.BROKEN, "the message says that it calls a tool, and holds no call")
    if not (called or str(message.text).strip()):
        raise Fault(Kind.EMPTY, _SAID[Kind.EMPTY])
    return message


def _end(metadata: dict[str, Any]) -> str:
    """Why a message ended, in whichever place its provider says so."""
    incomplete = metadata.get("incomplete_details")
    if isinstance(incomplete, dict) and incomplete.get("reason"):
        return str(incomplete["reason"]).lower()
    named = (metadata.get(name) for name in ("finish_reason", "stop_reason", "stopReason", "done_reason", "status"))
    return next((str(end).lower() for end in named if isinstance(end, str) and end), "")
