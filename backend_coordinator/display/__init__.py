"""A plan, a run and its report for notebooks: HTML there, plain text everywhere else."""

from pathlib import Path

from backend_coordinator.cli.output import columns
from backend_coordinator.display.following import progress
from backend_coordinator.display.markup import Shown, chip, join, rows, table, tag
from backend_coordinator.display.picture import drawing
from backend_coordinator.domain.plan import Plan
from backend_coordinator.domain.report import Report
from backend_coordinator.domain.verdict import Outcome, Verdict
from backend_coordinator.nodes import costs
from backend_coordinator.nodes.gates.registry import BY_ID, ITEMS, Category
from backend_coordinator.nodes.workspace.git import GitError, run_git

__all__ = ["Shown", "diff", "gate_matrix", "metrics", "plan_picture", "plan_table", "progress", "usage"]
_SIGNS = dict(zip(Outcome, ("✓", "✗", "?", "n/a", "waived"), strict=True))


def plan_table(plan: Plan) -> Shown:
    """The tasks of a plan, a row each."""
    cells = [(t.id, t.specialist, t.title, ", ".join(t.needs), ", ".join(t.writes), t.effort.value) for t in plan.tasks]
    return table(cells, "task", "specialist", "what", "needs", "writes", "effort")


def plan_picture(plan: Plan) -> Shown:
    """The plan as a graph: a column per parallel group, the critical path thick.

    An arrow that others imply is left out; the table has every need.
    """
    path = f"critical path: {' -> '.join(plan.critical_path)}"
    told = [f"group {n}: {' + '.join(group)}" for n, group in enumerate(plan.groups, 1)]
    return Shown("\n".join((*told, path)), drawing(plan), tag("p", path, class_="faint"))


def gate_matrix(report: Report) -> Shown:
    """The forty items in their seven groups, a sign and a tint per verdict; reasons on hover and below."""
    given = {verdict.id: verdict for verdict in report.verdicts}
    missing = "the run ended before this was judged"
    found = [given.get(i.id) or Verdict(id=i.id, verdict=Outcome.UNKNOWN, reason=missing) for i in ITEMS]
    groups = [(c.value, [v for v in found if BY_ID[v.id].category is c]) for c in Category]
    plain = [(name, " ".join(_sign(v) for v in verdicts)) for name, verdicts in groups]
    grid = [(name, join(chip(_sign(v), v.verdict, _why(v)) for v in verdicts)) for name, verdicts in groups]
    kinds = [(outcome, [v for v in found if v.verdict is outcome]) for outcome in Outcome]
    legend = ", ".join(f"{len(some)} {_said(kind)}" for kind, some in kinds if some)
    return Shown(f"{columns(plain)}\n{legend}", rows(grid), *(_reasons(kind, some) for kind, some in kinds if some))


def diff(workspace: str | Path, report: Report, path: str | None = None) -> Shown:
    """What the run's branch changed since its base: the statistics, or one file line by line.

    Raises GitError where the workspace does not have the run's commits.
    """
    what = ("--", path) if path else ("--stat=100",)
    revisions = f"{report.base}...{report.commit}"
    done = run_git("diff", "--no-ext-diff", "--no-textconv", "--no-color", revisions, *what, cwd=Path(workspace))
    if done.returncode:
        raise GitError("diff", done.returncode, done.stderr)
    text = done.stdout.encode("utf-8", "surrogateescape").decode("utf-8", "replace").rstrip("\n")
    head, at, body = text.partition("\n@@") if path else ("", "", text)
    kinds = {"+": "plus", "-": "minus", "@": "faint"} if path else {}
    lines = [tag("div", line, class_="faint") for line in head.splitlines()]
    lines += [tag("div", line or " ", class_=kinds.get(line[:1], "")) for line in f"{at}{body}".strip("\n").split("\n")]
    return Shown(text or "nothing changed", tag("pre", *lines))


def metrics(report: Report) -> Shown:
    """The report's metrics with their units, and how each was computed."""
    cells = [(m.name, "not measured" if m.value is None else f"{m.value:g} {m.unit}", m.how) for m in report.metrics]
    return table(cells, "metric", "value", "how")


def usage(report: Report) -> Shown:
    """What the model calls took, by task and by the coordinator's verbs."""
    return table(list(costs.rows(report.calls, costs.of(report))), *costs.HEADINGS)


def _said(outcome: Outcome) -> str:
    return outcome.value.replace("_", " ")


def _sign(verdict: Verdict) -> str:
    return f"{verdict.id} {_SIGNS[verdict.verdict]}"


def _why(verdict: Verdict) -> str:
    return f"{BY_ID[verdict.id].title}: {_said(verdict.verdict)}, {verdict.reason}"


def _reasons(outcome: Outcome, verdicts: list[Verdict]) -> str:
    summary = tag("summary", chip(str(len(verdicts)), outcome), _said(outcome))
    open_ = {"open": ""} if outcome is Outcome.FAIL else {}
    return tag("details", summary, rows((v.id, BY_ID[v.id].title, v.reason) for v in verdicts), **open_)
