"""Reading, finding and changing files."""

import asyncio
import hashlib
import time
from collections.abc import Collection, Iterable, Sequence
from difflib import get_close_matches
from pathlib import PurePosixPath
from typing import Annotated

import regex
from pydantic import Field

from backend_coordinator.nodes.screen import WITHHELD
from backend_coordinator.nodes.tools import beneath
from backend_coordinator.nodes.tools.bench import Bench, ToolRefused
from backend_coordinator.nodes.tools.paths import LONGEST, fits, relative
from backend_coordinator.nodes.tools.reach import files, permitted, reach
from backend_coordinator.nodes.tools.registry import tool
from backend_coordinator.nodes.tools.texts import cut, edited, lines_of, rewritten, shown

SEARCH_SECONDS = 10
MOST_HITS = 200
MOST_PATHS = 1000


@tool(repeatable=True)
async def read(
    bench: Bench,
    path: str,
    offset: Annotated[int, Field(ge=1)] = 1,
    limit: Annotated[int, Field(ge=1, le=5000)] = 2000,
) -> str:
    """Reads a text file by lines; path from the root."""
    pure = reach(bench, "read", path)
    data = _content(bench, pure)
    if data is None:
        raise ToolRefused(f"there is no file {path}{await asyncio.to_thread(_meant, bench, pure.as_posix())}")
    lines = [cut(line) for line in lines_of(shown(path, data))]
    _saw(bench, pure, data)
    part = lines[offset - 1 : offset - 1 + limit]
    numbered = "\n".join(f"{number}\t{line}" for number, line in enumerate(part, offset))
    rest = len(lines) - (offset - 1 + len(part))
    if not part:
        return f"[the file has {len(lines)} lines]" if lines else "[the file is empty]"
    return numbered + (f"\n[{rest} more lines: read on from {offset + len(part)}]" if rest > 0 else "")


@tool(repeatable=True)
async def grep(
    bench: Bench,
    pattern: str,
    path: str = ".",
    glob: Annotated[str, Field(max_length=LONGEST)] = "**",
    context: Annotated[int, Field(ge=0, le=10)] = 0,
) -> str:
    """Searches lines with a Python regex."""
    found = await asyncio.to_thread(_search, bench, pattern, (path, glob), context)
    if len(found) > MOST_HITS:
        found = [*found[:MOST_HITS], f"[only the first {MOST_HITS} lines: use a narrower pattern, path or glob]"]
    return "\n".join(found) or "no match"


@tool(repeatable=True)
async def glob(
    bench: Bench,
    pattern: Annotated[str, Field(max_length=LONGEST)],
) -> str:
    """Lists files by a glob: app/**/*.{js,ts}."""
    wanted = pattern.removeprefix(f"{bench.tree}/")
    paths = await asyncio.to_thread(lambda: [path for path in files(bench) if fits(path, wanted)])
    return _listed(paths) or "no file fits"


@tool(repeatable=True)
async def list_(bench: Bench, path: str = ".") -> str:
    """Lists a folder."""
    start = relative(path, bench.tree)
    entries = set()
    for file in await asyncio.to_thread(lambda: list(files(bench, path))):
        first, *below = PurePosixPath(file).relative_to(start).parts
        entries.add(first + ("/" if below else ""))
    return _listed(entries) or "empty"


@tool(repeatable=True)
async def write(bench: Bench, path: str, content: str) -> str:
    """Writes a whole text file."""
    pure = reach(bench, "edit", path)
    known = _content(bench, pure)
    _refuse_if_changed(bench, pure, known)
    _refuse_marks(content, known)
    _put(bench, pure, rewritten(path, known, content), known)
    return f"wrote {path} ({content.count(chr(10)) + (not content.endswith(chr(10)))} lines)"


@tool(repeatable=False)
async def edit(
    bench: Bench,
    path: str,
    old: Annotated[str, Field(min_length=1)],
    new: str,
    replace_all: bool = False,
) -> str:
    """Replaces exact text, standing there once or replace_all."""
    pure = reach(bench, "edit", path)
    known = _content(bench, pure)
    if known is None:
        raise ToolRefused(f"there is no file {path}{await asyncio.to_thread(_meant, bench, pure.as_posix())}")
    _refuse_if_changed(bench, pure, known)
    _refuse_marks(old + new, known)
    data, count = edited(path, known, old, new, everywhere=replace_all)
    bench.begin()
    _put(bench, pure, data, known)
    return f"edited {path} ({count} place{'s' if count > 1 else ''})"


def _search(bench: Bench, pattern: str, where: tuple[str, str], context: int) -> list[str]:
    """Searches off the event loop and within a time limit: some patterns take for ever on some lines."""
    found: list[str] = []
    end = time.monotonic() + SEARCH_SECONDS
    try:
        compiled = regex.compile(pattern)
        for name in _places(bench, *where):
            lines = _lines(bench, name)
            hits = [
                number
                for number, line in enumerate(lines)
                if compiled.search(line, concurrent=True, timeout=max(0.001, end - time.monotonic()))
            ]
            found += _around(name, lines, hits, context)
            if len(found) > MOST_HITS:
                break
    except TimeoutError as error:
        raise ToolRefused(f"the search took more than {SEARCH_SECONDS} s: use a simpler pattern or a glob") from error
    except (regex.error, OverflowError, RecursionError, ValueError) as error:
        raise ToolRefused(f"not a regular expression: {error}") from error
    return found


def _places(bench: Bench, path: str, pattern: str) -> list[str]:
    """The files to search, sorted; the glob may count from the root or from `path`."""
    pure = permitted(bench, "read", path)
    if (bench.tree / pure).is_dir():
        names = [PurePosixPath(name) for name in sorted(files(bench, path, readable=True))]
        return [str(name) for name in names if fits(str(name), pattern) or fits(str(name.relative_to(pure)), pattern)]
    if _content(bench, reach(bench, "read", path)) is None:
        raise ToolRefused(f"there is no file {path}")
    return [pure.as_posix()]


def _lines(bench: Bench, name: str) -> list[str]:
    try:
        return lines_of(shown(name, beneath.content(bench.tree, PurePosixPath(name).parts) or b""))
    except (beneath.PathRefused, ToolRefused):
        return []


def _around(name: str, lines: Sequence[str], hits: Collection[int], context: int) -> list[str]:
    near = {hit + step for hit in hits for step in range(-context, context + 1)}
    numbers = sorted(number for number in near if 0 <= number < len(lines))
    hits = frozenset(hits)
    marked = [(number, ":" if number in hits else "-") for number in numbers]
    return [f"{name}{mark}{number + 1}{mark} {cut(lines[number])}" for number, mark in marked]


def _listed(paths: Iterable[str]) -> str:
    named = sorted(paths)
    more = [f"[{len(named) - MOST_PATHS} more: use a narrower folder or glob]"] if len(named) > MOST_PATHS else []
    return "\n".join((*named[:MOST_PATHS], *more))


def _meant(bench: Bench, path: str) -> str:
    """Files that may have been meant: of that name elsewhere, else of a similar path."""
    there, name = sorted(files(bench)), PurePosixPath(path).name.casefold()
    near = [file for file in there if PurePosixPath(file).name.casefold() == name]
    near = near or get_close_matches(path, there[:MOST_PATHS], cutoff=0.7)
    return f"; did you mean {', '.join(near[:3])}?" if near else ""


def _content(bench: Bench, pure: PurePosixPath) -> bytes | None:
    try:
        return beneath.content(bench.tree, pure.parts)
    except beneath.PathRefused as error:
        raise ToolRefused(f"{pure} {error}") from error


def _put(bench: Bench, pure: PurePosixPath, data: bytes, known: bytes | None) -> None:
    try:
        beneath.replace(bench.tree, pure.parts, data, known=known)
    except beneath.PathRefused as error:
        raise ToolRefused(f"{pure} {error}") from error
    _saw(bench, pure, data)


def _saw(bench: Bench, pure: PurePosixPath, data: bytes) -> None:
    bench.seen[pure.as_posix()] = hashlib.sha256(data).hexdigest()


def _refuse_marks(text: str, known: bytes | None) -> None:
    """What stands for a withheld text must not take its place in the file."""
    if WITHHELD in text and WITHHELD.encode() not in (known or b""):
        raise ToolRefused(f"{WITHHELD} stands for text that is kept from you: leave those lines, edit around them")


def _refuse_if_changed(bench: Bench, pure: PurePosixPath, data: bytes | None) -> None:
    seen = bench.seen.get(pure.as_posix())
    if seen and data is not None and hashlib.sha256(data).hexdigest() != seen:
        raise ToolRefused(f"{pure} changed since it was read: read it again")
