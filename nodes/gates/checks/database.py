"""Checks of the database."""

import ast
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

from backend_coordinator.domain.rollout import Rehearsal
from backend_coordinator.domain.verdict import Finding, Verdict
from backend_coordinator.errors import ConfigurationError
from backend_coordinator.nodes.gates.evidence import fails, not_applicable, passes, unknown
from backend_coordinator.nodes.gates.registry import check
from backend_coordinator.nodes.gates.rehearsal import down_of, rehearse, up_of
from backend_coordinator.nodes.gates.schema import foreign_migration, is_revision
from backend_coordinator.nodes.gates.source import parse
from backend_coordinator.nodes.workspace.environment import Environment
from backend_coordinator.nodes.workspace.trees import Tree
from backend_coordinator.settings import load_settings

LARGE = 100_000
"""From so many rows on, as the setting `table_rows` declares them, nobody should wait for the whole table."""
DATABASES = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}


@check("D3")
async def migrations_go_up_down_and_up(
    base: Tree | None, head: Tree, changed: frozenset[str], environment: Environment
) -> Verdict:
    """Every migration has a way back, and up, down, up on a database with rows gives equal schemas and values.

    The database is a PostgreSQL where the setting `postgres` names one, else SQLite. There, no lock may keep others
    from a large table while it is rewritten or read whole. A rollback that was never run is a hope. Source: Database,
    migration scripts tested; Database Change Coordination, migration script with rollback, test on a replica.
    """
    plain = [path for path in head.files if path.endswith(".up.sql")]
    lost = sorted(p for p in changed if p.endswith(".down.sql") and p not in head.files and up_of(p) in plain)
    touched = {path for path in changed if path.endswith((".up.sql", ".down.sql"))}
    revisions = [path for path in head.files if is_revision(head, path)]
    if not touched and not changed.intersection(revisions):
        return _other_migrations(head, changed)
    missing = [p for p in plain if p in changed or down_of(p) in lost if down_of(p) not in head.files]
    findings = [Finding(path=path, message=f"has no {PurePosixPath(down_of(path)).name}") for path in missing]
    findings += [f for path in revisions if path in changed for f in _without_downgrade(head, path)]
    if findings:
        return fails("D3", findings, "write the rollback")
    return await _rehearsed(base, head, changed, environment)


def _other_migrations(head: Tree, changed: frozenset[str]) -> Verdict:
    if path := foreign_migration(head, changed):
        return unknown("D3", f"{path} is neither NNNN_name.up.sql with .down.sql nor an Alembic revision")
    return not_applicable("D3", "no migration changed")


async def _rehearsed(base: Tree | None, head: Tree, changed: frozenset[str], environment: Environment) -> Verdict:
    found = await rehearse(head, changed, environment)
    if found.findings:
        return fails("D3", found.findings, "correct the migration", *found.evidence)
    if found.problem:
        return unknown("D3", found.problem, *found.evidence)
    if large := _held_up(base or head, found.shown):
        return fails("D3", large, "do it in small steps, or plan a maintenance window and waive this", *found.evidence)
    for shown in found.shown:
        touched = {change.table for change in shown.changes}
        if table := next((name for name in shown.unfilled if name in touched), None):
            problem = f"no row could be made up for {table}, which it changes: {shown.unfilled[table]}"
            return unknown("D3", problem, *found.evidence)
    where = " and ".join(dict.fromkeys(DATABASES[shown.database] for shown in found.shown))
    return passes("D3", f"all migrations run up, down and up with equal schemas and values on {where}", *found.evidence)


def _held_up(base: Tree, rehearsals: Sequence[Rehearsal]) -> list[Finding]:
    """Tables that the setting `table_rows` of `base` calls large and that others cannot use until the whole is done."""
    try:
        declared = load_settings(base.path).table_rows
    except ConfigurationError:
        declared = {}
    return [
        Finding(
            path=shown.ups[0],
            message=f"{'rewrites' if lock.rewrites else 'reads'} all of {lock.table} under {lock.mode}, "
            f"which has {declared[lock.table]} rows by the setting table_rows",
        )
        for shown in rehearsals
        for lock in shown.locks or ()
        if lock.holds_up and declared.get(lock.table, 0) >= LARGE
    ]


def _without_downgrade(head: Tree, path: str) -> Iterator[Finding]:
    try:
        functions = {n.name: n for n in parse(head.read(path) or "").body if isinstance(n, ast.FunctionDef)}
    except SyntaxError as error:
        yield Finding(path=path, line=error.lineno or 0, message="cannot be parsed")
        return
    acts = {name: any(isinstance(n, ast.Call) for n in ast.walk(f)) for name, f in functions.items()}
    if acts.get("upgrade") and not acts.get("downgrade"):
        yield Finding(path=path, message="downgrade does nothing")
