"""The tables of many runs in one PostgreSQL database, and the lock of a run, which another process can take over."""

import atexit
import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg_pool import ConnectionPool

from backend_coordinator.errors import ConfigurationError, DamagedRun, NewerDatabase, RunLocked, RunTaken
from backend_coordinator.nodes.store import SCHEMA_VERSION, TABLES, Execute, Result

SCHEMA = "backend_coordinator"
PATIENCE = 10
"""Seconds for which a connection is waited for."""
LOCK = b"select pg_advisory_xact_lock(hashtextextended(%s, 0))"
HOLDER = b"select case when fence = %s then '' else holder end as holder from lease where run = %s for share"
"""Who else drives the run; nobody can take it over before the transaction ends."""
_TABLES = f"""{TABLES.format(serial="bigserial primary key")}
create table lease (run text primary key, fence bigint not null, holder text not null);
create table version (number int not null);
insert into version values ({SCHEMA_VERSION});
"""
_SESSION = (
    f"-c search_path={SCHEMA} -c lock_timeout=90s -c idle_in_transaction_session_timeout=60s"
    " -c tcp_keepalives_idle=30 -c tcp_keepalives_interval=10 -c tcp_keepalives_count=3"
)
"""What a process that was stopped within a transaction, or whose machine is gone, holds is free after a minute."""
_TRY_LOCK = b"select pg_try_advisory_lock(hashtextextended(run, 0)), holder from lease where run = %s"
_END_SESSIONS = b"""
select pg_terminate_backend(pid) from pg_stat_activity
where application_name = %s and datname = current_database() and pid <> pg_backend_pid()
"""
_TAKE = b"update lease set fence = fence + 1, holder = %s where run = %s returning fence"
_OF_A_RESUME = {"checkpoints": "thread_id", "checkpoint_blobs": "thread_id", "checkpoint_writes": "thread_id"}
_OF_A_RUN = {**_OF_A_RESUME, "note": "run", "event": "run", "decision": "run", "lease": "run"}
_LOST = "it was lost, or this is another database"
_pools: dict[tuple[int, str], ConnectionPool] = {}


class Place(NamedTuple):
    """Where a database is, for people; never with its password."""

    host: str
    database: str

    def __str__(self) -> str:
        return f"the PostgreSQL database {self.database} on {self.host}"


@dataclass(frozen=True)
class PostgresStore:
    """The rows of the run `key` in the schema `backend_coordinator`; the lock can be lost, so writes need its fence.

    Whatever goes wrong with the database is a ConfigurationError of one line, without the password.
    """

    url: str = field(repr=False)
    key: str = ""

    @classmethod
    def create(cls, url: str, key: str) -> "PostgresStore":
        """A new run, in tables that are made where there are none. Raises NewerDatabase as `load` does."""
        cls(url).prepare()
        store = cls(url, key)
        with store.writing() as execute:
            execute("insert into lease values (?, 0, 'unknown')", key)
        return store

    @classmethod
    def load(cls, url: str, key: str) -> "PostgresStore":
        """A run that is there.

        Raises NewerDatabase when a newer version made the tables, DamagedRun when they do not hold the run.
        """
        store = cls(url, key)
        with store.reading() as execute:
            store._check_version(execute(f"select number from {SCHEMA}.version").rows[0][0])
            if not execute("select 1 from lease where run = ?", key).rows:
                raise DamagedRun(f"{store.place} holds no run {store.run}: {_LOST}{store._way_out}")
        return store

    def prepare(self) -> None:
        """Makes schema and tables where there are none; two processes may do it at once. Raises as `create` does."""
        with self.explained(), self._pool().connection() as db, db.transaction():
            if (encoding := db.info.parameter_status("server_encoding")) != "UTF8":
                msg = f"{self.place} has the encoding {encoding}, which lacks characters: use a database with UTF8"
                raise ConfigurationError(msg)
            db.execute(LOCK, (SCHEMA,))
            if not db.execute("select 1 from pg_namespace where nspname = %s", (SCHEMA,)).fetchone():
                db.execute(f"create schema {SCHEMA}".encode())
            if not db.execute("select 1 where to_regclass(%s) is not null", (f"{SCHEMA}.version",)).fetchone():
                db.execute(_TABLES.encode())
            row = db.execute("select number from version").fetchone()
        self._check_version(row and row[0])

    @property
    def run(self) -> str:
        """The run's id."""
        return self.key.rpartition("-")[0]

    @property
    def name(self) -> str:
        """What the sessions of the run's holder are called; a name has no room for every key."""
        return f"backend-coordinator {self.key[-40:]}"

    @property
    def place(self) -> Place:
        """Where it is. Raises ConfigurationError for an address that is none."""
        try:
            parts = conninfo_to_dict(self.url)
        except psycopg.Error:  # its text repeats the address, password included
            msg = "what should name the database cannot be read as an address: write"
            raise ConfigurationError(f"{self._whose}{msg} postgresql://USER:PASSWORD@HOST:PORT/NAME") from None
        host, port, user, name = (
            str(parts.get(word) or os.environ.get(variable, ""))
            for word, variable in (("host", "PGHOST"), ("port", "PGPORT"), ("user", "PGUSER"), ("dbname", "PGDATABASE"))
        )
        return Place(f"{host or 'this machine'}{port and f':{port}'}", name or user)

    def conninfo(self, **more: str) -> str:
        """For a connection to it."""
        assert self.place  # or refused
        given = conninfo_to_dict(self.url)
        options = f"{given.get('options') or ''} {_SESSION}"
        ours = {"options": options, "client_encoding": "utf8", **more}
        settings: dict[str, Any] = {"connect_timeout": PATIENCE, "keepalives_idle": 30, **given, **ours}
        return make_conninfo("", **settings)

    def _pool(self) -> ConnectionPool:
        owner = (os.getpid(), self.url)
        if owner not in _pools:
            psycopg.connect(self.conninfo()).close()  # a pool would not say why it gets none
            usable = ConnectionPool.check_connection
            settings = {"autocommit": True}
            pool = ConnectionPool(
                self.conninfo(), min_size=1, max_size=8, open=True, timeout=PATIENCE, kwargs=settings, check=usable
            )
            if _pools.setdefault(owner, pool) is not pool:
                pool.close()
        return _pools[owner]

    @contextmanager
    def reading(self) -> Iterator[Execute]:
        """One look."""
        with self.explained(), self._pool().connection() as db:
            yield _executing(db)

    @contextmanager
    def writing(self, fence: int | None = None) -> Iterator[Execute]:
        """One transaction, taken back when its block raises.

        Raises RunTaken when another process has taken the run over since its lock had this `fence`.
        """
        with self.explained(fence), self._transaction(fence) as execute:
            yield execute

    def free(self, *, whole: bool, dry_run: bool) -> int:
        """Deletes what only a resume needs, or the whole run; says how many bytes that takes."""
        size = 0
        with self.writing() as execute:
            for table, column in (_OF_A_RUN if whole else _OF_A_RESUME).items():
                if execute("select to_regclass(?)", table).rows == [(None,)]:
                    continue  # LangGraph's, before any run began
                taken = f"select coalesce(sum(pg_column_size(t.*)), 0) from {table} t where {column} = ?"
                size += int(execute(taken, self.key).rows[0][0])
                if not dry_run:
                    execute(f"delete from {table} where {column} = ?", self.key)
        return size

    @contextmanager
    def _transaction(self, fence: int | None) -> Iterator[Execute]:
        with self._pool().connection() as db, db.transaction():
            # Else an event could be committed after one of a higher number, which a reader has already gone past.
            db.execute(LOCK, (f"events of {self.key}",))
            if fence is not None:
                db.execute("select set_config('application_name', %s, true)", (self.name,))
                row = db.execute(HOLDER, (fence, self.key)).fetchone()
                self.demand_none(row and row[0])
            yield _executing(db)

    def demand_none(self, holder: object) -> None:
        """Raises RunTaken unless `holder`, as `HOLDER` gave it, is empty."""
        if holder != "":
            msg = f"run {self.run} was taken over by {holder or 'nobody'}: this process writes nothing more for it"
            raise RunTaken(msg)

    @contextmanager
    def explained(self, fence: int | None = None) -> Iterator[None]:
        """What goes wrong with the database as ConfigurationError, or as RunTaken where that is the cause."""
        try:
            yield
        except psycopg.Error as error:
            if fence is not None:
                with suppress(psycopg.Error), self._transaction(fence):
                    pass
            raise ConfigurationError(self._sentence(error)) from error

    @contextmanager
    def driving(self) -> Iterator[int]:
        """Holds the run's lock in a session of its own, and gives its fence: higher than that of any holder before.

        Raises RunLocked when another session holds it. What a holder that lost it has open is ended.
        """
        with self.explained():
            lock = psycopg.connect(self.conninfo(), autocommit=True)
        try:
            with self.explained(), lock.transaction():
                lock.execute(LOCK, (f"holder of {self.key}",))  # else a second could read who held it before the first
                got, other = lock.execute(_TRY_LOCK, (self.key,)).fetchone() or (False, "nobody")
                if not got:
                    msg = f"run {self.run} is driven by {other}: wait for it, or answer its questions with decide"
                    raise RunLocked(msg)
                lock.execute("select set_config('application_name', %s, false)", (self.name,))
                lock.execute(_END_SESSIONS, (self.name,))
                holder = f"process {os.getpid()} on {socket.gethostname()}"
                (fence,) = lock.execute(_TAKE, (holder, self.key)).fetchone() or (0,)
            yield fence
        finally:
            with suppress(psycopg.Error):  # the session may be gone, and the server takes its time to notice a close
                lock.execute("select pg_advisory_unlock_all()")
            lock.close()

    def _check_version(self, version: object) -> None:
        msg = f"{self._whose}the tables in {self.place} have version {version}, this program knows {SCHEMA_VERSION}"
        if isinstance(version, int) and version > SCHEMA_VERSION:
            raise NewerDatabase(f"{msg}: upgrade backend-coordinator")
        if version != SCHEMA_VERSION:
            raise ConfigurationError(f"{msg}: end their runs with the one that began them, or use another database")

    def _sentence(self, error: psycopg.Error) -> str:
        said, place = " ".join((error.diag.message_primary or str(error)).split())[:300], f"{self._whose}{self.place}"
        if isinstance(error, psycopg.errors.InsufficientPrivilege):
            return f"{place} refuses it ({said}): {self._right(said)}"
        if isinstance(error, psycopg.errors.UndefinedTable):
            return f"{place} holds no tables of backend-coordinator: {_LOST}{self._way_out}"
        return f"{place}: {said}{self._way_out}"

    def _right(self, said: str) -> str:
        """What helps where the server refuses with these words."""
        if "for database" in said:
            return f"an administrator has to grant create on database {self.place.database} to the user of the address"
        if "for schema" in said:
            return f"use the role that owns schema {SCHEMA}, as every process has to"
        return f"its tables belong to another role: use the one that owns schema {SCHEMA}, as every process has to"

    @property
    def _whose(self) -> str:
        return f"run {self.run}: " if self.key else ""

    @property
    def _way_out(self) -> str:
        return ": restore it or correct the address, then resume" if self.key else ""


def close() -> None:
    """Closes this process's connections; those of a process it was forked from are that one's."""
    for owner in [owner for owner in _pools if owner[0] == os.getpid()]:
        _pools.pop(owner).close()


atexit.register(close)
logging.getLogger("psycopg").addHandler(logging.NullHandler())  # what it warns of is raised too


def _executing(db: "psycopg.Connection[tuple[object, ...]]") -> Execute:
    def execute(statement: str, *values: object) -> Result:
        fit = [value.replace("\0", "\ufffd") if isinstance(value, str) else value for value in values]  # has no NUL
        done = db.execute(statement.replace("?", "%s").encode(), fit)
        return Result(done.fetchall() if done.description else [], done.rowcount)

    return execute
