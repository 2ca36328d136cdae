"""Builds a project's schema on a fresh SQLite database, describes it, and plans the project's queries on it."""

import importlib
import json
import os
import re
import sqlite3
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

_USED = re.compile(r"SEARCH .* USING (?:COVERING )?INDEX advice_(\d+) \((.*)\)")
# An index on a column of few values saves little, so its absence is no fault.
_FEW_VALUES = re.compile(
    r"(?i)(?:is|has)_\w+|status|state|kind|type|role|enabled|disabled|active|archived|deleted|published|done"
)
_BOOKKEEPING = {"alembic_version", "schema_migrations", "migrations", "yoyo_migration"}


class Anything(dict[str, None]):
    """NULL for every named parameter."""

    def __missing__(self, name: str) -> None:
        return None


def migrate(database: str) -> None:
    """Alembic's newest schema."""
    os.environ["DATABASE_URL"] = url = f"sqlite:///{database}"
    config = importlib.import_module("alembic.config").Config("alembic.ini")
    config.set_main_option("sqlalchemy.url", url)
    importlib.import_module("alembic.command").upgrade(config, "head")


def create(database: str, modules: list[str]) -> None:
    """The tables of the metadata that SQLAlchemy models in `modules` declare."""
    sqlalchemy = importlib.import_module("sqlalchemy")
    engine = sqlalchemy.create_engine(f"sqlite:///{database}")
    for module in map(importlib.import_module, modules):
        for value in list(vars(module).values()):
            metadata = getattr(value, "metadata", value)
            if isinstance(metadata, sqlalchemy.MetaData):
                metadata.create_all(engine)


def build(database: str, wanted: dict[str, Any]) -> str | None:
    """Why the schema could not be built, or None."""
    try:
        if wanted["alembic"]:
            migrate(database)
        if wanted["models"]:
            create(database, wanted["models"])
    except Exception as error:  # noqa: BLE001 - the project's own code may raise anything
        return f"{type(error).__name__}: {error}"
    with sqlite3.connect(database) as db:
        for path, script in wanted["scripts"]:
            try:
                db.executescript(script)
            except sqlite3.Error as error:
                return f"{path}: {error}"
    return None


def describe(db: sqlite3.Connection) -> list[dict[str, Any]]:
    """Each table with its columns, indexes and references."""
    rows = db.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
    return [
        {
            "name": name,
            "sql": sql,
            "columns": [
                {"name": column, "type": kind, "required": bool(required), "key": key}
                for _, column, kind, required, _, key in db.execute("SELECT * FROM pragma_table_info(?)", (name,))
            ],
            "indexes": [
                index(db, *found) for found in db.execute("SELECT * FROM pragma_index_list(?)", (name,)).fetchall()
            ],
            "references": references(db, name),
        }
        for name, sql in rows.fetchall()
        if name not in _BOOKKEEPING
    ]


def index(db: sqlite3.Connection, _number: int, name: str, unique: int, *_: object) -> dict[str, Any]:
    """One index; an expression in it has an empty name."""
    columns = [row[0] or "" for row in db.execute("SELECT name FROM pragma_index_info(?) ORDER BY seqno", (name,))]
    sql = db.execute("SELECT sql FROM sqlite_master WHERE name = ?", (name,)).fetchone()
    return {"columns": columns, "unique": bool(unique), "sql": (sql and sql[0]) or ""}


def references(db: sqlite3.Connection, table: str) -> list[dict[str, Any]]:
    """The foreign keys of `table`."""
    found: dict[int, dict[str, Any]] = {}
    for number, _, target, column, *_ in db.execute(
        "SELECT * FROM pragma_foreign_key_list(?) ORDER BY id, seq", (table,)
    ):
        found.setdefault(number, {"columns": [], "table": target})["columns"].append(column)
    return list(found.values())


def plan(db: sqlite3.Connection, query: str) -> list[str]:
    """The lines of the query plan, whatever the parameters."""
    values: Anything | Sequence[None] = Anything()
    for _ in range(2):
        try:
            return [str(row[3]) for row in db.execute(f"EXPLAIN QUERY PLAN {query}", values)]
        except sqlite3.ProgrammingError as error:
            needed = re.search(r"uses (\d+)", str(error))
            if not needed and "has no name" not in str(error):
                raise
            values = [None] * (int(needed[1]) if needed else query.count("?"))
    raise sqlite3.ProgrammingError("parameters of two kinds")


def advised(db: sqlite3.Connection, tables: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """Give `db` an index on each column that leads none; the table and column of each."""
    made: list[tuple[str, str]] = []
    for table in tables:
        leading = {found["columns"][0] for found in table["indexes"]}
        leading |= {column["name"] for column in table["columns"] if column["key"] == 1}
        for column in table["columns"]:
            few = _FEW_VALUES.fullmatch(column["name"]) or column["type"].upper().startswith("BOOL")
            if column["name"] not in leading and not few:
                db.execute(f'CREATE INDEX advice_{len(made)} ON "{table["name"]}" ("{column["name"]}")')
                made.append((table["name"], column["name"]))
    return made


def judge(database: str, tables: list[dict[str, Any]], wanted: dict[str, Any]) -> dict[str, Any]:
    """For each query the columns an index on which would turn a scan into a search, or why it has no plan."""
    with sqlite3.connect(database) as real, sqlite3.connect(":memory:") as better:
        real.backup(better)
        advice = advised(better, tables)
        answers: dict[str, Any] = {}
        for query in wanted["queries"]:
            try:
                scans = [line for line in plan(real, query) if line.startswith("SCAN") or "AUTOMATIC" in line]
                used = [_USED.match(line) for line in (plan(better, query) if scans else ())]
                answers[query] = [(*advice[int(found[1])], found[2]) for found in used if found]
            except sqlite3.Error as error:
                answers[query] = str(error)
        return answers


def main(database: str, request: str, answer: str) -> None:
    """Reads what is wanted from the file `request` and writes what was found to `answer`."""
    wanted = json.loads(Path(request).read_text())
    problem = build(database, wanted)
    with sqlite3.connect(database) as db:
        tables = describe(db)
        for script in wanted["bookkeeping"]:
            db.executescript(script)
    found = {"sqlite": sqlite3.sqlite_version, "problem": problem, "tables": tables}
    Path(answer).write_text(json.dumps({**found, "plans": judge(database, tables, wanted)}))


if __name__ == "__main__":
    sys.path[0] = str(Path.cwd())
    sys.path.insert(1, str(Path.cwd() / "src"))
    main(*sys.argv[1:])
