"""Reading, finding and changing files."""

import asyncio
import hashlib
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import regex
from pydantic import Field

from backend_coordinator.nodes.tools.bench import Bench, ToolRefused
from backend_coordinator.nodes.tools.paths import matches
from backend_coordinator.nodes.tools.registry import tool

LARGEST = 2_000_000
"""Bytes of a file that the tools open."""
SEARCH_SECONDS = 10
MOST_HITS = 200

Path_ = Annotated[str, Field(description="path relative to the project's root")]


@tool(repeatable=True)
async def read(
    bench: Bench,
    path: Path_,
    offset: Annotated[int, Field(ge=1, description="first line, counted from 1")] = 1,
    limit: Annotated[int, Field(ge=1, le=5000, description="number of lines")] = 2000,
) -> str:
    """Reads a text file; each line comes behind its number and a tab."""
    text = _text(bench, path)
    lines = text.splitlines()
    shown = lines[offset - 1 : offset - 1 + limit]
    numbered = "\n".join(f"{number}\t{line}" for number, line in enumerate(shown, offset))
    rest = len(lines) - (offset - 1 + len(shown))
    return numbered + (f"\n[{rest} more lines: read on from {offset + len(shown)}]" if rest > 0 else "")


@tool(repeatable=True)
async def grep(
    bench: Bench,
    pattern: Annotated[str, Field(description="a Python regular expression")],
    path: Annotated[str, Field(description="file or folder to search")] = ".",
    glob: Annotated[str, Field(description="only paths that fit this glob")] = "**",
) -> str:
    """Searches text files line by line; gives `path:line: text` for each hit, 200 at the most."""
    names = bench.files(path) if bench.place(path).is_dir() else [path]
    places = {name: bench.tree / name for name in names if matches(name, glob)}
    hits = await asyncio.to_thread(_hits, pattern, places)
    return "\n".join(hits) or "no match"


@tool(repeatable=True)
async def glob(
    bench: Bench, pattern: Annotated[str, Field(description="a glob such as app/**/*.py; ** crosses folders")]
) -> str:
    """Lists the files whose path fits a glob, one a line."""
    return "\n".join(path for path in bench.files() if matches(path, pattern)) or "no file fits"


@tool(repeatable=True)
async def list_(bench: Bench, path: Annotated[str, Field(description="a folder")] = ".") -> str:
    """Lists what a folder holds, one entry a line; folders end with a slash."""
    start = bench.place(path).relative_to(bench.tree)
    entries = set()
    for file in bench.files(path):
        first, *below = Path(file).relative_to(start).parts
        entries.add(first + ("/" if below else ""))
    return "\n".join(sorted(entries)) or "empty"


@tool(repeatable=True)
async def write(
    bench: Bench, path: Path_, content: Annotated[str, Field(description="the file's whole new text")]
) -> str:
    """Writes a whole text file, replacing what was there; folders are made as needed."""
    place = bench.place(path)
    if place.is_dir():
        raise ToolRefused(f"{path} is a folder")
    _refuse_if_changed(bench, path, place)
    place.parent.mkdir(parents=True, exist_ok=True)
    _replace(place, content)
    bench.seen[path] = _digest(place)
    return f"wrote {path} ({content.count(chr(10)) + (not content.endswith(chr(10)))} lines)"


@tool(repeatable=False)
async def edit(
    bench: Bench,
    path: Path_,
    old: Annotated[str, Field(min_length=1, description="text that stands in the file, exactly")],
    new: Annotated[str, Field(description="what replaces it")],
    replace_all: Annotated[bool, Field(description="replace every place, not just the only one")] = False,
) -> str:
    """Replaces text in a file; `old` must stand there exactly once unless replace_all is set."""
    place = bench.place(path)
    _refuse_if_changed(bench, path, place)
    text = _text(bench, path)
    count = text.count(old)
    if count == 0:
        raise ToolRefused(f"the old text does not stand in {path}: read it again")
    if count > 1 and not replace_all:
        raise ToolRefused(f"the old text stands {count} times in {path}: give more of its surroundings, or replace_all")
    bench.begin()
    _replace(place, text.replace(old, new))
    bench.seen[path] = _digest(place)
    return f"edited {path} ({count} place{'s' if count > 1 else ''})"


def _hits(pattern: str, places: Mapping[str, Path]) -> list[str]:
    """Searches off the event loop and within a time limit: some patterns take for ever on some lines."""
    hits: list[str] = []
    end = time.monotonic() + SEARCH_SECONDS
    try:
        compiled = regex.compile(pattern)
        for name, place in places.items():
            for number, line in enumerate((_text_or_none(place) or "").splitlines(), 1):
                left = max(0.001, end - time.monotonic())
                if compiled.search(line, concurrent=True, timeout=left):
                    hits.append(f"{name}:{number}: {line}")
                if len(hits) == MOST_HITS:
                    return hits
    except TimeoutError as error:
        raise ToolRefused(f"the search took more than {SEARCH_SECONDS} s: use a simpler pattern or a glob") from error
    except (regex.error, OverflowError, RecursionError, ValueError) as error:
        raise ToolRefused(f"not a regular expression: {error}") from error
    return hits


def _text(bench: Bench, path: str) -> str:
    place = bench.place(path)
    if not place.is_file():
        raise ToolRefused(f"there is no file {path}")
    if place.stat().st_size > LARGEST:
        raise ToolRefused(f"{path} is larger than {LARGEST} bytes")
    data = place.read_bytes()
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ToolRefused(f"{path} is not UTF-8 text") from error
    bench.seen[path] = _digest(place)
    return text


def _text_or_none(place: Path) -> str | None:
    try:
        return place.read_text(encoding="utf-8") if place.is_file() and place.stat().st_size <= LARGEST else None
    except (UnicodeDecodeError, OSError):
        return None


def _refuse_if_changed(bench: Bench, path: str, place: Path) -> None:
    if path in bench.seen and place.is_file() and _digest(place) != bench.seen[path]:
        raise ToolRefused(f"{path} changed since it was read: read it again")


def _digest(place: Path) -> str:
    return hashlib.sha256(place.read_bytes()).hexdigest()


def _replace(place: Path, text: str) -> None:
    mode = place.stat().st_mode & 0o777 if place.exists() else 0o644
    fresh = place.with_name(f".{place.name}.new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode), "wb") as file:
        file.write(text.encode("utf-8", errors="surrogatepass"))
    os.replace(fresh, place)
