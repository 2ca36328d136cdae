"""What of its tree an attempt must not see, so that the sandbox can hide it from the programs it runs."""

import os
from collections.abc import Mapping, Sequence, Set
from contextlib import suppress
from pathlib import Path

from backend_coordinator.nodes.tools.bench import Bench
from backend_coordinator.nodes.tools.beneath import SKIPPED_FOLDERS
from backend_coordinator.nodes.tools.reach import files
from backend_coordinator.nodes.workspace.trees import remove

MOST = 300
"""Places hidden at once: each is a mount, and mounts take longer the more there are."""


def withheld(bench: Bench) -> list[Path]:
    """Files that the attempt may not read, and in their place the folders that hold nothing else."""
    found, _ = _hidden(bench.tree, "", frozenset(files(bench, readable=True)))
    return found


Identity = tuple[int, int]
"""Device and inode: what a file keeps when it is moved."""


def identities(places: Sequence[Path]) -> Mapping[Path, Identity]:
    """What stands at each of these places now."""
    found = ((place, _identity(place)) for place in places)
    return {place: known for place, known in found if known}


def put_back(tree: Path, known: Mapping[Path, Identity]) -> tuple[str, ...]:
    """Moves what went along with a folder above it back to its place, for it is withheld by its path; returns which.

    In the sandbox the mask over it went along as well, so that nobody has read it meanwhile.
    """
    gone = {identity: place for place, identity in known.items() if _identity(place) != identity}
    for parent, folders, names in os.walk(tree) if gone else ():
        for entry in (Path(parent, name) for name in (*folders, *names)):
            if place := gone.get(_identity(entry) or (0, 0)):
                remove(place)
                place.parent.mkdir(parents=True, exist_ok=True)
                entry.rename(place)
        folders[:] = [name for name in folders if os.path.lexists(os.path.join(parent, name))]
    return tuple(sorted(place.relative_to(tree).as_posix() for place in gone.values()))


def _identity(place: Path) -> Identity | None:
    with suppress(OSError):
        found = place.lstat()
        return found.st_dev, found.st_ino
    return None


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
