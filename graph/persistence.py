"""Checkpoints in the run's own database, and the lock that lets one process drive a run."""

import fcntl
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from inspect import getmembers, isclass
from pathlib import Path
from types import ModuleType

import aiosqlite
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
from backend_coordinator.nodes.tools import protocol

FILE = "checkpoints.sqlite"
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


@asynccontextmanager
async def checkpoints(folder: Path) -> AsyncIterator[AsyncSqliteSaver]:
    """The saver over one run's own file, apart from the ledger: a transaction open here must never block a node."""
    path = folder / FILE
    path.touch(mode=0o600)
    async with aiosqlite.connect(path) as connection:
        await connection.execute("pragma synchronous=normal")
        saver = AsyncSqliteSaver(connection, serde=serializer())
        await saver.setup()
        yield saver


@contextmanager
def driving(folder: Path) -> Iterator[int | None]:
    """Holds the run's lock, and gives its fence where it can be lost to another process.

    Raises RunLocked when another process, or another part of this one, drives the run.
    """
    descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(descriptor, 32, 0).decode() or "unknown"
            msg = f"run {folder.name} is driven by process {holder}: wait for it, or answer its questions with decide"
            raise RunLocked(msg) from error
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        try:
            yield None
        finally:
            fcntl.flock(descriptor, fcntl.LOCK_UN)  # a child that another thread just forked holds the descriptor too
    finally:
        os.close(descriptor)


def check_version(version: object, run: str) -> None:
    """Raises NewerDatabase for a state written by a newer program, ConfigurationError for one that is none."""
    if not isinstance(version, int):
        msg = f"run {run} holds no readable state; start a new run"
        raise ConfigurationError(msg)
    if version > STATE_VERSION:
        msg = f"run {run} has state version {version}, this program knows {STATE_VERSION}: upgrade backend-coordinator"
        raise NewerDatabase(msg)
