"""A model that has bad days: what servers do wrong, put in front of any chat model."""

import itertools
import json
import random
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any, NamedTuple

from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.messages.tool import invalid_tool_call
from pydantic import Field, PrivateAttr

from backend_coordinator.errors import ConfigurationError
from backend_coordinator.testing.tape import Cleaner, Key, key_of
from backend_coordinator.testing.wrapper import Then, Wrapper

_HTML = "<html><body><h1>502 Bad Gateway</h1></body></html>"


class ServerRefused(Exception):
    """Stands for the exceptions of providers' clients: `status_code`, `body` and `response.headers` as they have."""

    def __init__(self, status: int, body: object, headers: Mapping[str, str] | None = None) -> None:
        self.status_code, self.body, self.response = status, body, SimpleNamespace(headers=headers or {})
        super().__init__(f"Error code: {status} - {body}")


class Injected(NamedTuple):
    """One fault: which request it met (counted from 0), its kind, and the last line of what was asked."""

    request: int
    kind: str
    asked: str


def _said(message: str, code: str) -> Mapping[str, str]:
    return {"message": message, "code": code}


def _half(reply: AIMessage, reason: str) -> AIMessage:
    """The first half of a message, its tool calls as if whole: what careless clients make of one."""
    halves = [{**call, "args": dict(list(call["args"].items())[:1])} for call in reply.tool_calls]
    text = str(reply.text)
    return AIMessage(text[: len(text) // 2], tool_calls=halves, response_metadata={"finish_reason": reason})


def _malformed(reply: AIMessage) -> AIMessage:
    broken = [
        invalid_tool_call(name=c["name"], args=json.dumps(c["args"])[:-1], id=c["id"], error="Expecting ',' delimiter")
        for c in reply.tool_calls
    ]
    return reply.model_copy(update={"tool_calls": [], "invalid_tool_calls": broken})


def _same_ids(reply: AIMessage) -> AIMessage:
    return reply.model_copy(update={"tool_calls": [{**call, "id": "call_0"} for call in reply.tool_calls]})


def _ended(reply: AIMessage, reason: str) -> AIMessage:
    return AIMessage("", response_metadata={"finish_reason": reason}, usage_metadata=reply.usage_metadata)


_RAISED: Mapping[str, Callable[[float], Exception]] = {
    "rate_limit": lambda wait: ServerRefused(429, _said("slow down", "rate_limited"), {"retry-after": f"{wait:g}"}),
    "server_error": lambda _: ServerRefused(500, _said("internal error", "server_error")),
    "overloaded": lambda _: ServerRefused(503, _HTML),
    "lost_connection": lambda _: ConnectionResetError(104, "Connection reset by peer"),
    "unreadable": lambda _: json.JSONDecodeError("Expecting value", _HTML, 0),
    "revoked_key": lambda _: ServerRefused(401, _said("Incorrect API key provided", "invalid_api_key")),
    "empty_account": lambda _: ServerRefused(429, _said("You exceeded your current quota", "insufficient_quota")),
}
_RETURNED: Mapping[str, Callable[[AIMessage], AIMessage]] = {
    "cut_stream": lambda reply: _half(reply, "error"),
    "length": lambda reply: _half(reply, "length"),
    "empty": lambda reply: _ended(reply, "stop"),
    "malformed_arguments": _malformed,
    "duplicate_ids": _same_ids,
    "refusal": lambda reply: _ended(reply, "refusal"),
    "content_filter": lambda reply: _ended(reply, "content_filter"),
}
_NEED_CALLS = frozenset({"malformed_arguments", "duplicate_ids"})
FAULTS = (*_RAISED, *_RETURNED)
"""All kinds."""
SURVIVABLE = (*list(_RAISED)[:5], "cut_stream", "malformed_arguments", "duplicate_ids")
"""Those that a run gets over without a failed attempt, unless too many meet one request."""


class Faulty(Wrapper):
    """`inner`, of whose requests a share `rate` meets a fault of one of `kinds`.

    Which ones depends on `seed`, on what is asked and on how often that was asked before, so that parallel tasks meet
    the same faults in each run. `retry_after` is in seconds. `injected` lists what was done.
    """

    rate: float = Field(default=0.2, ge=0, le=1)
    seed: int = 1
    kinds: Sequence[str] = SURVIVABLE
    retry_after: float = Field(default=0.0, ge=0)
    _cleaner: Cleaner = PrivateAttr(default_factory=Cleaner.here)
    _asked: Counter[Key] = PrivateAttr(default_factory=Counter)
    _injected: list[Injected] = PrivateAttr(default_factory=list)
    _lock: Any = PrivateAttr(default_factory=threading.Lock)
    _number: int = PrivateAttr(default_factory=itertools.count().__next__)

    def __init__(self, inner: Any, **changes: Any) -> None:
        super().__init__(inner=inner, **changes)
        if unknown := set(self.kinds) - set(FAULTS):
            msg = f"unknown kinds of fault: {', '.join(sorted(unknown))}; there are {', '.join(FAULTS)}"
            raise ConfigurationError(msg)

    @property
    def base_url(self) -> str:
        """A server of its own, so that its bad days are not held against the real one."""
        return f"{super().base_url}#faulty-{self._number}"

    @property
    def injected(self) -> tuple[Injected, ...]:
        """The faults so far."""
        return tuple(self._injected)

    def _begin(self, messages: list[BaseMessage], options: dict[str, Any]) -> Then:
        key = key_of(self._cleaner.parts(messages, options))
        with self._lock:
            number, before = self._asked.total(), self._asked[key]
            self._asked[key] += 1
        chance = random.Random(f"{self.seed} {before} {key}")
        if not self.kinds or chance.random() >= self.rate:
            return lambda reply: reply
        due = Injected(number, chance.choice(self.kinds), str(messages[-1].text).strip().rpartition("\n")[2][:200])
        if due.kind in _RAISED:
            self._injected.append(due)
            raise _RAISED[due.kind](self.retry_after)
        return lambda reply: self._spoilt(due, reply)

    def _spoilt(self, due: Injected, reply: AIMessage) -> AIMessage:
        if due.kind in _NEED_CALLS and not reply.tool_calls:
            return reply
        self._injected.append(due)
        return _RETURNED[due.kind](reply)
