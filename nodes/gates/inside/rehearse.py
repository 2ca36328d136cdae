"""Runs migrations up, down and up again, on an empty database and on one with rows, and reports where that broke."""

import hashlib
import importlib
import importlib.util
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from backend_coordinator.nodes.gates.inside import rehearse_rows as rows
    from backend_coordinator.nodes.gates.inside import rehearse_values as values
    from backend_coordinator.nodes.gates.inside.rehearse_databases import Postgres, Sqlite
else:
    import rehearse_rows as rows
    import rehearse_values as values
    from rehearse_databases import Postgres, Sqlite


class Broken(Exception):
    """A path that failed, and why."""


class Step(NamedTuple):
    """One migration: its files, and how it is run each way."""

    up: str
    down: str
    forward: Callable[[], None]
    back: Callable[[], None]


def plain(db: Sqlite | Postgres, pairs: Sequence[tuple[str, str]]) -> list[Step]:
    """Steps of scripts; each raises Broken."""

    def run(path: str) -> None:
        try:
            db.script(path)
        except rows.Refused as error:
            raise Broken(path, str(error)) from error

    return [Step(up, down, lambda up=up: run(up), lambda down=down: run(down)) for up, down in pairs]  # type: ignore[misc]


def go(db: Sqlite | Postgres, old: Sequence[Step], new: Sequence[Step]) -> Iterator[tuple[str, object]]:
    """Runs `old` up, gives the tables rows, then `new` up, down and up; what there is to tell. Raises Broken."""
    for step in old:
        step.forward()
    unfilled = rows.fill(db)
    states = [rows.state(db)]
    yield "unfilled", unfilled
    yield "rows", {name: len(found) for name, found in states[0].rows.items()}
    yield "digest", hashlib.sha256(json.dumps(states[0].rows, sort_keys=True, default=str).encode()).hexdigest()
    db.watch()
    for step in new:
        _with_rows(step.up, step.forward, bool(states[0].rows))
        states.append(rows.state(db))
    yield "changes", list(rows.changes(states[0], states[-1]))
    yield "statements", [" ".join(text.split())[:200] for text in db.statements]
    yield "locks", db.locks()
    for step, state in reversed(list(zip(new, states, strict=False))):
        _with_rows(step.down, step.back, bool(states[0].rows))
        if missing := rows.difference(state, rows.state(db)):
            raise Broken(step.down, missing)
    for step in new:
        step.forward()
    if db.schema() != states[-1].schema:
        raise Broken(new[-1].up, "gives another schema the second time")


def _with_rows(path: str, run: Callable[[], None], held: bool) -> None:
    try:
        run()
    except Broken as error:
        raise Broken(path, f"fails with rows in the tables: {error.args[1]}" if held else error.args[1]) from error
    except Exception as error:
        if not held:
            raise
        raise Broken(path, f"fails with rows in the tables: {str(error).partition(chr(10))[0]}") from error


def scripts(wanted: Mapping[str, Any], _: str) -> Iterator[tuple[str, object]]:
    """Rehearses pairs of scripts, of which the first `old` are older than the change."""
    pairs, old = wanted["pairs"], wanted["old"]
    if wanted["postgres"]:
        db: Sqlite | Postgres = Postgres()
    else:
        db = Sqlite()
        found = dict(go(db, [], plain(db, pairs)))
        if not old:
            yield from found.items()
            return
        db = Sqlite()
    steps = plain(db, pairs)
    yield from go(db, steps[:old], steps[old:])


def alembic(wanted: Mapping[str, Any], database: str) -> Iterator[tuple[str, object]]:
    """Rehearses revisions, of which `changed` are new; raises what they raise where there are no rows."""
    command = importlib.import_module("alembic.command")
    config, base, place = _configured(wanted["changed"])
    if wanted["postgres"]:
        db: Sqlite | Postgres = Postgres()
        config.set_main_option("sqlalchemy.url", _with_driver(os.environ[wanted["postgres"]]).replace("%", "%%"))
    else:
        _aim(config, database)
        command.upgrade(config, "head")
        if not (db := Sqlite(database)).schema():
            raise RuntimeError("env.py used another database, or the migrations make no tables")
        yield from _whole_way(db, config, command)
        if base == "base":
            return
        database += ".rows"
        _aim(config, database)
        db = Sqlite(database)
    older = Step(place, place, lambda: command.upgrade(config, base), lambda: None)
    newer = Step(place, place, lambda: command.upgrade(config, "head"), lambda: command.downgrade(config, base))
    yield from go(db, [older] if base != "base" else [], [newer])


def _whole_way(db: Sqlite, config: Any, command: Any) -> Iterator[tuple[str, object]]:
    first = db.schema()
    yield "changes", list(rows.changes(rows.State({}, [], {}), rows.state(db)))
    command.downgrade(config, "base")
    if left := db.schema():
        raise Broken("alembic.ini", f"downgrade leaves {left[0][:120]}")
    command.upgrade(config, "head")
    if db.schema() != first:
        raise Broken("alembic.ini", "upgrade gives another schema the second time")


def _aim(config: Any, database: str) -> None:
    os.environ["DATABASE_URL"] = url = f"sqlite:///{database}"
    config.set_main_option("sqlalchemy.url", url)


def _configured(changed: Sequence[str]) -> tuple[Any, str, str]:
    """Alembic's configuration, the revision before the change, and a path to name."""
    config = importlib.import_module("alembic.config").Config("alembic.ini")
    directory = importlib.import_module("alembic.script").ScriptDirectory.from_config(config)
    places = {Path(path).resolve() for path in changed}
    new = {each.revision: each for each in directory.walk_revisions() if Path(each.path).resolve() in places}
    before = {name for each in new.values() for name in (each._all_down_revisions or ()) if name not in new}
    if len(before) > 1:
        raise RuntimeError(f"the new revisions follow {len(before)} others: bring them into one line")
    return config, next(iter(before), "base"), changed[0]


def _with_driver(url: str) -> str:
    for driver in ("psycopg", "psycopg2", "asyncpg"):
        if importlib.util.find_spec(driver):
            return url.replace("postgresql:", f"postgresql+{driver}:", 1)
    return url


def main(target: str, what: str) -> int:
    """Writes JSON to `target`; 1 if a migration broke. `what` says in JSON what to rehearse."""
    wanted, found, broken = json.loads(what), dict[str, object](), None
    database, values.repeats[:] = f"{target}.sqlite", [not wanted.get("distinct")]
    os.environ["PATH"] = os.pathsep.join(filter(None, (wanted.get("programs"), os.environ["PATH"])))
    try:
        for name, value in (scripts if "pairs" in wanted else alembic)(wanted, database):
            found[name] = value
    except Broken as error:
        broken = error.args
    engine = Postgres() if wanted["postgres"] else Sqlite
    answer = {**found, "broken": broken, "database": engine.name, "version": engine.version}
    Path(target).write_text(json.dumps(answer, default=str))
    return int(broken is not None)


if __name__ == "__main__":
    sys.path[0] = str(Path.cwd())
    sys.exit(main(*sys.argv[1:]))
