"""What killed processes left behind: found when a run is taken up, and removed where no living run can need it."""

import hashlib
import os
import time
from contextlib import suppress
from pathlib import Path

from backend_coordinator.nodes.workspace.trees import NEW_PREFIX, remove

_OWNER = ".owner"
_UNFINISHED = 3600
"""Seconds after which a run that is still being made has no maker any more."""


def trees_of(run: Path, cache: Path) -> Path:
    """Where the checkouts of the run in the folder `run` lie; the same run in a copy of the workspace has others."""
    place = hashlib.sha256(os.fsencode(run.resolve())).hexdigest()
    return cache / "trees" / f"{run.name}-{place[:8]}"


def clear(git_dir: Path, trees: Path) -> None:
    """Remove the unfinished checkouts, locks and leftover indexes of one run, whose lock the caller holds."""
    trees.mkdir(parents=True, exist_ok=True)
    for half in trees.glob(f"{NEW_PREFIX}*"):
        remove(half)
    for index in (git_dir / "indexes").iterdir():
        if index.suffix == ".lock" or not (trees / index.name).is_dir():
            index.unlink()
    owner = trees / _OWNER
    owner.unlink(missing_ok=True)
    owner.symlink_to(git_dir.absolute())


def sweep(all_trees: Path, runs: Path) -> None:
    """Remove the checkouts of runs that no longer exist, and from `runs` what was never finished.

    The checkouts of every other run stay, whether a process drives it or not: it can be resumed from them. So do those
    of a workspace whose state folder is gone: it may have been moved, or not be mounted now.
    """
    for trees in all_trees.glob("*"):
        with suppress(OSError):  # no link: not of a run, or another sweep was first
            git_dir = (trees / _OWNER).readlink()
            if git_dir.parent.parent.parent.is_dir() and not git_dir.exists():
                discard(trees)
    for half in runs.glob(f"{NEW_PREFIX}*"):
        with suppress(OSError):  # no other run is to fail of it
            if half.stat().st_mtime < time.time() - _UNFINISHED:
                remove(half)


def discard(trees: Path) -> None:
    """Remove the checkouts of one run as far as it is possible; while any is left, a later sweep can tell whose."""
    with suppress(OSError):  # another sweep may be at it as well
        for entry in trees.iterdir():
            if entry.name != _OWNER:
                remove(entry)
        remove(trees)
