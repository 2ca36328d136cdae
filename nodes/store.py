"""Where the tables of a run are kept: here a SQLite file of its own; `postgres_store` has a database of many runs."""

import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from backend_coordinator.errors import ConfigurationError, NewerDatabase
from backend_coordinator.nodes import damage
from backend_coordinator.nodes.damage import damaged, telling

SCHEMA_VERSION = 2
TABLES = """
create table if not exists note (run text not null, name text not null, value text not null, primary key (run, name));
create table if not exists event (number {serial}, run text not null, at text not null, body text not null);
create table if not exists decision (
    number {serial}, run text not null, id text not null, body text not null, answer text, unique (run, id)
);
create index if not exists event_of_run on event (run, number);
"""
"""What happened, what was asked and answered, and facts by name; all rows of one run have its key in `run`."""


class Result(NamedTuple):
    """What a statement gave, and how many rows it changed."""

    rows: list[tuple[Any, ...]]
    changed: int


class Execute(Protocol):
    """Runs one statement within a transaction; each `?` stands for one of the values."""

    def __call__(self, statement: str, *values: object) -> Result: ...


class Store(Protocol):
    """The tables of one run, shared safely by threads and processes."""

    @property
    def key(self) -> str:
        """What the column `run` has for this run."""
        ...

    def reading(self) -> AbstractContextManager[Execute]:
        """One look."""
        ...

    def writing(self, fence: int | None = None) -> AbstractContextManager[Execute]:
        """One transaction, taken back when its block raises.

        Raises RunTaken when another process has taken the run over since its lock had this `fence`.
        """
        ...


@dataclass(frozen=True)
class SqliteStore:
    """A SQLite file; the lock of its folder ends with the process that holds it, so no fence is needed."""

    path: Path
    key: str = ""

    @classmethod
    def create(cls, path: Path) -> "SqliteStore":
        """A new file readable by its owner alone, or the one that is there."""
        path.touch(mode=0o600, exist_ok=True)
        store = cls(path)
        with store._open() as db:
            store._check_version(db)
            tables = TABLES.format(serial="integer primary key")
            db.executescript(f"pragma journal_mode=wal;{tables}pragma user_version={SCHEMA_VERSION};")
        return store

    @classmethod
    def load(cls, path: Path) -> "SqliteStore":
        """The file at `path`.

        Raises NewerDatabase when a newer version wrote it, DamagedRun when it is gone, damaged or holds no run.
        """
        if not path.is_file():
            raise damaged(path, "is gone")
        store = cls(path)
        with store._open() as db:
            version = store._check_version(db)
        if version == 0:
            raise damaged(path, "holds no run, it was lost or emptied")
        return store

    def _check_version(self, db: sqlite3.Connection) -> int:
        version = int(db.execute("pragma user_version").fetchone()[0])
        if version > SCHEMA_VERSION:
            msg = f"{self.path} has version {version}, this program knows {SCHEMA_VERSION}: upgrade backend-coordinator"
            raise NewerDatabase(msg)
        if 0 < version < SCHEMA_VERSION:
            msg = f"{self.path} has version {version}, this program {SCHEMA_VERSION}: end it with the one that began it"
            raise ConfigurationError(msg)
        return version

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        with telling(self.path):
            place = f"{self.path.absolute().as_uri()}?mode=rw"
            db = sqlite3.connect(place, uri=True, timeout=damage.PATIENCE, isolation_level="IMMEDIATE")
            try:
                with db:
                    yield db
            finally:
                db.close()

    @contextmanager
    def reading(self) -> Iterator[Execute]:
        """One look."""
        with self._open() as db:

            def execute(statement: str, *values: object) -> Result:
                done = db.execute(statement, values)
                return Result(done.fetchall(), done.rowcount)

            try:
                yield execute
            except ValueError as error:  # of JSON, or of a value
                raise damaged(self.path, "holds a row that cannot be read") from error

    def writing(self, fence: int | None = None) -> AbstractContextManager[Execute]:
        """One transaction, taken back when its block raises."""
        return self.reading()
