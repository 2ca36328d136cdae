"""Checkpoints in the run's own database, and the lock that lets one process drive a run."""

import fcntl
import os
import sqlite3
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from inspect import getmembers, isclass
from pathlib import Path
from types import ModuleType

import aiosqlite
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver, CheckpointTuple
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

from backend_coordinator.domain import (
    context,
    delivery,
    failure,
    objective,
    plan,
    question,
    report,
    usage,
    verdict,
)
from backend_coordinator.errors import ConfigurationError, NewerDatabase, RunLocked
from backend_coordinator.graph import state
from backend_coordinator.graph.state import STATE_VERSION
from backend_coordinator.nodes import damage, records
from backend_coordinator.nodes.damage import damaged
from backend_coordinator.nodes.tools import protocol

FILE = "checkpoints.sqlite"
_NEWEST = """
create temp trigger newest after insert on main.checkpoints begin
    delete from checkpoints where thread_id = new.thread_id and checkpoint_ns = new.checkpoint_ns
        and checkpoint_id <> new.checkpoint_id;
    delete from writes where thread_id = new.thread_id and checkpoint_ns = new.checkpoint_ns
        and checkpoint_id <> new.checkpoint_id;
end;
create temp trigger newest_of_all after insert on main.checkpoints when new.checkpoint_ns = '' begin
    delete from checkpoints where thread_id = new.thread_id and checkpoint_ns <> '';
    delete from writes where thread_id = new.thread_id and checkpoint_ns <> '';
end;
"""
"""A checkpoint takes the place of the one before; one of the outer graph also of all in the tasks that led to it."""
_MODULES: tuple[ModuleType, ...] = (
    context, delivery, failure, objective, plan, question, report, usage, verdict, state, protocol,
)  # fmt: skip


def serializer() -> JsonPlusSerializer:
    """A serializer that reads back our own types and nothing else; it never unpickles."""
    allowed = [
        (kind.__module__, kind.__qualname__)
        for module in _MODULES
        for _, kind in getmembers(module, isclass)
        if kind.__module__ == module.__name__
    ]
    return JsonPlusSerializer(pickle_fallback=False, allowed_msgpack_modules=allowed)


class _Saver(AsyncSqliteSaver):
    path: Path

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        try:
            return await super().aget_tuple(config)
        except sqlite3.Error:
            raise
        except Exception as error:  # whatever a row that was cut or overwritten makes its readers raise
            where = (config["configurable"]["thread_id"], config["configurable"].get("checkpoint_ns", ""))
            newest = "select max(checkpoint_id) from checkpoints where (thread_id, checkpoint_ns) = (?, ?)"
            row = await (await self.conn.execute(newest, where)).fetchone()
            raise damaged(self.path, f"holds checkpoint {row and row[0]}, which cannot be read") from error


@asynccontextmanager
async def checkpoints(
    folder: Path, database: str | None = None, fence: int | None = None
) -> AsyncIterator[BaseCheckpointSaver[str]]:
    """The saver over one run's own file, apart from the ledger: a transaction open here must never block a node.

    For a run in PostgreSQL, over its rows there; `fence` is that of its lock.
    """
    if store := records.shared(folder, database):
        from backend_coordinator.graph.fenced import fenced

        assert fence is not None
        async with fenced(store, fence, serializer()) as shared:
            yield shared
        return
    path = folder / FILE
    path.touch(mode=0o600)
    async with aiosqlite.connect(path, timeout=damage.PATIENCE) as connection:
        await connection.execute("pragma synchronous=normal")
        saver = _Saver(connection, serde=serializer())
        saver.path = path
        await saver.setup()
        await connection.executescript(_NEWEST)
        yield saver


@contextmanager
def driving(folder: Path, database: str | None = None) -> Iterator[int | None]:
    """Holds the run's lock, and gives its fence where it can be lost to another process: in a PostgreSQL `database`.

    Raises RunLocked when another process, or another part of this one, drives the run.
    """
    if store := records.shared(folder, database):
        with store.driving() as fence:
            yield fence
        return
    descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = _holder(descriptor)
            here = ", by another call in this process" if holder == str(os.getpid()) else ""
            msg = f"run {folder.name} is driven by process {holder}{here}: wait for it"
            raise RunLocked(f"{msg}, or answer its questions with decide") from error
        os.pwrite(descriptor, f"{os.getpid():<20}".encode(), 0)
        try:
            yield None
        finally:
            os.ftruncate(descriptor, 0)
            fcntl.flock(descriptor, fcntl.LOCK_UN)  # a child that another thread just forked holds the descriptor too
    finally:
        os.close(descriptor)


def _holder(descriptor: int) -> str:
    """Who has written into the lock file; who has just taken it writes a moment later."""
    until = time.monotonic() + 1
    while not (found := os.pread(descriptor, 32, 0).decode().strip()) and time.monotonic() < until:
        time.sleep(0.01)
    return found or "unknown"


def check_version(version: object, run: str) -> None:
    """Raises NewerDatabase for a state written by a newer program, ConfigurationError for one that is none."""
    if not isinstance(version, int):
        msg = f"run {run} holds no readable state; start a new run"
        raise ConfigurationError(msg)
    if version > STATE_VERSION:
        msg = f"run {run} has state version {version}, this program knows {STATE_VERSION}: upgrade backend-coordinator"
        raise NewerDatabase(msg)
    if version < STATE_VERSION:
        msg = f"run {run} has state version {version}, this program {STATE_VERSION}: end it with the one that began it"
        raise ConfigurationError(msg)
