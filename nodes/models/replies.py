"""Making a model's message safe to act on and to record."""

from collections.abc import Collection
from typing import TypeVar

from langchain_core.messages import AIMessage

T = TypeVar("T")


def settled(reply: AIMessage, known: Collection[str], turn: int) -> AIMessage:
    """The message with ids that no other call of the conversation has, and text that can be written as UTF-8.

    `known` are the ids of earlier calls. Some servers send no ids, or the same ones in every message.
    """
    taken = set(known)
    calls, broken = [], []
    for number, call in enumerate(reply.tool_calls):
        calls.append({**call, "id": _unique(call["id"], taken, f"{turn}-{number}"), "args": _clean(call["args"])})
    for number, invalid in enumerate(reply.invalid_tool_calls):
        broken.append({**invalid, "id": _unique(invalid["id"], taken, f"{turn}-x{number}")})
    extra = {name: value for name, value in reply.additional_kwargs.items() if name != "tool_calls"}
    changes = {"tool_calls": calls, "invalid_tool_calls": broken, "content": _clean(reply.content)}
    return reply.model_copy(update={**changes, "additional_kwargs": _clean(extra)})


def _unique(name: str | None, taken: set[str], otherwise: str) -> str:
    chosen = name if name and name not in taken else f"call-{otherwise}"
    taken.add(chosen)
    return chosen


def _clean(value: T) -> T:
    """The same value with lone surrogates, which no file and no protocol takes, replaced by a question mark."""
    if isinstance(value, str):
        return value.encode("utf-8", errors="replace").decode()  # type: ignore[return-value]
    if isinstance(value, dict):
        return {_clean(key): _clean(item) for key, item in value.items()}  # type: ignore[return-value]
    return [_clean(item) for item in value] if isinstance(value, list) else value  # type: ignore[return-value]
