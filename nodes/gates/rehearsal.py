"""Rehearsing a change's migrations with rows in the tables (Database Change Coordination, test on a replica)."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from backend_coordinator.domain.rollout import Lock, Rehearsal, SchemaChange
from backend_coordinator.domain.verdict import Evidence, Finding
from backend_coordinator.nodes.gates.evidence import one_line
from backend_coordinator.nodes.gates.schema import COMMENT, OTHER_DIALECT, is_revision
from backend_coordinator.nodes.gates.scratch import Scratch, copied, installed, shadowed
from backend_coordinator.nodes.gates.shared import once
from backend_coordinator.nodes.workspace.environment import Environment
from backend_coordinator.nodes.workspace.processes import Completed
from backend_coordinator.nodes.workspace.trees import Tree

_SQLITE_ONLY = re.compile(r"(?i)\bAUTOINCREMENT\b|\bWITHOUT\s+ROWID\b|\bPRAGMA\b")
_DOUBLED = re.compile(r"(?i)UNIQUE constraint failed|could not create unique index|duplicate key value")
_SCRIPTS = ("rehearse_values", "rehearse_rows", "rehearse_databases", "rehearse")
Answer = Mapping[str, Any]
"""What the script `rehearse` writes."""


class Rehearsed(NamedTuple):
    """What came of it: `findings` are of the change itself; with a `problem` it is not known whether it is right."""

    shown: tuple[Rehearsal, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    findings: tuple[Finding, ...] = ()
    problem: str | None = None


async def rehearse(head: Tree, changed: frozenset[str], environment: Environment) -> Rehearsed:
    """Every migration of `changed`, each folder and Alembic's revisions on a database of its own."""
    key = ("rehearsal", head.oid, changed, environment.digest)
    return await once(key, lambda: _rehearse(head, changed, environment))


async def _rehearse(head: Tree, changed: frozenset[str], environment: Environment) -> Rehearsed:
    touched = {path for path in changed if path.endswith((".up.sql", ".down.sql"))}
    folders = sorted({PurePosixPath(path).parent for path in touched})
    files = {*head.files}
    if gone := sorted(path for path in touched if not {path, _other_half(path)} <= files):
        return Rehearsed(problem=f"a migration that was there is gone, or half of one is missing: {gone[0]}")
    revisions = sorted(path for path in changed if is_revision(head, path))
    all_of = Rehearsed()
    for folder in folders:
        ups = sorted(p for p in head.files if p.endswith(".up.sql") and PurePosixPath(p).parent == folder)
        if all_of.problem is None and not all_of.findings:
            all_of = _joined(all_of, await _plain(head, ups, touched, environment))
    if revisions and all_of.problem is None and not all_of.findings:
        all_of = _joined(all_of, await _alembic(head, revisions, environment))
    return all_of


def _joined(one: Rehearsed, two: Rehearsed) -> Rehearsed:
    return Rehearsed(one.shown + two.shown, one.evidence + two.evidence, two.findings, two.problem)


def up_of(path: str) -> str:
    """The script that `path` takes back."""
    return path.removesuffix(".down.sql") + ".up.sql"


def down_of(path: str) -> str:
    """The script that takes `path` back."""
    return path.removesuffix(".up.sql") + ".down.sql"


def _other_half(path: str) -> str:
    return up_of(path) if path.endswith(".down.sql") else down_of(path)


async def _plain(head: Tree, ups: list[str], touched: set[str], environment: Environment) -> Rehearsed:
    pairs = [(up, down_of(up)) for up in ups]
    if gap := next((up for up, down in pairs if down not in head.files), None):
        problem = f"{gap} has no way back, so the newer migrations cannot be rehearsed with it"
        return Rehearsed(problem=problem)
    texts = {path: COMMENT.sub("", head.read(path) or "") for pair in pairs for path in pair}
    served = environment.postgres and not any(map(_SQLITE_ONLY.search, texts.values()))
    for path, text in texts.items():
        if not served and (foreign := OTHER_DIALECT.search(text)):
            told = f"{path} is not written for SQLite ({one_line(foreign.group())}): "
            return Rehearsed(problem=f"{told}rehearse it on its own database, which the setting `postgres` starts")
    old = next(at for at, pair in enumerate(pairs) if touched.intersection(pair))
    wanted = {"pairs": pairs, "old": old, **_server(environment if served else None)}
    async with copied(head.path, environment) as scratch:
        done, answer = await _run(scratch, wanted, "-E", "-s")
    new = pairs[old:]
    found = _told(scratch, done, answer, [up for up, _ in new], [down for _, down in reversed(new)])
    if not found.findings or any(p in touched for p in (found.findings[0].path, up_of(found.findings[0].path))):
        return found
    return found._replace(findings=(), problem=f"an older migration fails: {found.evidence[0].summary}")


async def _alembic(head: Tree, revisions: list[str], environment: Environment) -> Rehearsed:
    unit = next((u for u in environment.units if str(PurePosixPath(u.root, "alembic.ini")) in head.files), None)
    if unit is None:
        return Rehearsed(problem="alembic.ini is not at the top of a unit")
    if problem := unit.problem or shadowed(head.path / unit.root):
        return Rehearsed(problem=f"the migrations cannot be run: {problem}")
    changed = [path.removeprefix(f"{unit.root}/" if unit.root else "") for path in revisions]
    wanted = {"changed": changed, **_server(environment)}
    async with copied(head.path, environment) as scratch:
        if "alembic" not in await installed(scratch, unit.root):
            return Rehearsed(problem="alembic is not installed: declare it in the project's dependencies")
        done, answer = await _run(scratch, wanted, root=unit.root)
    return _told(scratch, done, answer, revisions, revisions[::-1])


def _server(environment: Environment | None) -> dict[str, str]:
    """The variable with the server's URL and the folder of its programs; the variable is empty for SQLite."""
    server = environment and environment.postgres
    return {"postgres": server.variable, "programs": str(server.binaries)} if server else {"postgres": ""}


async def _run(
    scratch: Scratch, wanted: Mapping[str, object], *options: str, root: str = ""
) -> tuple[Completed, Answer]:
    """Once more without repeated rows where only these were in the way: whether real rows repeat is not known."""
    *_, script = map(scratch.script, _SCRIPTS)
    assumed, distinct = "", False
    while True:
        target = scratch.results / f"answer-{distinct}.json"
        asked = json.dumps({**wanted, "distinct": distinct})
        done = await scratch.run(["python", *options, script, str(target), asked], root)
        answer: Answer = json.loads(target.read_text()) if target.exists() else {}
        broken = str(answer["broken"][1]) if answer and answer["broken"] else ""
        if distinct or not _DOUBLED.search(broken):
            return done, {**answer, "assumed": assumed} if answer else answer
        assumed, distinct = broken, True


def _told(scratch: Scratch, done: Completed, answer: Answer, ups: Sequence[str], downs: Sequence[str]) -> Rehearsed:
    if not answer or done.exit_code != bool(answer["broken"]):
        said = scratch.last_line(done)
        return Rehearsed(
            evidence=(scratch.evidence("rehearsal", "", done, said),), problem=f"the rehearsal could not run: {said}"
        )
    broken = (Finding(path=answer["broken"][0], message=answer["broken"][1]),) if answer["broken"] else ()
    shown = _shown(answer, ups, downs)
    summary = broken[0].message if broken else in_words(shown)
    evidence = scratch.evidence(shown.database, shown.version, done, summary)
    return Rehearsed((shown,), (evidence.model_copy(update={"findings": broken}),), broken)


def _shown(answer: Answer, ups: Sequence[str], downs: Sequence[str]) -> Rehearsal:
    locks = answer.get("locks")
    seen = None if locks is None else tuple(Lock(table=t, mode=m, rewrites=r, scans=s) for t, m, r, s in locks)
    return Rehearsal(
        database=answer["database"],
        version=answer["version"],
        ups=tuple(ups),
        downs=tuple(downs),
        rows=answer.get("rows", {}),
        unfilled=answer.get("unfilled", {}),
        changes=tuple(
            SchemaChange(kind=kind, what=what, table=table) for kind, what, table in answer.get("changes", ())
        ),
        statements=tuple(answer.get("statements", ())),
        locks=seen,
        digest=answer.get("digest", ""),
        assumed=answer.get("assumed", ""),
    )


def in_words(shown: Rehearsal) -> str:
    """One line: what was compared, with how many rows per table, in how many statements."""
    rows = ", ".join(f"{count} in {table}" for table, count in shown.rows.items() if count) or "none before it"
    locks = "" if shown.locks is None else f"; {len(shown.locks)} locks on tables that were there"
    distinct = f"; only with distinct rows ({shown.assumed})" if shown.assumed else ""
    return (
        f"up, down and up with equal schemas and values; rows: {rows}; {len(shown.statements)} statements{locks}; "
        f"rows before {shown.digest[:12]}{distinct}"
    )
