"""What of its tree an attempt must not see, so that the sandbox can hide it from the programs it runs."""

import os
from collections.abc import Set
from pathlib import Path

from backend_coordinator.nodes.tools.bench import Bench
from backend_coordinator.nodes.tools.beneath import SKIPPED_FOLDERS
from backend_coordinator.nodes.tools.reach import files

MOST = 300
"""Places hidden at once: each is a mount, and mounts take longer the more there are."""


def withheld(bench: Bench) -> list[Path]:
    """Files that the attempt may not read, and in their place the folders that hold nothing else."""
    found, _ = _hidden(bench.tree, "", frozenset(files(bench, readable=True)))
    return found


def _hidden(folder: Path, prefix: str, seen: Set[str]) -> tuple[list[Path], bool]:
    """What to hide below `folder`, and whether the folder itself can stand for it."""
    found: list[Path] = []
    nothing_else = True
    try:
        with os.scandir(folder) as entries:
            # A link shows nothing but what is hidden by its own name, or outside.
            here = [entry for entry in entries if not entry.is_symlink() and entry.name not in SKIPPED_FOLDERS]
    except OSError:
        return [], True  # closed for us, but those who closed it can open it again
    for entry in here:
        path = f"{prefix}{entry.name}"
        inner, whole = _hidden(Path(entry.path), f"{path}/", seen) if entry.is_dir() else ([], path not in seen)
        found += [Path(entry.path)] if whole else inner
        nothing_else = nothing_else and whole
    return found, bool(found) and nothing_else
