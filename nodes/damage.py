"""What SQLite and a full disk say of a run's files, told in one line with the run, the file and the way out."""

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import ValidationError

from backend_coordinator.domain.report import Report
from backend_coordinator.errors import ConfigurationError, DamagedRun, NewerDatabase
from backend_coordinator.nodes.workspace.git import run_git
from backend_coordinator.nodes.workspace.user_repository import BRANCHES

PATIENCE = 30.0
"""Seconds for which a transaction waits for one of another process."""
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_LOCKED = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_UNWRITTEN = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN)
_OURS = (sqlite3.ProgrammingError, sqlite3.IntegrityError, sqlite3.InterfaceError)


@contextmanager
def telling(file: Path) -> Iterator[None]:
    """Says of a database in a run's folder what is wrong with it, and what a full disk keeps from being written.

    Raises DamagedRun where only a backup helps, ConfigurationError where the run goes on once the cause is gone.
    """
    try:
        yield
    except _OURS:
        raise
    except sqlite3.Error as error:
        raise _told(file, error) from error
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        place = error.filename or file.parent
        msg = f"run {file.parent.name}: no room to write {place} ({error.strerror}): free some, then resume the run"
        raise ConfigurationError(msg) from error


def damaged(file: Path, why: str, *, folder: Path | None = None) -> DamagedRun:
    """That a file of a run is lost or cannot be read, with the branch of what was merged, where there is one.

    `folder` is the run's, where that is not the file's own.
    """
    folder = folder or file.parent
    run = folder.name
    branch = f"{BRANCHES}/{run}"
    published = run_git("rev-parse", "--verify", "--quiet", f"refs/heads/{branch}", cwd=folder).stdout.strip()
    kept = f"; what was merged is on {branch}" if published else ""
    return DamagedRun(f"run {run}: {file} {why}: restore it from a backup, or start a new run{kept}")


def unreadable(run: str, path: Path, error: ValidationError) -> ConfigurationError:
    """What to raise for a report that is of a newer format, or damaged."""
    known = Report.model_fields["format"].default
    for found in error.errors():
        if found["loc"] == ("format",):
            msg = f"the report of run {run} has format {found['input']}, this program knows {known}"
            return NewerDatabase(f"{msg}: upgrade backend-coordinator")
    msg = f"the report of run {run}, {path}, is damaged: restore it from a backup, or read report.md beside it"
    return DamagedRun(msg)


def _told(file: Path, error: sqlite3.Error) -> ConfigurationError:
    code, run = getattr(error, "sqlite_errorcode", 0) & 0xFF, file.parent.name
    if code in _LOCKED:
        msg = f"run {run}: {file} is locked by another process: end what holds it, then resume the run"
        return ConfigurationError(msg)
    if code in _UNWRITTEN:
        msg = f"run {run}: {file} cannot be written ({error}): give it room and rights, then resume the run"
        return ConfigurationError(msg)
    return damaged(file, f"is damaged ({error})")
