"""Opening what a run remembers, wherever its tables are kept."""

import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from backend_coordinator.domain.base import Value
from backend_coordinator.errors import ConfigurationError
from backend_coordinator.nodes.damage import damaged
from backend_coordinator.nodes.ledger import Ledger
from backend_coordinator.nodes.store import SqliteStore

if TYPE_CHECKING:
    from backend_coordinator.nodes.postgres_store import PostgresStore

FILE = "run.sqlite"
ELSEWHERE = "database.json"
VARIABLE = "BACKEND_COORDINATOR_DATABASE"


class Place(Value):
    """The run's key in a PostgreSQL database, and where that is; never how to get in."""

    key: str
    host: str
    database: str


def address(database: str | None) -> str:
    """What was given, or what the environment names; empty where runs are kept in files."""
    return os.environ.get(VARIABLE, "") if database is None else database


def demand(database: str | None) -> None:
    """Returns once a new run can be kept. Raises ConfigurationError or NewerDatabase when the database refuses it."""
    if url := address(database):
        _postgres()(url).prepare()


def create(folder: Path, run: str = "", database: str | None = None) -> Ledger:
    """The ledger of a new run in `folder`, or, with the address of a PostgreSQL database, in that."""
    if not (url := address(database)):
        return Ledger(SqliteStore.create(folder / FILE))
    store = _postgres().create(url, f"{run}-{secrets.token_hex(4)}")
    place = Place(key=store.key, **store.place._asdict())
    path = folder / ELSEWHERE
    path.touch(mode=0o600)
    path.write_text(place.model_dump_json(indent=1) + "\n", encoding="utf-8")
    return Ledger(store)


def load(folder: Path, database: str | None = None) -> Ledger:
    """The ledger of the run in `folder`.

    Raises NewerDatabase when a newer version wrote it, ConfigurationError when it was lost or damaged.
    """
    return Ledger(shared(folder, database) or SqliteStore.load(folder / FILE))


def shared(folder: Path, database: str | None = None) -> "PostgresStore | None":
    """The tables of the run in `folder` where PostgreSQL has them. Raises as `load` does."""
    path = folder / ELSEWHERE
    if not path.is_file():
        return None
    try:
        place = Place.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise damaged(path, "is damaged") from error
    if not (url := address(database)):
        msg = f"run {folder.name} is in the PostgreSQL database {place.database} on {place.host}: set {VARIABLE}"
        raise ConfigurationError(f"{msg} to its address, postgresql://USER:PASSWORD@HOST:PORT/NAME")
    return _postgres().load(url, place.key)


def _postgres() -> "type[PostgresStore]":
    try:
        from backend_coordinator.nodes.postgres_store import PostgresStore
    except ImportError as error:
        msg = f"runs in PostgreSQL need more packages ({error}): pip install 'backend-coordinator[postgres]'"
        raise ConfigurationError(msg) from error
    return PostgresStore
