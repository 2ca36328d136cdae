"""Repeating the inspection a report speaks of, on a fresh checkout, and comparing verdicts and commands."""

import asyncio
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from backend_coordinator.domain.base import Value
from backend_coordinator.domain.report import Report
from backend_coordinator.domain.verdict import Evidence, Outcome, Verdict
from backend_coordinator.errors import WorkspaceError
from backend_coordinator.nodes.context import adopted_groups
from backend_coordinator.nodes.gates.evidence import one_line
from backend_coordinator.nodes.gates.inspection import inspect
from backend_coordinator.nodes.gates.policy import accepted
from backend_coordinator.nodes.gates.project import MEASURING
from backend_coordinator.nodes.ledger import Ledger
from backend_coordinator.nodes.workspace.environment import build
from backend_coordinator.nodes.workspace.git import Git, GitError, run_git
from backend_coordinator.nodes.workspace.sandbox import probe
from backend_coordinator.nodes.workspace.trees import Tree, compare, export, make_git, object_format
from backend_coordinator.settings import Settings, cache_folder


class Difference(Value):
    """One thing that a report records and its repetition does not show; `item` is `report` for its head."""

    item: str
    what: str


class Verification(Value):
    """What came of repeating a run's verdicts; `commands` were repeated with the exit code that was recorded."""

    run: str
    base: str
    commit: str
    verdicts: int
    confirmed: int
    commands: int
    differences: tuple[Difference, ...]


async def verify(report: Report, folder: Path, workspace: Path) -> Verification:
    """Inspects the commit of the run kept in `folder` once more, without any verdict or measurement from before.

    Installed environments are used again. Base and commit are those that the run itself noted. Raises
    WorkspaceError when a commit is gone.
    """
    ledger = Ledger.load(folder / "run.sqlite")
    noted = ledger.noted
    base, settings = noted("base") or report.base, Settings.model_validate_json(noted("settings") or "{}")
    branch = ("rev-parse", "--verify", "--quiet", f"refs/heads/backend-coordinator/{folder.name}")
    own = folder / "git"
    commit = (Git(own).run(*branch, check=False).strip() if own.is_dir() else "") or report.commit
    with tempfile.TemporaryDirectory() as name:
        before, head, changed = await asyncio.to_thread(_checkout, base, commit, own, workspace, Path(name))
        sandbox, services = await probe(settings.sandbox), tuple(sorted(settings.services.items()))
        environment = await build(
            head.path,
            cache=cache_folder(),
            sandbox=sandbox,
            services=services,
            tools=MEASURING,
            also=adopted_groups(ledger),
        )
        fresh = await inspect(before, head, changed, environment, stage="acceptance")
    noted_by_run = {"base": base, "commit": commit, "tree": head.oid}
    return compared(report, fresh, noted_by_run, settings.required)


def _checkout(base: str, commit: str, own: Path, workspace: Path, scratch: Path) -> tuple[Tree, Tree, frozenset[str]]:
    """Both trees and the paths in which they differ, from the first repository that has the commits."""
    theirs = run_git("rev-parse", "--path-format=absolute", "--git-path", "objects", cwd=workspace).stdout.rstrip("\n")
    missing = commit
    for number, objects in enumerate((own / "objects", Path(theirs))):
        git = make_git(scratch / f"git-{number}", objects, object_format(workspace))
        try:
            for missing in (base, commit):
                git.run("cat-file", "-e", f"{missing}^{{commit}}")
        except GitError:
            continue
        return export(git, base, scratch), export(git, commit, scratch), compare(git, base, commit).paths
    msg = f"commit {missing} is gone from the run's repository and from {workspace}: bring it back, then verify again"
    raise WorkspaceError(msg)


def compared(
    report: Report, fresh: Sequence[Verdict], noted: Mapping[str, str], required: Sequence[str]
) -> Verification:
    """Compares a report with verdicts that were reached anew on what the run `noted`: base, commit and its tree.

    Equal must be each item's outcome (a waived one must still fail), the tree its evidence is bound to, and each
    command with its exit code. Outputs and reasons may differ: they hold times.
    """
    differences = tuple(_differences(report, fresh, noted, required))
    items = {difference.item for difference in differences}
    recorded = [e for verdict in report.verdicts for e in verdict.evidence]
    repeated = {_mark(e) for verdict in fresh for e in verdict.evidence}
    return Verification(
        run=report.run,
        base=noted["base"],
        commit=noted["commit"],
        verdicts=len(report.verdicts),
        confirmed=sum(verdict.id not in items for verdict in report.verdicts),
        commands=len({e.command for e in recorded if e.command and _mark(e) in repeated}),
        differences=differences,
    )


def _differences(
    report: Report, fresh: Sequence[Verdict], noted: Mapping[str, str], required: Sequence[str]
) -> Iterator[Difference]:
    for name, value in noted.items():
        if (told := getattr(report, name)) != value:
            yield Difference(item="report", what=f"names {name} {told or 'none'}, that of the run is {value}")
    recorded = {verdict.id: verdict for verdict in report.verdicts}
    for name, times in Counter(verdict.id for verdict in report.verdicts).items():
        if times > 1:
            yield Difference(item=name, what=f"recorded {times} times")
    for now in fresh:
        then = recorded.pop(now.id, None)
        if then is None:
            yield Difference(item=now.id, what=f"not recorded, repeated {now.verdict}")
        elif what := _difference(then, now, noted["tree"]):
            yield Difference(item=now.id, what=what)
    for name in recorded:
        yield Difference(item=name, what="recorded, but no item of this program")
    waived = {verdict.id for verdict in report.verdicts if verdict.verdict is Outcome.WAIVED}
    standing = [v.model_copy(update={"verdict": Outcome.WAIVED}) if v.id in waived else v for v in fresh]
    if report.accepted and not accepted(standing, required):
        yield Difference(item="report", what="says accepted, which the repeated verdicts do not allow")


def _difference(then: Verdict, now: Verdict, tree: str) -> str:
    expected = Outcome.FAIL if then.verdict is Outcome.WAIVED else then.verdict
    if expected is not now.verdict:
        return one_line(f"recorded {then.verdict}, repeated {now.verdict}: {now.reason}")
    if strange := {then.tree, *(e.tree for e in then.evidence)} - {tree}:
        return f"bound to tree {strange.pop() or 'none'}, that of the commit is {tree}"
    before, after = (Counter(map(_mark, verdict.evidence)) for verdict in (then, now))
    for told, marks in (("recorded, but not repeated", before - after), ("repeated, but not recorded", after - before)):
        for tool, command, code in marks:
            return one_line(f"{told}: {tool}, `{' '.join(command)}` with exit code {code}")
    return ""


def _mark(evidence: Evidence) -> tuple[str, tuple[str, ...], int | None]:
    return evidence.tool, evidence.command, evidence.exit_code
