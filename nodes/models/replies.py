"""Making a model's message safe to act on and to record."""

import json
from collections.abc import Collection, Sequence
from typing import TypeVar

from langchain_core.messages import AIMessage

T = TypeVar("T")
_NAMELESS = "unnamed"
"""What a call without a name goes back under; servers refuse a conversation with a name of null."""
Content = str | list[str | dict[str, object]]


def settled(reply: AIMessage, known: Collection[str], turn: int) -> AIMessage:
    """The message with ids that no other call of the conversation has, and text that can be written as UTF-8.

    `known` are the ids of earlier calls. Some servers send no ids, or the same ones in every message.
    """
    taken = set(known)
    calls, broken = [], []
    for number, call in enumerate(reply.tool_calls):
        own = {"name": call["name"] or _NAMELESS, "id": _unique(call["id"], taken, f"{turn}-{number}")}
        calls.append({**call, **own, "args": _clean(call["args"])})
    for number, invalid in enumerate(reply.invalid_tool_calls):
        # Goes back to the server with the conversation, and some parse every call they are sent.
        sent = json.dumps({"unreadable": _clean(invalid["args"])})
        own = {"name": invalid["name"] or _NAMELESS, "id": _unique(invalid["id"], taken, f"{turn}-x{number}")}
        broken.append({**invalid, **own, "args": sent})
    extra = {name: value for name, value in reply.additional_kwargs.items() if name != "tool_calls"}
    named = [*zip(reply.tool_calls, calls, strict=True), *zip(reply.invalid_tool_calls, broken, strict=True)]
    content = _renamed(_clean(reply.content), [(old["id"], new["id"]) for old, new in named])
    changes = {"tool_calls": calls, "invalid_tool_calls": broken, "content": content}
    return reply.model_copy(update={**changes, "additional_kwargs": _clean(extra)})


def _unique(name: str | None, taken: set[str], otherwise: str) -> str:
    chosen = name if name and name not in taken else f"call-{otherwise}"
    taken.add(chosen)
    return chosen


def _renamed(content: Content, names: Sequence[tuple[object, object]]) -> Content:
    """The content with the calls that the Responses API repeats in it under their new ids."""
    if isinstance(content, str):
        return content
    left, renamed = list(names), list(content)
    for place, block in enumerate(content):
        if isinstance(block, dict) and block.get("type") == "function_call":
            name = next((each for each in left if each[0] == block.get("call_id")), None)
            if name is not None:
                left.remove(name)
                renamed[place] = {**block, "call_id": name[1]}
    return renamed


def _clean(value: T) -> T:
    """The same value with the halves of surrogate pairs joined, and lone ones, which no file takes, replaced."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")  # type: ignore[return-value]
    if isinstance(value, dict):
        return {_clean(key): _clean(item) for key, item in value.items()}  # type: ignore[return-value]
    return [_clean(item) for item in value] if isinstance(value, list) else value  # type: ignore[return-value]
