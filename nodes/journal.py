"""Transcripts: append-only, redacted files from which a loop goes on after a crash."""

import errno
import json
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from langchain_core.messages import AIMessage, AnyMessage, ToolMessage, messages_from_dict, messages_to_dict

from backend_coordinator.domain.base import Value
from backend_coordinator.domain.events import Event
from backend_coordinator.domain.usage import Usage
from backend_coordinator.nodes.damage import damaged
from backend_coordinator.nodes.redaction import Redactor


class Line(Value):
    """One line: a message that is complete, or the intent of a tool call that has no outcome yet.

    `event` is what the ledger is told of the message as soon as the line is on disk.
    """

    kind: Literal["message", "intent"]
    body: str
    usage: Usage = Usage()
    event: Event | None = None


@dataclass(frozen=True)
class Past:
    """What a transcript holds: complete messages, what they used and told, and calls begun without an outcome."""

    messages: tuple[AnyMessage, ...]
    usage: Usage
    in_doubt: frozenset[str]
    events: tuple[Event, ...] = ()


def _held() -> None: ...


@dataclass(frozen=True)
class Transcript:
    """The journal of one attempt or one coordinator's call, at `path` (mode 0600)."""

    path: Path
    redact: Redactor
    held: Callable[[], None] = _held
    """Called before every line; raises when this process may not write for the run any more."""

    def add(self, message: AnyMessage, usage: Usage | None = None, event: Event | None = None) -> None:
        """Appends one complete message; it is on disk when this returns, and `event` may go to the ledger."""
        body = json.dumps(messages_to_dict([message])[0])
        self._append(Line(kind="message", body=body, usage=usage or Usage(), event=event))

    def intend(self, call_id: str) -> None:
        """Says that a tool call is about to have effects."""
        self._append(Line(kind="intent", body=call_id))

    def _append(self, line: Line) -> None:
        self.held()
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        with os.fdopen(descriptor, "ab", buffering=0) as file:
            data = (self._masked(line) + "\n").encode("utf-8", errors="replace")
            before = os.fstat(descriptor).st_size
            try:
                if file.write(data) < len(data):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))
                os.fsync(descriptor)
            except OSError:
                os.ftruncate(descriptor, before)  # half a line must not come to stand before others
                raise

    def _masked(self, line: Line) -> str:
        text = self.redact(line.model_dump_json())
        try:
            _past([Line.model_validate_json(text)])
        except ValueError:  # something that began in one field and ended in another was masked, with what lies between
            body = json.dumps(self.redact.each(json.loads(line.body))) if line.kind == "message" else line.body
            event = self.redact.value(line.event) if line.event else None
            return line.model_copy(update={"body": body, "event": event}).model_dump_json()
        return text

    def set_aside(self) -> None:
        """Begins anew; what was written so far stays beside it as `.lost`."""
        if self.path.exists():
            self.path.rename(self.path.with_suffix(".lost"))

    def read(self) -> Past:
        """All complete lines; a last line cut off by a crash is dropped, on disk too. Raises DamagedRun."""
        if not self.path.exists():
            return Past((), Usage(), frozenset())
        data = self.path.read_bytes()
        whole = data[: data.rfind(b"\n") + 1]
        if whole != data:
            os.truncate(self.path, len(whole))
        try:
            return _past([Line.model_validate_json(line) for line in whole.splitlines()])
        except ValueError as error:
            raise damaged(self.path, "has a line that cannot be read", folder=self.path.parent.parent) from error


def _past(lines: Sequence[Line]) -> Past:
    usage = sum((line.usage for line in lines), Usage())
    bodies = [json.loads(line.body) for line in lines if line.kind == "message"]
    messages: tuple[AnyMessage, ...] = tuple(messages_from_dict(bodies))  # type: ignore[arg-type]
    done = {message.tool_call_id for message in messages if isinstance(message, ToolMessage)}
    begun = {line.body for line in lines if line.kind == "intent"}
    return Past(messages, usage, frozenset(begun - done), tuple(line.event for line in lines if line.event))


def ids_of_calls(messages: Iterable[AnyMessage]) -> frozenset[str]:
    """Ids of all tool calls in assistant messages, readable or not."""
    said = [message for message in messages if isinstance(message, AIMessage)]
    return frozenset(str(call["id"]) for m in said for call in (*m.tool_calls, *m.invalid_tool_calls))


def open_calls(messages: Sequence[AnyMessage]) -> AIMessage | None:
    """The last assistant message if nothing was said to it yet, or some of its tool calls have no result."""
    done = {message.tool_call_id for message in messages if isinstance(message, ToolMessage)}
    for message in reversed(messages):
        if isinstance(message, AIMessage):
            calls = (*message.tool_calls, *message.invalid_tool_calls)
            missing = [call for call in calls if call["id"] not in done]
            return message if missing or message is messages[-1] else None
    return None
