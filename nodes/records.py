"""Opening what a run remembers, wherever its tables are kept."""

from pathlib import Path

from backend_coordinator.nodes.ledger import Ledger
from backend_coordinator.nodes.store import SqliteStore

FILE = "run.sqlite"


def create(folder: Path) -> Ledger:
    """The ledger of a new run in `folder`."""
    return Ledger(SqliteStore.create(folder / FILE))


def load(folder: Path) -> Ledger:
    """The ledger of the run in `folder`.

    Raises NewerDatabase when a newer version wrote it, ConfigurationError when it was lost or damaged.
    """
    return Ledger(SqliteStore.load(folder / FILE))


def exists(folder: Path) -> bool:
    """Whether `folder` holds a run that was made to the end."""
    return (folder / FILE).is_file()
