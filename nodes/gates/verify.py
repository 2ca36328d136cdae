"""Repeating the inspection a report speaks of, on a fresh checkout, and comparing it with what is found."""

import asyncio
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from backend_coordinator.domain.base import Value
from backend_coordinator.domain.events import Failed, Merged, PlanMade, RunEnded, TaskEnded, TaskStarted
from backend_coordinator.domain.failure import Attempt, Failure
from backend_coordinator.domain.report import Report, TaskResult
from backend_coordinator.domain.verdict import Evidence, Finding, Outcome, Verdict
from backend_coordinator.errors import WorkspaceError
from backend_coordinator.nodes import records
from backend_coordinator.nodes.accept import standing
from backend_coordinator.nodes.context import adopted_groups
from backend_coordinator.nodes.costs import calls_in, spent
from backend_coordinator.nodes.doubts import doubts_in
from backend_coordinator.nodes.gates.evidence import one_line, read_evidence
from backend_coordinator.nodes.gates.inspection import inspect
from backend_coordinator.nodes.gates.policy import accepted, headline
from backend_coordinator.nodes.gates.project import MEASURING
from backend_coordinator.nodes.ledger import Ledger
from backend_coordinator.nodes.metrics import metrics_of, noted
from backend_coordinator.nodes.redaction import redactor_for
from backend_coordinator.nodes.workspace.environment import build
from backend_coordinator.nodes.workspace.git import Git, GitError, run_git
from backend_coordinator.nodes.workspace.sandbox import confinement
from backend_coordinator.nodes.workspace.trees import Tree, compare, export, make_git, object_format
from backend_coordinator.settings import Settings, cache_folder

_READING = read_evidence((), "").command


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

    Installed environments are used again. Base, commit and all else that is compared come from what the run itself
    recorded. Raises WorkspaceError when a commit is gone.
    """
    ledger = records.load(folder)
    base = ledger.noted("base") or report.base
    settings = Settings.model_validate_json(ledger.noted("settings") or "{}")
    branch, own = f"backend-coordinator/{folder.name}", folder / "git"
    tip = ("rev-parse", "--verify", "--quiet", f"refs/heads/{branch}")
    merges = [event.commit for _, event in ledger.events() if isinstance(event, Merged)]
    commit = (Git(own).run(*tip, check=False).strip() if own.is_dir() else "") or (merges[-1] if merges else base)
    with tempfile.TemporaryDirectory() as name:
        before, head, changed = await asyncio.to_thread(_checkout, base, commit, own, workspace, Path(name))
        sandbox = await confinement(settings.sandbox, trusted={report.model, *report.models.values()} == {"offline"})
        services = tuple(sorted(settings.services.items()))
        environment = await build(
            head.path,
            cache=cache_folder(),
            sandbox=sandbox,
            services=services,
            tools=MEASURING,
            also=adopted_groups(ledger),
            postgres=settings.postgres,
        )
        fresh = await inspect(before, head, changed, environment, stage="acceptance")
    place = {"run": folder.name, "base": base, "branch": branch, "commit": commit, "tree": head.oid}
    proper = rebuilt(report.model_copy(update=place), fresh, ledger, delivered=bool(changed))
    redact = redactor_for(workspace)
    return compared(report, Report.model_validate_json(redact(proper.model_dump_json(indent=1))))


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


def rebuilt(report: Report, fresh: Sequence[Verdict], ledger: Ledger, *, delivered: bool) -> Report:
    """The report as it follows from the ledger and from `fresh` verdicts; what neither tells stays as it is."""
    tasks, last = _tasks(report, ledger)
    merged = {task.id for task in tasks if task.status == "merged"}
    verdicts = standing(fresh, ledger.questions(), merged)
    required = Settings.model_validate_json(ledger.noted("settings") or "{}").required
    whole = delivered and len(merged) == len(tasks) > 0
    ok = whole and accepted(verdicts, required)
    measured = noted(ledger, report.tree)
    total, coordination, work = spent(ledger)
    changes = {
        "objective": ledger.noted("objective") or "",
        "accepted": ok,
        "summary": headline(verdicts, ok, required) if whole else last,
        "tasks": tasks,
        "verdicts": verdicts,
        "questions": ledger.questions(),
        "metrics": metrics_of(tasks, verdicts, measured),
        "baseline": measured.failing if measured else (),
        "in_doubt": doubts_in(ledger),
        "usage": total,
        "coordination": coordination,
        "work": work,
        "calls": calls_in(ledger),
    }
    return report.model_copy(update=changes)


def _tasks(report: Report, ledger: Ledger) -> tuple[tuple[TaskResult, ...], str]:
    """The planned tasks as their events tell of them, and the last line of the run."""
    told, last = {task.id: task for task in report.tasks}, ""
    begin: dict[str, object] = {"status": "skipped", "reason": "", "attempts": 0, "failures": ()}
    plan: tuple[str, ...] = ()
    tasks: dict[str, TaskResult] = {}
    for _, event in ledger.events():
        match event:
            case PlanMade(tasks=plan):
                for name in plan:
                    task = told.get(name) or TaskResult(id=name, title="", specialist="", status="skipped")
                    tasks.setdefault(name, task.model_copy(update=begin))
            case TaskStarted(task=name, attempt=attempt):
                tasks[name] = tasks[name].model_copy(update={"attempts": max(tasks[name].attempts, attempt)})
            case Failed(task=name, attempt=attempt, failure=kind, summary=why):
                failed = Attempt(number=attempt, specialist="", failure=Failure(kind=kind, summary=why))
                tasks[name] = tasks[name].model_copy(update={"failures": (*tasks[name].failures, failed)})
            case TaskEnded(task=name, status=status, reason=why):
                tasks[name] = tasks[name].model_copy(update={"status": status, "reason": why})
            case RunEnded(summary=last):
                pass
    return tuple(tasks[name] for name in plan), last


def compared(report: Report, proper: Report) -> Verification:
    """Compares a report with what was found anew.

    Equal must be each item's outcome, the tree its evidence is bound to, what its evidence says as far as that does
    not hold times, how each task ended, and the head with its metrics.
    """
    differences = tuple(_differences(report, proper))
    items = {difference.item for difference in differences}
    repeated = {mark for verdict in proper.verdicts for mark in _marks(verdict)}
    return Verification(
        run=proper.run,
        base=proper.base,
        commit=proper.commit,
        verdicts=len(report.verdicts),
        confirmed=sum(verdict.id not in items for verdict in report.verdicts),
        commands=len({m.command for v in report.verdicts for m in _marks(v) if m.command and m in repeated}),
        differences=differences,
    )


def _differences(report: Report, proper: Report) -> Iterator[Difference]:
    told, known = _told(report), _told(proper)
    for item, name in dict.fromkeys((*told, *known)):
        says, should = ("; ".join(side.get((item, name), ())) or "none" for side in (told, known))
        if says != should:
            yield Difference(item=item, what=f"names {name} {one_line(says)}, that of the run is {one_line(should)}")
    recorded = {verdict.id: verdict for verdict in report.verdicts}
    for name, times in Counter(verdict.id for verdict in report.verdicts).items():
        if times > 1:
            yield Difference(item=name, what=f"recorded {times} times")
    for now in proper.verdicts:
        then = recorded.pop(now.id, None)
        if then is None:
            yield Difference(item=now.id, what=f"not recorded, repeated {now.verdict}")
        elif what := _difference(then, now, proper.tree):
            yield Difference(item=now.id, what=what)
    for name in recorded:
        yield Difference(item=name, what="recorded, but no item of this program")


def _told(report: Report) -> Mapping[tuple[str, str], Sequence[str]]:
    """What is compared besides the verdicts, by item and name; a name said twice has two texts."""
    told: dict[tuple[str, str], list[str]] = defaultdict(list)
    for name in ("run", "base", "branch", "commit", "tree", "objective", "accepted", "summary"):
        told["report", name].append(str(getattr(report, name)))
    told["report", "baseline"] += report.baseline
    for name in ("usage", "coordination", "work"):
        told["report", name].append(getattr(report, name).model_dump_json())
    told["report", "in doubt"] += [doubt.model_dump_json() for doubt in report.in_doubt]
    told["report", "calls"] += [call.model_dump_json() for call in report.calls]
    for metric in report.metrics:
        told["report", metric.name].append(f"{metric.value} {metric.unit}, {metric.how}")
    for question in report.questions:
        told["report", question.id].append(question.model_dump_json())
    for task in report.tasks:
        kinds = sorted({f"{attempt.number} {attempt.failure.kind}" for attempt in task.failures})
        told[task.id, "status"].append(f"{task.status} {task.reason}".strip())
        told[task.id, "attempts"].append(f"{task.attempts}, failures {', '.join(kinds) or 'none'}")
    return told


def _difference(then: Verdict, now: Verdict, tree: str) -> str:
    if then.verdict is not now.verdict:
        return one_line(f"recorded {then.verdict}, repeated {now.verdict}: {now.reason}")
    if strange := {then.tree, *(e.tree for e in then.evidence)} - {tree}:
        return f"bound to tree {strange.pop() or 'none'}, that of the commit is {tree}"
    before, after = (Counter(_marks(verdict)) for verdict in (then, now))
    for told, marks in (("recorded, but not repeated", before - after), ("repeated, but not recorded", after - before)):
        for mark in marks:
            what = f"{mark.tool} {mark.version}, `{' '.join(mark.command)}` with exit code {mark.exit_code}"
            return one_line(f"{told}: {what}: {mark.summary}")
    return ""


def _marks(verdict: Verdict) -> Iterator[Evidence]:
    """The parts of a verdict's evidence that a repetition must show again.

    A command's output, and what findings quote of it, hold times; so may alembic's last line, and what hindered an
    unknown verdict may name a folder that is gone.
    """
    for evidence in verdict.evidence:
        left: dict[str, object] = {"tree": ""}
        if evidence.command != _READING:
            places = sorted({(finding.path, finding.line) for finding in evidence.findings})
            left["output_sha256"] = ""
            left["findings"] = tuple(Finding(path=path, line=line, message="") for path, line in places)
        if verdict.verdict is Outcome.UNKNOWN or evidence.tool == "alembic":
            left["summary"] = ""
        yield evidence.model_copy(update=left)
