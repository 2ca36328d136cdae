"""The file of a cassette: JSON lines in which every part of a request stands once, under the digest of its text."""

import hashlib
import json
import os
import re
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from langchain_core.messages import AIMessage, BaseMessage, ToolMessage

from backend_coordinator.errors import ConfigurationError
from backend_coordinator.nodes.redaction import Redactor, redactor_for
from backend_coordinator.settings import cache_folder

VOLATILE: tuple[tuple[str, str], ...] = (
    (r"(?<=<tmp>)/(?:pytest-of-[^/\s]+/pytest-\d+|tmp[a-z0-9_]{8})\b", ""),
    (r"\b\d{8}-\d{6}-[0-9a-f]{4}\b", "<run>"),
    (r"\b[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b", "<uuid>"),
    (r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?", "<time>"),
    (r"\b\d+\.\d+ ?(?:[mu]?s|seconds)\b|(?<=_ms=)\d+(?:\.\d+)?\b", "<duration>"),
    (r"\b0x[0-9a-f]{6,16}\b", "<address>"),
    (r"(?:(?<=127\.0\.0\.1:)|(?<=localhost:))\d{5}\b", "<port>"),
    (r"\b(?=[a-f]*\d)(?=\d*[a-f])[0-9a-f]{7,64}\b", "<hex>"),
)
"""Patterns of what differs between two runs of one thing, and what stands for it; applied in this order.

Before them the cache folder, the folder for temporary files and the user's home become `<cache>`, `<tmp>`, `<home>`.
"""

Part = Mapping[str, object]
Key = tuple[str, ...]
_FORMAT = 1
_ANSWER = {"content", "tool_calls", "invalid_tool_calls", "additional_kwargs", "response_metadata", "usage_metadata"}
_NOT_KEPT = (("additional_kwargs", "tool_calls"), ("additional_kwargs", "parsed"), ("response_metadata", "headers"))


@dataclass(frozen=True)
class Cleaner:
    """Takes secrets out of a text and makes it comparable with that of another run or machine."""

    redact: Redactor
    patterns: Sequence[tuple[re.Pattern[str], str]]

    @classmethod
    def here(cls, volatile: Sequence[tuple[str, str]] = (), secrets: Sequence[str] = ()) -> "Cleaner":
        """For this process's folders, environment and `.env` files; `volatile` goes before everything built in."""
        redact = redactor_for(Path.cwd(), {**os.environ, **{f"KEY{n}": value for n, value in enumerate(secrets)}})
        places = {str(cache_folder()): "<cache>", tempfile.gettempdir(): "<tmp>", str(Path.home()): "<home>"}
        longest = sorted((place for place in places if place != "/"), key=len, reverse=True)
        fixed = [(rf"(?<![\w.-]){re.escape(place)}(?![\w.-])", places[place]) for place in longest]
        return cls(redact, [(re.compile(pattern), name) for pattern, name in (*volatile, *fixed, *VOLATILE)])

    def __call__(self, text: str) -> str:
        text = self.redact(text)
        for pattern, name in self.patterns:
            text = pattern.sub(name, text)
        return text

    def parts(self, messages: Sequence[BaseMessage], options: Mapping[str, object]) -> list[Part]:
        """A request in its parts: its tools and other options where it has any, then each message; all cleaned."""
        others = {name: value for name, value in options.items() if name != "tools" and value is not None}
        named = {"tools": options.get("tools"), "options": others}
        raw = [*({name: value} for name, value in named.items() if value), *map(_told, messages)]
        return [{name: _strings(value, self) for name, value in part.items()} for part in raw]


def key_of(parts: Sequence[Part]) -> Key:
    """What tells requests apart: the digests of their parts."""
    return tuple(hashlib.sha256(_line(part)).hexdigest()[:12] for part in parts)


class Tape:
    """Recorded answers by request, each request's in the order they came; `about` is the model that gave them."""

    def __init__(self, path: Path, cleaner: Cleaner, about: Mapping[str, object]) -> None:
        self.path, self.cleaner, self.about = path, cleaner, about
        self.parts: dict[str, Part] = {}
        self.answers: dict[Key, list[Mapping[str, object]]] = {}
        self._file, self._begun = path.with_name(f"{path.name}.part"), False
        self._given: Counter[Key] = Counter()
        self._lock = threading.Lock()

    @classmethod
    def load(cls, path: Path, cleaner: Cleaner) -> "Tape | None":
        """None where there is no file or no answer in it. Raises ConfigurationError for one it cannot read."""
        try:
            about, *lines = [json.loads(line) for line in path.read_text(encoding="utf-8").rstrip("\n").split("\n")]
            if about.pop("cassette") != _FORMAT:
                raise ValueError(_FORMAT)
            tape = cls(path, cleaner, about)
            for line in lines:
                if "part" in line:
                    tape.parts[line["part"]] = line["is"]
                else:
                    tape.answers.setdefault(tuple(line["asked"]), []).append(line["answer"])
        except FileNotFoundError:
            return None
        except (ValueError, LookupError, TypeError) as error:
            msg = f"the cassette {path} is damaged or of another version: delete it and record it anew"
            raise ConfigurationError(msg) from error
        return tape if tape.answers else None

    def add(self, parts: Sequence[Part], answer: AIMessage) -> None:
        """Appends an answer, and those parts of its request that are new; until `close` to `<path>.part`."""
        data = answer.model_dump(include=_ANSWER)
        for name, without in _NOT_KEPT:
            data[name].pop(without, None)
        kept = _strings({name: value for name, value in data.items() if value}, self.cleaner.redact)
        key = key_of(parts)
        with self._lock:
            if not self._begun:
                self._begin()
            fresh = {name: part for name, part in zip(key, parts, strict=True) if name not in self.parts}
            self.parts.update(fresh)
            self._append(*({"part": n, "is": part} for n, part in fresh.items()), {"asked": key, "answer": kept})

    def close(self) -> None:
        """Puts what was recorded in the place of any old file; later answers are appended to it."""
        with self._lock:
            if self._begun and self._file != self.path:
                self._file = self._file.replace(self.path)

    def answer(self, parts: Sequence[Part]) -> AIMessage | None:
        """The next recorded answer to a request, the last of them again and again; None for an unknown request."""
        key = key_of(parts)
        with self._lock:
            if not (recorded := self.answers.get(key)):
                return None
            number, self._given[key] = self._given[key], self._given[key] + 1
        return AIMessage.model_validate({"content": "", **recorded[min(number, len(recorded) - 1)]})

    def _begin(self) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        self._file.unlink(missing_ok=True)
        self._append({"cassette": _FORMAT, **self.about})
        self._begun = True

    def _append(self, *lines: Mapping[str, object]) -> None:
        """In one write, so that nobody reads or mixes half a request."""
        file = os.open(self._file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(file, b"".join(_line(line) + b"\n" for line in lines))
        finally:
            os.close(file)


def _told(message: BaseMessage) -> Part:
    """What a model is shown of a message."""
    names = ("tool_calls", "invalid_tool_calls", "tool_call_id", "name")
    shown = {name: value for name in names if (value := getattr(message, name, None))}
    failed = {"status": message.status} if isinstance(message, ToolMessage) and message.status != "success" else {}
    return {"role": message.type, "text": message.content, **shown, **failed}


def _line(value: Mapping[str, object]) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode("utf-8", errors="replace")


def _strings(value: object, change: Callable[[str], str]) -> object:
    """The same JSON value with every string in it changed; what JSON does not know becomes text."""
    if isinstance(value, Mapping):
        return {str(name): _strings(item, change) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_strings(item, change) for item in value]
    return value if value is None or isinstance(value, bool | int | float) else change(str(value))
