"""What a user gives a run to know: files, folders and texts, each part with the kind that decides who sees it."""

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path, PurePath
from typing import NoReturn

from backend_coordinator.domain.context import ContextItem, ContextKind
from backend_coordinator.errors import ConfigurationError
from backend_coordinator.nodes.kinds import kind_of
from backend_coordinator.nodes.tools.beneath import SKIPPED_FOLDERS
from backend_coordinator.nodes.tools.paths import judge_path

Given = ContextItem | Path | str | Sequence[str] | Mapping[str, str]
"""An item, a path, `KIND=PATH` or a path as text, a pair of kind and text, or a table with `kind` and `text`."""
USER = "user"
MOST_OF_A_FILE, MOST_OF_ALL = 256_000, 1_000_000
"""Characters."""
MOST_FILES = 200
_BY_LENGTH = sorted(ContextKind, key=len, reverse=True)
_HEADING = re.compile(r"(#{1,6})[ \t]+(.*?)[ \t]*#*$")
_DRESS = re.compile(r"[*`]|(?<![^\W_])_+|_+(?![^\W_])")
_NUMBER = re.compile(r"\s*\(?\d+(?:[.)]\d+)*[.)]?\s+")
_FENCE = re.compile(r"(?:[ \t>]|(?:[-*+]|\d{1,9}[.)])[ \t])*(`{3,}|~{3,})(.*)")
_LABEL = re.compile(rf"({'|'.join(kind.replace('_', '[ _-]+') for kind in _BY_LENGTH)})s?(?:\s*[:—-]\s*|\s+|$)", re.I)


def items_of(given: Iterable[Given], folder: Path | None = Path()) -> tuple[ContextItem, ...]:
    """The items of what was given, paths being relative to `folder`, without one refused; doubled ones count once.

    Raises ConfigurationError for what cannot be read, is no text, has no kind, or is too large.
    """
    items = tuple(dict.fromkeys(item for each in given for item in _items(each, folder)))
    if sum(len(item.text) for item in items) > MOST_OF_ALL:
        _refuse(f"the context has more than {MOST_OF_ALL:,} characters: leave out what no task needs")
    return items


def path_in(given: str, folder: Path) -> tuple[str, Path]:
    """The kind, or an empty text, and the path of `KIND=PATH` or a path; one that exists as it stands has no kind."""
    name, found, path = given.partition("=")
    whole = folder / given
    return (name, folder / path) if found and not whole.exists() else ("", whole)


def _items(given: Given, folder: Path | None) -> Iterator[ContextItem]:
    match given:
        case ContextItem():
            yield given
        case Path() if folder is not None:
            yield from _read(folder / given, None)
        case str() if folder is not None:
            name, path = path_in(given, folder)
            yield from _read(path, _kind(name) if name else None)
        case {"kind": str(name), "text": str(text), **others} if not others:
            yield from _item(_kind(name), USER, text)
        case [str(name), str(text)]:
            yield from _item(_kind(name), USER, text)
        case _:
            places = "" if folder is None else "a path, KIND=PATH, or "
            _refuse(f"{given!r:.80} is no context: give {places}a kind and a text")


def _kind(name: str) -> ContextKind:
    try:
        return ContextKind(re.sub(r"[ _-]+", "_", name.strip().lower()))
    except ValueError:
        _refuse(f"{name[:80]!r} is no kind of context: use one of {', '.join(ContextKind)}")


def _read(path: Path, kind: ContextKind | None) -> Iterator[ContextItem]:
    if not path.is_dir():
        found = list(_sections(path, path.name, kind))
        if kind is None and found and all(item.kind is ContextKind.DOCUMENTATION for item in found):
            _refuse(f"{path.name} says of no part whom it is for: write KIND={path.name}, or headings such as "
                    "'## API contract: Login'")  # fmt: skip
        yield from found
        return
    files = sorted(_below(path))
    if len(files) > MOST_FILES:
        _refuse(f"{path} has more than {MOST_FILES} files: name the files or folders that matter")
    for file in files:
        yield from _sections(file, PurePath(path.resolve().name, file.relative_to(path)).as_posix(), kind)


def _below(folder: Path) -> Iterator[Path]:
    """Files below a folder, but for links, what is hidden, and what holds secrets."""
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name not in SKIPPED_FOLDERS and not name.startswith(".")]
        for path in (Path(parent, name) for name in names if not name.startswith(".")):
            if path.is_file() and judge_path(path.relative_to(folder).as_posix(), folder).decision == "allow":
                yield path


def _sections(path: Path, source: str, kind: ContextKind | None) -> Iterator[ContextItem]:
    text, own = _text(path), kind or kind_of(source)
    if path.suffix.lower() not in {".md", ".markdown"}:
        yield from _item(own, source, text)
        return
    parts: dict[tuple[ContextKind, str], list[str]] = {}
    labels: list[tuple[int, ContextKind, str]] = []
    doubtful: list[str] = []
    everything = text.split("\n")
    fenced = _fenced(everything)
    for number, line in enumerate(everything):
        heading = None if number in fenced else _HEADING.match(line)
        labelled = None
        if heading:
            level, title = len(heading[1]), _NUMBER.sub("", _DRESS.sub("", heading[2]), count=1).strip()
            while labels and labels[-1][0] >= level:
                labels.pop()
            if labelled := _LABEL.match(title):
                rest = title[labelled.end() :]
                labels.append((level, _kind(labelled[1]), f"{source}, {rest}" if rest else source))
            elif not labels and kind is None and own is ContextKind.DOCUMENTATION and (near := _nearly(title)):
                doubtful.append(f"{source}: of {line[:80]!r} nobody would hear: did you mean {near}? Write "
                                f"'Documentation: ...' where nobody needs it, or give KIND={source}")  # fmt: skip
        place = labels[-1][1:] if labels else (own, source)
        parts.setdefault(place, []).extend([] if labelled else [line])
    if doubtful and any(found is not own for found, _ in parts):
        _refuse(doubtful[0])
    for (found, where), lines in parts.items():
        yield from _item(found, where, "\n".join(lines))


def _nearly(title: str) -> str | None:
    """The kind of which a heading is a slip of the pen, or the first word alone."""
    words = re.findall(r"\w+", title.lower())
    short = next((kind for kind in ContextKind if words in ([kind], [kind.partition("_")[0]])), None)
    close = get_close_matches("_".join(words[:2]), ContextKind, n=1, cutoff=0.8)
    return short or (close[0] if close else None)


def _fenced(lines: Sequence[str]) -> frozenset[int]:
    """The lines that closed fences hold; what a fence left open holds counts as text, or it would hide headings."""
    held: set[int] = set()
    begun, sign = 0, ""
    for number, line in enumerate(lines):
        if (found := _FENCE.match(line)) is None or (sign and not found[1].startswith(sign)):
            continue
        if sign and not found[2].strip():
            held.update(range(begun, number + 1))
            sign = ""
        elif found[1][0] == "~" or "`" not in found[2]:
            begun, sign = number, found[1]
    return frozenset(held)


def _text(path: Path) -> str:
    try:
        data = path.read_bytes() if path.stat().st_size <= 4 * MOST_OF_A_FILE else None
    except OSError as error:
        _refuse(f"{path} cannot be read ({error.strerror})")
    try:
        text = data.decode("utf-8-sig") if data is not None else None
    except UnicodeDecodeError:
        _refuse(f"{path} is no text in UTF-8")
    if text is None or len(text) > MOST_OF_A_FILE:
        _refuse(f"{path} has more than {MOST_OF_A_FILE:,} characters: give the part that matters")
    if "\0" in text:
        _refuse(f"{path} is no text in UTF-8")
    return text.replace("\r\n", "\n")


def _item(kind: ContextKind, source: str, text: str) -> Iterator[ContextItem]:
    if text.strip():
        yield ContextItem(kind=kind, source=source, text=text.strip("\n").rstrip())


def _refuse(why: str) -> NoReturn:
    raise ConfigurationError(f"context: {why}")
