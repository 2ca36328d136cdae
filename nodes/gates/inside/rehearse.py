"""Runs plain SQL migrations up, down and up again on a fresh SQLite database and reports where that broke."""

import json
import re
import sqlite3
import sys
from pathlib import Path


def schema(db: sqlite3.Connection) -> list[str]:
    """What the database consists of, without differences of spelling that SQLite itself makes."""
    rows = db.execute("SELECT type, name, tbl_name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'")
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


class Broken(Exception):
    """A script that failed, and why."""


def rehearse(pairs: list[tuple[str, str]]) -> None:
    """Raises Broken with a path and a message."""
    db = fresh()
    states = [schema(db)]
    for up, _ in pairs:
        step(db, up)
        states.append(schema(db))
    for number in range(len(pairs) - 1, -1, -1):
        step(db, pairs[number][1])
        if schema(db) != states[number]:
            changed = sorted(set(schema(db)) ^ set(states[number]))
            raise Broken(pairs[number][1], f"does not restore the schema that was there before: {changed[0][:120]}")
    for up, _ in pairs:
        step(db, up)
    if schema(db) != states[-1]:
        raise Broken(pairs[-1][0], "gives another schema the second time")


def main(pairs: str) -> int:
    """Writes one JSON line; 1 if a script broke."""
    broken = None
    try:
        rehearse(json.loads(pairs))
    except Broken as error:
        broken = error.args
    sys.stdout.write(json.dumps({"broken": broken, "sqlite": sqlite3.sqlite_version}) + "\n")
    return int(broken is not None)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
