"""What runs that have ended still take on the disk, freed: all that only a resume would need, or the whole run."""

import time
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from pathlib import Path

from backend_coordinator.domain.base import Value
from backend_coordinator.domain.events import RunEnded
from backend_coordinator.errors import ConfigurationError, DamagedRun
from backend_coordinator.graph.persistence import FILE, driving
from backend_coordinator.graph.runs import Runs
from backend_coordinator.graph.standing import PRUNED
from backend_coordinator.nodes import records
from backend_coordinator.nodes.workspace.orphans import discard, trees_of
from backend_coordinator.nodes.workspace.trees import NEW_PREFIX, remove
from backend_coordinator.settings import cache_folder

_DAY = 86_400


class Pruned(Value):
    """What became of one run: how many bytes were freed, or why it was kept."""

    run: str
    bytes: int = 0
    kept: str = ""


def prune(
    runs: Runs, names: Iterable[str] = (), *, older_than: float = 0, delete: bool = False, dry_run: bool = False
) -> Iterator[Pruned]:
    """Frees what ended runs take, those `names` or all; with `delete` also what `names` that have not ended take.

    `older_than` counts days since a run ended. Branches stay in every case. Raises UnknownRun before anything is freed.
    """
    named = tuple(names)
    for run in named:
        runs.place(run)
    for run in named or runs.ids():
        if kept := _kept(runs, run, older_than, by_name=run in named, delete=delete):
            yield Pruned(run=run, kept=kept)
            continue
        try:
            lost = _lost(runs, run)
            with nullcontext() if lost else driving(runs.place(run), runs.database):
                pruned = Pruned(run=run, bytes=_freed(runs, run, delete=delete, dry_run=dry_run, lost=lost))
        except ConfigurationError as error:
            pruned = Pruned(run=run, kept=str(error))
        yield pruned


def _lost(runs: Runs, run: str) -> bool:
    """Whether it has no rows in PostgreSQL any more: then there are none to free, and no lock to hold.

    Raises ConfigurationError while the database cannot be reached: somebody else may drive the run there.
    """
    try:
        records.shared(runs.place(run), runs.database)
    except DamagedRun:
        return True
    return False


def _kept(runs: Runs, run: str, older_than: float, *, by_name: bool, delete: bool) -> str:
    """Why a run stays as it is; nothing where it does not."""
    place = runs.place(run)
    try:
        events = [event for _, event in runs.ledger(run).events()]
        ended = runs.report(run) is not None and any(isinstance(event, RunEnded) for event in events)
        why = "it has not ended: name it with --delete to remove it"
    except ConfigurationError as error:
        ended, why = False, f"{error}{', or remove it by name with --delete' if isinstance(error, DamagedRun) else ''}"
    if not ended and not (by_name and delete):
        return why
    began = (place / "report.json" if ended else place).stat().st_mtime
    return "" if time.time() - began >= older_than * _DAY else f"it is not {older_than:g} days old"


def _freed(runs: Runs, run: str, *, delete: bool, dry_run: bool, lost: bool) -> int:
    place, trees = runs.place(run), trees_of(runs.place(run), cache_folder())
    of_a_resume = (*place.glob(f"{FILE}*"), place / "verdicts", *(place / "git" / "indexes").glob("*"))
    parts = (trees, place) if delete else (trees, *of_a_resume)
    size = sum(_size(part) for part in parts)
    if not (delete or dry_run):  # first: whoever is killed after it leaves a run that is known to have ended
        runs.ledger(run).note(PRUNED, str(time.time()))
    if not lost and (store := records.shared(place, runs.database)):
        size += store.free(whole=delete, dry_run=dry_run)
    if dry_run:
        return size
    if delete:
        gone = place.with_name(f"{NEW_PREFIX}{run}")  # whoever is killed meanwhile leaves what the next run sweeps away
        parts = (place.rename(gone),)
    discard(trees)
    for part in parts:
        remove(part)
    return size


def _size(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.lstat().st_size for file in files if file.is_symlink() or file.is_file())
