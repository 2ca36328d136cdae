"""What a process and all it started use together, looked at while they run, since no limit of a process counts both."""

import asyncio
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_GIB = 1 << 30
_EVERY = 0.2
"""Seconds between two looks."""

_SELDOM = 2.0
"""Seconds between two looks at all files, at least."""

_RESERVE = _GIB
"""Bytes that stay free on a disk, as far as what runs here is what fills it."""

_SHARE = _GIB // 4
"""Bytes by which a disk must have filled up meanwhile before the reserve stops anything."""

_SMALLEST = 4096
"""Bytes that an empty file counts for: there may be more files than a disk can hold."""


@dataclass(frozen=True)
class Bounds:
    """How many `processes` may run at once, and how much they may write below `folders`, in bytes."""

    processes: int
    disk_bytes: int
    folders: tuple[Path, ...] = ()


async def overuse(leader: int, bounds: Bounds) -> str:
    """Waits until the process `leader` and its descendants use more than they may; says what, and what the limit is."""
    begun, before = time.time() - 1, [_free(folder) for folder in bounds.folders]
    due = time.monotonic() + _SELDOM
    while True:
        await asyncio.sleep(_EVERY)
        if _number(leader, bounds.processes) > bounds.processes:
            return f"more than {bounds.processes} processes at once"
        filled = 0
        for folder, then in zip(bounds.folders, before, strict=True):
            now = _free(folder)
            grown = max((old - new for old, new in zip(then, now, strict=False)), default=0)
            if grown > _SHARE and min(now, default=_RESERVE) < _RESERVE:
                return f"the disk is nearly full: less than {_gib(_RESERVE)} are left"
            filled = max(filled, grown)
        start = time.monotonic()
        if filled > bounds.disk_bytes or start > due:
            if await asyncio.to_thread(_wrote, bounds, begun):
                return f"more than {_gib(bounds.disk_bytes)} written to the disk"
            # Others may make room meanwhile, so it is looked for anyhow, but most of the time is theirs.
            due = time.monotonic() + max(_SELDOM, 20 * (time.monotonic() - start))


def _gib(size: int) -> str:
    return f"{size / _GIB:.3g} GiB"


def _free(folder: Path) -> list[int]:
    with suppress(OSError):
        found = os.statvfs(folder)
        # Some file systems make room for names as they go, and give no number.
        return [found.f_bavail * found.f_frsize, *([found.f_favail * _SMALLEST] if found.f_files else [])]
    return []


def _number(leader: int, most: int) -> int:
    found, left = 0, [leader]
    while left and found <= most:
        found += 1
        left += _children(left.pop())
    return found


def _children(process: int) -> list[int]:
    with suppress(OSError):
        texts = [Path(task, "children").read_text("ascii") for task in _entries(f"/proc/{process}/task")]
        return [int(word) for text in texts for word in text.split()]
    return []


def _entries(folder: str) -> Iterable[str]:
    with os.scandir(folder) as entries:
        return [entry.path for entry in entries]


def _wrote(bounds: Bounds, begun: float) -> bool:
    # Others write to the same disk: only files changed since then are ours.
    size = 0
    for known in (known for folder in bounds.folders for known in _files(folder)):
        size += max(known.st_blocks * 512, _SMALLEST) if known.st_ctime >= begun else 0
        if size > bounds.disk_bytes:
            return True
    return False


def _files(folder: Path) -> Iterator[os.stat_result]:
    for parent, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                yield os.lstat(os.path.join(parent, name))
