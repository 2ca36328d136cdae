"""After a superstep: the plan as it was amended, with parts for what was split, and what more is needed."""

from collections.abc import Mapping, Sequence

from langgraph.runtime import Runtime

from backend_coordinator.domain.events import Outline, PlanMade, TaskEnded
from backend_coordinator.domain.plan import Finding, Plan, Task
from backend_coordinator.domain.report import TaskResult
from backend_coordinator.errors import InvalidPlan, ModelUnavailable
from backend_coordinator.graph.answers import Means
from backend_coordinator.graph.routing import MOST_ROUNDS
from backend_coordinator.graph.state import RunState, RunUpdate
from backend_coordinator.graph.updates import screened
from backend_coordinator.nodes import accept as acceptance
from backend_coordinator.nodes.amend import as_amended, divided, kept_parts, tell_change
from backend_coordinator.nodes.needs import additions
from backend_coordinator.nodes.plan_compiler import reasons, repairs_in
from backend_coordinator.nodes.try_models import question_about, times_mended

ABORTED = "aborted by the answer to a question"


async def review(state: RunState, runtime: Runtime[Means]) -> RunUpdate:
    """After all tasks ended: puts parts in the place of what was split, and adds what turned out to be needed.

    That is what specialists reported, or what mends what the acceptance found broken.
    """
    run = runtime.context.run
    assert state.plan is not None
    plan = as_amended(run.ledger, state.plan)
    kept: RunUpdate = {} if plan == state.plan else {"plan": plan}
    if any(result.aborts for result in state.results.values()):
        return {**kept, "stopped": ABORTED}
    if split := [
        task.id for task in plan.tasks if task.id in state.results and state.results[task.id].status == "split"
    ]:
        return _replaced(state, runtime.context, plan, split)
    if state.rounds >= MOST_ROUNDS:
        return kept
    mended = times_mended(run.ledger)
    try:
        tasks, findings = await _more(state, runtime.context, plan)
    except ModelUnavailable as error:
        return {**kept, "question": question_about(run, error, mended)}
    if not tasks:
        return {**kept, "heard": tuple(state.results)}
    grown = Plan(tasks=(*plan.tasks, *screened(runtime.context, plan, tasks)))
    _tell(state, runtime.context, plan, grown, findings)
    return {"plan": grown, "rounds": state.rounds + 1, "heard": tuple(state.results), "verdicts": ()}


async def _more(state: RunState, means: Means, plan: Plan) -> tuple[tuple[Task, ...], tuple[Finding, ...]]:
    """Tasks to add to a plan all of whose tasks ended, with what was mended in them."""
    if state.verdicts:
        mend = acceptance.repair_task(plan, state.results, state.verdicts)
        return ((mend,) if mend else ()), ()
    unheard = {name: result for name, result in state.results.items() if name not in state.heard}
    return await additions(means.run, plan, unheard, round_=state.rounds, facts=state.facts)


def _replaced(state: RunState, means: Means, plan: Plan, split: Sequence[str]) -> RunUpdate:
    """The plan with parts for what was split; what cannot be split any more is given up."""
    run, before, ended = means.run, plan, dict[str, TaskResult]()
    findings: tuple[Finding, ...] = ()
    for name in split:
        try:
            if state.rounds >= MOST_ROUNDS:
                raise InvalidPlan([f"tasks were added to the plan {MOST_ROUNDS} times, which is the most"])
            compiled = divided(run, plan, plan[name], kept_parts(run.ledger, name))
        except InvalidPlan as error:
            reason = f"it was to be split: {error}"
            run.ledger.record(TaskEnded(task=name, status="given_up", reason=reason))
            ended[name] = state.results[name].model_copy(update={"status": "given_up", "reason": reason})
            continue
        known, findings = plan.by_id, (*findings, *compiled.findings)
        new = screened(means, compiled.plan, [task for task in compiled.plan.tasks if task.id not in known])
        plan = Plan(tasks=(*(task for task in compiled.plan.tasks if task.id in known), *new))
    if plan != before:
        _tell(state, means, before, plan, findings)
    return {"plan": plan, "results": ended, "rounds": state.rounds + (plan != before)}


def _tell(state: RunState, means: Means, before: Plan, plan: Plan, findings: tuple[Finding, ...]) -> None:
    means.run.ledger.record(plan_made(plan, findings, reasons(plan, means.run.roster, state.facts)))
    tell_change(means.run, before, plan)


def plan_made(plan: Plan, findings: tuple[Finding, ...], why: Mapping[str, str]) -> PlanMade:
    """The event of a plan as it now stands; `why` says for each task why it has its specialist."""
    outline = tuple(
        Outline(task=t.id, title=t.title, specialist=t.specialist, needs=t.needs, why=why[t.id]) for t in plan.tasks
    )
    return PlanMade(
        tasks=tuple(t.id for t in plan.tasks),
        groups=plan.groups,
        repairs=repairs_in(findings),
        findings=findings,
        outline=outline,
    )
