"""What a task's checkout and its merge cost beside the bare git commands, on repositories of several sizes."""

import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from backend_coordinator.nodes.workspace.merging import Conflict
from backend_coordinator.nodes.workspace.repository import RunRepository
from backend_coordinator.nodes.workspace.user_repository import open_workspace

SIZES = (100, 5_000, 30_000)
ROUNDS = {100: 15, 5_000: 7, 30_000: 5}
CHANGED = 5
BOUND = 3.0
_WIDE = 100
"""Files in one folder."""


class Row(NamedTuple):
    """Medians in milliseconds of one size, and the median of the rounds' ratios."""

    files: int
    git: float
    ours: float
    ratio: float


def git(folder: Path, *args: str) -> None:
    """A bare git command."""
    identity = ("-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "gc.auto=0")
    subprocess.run(["git", "-C", str(folder), *identity, *args], check=True, capture_output=True)


@contextmanager
def repositories(files: int) -> Iterator[tuple[Path, RunRepository]]:
    """A packed repository of so many files, and a run in it."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name, "shop")
        for number in range(files):
            path = root / f"d{number // _WIDE}" / f"f{number % _WIDE}.py"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"x = {number}\n" * 20, encoding="utf-8")
        for command in (("init", "-q", "-b", "main"), ("add", "."), ("commit", "-qm", "start"), ("gc", "-q")):
            git(root, *command)
        yield root, RunRepository.create(Path(name, "run"), Path(name, "trees"), open_workspace(root), "r1")


def change(folder: Path, text: str) -> None:
    """Five files."""
    for number in range(CHANGED):
        (folder / "d0" / f"f{number}.py").write_text(f"{text}\n", encoding="utf-8")


def bare(root: Path, number: int) -> None:
    """A worktree, a commit, a merge and the end of the worktree, by git alone."""
    tree = root.parent / "tree"
    git(root, "worktree", "add", "-q", "-b", f"t{number}", str(tree), "main")
    change(tree, f"bare {number}")
    git(tree, "add", "--all")
    git(tree, "commit", "-qm", "change")
    git(root, "merge", "-q", "--no-ff", "-m", "merge", f"t{number}")
    git(root, "worktree", "remove", "--force", str(tree))


def ours(run: RunRepository, number: int) -> None:
    """The same by the run's repository, with everything that the merge queue asks it, and shown to the user."""
    head, name = run.head(), f"T{number}"
    folder = run.checkout(head, name)
    change(folder, f"ours {number}")
    commit = run.snapshot(name, "change", head).commit
    if run.contains(commit):
        raise AssertionError
    prepared = run.prepare_merge(name, commit)
    if isinstance(prepared, Conflict):
        raise TypeError(prepared)
    run.commit_merge(prepared)
    run.publish()
    shutil.rmtree(folder)


def timed(what: Callable[[], None]) -> float:
    """Milliseconds of wall time: most of it passes in git and in the file system, not in this process."""
    began = time.perf_counter()
    what()
    return (time.perf_counter() - began) * 1000


def measure(files: int) -> Row:
    """Rounds of both ways alternate, each way first in every other one; a first round is not counted."""
    pairs = []
    with repositories(files) as (root, run):
        for number in range(ROUNDS[files] + 1):
            ways = {"git": lambda n=number: bare(root, n), "ours": lambda n=number: ours(run, n)}
            took = {name: timed(ways[name]) for name in sorted(ways, reverse=number % 2 == 1)}
            pairs.append((took["git"], took["ours"]))
    counted = pairs[1:]
    alone, mine = (round(statistics.median(column), 1) for column in zip(*counted, strict=True))
    return Row(files, alone, mine, round(statistics.median(own / bare for bare, own in counted), 2))


def main() -> int:
    """Prints the table, or JSON with `--json`; numbers choose some sizes. 1 when a ratio is above the bound."""
    chosen = [int(argument) for argument in sys.argv[1:] if argument.isdigit()] or SIZES
    rows = [measure(files) for files in chosen]
    over = [row.files for row in rows if row.ratio > BOUND]
    if "--json" in sys.argv:
        told = {"bound": BOUND, "rows": [row._asdict() for row in rows], "over": over}
        sys.stdout.write(json.dumps(told, indent=1) + "\n")
    else:
        for row in rows:
            sys.stdout.write(
                f"{row.files:>6} files: git {row.git:>9.1f} ms, ours {row.ours:>9.1f} ms, "
                f"ratio {row.ratio:.2f}  bound {BOUND:.1f}\n"
            )
    return 1 if over else 0


if __name__ == "__main__":
    sys.exit(main())
