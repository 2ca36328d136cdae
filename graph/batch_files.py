"""What a batch reads and writes: objectives as JSON lines, and a results file with one line for each."""

import errno
import fcntl
import hashlib
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from backend_coordinator.domain.base import Value
from backend_coordinator.domain.usage import Usage
from backend_coordinator.errors import ConfigurationError
from backend_coordinator.nodes.items import items_of, path_in

_MOST_PROBLEMS = 5
_HEAD = b'{"id":"'


class Entry(Value):
    """One objective of a batch; without an id it gets one from its place and text. `base` is a revision.

    `context` has paths, `KIND=PATH`, and pairs of kind and text.
    """

    id: str = Field(default="", max_length=200)
    objective: str = Field(pattern=r"\S")
    workspace: Path = Path()
    constraints: tuple[str, ...] = ()
    base: str | None = None
    context: tuple[str | tuple[str, str], ...] = ()


class Result(Entry):
    """What came of one objective; `seconds` are those since its run was created, of a failed one since it began here.

    `failed` means that an error ended it, which `summary` tells; `waiting` is not final and never written. What
    `coordination` and `work` took is known of runs that have ended.
    """

    run: str | None
    status: Literal["accepted", "not_accepted", "waiting", "failed"]
    summary: str
    branch: str | None = None
    report: Path | None = None
    refused: tuple[str, ...] = ()
    """The subjects of the approval policy that it refused, those included that it would have asked about."""
    seconds: float
    coordination: Usage | None = None
    work: Usage | None = None


def read_entries(source: Path, workspace: Path = Path()) -> tuple[Entry, ...]:
    """The entries of a JSONL file, `-` being standard input; a workspace is relative to the file.

    `workspace` is that of lines which name none. Raises ConfigurationError naming the lines that are wrong.
    """
    try:
        text = (sys.stdin.buffer.read() if source == Path("-") else source.read_bytes()).decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        msg = f"{source} cannot be read ({error}): name a file with one JSON object a line, in UTF-8"
        raise ConfigurationError(msg) from error
    found: dict[int, Entry] = {}
    problems = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            entry = Entry.model_validate_json(line)
            place = source.parent / entry.workspace if "workspace" in entry.model_fields_set else workspace
            items_of(entry.context, source.parent)  # what cannot be read is told before anything begins
            told = tuple(_below(each, source.parent) for each in entry.context)
            found[number] = entry.model_copy(update={"workspace": place.resolve(), "context": told})
        except ConfigurationError as error:
            problems.append(f"line {number}: {error}")
        except ValueError as error:
            problems.append(f"line {number}: {_why(error)}")
    if problems:
        more = f"; and {len(problems) - _MOST_PROBLEMS} more" if len(problems) > _MOST_PROBLEMS else ""
        raise ConfigurationError(f"{source}: {'; '.join(problems[:_MOST_PROBLEMS])}{more}")
    if not found:
        msg = f'{source} holds no objective: write lines such as {{"objective": "CRUD API for notes with title"}}'
        raise ConfigurationError(msg)
    return completed(found, "line")


def _below(given: str | tuple[str, str], folder: Path) -> str | tuple[str, str]:
    if not isinstance(given, str):
        return given
    kind, path = path_in(given, folder)
    return f"{kind}={path.resolve()}" if kind else str(path.resolve())


def completed(entries: Mapping[int, Entry], word: str) -> tuple[Entry, ...]:
    """The entries with an id and an absolute workspace each."""
    places: dict[str, int] = {}
    done = []
    for number, entry in entries.items():
        name = entry.id or f"{number}-{hashlib.sha256(entry.objective.encode()).hexdigest()[:8]}"
        if (first := places.setdefault(name, number)) != number:
            msg = f"{word} {number}: the id {name!r} is that of {word} {first}: give each an id of its own"
            raise ConfigurationError(msg)
        done.append(entry.model_copy(update={"id": name, "workspace": entry.workspace.resolve()}))
    return tuple(done)


def _why(error: ValueError) -> str:
    if not isinstance(error, ValidationError):
        return f"workspace: {error}"
    first = error.errors()[0]
    field = ".".join(map(str, first["loc"]))
    if field == "objective" and first["type"] != "string_type":
        return 'the objective is missing or empty: write {"objective": "what should be built"}'
    if first["type"] == "extra_forbidden":
        return f"{field!r} is no field: use {', '.join(Entry.model_fields)}"
    return f"{field or 'not a JSON object'}: {first['msg']}"


@contextmanager
def held(path: Path) -> Iterator[tuple[FileIO, dict[str, Result]]]:
    """The results file open for appending and what it holds by id; a last line that was cut off is dropped.

    Raises ConfigurationError when another process holds it, or a line is none of a result.
    """
    try:
        file = FileIO(path, "a+", opener=lambda name, flags: os.open(name, flags, 0o600))
    except OSError as error:
        msg = f"{path} cannot be written ({error.strerror}): name another file with --out"
        raise ConfigurationError(msg) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            msg = f"{path} is being written by another batch: wait for it, or name another file with --out"
            raise ConfigurationError(msg) from error
        file.seek(0)
        *whole, last = file.read().split(b"\n")
        kept = whole if _is_torn(last) else [*whole, last]
        lines = {result.id: result for number, line in enumerate(kept, 1) for result in _result(path, number, line)}
        if kept is whole:
            file.truncate(sum(len(line) + 1 for line in whole))
        elif last:
            file.write(b"\n")
        try:
            yield file, lines
        finally:
            if not file.closed:
                fcntl.flock(file, fcntl.LOCK_UN)  # a child that another thread just forked holds the file too


def _is_torn(line: bytes) -> bool:
    """Whether a writer was killed within this line; what cannot be one of ours is never cut off."""
    try:
        json.loads(line)
    except ValueError:
        return bool(line) and line[: len(_HEAD)] == _HEAD[: len(line)]
    return False


def _result(path: Path, number: int, line: bytes) -> Iterator[Result]:
    if not line.strip():
        return
    try:
        yield Result.model_validate_json(line)
    except ValidationError as error:
        msg = f"{path}, line {number} is no result ({_why(error)}): remove it, or name another file with --out"
        raise ConfigurationError(msg) from error


def write(file: FileIO, result: Result) -> None:
    """Appends a line that outlasts a crash.

    Raises ConfigurationError when there is no room for it; what got there is cut off, and the file closed.
    """
    line = result.model_dump_json().encode() + b"\n"
    before = os.fstat(file.fileno()).st_size
    try:
        if file.write(line) < len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.fsync(file.fileno())
    except OSError as error:
        with suppress(OSError):
            file.truncate(before)
        file.close()  # half a line that could not be cut off must stay the last
        msg = f"{file.name} cannot be written any more ({error.strerror}): mend that, then start the batch again"
        raise ConfigurationError(msg) from error


def demand_unchanged(entries: Sequence[Entry], lines: Mapping[str, Result], path: Path) -> None:
    """Raises ConfigurationError for an entry that is not the one its line came from."""
    for entry in entries:
        result = lines.get(entry.id, entry)
        if changed := [name for name, value in entry if getattr(result, name) != value]:
            msg = (
                f"{entry.id!r} has a result in {path}, but another {' and '.join(changed)} since: "
                "give it another id, remove that line to have it done again, or name another file with --out"
            )
            raise ConfigurationError(msg)
