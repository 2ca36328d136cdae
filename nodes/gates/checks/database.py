"""Checks of the database."""

import ast
import json
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

from backend_coordinator.domain.verdict import Evidence, Finding, Verdict
from backend_coordinator.nodes.gates.evidence import fails, not_applicable, one_line, passes, unknown
from backend_coordinator.nodes.gates.registry import check
from backend_coordinator.nodes.gates.schema import COMMENT, OTHER_DIALECT, foreign_migration, is_revision
from backend_coordinator.nodes.gates.scratch import Scratch, copied, installed, shadowed
from backend_coordinator.nodes.gates.source import parse
from backend_coordinator.nodes.workspace.environment import Environment
from backend_coordinator.nodes.workspace.processes import Completed
from backend_coordinator.nodes.workspace.trees import Tree

Answer = Mapping[str, Any]
"""What the script `rehearse` writes: the path and the message of what broke, and SQLite's version."""


@check("D3")
async def migrations_go_up_down_and_up(
    base: Tree | None, head: Tree, changed: frozenset[str], environment: Environment
) -> Verdict:
    """Every migration has a way back, and up, down, up on a fresh SQLite database gives equal schemas.

    A rollback that was never run is a hope. Source: Database, migration scripts tested; Database Change
    Coordination, migration script with rollback.
    """
    plain = [path for path in head.files if path.endswith(".up.sql")]
    lost = sorted(p for p in changed if p.endswith(".down.sql") and p not in head.files and _up_of(p) in plain)
    touched = {path for path in changed if path.endswith((".up.sql", ".down.sql"))}
    revisions = [path for path in head.files if is_revision(head, path)]
    if not touched and not changed.intersection(revisions):
        return _other_migrations(head, changed)
    missing = [p for p in plain if p in changed or _down_of(p) in lost if _down_of(p) not in head.files]
    findings = [Finding(path=path, message=f"has no {PurePosixPath(_down_of(path)).name}") for path in missing]
    findings += [f for path in revisions if path in changed for f in _without_downgrade(head, path)]
    if findings:
        return fails("D3", findings, "write the rollback")
    if touched:
        verdict = await _rehearse_plain(head, plain, touched, environment)
        if not changed.intersection(revisions) or verdict.verdict != "pass":
            return verdict
    return await _rehearse_alembic(head, environment)


def _other_migrations(head: Tree, changed: frozenset[str]) -> Verdict:
    if path := foreign_migration(head, changed):
        return unknown("D3", f"{path} is neither NNNN_name.up.sql with .down.sql nor an Alembic revision")
    return not_applicable("D3", "no migration changed")


def _up_of(path: str) -> str:
    return path.removesuffix(".down.sql") + ".up.sql"


def _down_of(path: str) -> str:
    return path.removesuffix(".up.sql") + ".down.sql"


async def _rehearse_plain(head: Tree, plain: list[str], touched: set[str], environment: Environment) -> Verdict:
    folders = {PurePosixPath(path).parent for path in touched}
    evidence: list[Evidence] = []
    for folder in sorted(folders):
        pairs = [(up, _down_of(up)) for up in sorted(plain) if PurePosixPath(up).parent == folder]
        if not pairs:
            continue
        if gap := next((up for up, down in pairs if down not in head.files), None):
            return unknown("D3", f"{gap} has no way back, so the newer migrations cannot be rehearsed with it")
        for path in (path for pair in pairs for path in pair):
            if foreign := OTHER_DIALECT.search(COMMENT.sub("", head.read(path) or "")):
                line = one_line(foreign.group())
                return unknown("D3", f"{path} is not written for SQLite ({line}): rehearse it on its own database")
        found = await _run_plain(head, pairs, environment)
        evidence.append(found)
        if found.exit_code != bool(found.findings):
            return unknown("D3", f"the rehearsal could not run: {found.summary}", *evidence)
        if found.findings:
            blamed = any(path in touched for path in (found.findings[0].path, _up_of(found.findings[0].path)))
            if blamed:
                return fails("D3", found.findings, "correct the migration", *evidence)
            return unknown("D3", f"an older migration fails: {found.summary}", *evidence)
    return passes("D3", "all migrations run up, down and up with equal schemas on SQLite", *evidence)


async def _run_plain(head: Tree, pairs: list[tuple[str, str]], environment: Environment) -> Evidence:
    async with copied(head.path, environment) as scratch:
        done, answer, summary = await _rehearse(scratch, json.dumps(pairs), "-I")
    evidence = scratch.evidence("sqlite", answer.get("sqlite", ""), done, summary)
    return evidence.model_copy(update={"findings": _broken(answer)})


async def _rehearse(scratch: Scratch, what: str, *options: str, root: str = "") -> tuple[Completed, Answer, str]:
    """How the rehearsal ended, its answer, empty where it gave none, and a summary."""
    target = scratch.results / "answer.json"
    done = await scratch.run(["python", *options, scratch.script("rehearse"), str(target), what], root)
    answer: Answer = json.loads(target.read_text()) if target.exists() else {}
    told = next((finding.message for finding in _broken(answer)), done.output[-200:])
    return done, answer, told or "up, down and up with equal schemas"


def _broken(answer: Answer) -> tuple[Finding, ...]:
    return (Finding(path=answer["broken"][0], message=answer["broken"][1]),) if answer.get("broken") else ()


def _without_downgrade(head: Tree, path: str) -> Iterator[Finding]:
    try:
        functions = {n.name: n for n in parse(head.read(path) or "").body if isinstance(n, ast.FunctionDef)}
    except SyntaxError as error:
        yield Finding(path=path, line=error.lineno or 0, message="cannot be parsed")
        return
    acts = {name: any(isinstance(n, ast.Call) for n in ast.walk(f)) for name, f in functions.items()}
    if acts.get("upgrade") and not acts.get("downgrade"):
        yield Finding(path=path, message="downgrade does nothing")


async def _rehearse_alembic(head: Tree, environment: Environment) -> Verdict:
    unit = next((u for u in environment.units if str(PurePosixPath(u.root, "alembic.ini")) in head.files), None)
    if unit is None:
        return unknown("D3", "alembic.ini is not at the top of a unit")
    if problem := unit.problem or shadowed(head.path / unit.root):
        return unknown("D3", f"the migrations cannot be run: {problem}")
    async with copied(head.path, environment) as scratch:
        version = (await installed(scratch, unit.root)).get("alembic")
        if version is None:
            return unknown("D3", "alembic is not installed: declare it in the project's dependencies")
        done, answer, summary = await _rehearse(scratch, str(scratch.results / "db.sqlite"), root=unit.root)
    evidence = scratch.evidence("alembic", version, done, summary)
    if not answer:
        return unknown("D3", f"the migrations do not run on SQLite: {scratch.last_line(done)}", evidence)
    if findings := _broken(answer):
        return fails("D3", findings, "correct the migration", evidence)
    return passes("D3", "all revisions run up, down and up with equal schemas on SQLite", evidence)
