"""Runs migrations up, down and up again on a fresh SQLite database and reports where that broke."""

import importlib
import json
import os
import re
import sqlite3
import sys
from collections.abc import Sequence
from pathlib import Path


class Broken(Exception):
    """A script that failed, and why."""


def schema(db: sqlite3.Connection) -> list[str]:
    """What the database consists of, without spelling that SQLite itself changes and without Alembic's own table."""
    rows = db.execute(
        "SELECT type, name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%' AND tbl_name != 'alembic_version'"
    )
    return sorted(re.sub(r"\s+|[\"`\[\]]", "", " ".join(map(str, row))).lower() for row in rows)


def fresh() -> sqlite3.Connection:
    """A database in memory whose SQL can open no other."""
    db = sqlite3.connect(":memory:", isolation_level=None)
    banned = {sqlite3.SQLITE_ATTACH, sqlite3.SQLITE_DETACH}
    db.set_authorizer(lambda action, *_: sqlite3.SQLITE_DENY if action in banned else sqlite3.SQLITE_OK)
    db.execute("PRAGMA foreign_keys = ON")
    return db


def step(db: sqlite3.Connection, path: str) -> None:
    """Run one script; an error names it."""
    try:
        db.executescript(Path(path).read_text())
    except sqlite3.Error as error:
        raise Broken(path, str(error)) from error
    if db.in_transaction:
        raise Broken(path, "leaves a transaction open")


def scripts(pairs: Sequence[tuple[str, str]]) -> None:
    """Runs plain SQL; raises Broken with a path and a message."""
    db = fresh()
    states = [schema(db)]
    for up, _ in pairs:
        step(db, up)
        states.append(schema(db))
    for (_, down), state in reversed(list(zip(pairs, states, strict=False))):
        step(db, down)
        if changed := sorted({*schema(db)} ^ {*state}):
            raise Broken(down, f"does not restore the schema that was there before: {changed[0][:120]}")
    for up, _ in pairs:
        step(db, up)
    if schema(db) != states[-1]:
        raise Broken(pairs[-1][0], "gives another schema the second time")


def alembic(database: str) -> None:
    """Runs revisions; raises Broken, or whatever the migrations raise."""
    os.environ["DATABASE_URL"] = url = f"sqlite:///{database}"
    command = importlib.import_module("alembic.command")
    config = importlib.import_module("alembic.config").Config("alembic.ini")
    config.set_main_option("sqlalchemy.url", url)
    command.upgrade(config, "head")
    with sqlite3.connect(database) as db:
        first = schema(db)
        if not first:
            raise RuntimeError("env.py used another database, or the migrations make no tables")
        command.downgrade(config, "base")
        if left := schema(db):
            raise Broken("alembic.ini", f"downgrade leaves {left[0][:120]}")
        command.upgrade(config, "head")
        if schema(db) != first:
            raise Broken("alembic.ini", "upgrade gives another schema the second time")


def main(target: str, what: str) -> int:
    """Writes JSON to `target`; 1 if a migration broke. `what` are pairs of scripts as JSON, or a database's path."""
    broken = None
    try:
        scripts(json.loads(what)) if what.startswith("[") else alembic(what)
    except Broken as error:
        broken = error.args
    Path(target).write_text(json.dumps({"broken": broken, "sqlite": sqlite3.sqlite_version}))
    return int(broken is not None)


if __name__ == "__main__":
    sys.path[0] = str(Path.cwd())
    sys.exit(main(*sys.argv[1:]))
