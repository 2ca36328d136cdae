"""Runs a project's Alembic migrations up, down and up again on a fresh SQLite database."""

import importlib
import json
import os
import re
import sqlite3
import sys
from importlib import metadata
from pathlib import Path


def schema(database: str) -> list[str]:
    """The tables, indexes and views, Alembic's own table left out."""
    with sqlite3.connect(database) as db:
        rows = db.execute(
            "SELECT type, name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%' AND tbl_name != 'alembic_version'"
        )
        return sorted(re.sub(r"\s+|[\"`\[\]]", "", " ".join(map(str, row))).lower() for row in rows)


def rehearse(database: str) -> str | None:
    """What broke, or None; whatever the migrations raise comes through."""
    url = f"sqlite:///{database}"
    os.environ["DATABASE_URL"] = url
    command = importlib.import_module("alembic.command")
    config = importlib.import_module("alembic.config").Config("alembic.ini")
    config.set_main_option("sqlalchemy.url", url)
    command.upgrade(config, "head")
    first = schema(database) if Path(database).exists() else []
    if not first:
        raise RuntimeError("env.py used another database, or the migrations make no tables")
    command.downgrade(config, "base")
    if left := schema(database):
        return f"downgrade leaves {left[0][:120]}"
    command.upgrade(config, "head")
    return None if schema(database) == first else "upgrade gives another schema the second time"


if __name__ == "__main__":
    sys.path[0] = str(Path.cwd())
    outcome = {"broken": rehearse(sys.argv[1]), "version": metadata.version("alembic")}
    Path(sys.argv[2]).write_text(json.dumps(outcome))
