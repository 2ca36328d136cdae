"""The signed account: what was accepted, on which evidence, and what it cost."""

import time
from collections.abc import Mapping, Sequence
from typing import TypedDict

from backend_coordinator.domain.events import COORDINATOR, Escalated, PlanChanged, PlanMade, RunEnded
from backend_coordinator.domain.failure import Escalation
from backend_coordinator.domain.plan import Plan
from backend_coordinator.domain.report import Decided, LevelRecovery, Metric, Progress, Report, TaskResult
from backend_coordinator.domain.verdict import Outcome, Verdict
from backend_coordinator.nodes import costs, recovery
from backend_coordinator.nodes.accept import is_accepted
from backend_coordinator.nodes.context import RunContext, own_models
from backend_coordinator.nodes.doubts import doubts_in
from backend_coordinator.nodes.gates.policy import headline
from backend_coordinator.nodes.gates.registry import ITEMS
from backend_coordinator.nodes.ledger import Ledger
from backend_coordinator.nodes.metrics import metrics_of, noted
from backend_coordinator.nodes.models.resolve import model_name
from backend_coordinator.nodes.plan_review import THE_PLAN
from backend_coordinator.nodes.private import write_private
from backend_coordinator.nodes.progress import progress_of
from backend_coordinator.nodes.protocols import steps_of
from backend_coordinator.nodes.workspace.sandbox import LEVELS, Sandbox


class Planned(TypedDict):
    """What the report says of the plan beside its tasks."""

    remarks: tuple[str, ...]
    chosen: dict[str, str]
    history: tuple[PlanChanged, ...]
    recovery: tuple[LevelRecovery, ...]
    progress: tuple[Progress, ...]


def write_report(
    context: RunContext,
    *,
    plan: Plan | None,
    results: Mapping[str, TaskResult],
    verdicts: Sequence[Verdict],
    repairs: Sequence[str],
    stopped: str | None,
) -> Report:
    """Writes `report.json` and `report.md` into the run's folder and says that the run has ended."""
    ok = stopped is None and is_accepted(context, plan, results, verdicts)
    ordered = [results[task.id] for task in plan.tasks if task.id in results] if plan else []
    took = costs.spent(context.ledger)
    head = context.repository.head()
    tree = context.repository.tree(head).oid
    measured = noted(context.ledger, tree)
    report = Report(
        run=context.run,
        objective=context.ledger.noted("objective") or "",
        accepted=ok,
        summary=_summary(context, ok, ordered, verdicts, stopped),
        base=context.repository.user.base_commit,
        branch=context.repository.branch,
        commit=head,
        tree=tree,
        model=model_name(context.model),
        models=_models(context, ordered),
        sandbox=context.sandbox.level,
        tasks=tuple(ordered),
        verdicts=tuple(verdicts),
        escalations=(
            *_of_the_plan(context.ledger),
            *(step for result in (*_split(results), *ordered) for step in result.escalations),
        ),
        decisions=_decided(ordered),
        questions=context.ledger.questions(),
        repairs=tuple(repairs),
        split=_split(results),
        **_planned(context.ledger),
        protocols=tuple(steps_of(context.ledger, plan.tasks if plan else (), results, measured)),
        metrics=metrics_of(ordered, verdicts, measured),
        baseline=measured.failing if measured else (),
        in_doubt=doubts_in(context.ledger),
        usage=took.total,
        coordination=took.coordination,
        work=took.work,
        calls=costs.calls_in(context.ledger),
        seconds=max(0.0, round(time.time() - float(context.ledger.noted("created") or time.time()), 1)),
    )
    return _publish(context, report)


def _publish(context: RunContext, report: Report) -> Report:
    """Writes both files, and says that the run has ended unless that was said before a crash."""
    context.ledger.demand_held()
    for name, text in (("report.json", report.model_dump_json(indent=1)), ("report.md", markdown(report))):
        write_private(context.folder / name, context.redact(text) + "\n")
    if not any(isinstance(event, RunEnded) for _, event in context.ledger.events()):
        context.ledger.record(RunEnded(accepted=report.accepted, summary=report.summary))
    return report


def _decided(results: Sequence[TaskResult]) -> tuple[Decided, ...]:
    return tuple(Decided(task=r.id, by=r.specialist, kind=d.kind, text=d.text) for r in results for d in r.decisions)


def _planned(ledger: Ledger) -> Planned:
    """Remarks on the plan, for each task who it was given to and why, and how it all went."""
    events = [event for _, event in ledger.events()]
    made = [event for event in events if isinstance(event, PlanMade)]
    remarks = dict.fromkeys(str(finding) for event in made for finding in event.findings if finding.remark)
    chosen = {each.task: f"{each.specialist}, {each.why}" for event in made for each in event.outline if each.why}
    return {
        "remarks": tuple(remarks),
        "chosen": chosen,
        "history": tuple(event for event in events if isinstance(event, PlanChanged)),
        "recovery": recovery.recovery_of(events),
        "progress": progress_of(events),
    }


def _split(results: Mapping[str, TaskResult]) -> tuple[TaskResult, ...]:
    return tuple(result for result in results.values() if result.status == "split")


def _of_the_plan(ledger: Ledger) -> list[Escalation]:
    steps = [event.escalation for _, event in ledger.events() if isinstance(event, Escalated)]
    return [step for step in steps if step.task == THE_PLAN]


def _summary(
    context: RunContext,
    ok: bool,
    results: Sequence[TaskResult],
    verdicts: Sequence[Verdict],
    stopped: str | None,
) -> str:
    if stopped:
        return f"not accepted: {stopped}"
    unfinished = [
        f"{r.id} {r.status.replace('_', ' ')}: {r.reason}" for r in results if r.status not in ("merged", "skipped")
    ]
    if unfinished:
        return f"not accepted: {'; '.join(unfinished)}"
    if not context.repository.changed_paths(context.repository.user.base_commit, context.repository.head()):
        return "not accepted: nothing was delivered"
    return headline(verdicts, ok, context.settings.required)


def _held(level: str) -> str:
    return next((f" ({box.holds}; {box.advice})" for box in map(Sandbox, LEVELS) if box.level == level), "")


def markdown(report: Report) -> str:
    """The report for people; every table row is one fact."""
    titles = {item.id: item.title for item in ITEMS}
    waived = [v.id for v in report.verdicts if v.verdict is Outcome.WAIVED]
    baseline = f"{len(report.baseline)} tests, {', '.join(report.baseline)}"
    lines = [
        f"# {'Accepted' if report.accepted else 'Not accepted'}: {_line(report.objective)}",
        "",
        f"**{_line(report.summary)}**",
        "",
        f"- branch `{report.branch}` at `{report.commit[:12]}`, grown from `{report.base[:12]}`",
        f"- run `{report.run}`, model `{report.model}`, sandbox `{report.sandbox}`{_held(report.sandbox)}",
        f"- {costs.in_words(report.usage)}; of these for coordination: {costs.in_words(report.coordination)}",
        f"- {costs.parts_in_words(report.coordination, report.work)}; "
        f"the run took {report.seconds:.0f} s with gates, merges and waiting",
        *([f"- models of their own: {_line(_pairs(report.models))}"] if report.models else []),
        *([f"- waived by a person: {', '.join(waived)}"] if waived else []),
        *([f"- failed before this run, not blamed on it: {_line(baseline)}"] if report.baseline else []),
        *(f"- plan repaired: {_line(repair)}" for repair in report.repairs),
        *(f"- plan, a remark: {_line(remark)}" for remark in report.remarks),
        *(f"- {task}: {_line(why)}" for task, why in report.chosen.items()),
        "",
        "## Tasks",
        "",
        "| task | specialist | how it ended | attempts | what |",
        "|---|---|---|---|---|",
        *(
            f"| {t.id} {_line(t.title)} | {t.specialist} | {t.status.replace('_', ' ')} | {t.attempts} "
            f"| {_line(t.summary or t.reason)} |"
            for t in report.tasks
        ),
        "",
        "## Gates",
        "",
        "| item | verdict | why | evidence |",
        "|---|---|---|---|",
        *(
            f"| {v.id} {titles.get(v.id, '')} | {v.verdict.value.replace('_', ' ')} | {_line(v.reason)} "
            f"| {_evidence(v)} |"
            for v in report.verdicts
        ),
    ]
    lines += ["", "## Metrics", "", "| metric | value | how it was computed |", "|---|---|---|"]
    lines += [f"| {m.name} | {_value(m)} | {_line(m.how)} |" for m in report.metrics]
    lines += _usage(report)
    lines += _recovery(report)
    lines += _climbed(report)
    return "\n".join(lines)


def _climbed(report: Report) -> list[str]:
    """What a person may want to look at: protocols, decisions, escalations, and what may have taken effect."""
    lines: list[str] = []
    if report.protocols:
        lines += ["", "## Protocols", "", "| task | step | how it ended | by | evidence |", "|---|---|---|---|---|"]
        lines += [
            f"| {p.task} | {p.step.replace('_', ' ')} | {p.status.replace('_', ' ')} | {p.by} | {_line(p.evidence)} |"
            for p in report.protocols
        ]
    if report.decisions:
        lines += ["", "## Decisions", ""]
        lines += [f"- {d.task}, {d.by}, {d.kind}: {_line(d.text)}" for d in report.decisions]
    if report.history:
        lines += ["", "## Plan changes", ""]
        lines += [f"- {_line(': '.join(change.told))}" for change in report.history]
    if report.escalations:
        lines += ["", "## Escalations", ""]
        lines += [
            f"- {s.task}, level {int(s.level)}, {s.failure}: {s.asked_by} asked {s.asked}: "
            f"{_line(s.answer) or 'no answer'} ({s.action or 'climbs on'})"
            for s in report.escalations
        ]
    if report.in_doubt:
        lines += ["", "## In doubt", "", "A process ended while these ran; whether they took effect is not known.", ""]
        lines += [f"- {each.task}: {each.tool} {_line(each.subject)}" for each in report.in_doubt]
    return lines


def _models(context: RunContext, results: Sequence[TaskResult]) -> dict[str, str]:
    """Those of the coordinator and of who ended a task."""
    worked = {COORDINATOR, *(result.specialist for result in results)}
    return {name: own for name, own in own_models(context.roster, context.settings).items() if name in worked}


def _pairs(named: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {value}" for name, value in named.items())


def _value(metric: Metric) -> str:
    return "not measured" if metric.value is None else f"{metric.value:g} {metric.unit}"


def _evidence(verdict: Verdict) -> str:
    return "; ".join(_line(f"{e.tool} {e.version}: {e.summary}") for e in verdict.evidence)


def _usage(report: Report) -> list[str]:
    lines = [f"| {' | '.join(cells)} |" for cells in costs.rows(report.calls, costs.of(report))]
    remarks = [f"\n{_line(remark)}" for remark in costs.remarks(report.calls, report.usage)]
    return [
        "",
        "## Usage",
        "",
        f"| {' | '.join(costs.HEADINGS)} |",
        f"|{'---|' * len(costs.HEADINGS)}",
        *lines,
        *remarks,
    ]


def _recovery(report: Report) -> list[str]:
    if not any(each.steps for each in report.recovery):
        return []
    table = [f"| {' | '.join(cells)} |" for cells in recovery.rows(report.recovery)]
    took = costs.in_words(recovery.total(report.recovery))
    head = f"| {' | '.join(recovery.HEADINGS)} |", f"|{'---|' * len(recovery.HEADINGS)}"
    return ["", "## Recovery", "", *head, *table, "", f"All recovery: {took}"]


def _line(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())[:300]
