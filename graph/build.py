"""The sentence: analyse, decompose, approve, dispatch to specialists, review, integrate, accept, report."""

from collections.abc import Callable, Mapping
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.errors import GraphInterrupt
from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime

from backend_coordinator.domain.events import Noticed, TaskEnded
from backend_coordinator.domain.failure import LevelBudget
from backend_coordinator.domain.plan import Task
from backend_coordinator.domain.report import TaskResult
from backend_coordinator.domain.roster import Roster
from backend_coordinator.errors import InvalidPlan, ModelCallFailed
from backend_coordinator.graph.answers import Means, answer_now
from backend_coordinator.graph.reviewing import ABORTED, plan_made, review
from backend_coordinator.graph.routing import MOST_ROUNDS, after_approval, after_review, fan_out
from backend_coordinator.graph.specialist_flow import Flow, result_of, specialist_flow
from backend_coordinator.graph.state import Job, RunState, RunUpdate, TaskState
from backend_coordinator.nodes import accept as acceptance
from backend_coordinator.nodes import approval
from backend_coordinator.nodes.analyse import analyse as analyse_objective
from backend_coordinator.nodes.brief import context_items
from backend_coordinator.nodes.costs import calls_in
from backend_coordinator.nodes.decompose import decompose as make_plan
from backend_coordinator.nodes.facts import repository_facts
from backend_coordinator.nodes.inspect import kept_verdicts
from backend_coordinator.nodes.plan_compiler import PlanDraft, compile_plan, reasons, repairs_in
from backend_coordinator.nodes.plan_file import findings_before
from backend_coordinator.nodes.points import reach
from backend_coordinator.nodes.report import write_report
from backend_coordinator.nodes.try_models import try_models as try_all

Sentence = StateGraph[Any, Any, Any, Any]


async def analyse(state: RunState, runtime: Runtime[Means]) -> RunUpdate:
    """What the repository is and what the objective asks of it."""
    run = runtime.context.run
    assert state.objective is not None
    facts = repository_facts(run.repository.tree(run.repository.user.base_commit), run.roster)
    if state.plan is not None:
        return {"facts": facts}
    try:
        analysis = await analyse_objective(run, state.objective, facts)
    except ModelCallFailed as error:
        return {"facts": facts, "stopped": f"analysis: {error}"}
    return {"facts": facts, "analysis": analysis}


async def decompose(state: RunState, runtime: Runtime[Means]) -> RunUpdate:
    """The plan, compiled; one that was given is compiled only."""
    run = runtime.context.run
    if state.stopped or state.objective is None:
        return {}
    try:
        if state.plan is not None:
            compiled = compile_plan(PlanDraft(tasks=state.plan.tasks), run.roster, facts=state.facts)
        else:
            compiled = await make_plan(run, state.objective, state.analysis, state.facts)
    except (ModelCallFailed, InvalidPlan) as error:
        return {"stopped": f"decomposition: {error}"}
    findings = (*findings_before(run.ledger), *compiled.findings)
    run.ledger.record(plan_made(compiled.plan, findings, reasons(compiled.plan, run.roster, state.facts)))
    reach("plan recorded")
    return {"plan": compiled.plan, "repairs": repairs_in(findings)}


async def try_models(state: RunState, runtime: Runtime[Means]) -> RunUpdate:
    """Lets no work begin with a model that cannot be used. Raises ModelUnavailable.

    The only task that a model planned finds out by its first turn: beside it such a run makes two calls and no more.
    """
    run, plan = runtime.context.run, state.plan
    if plan is not None and not state.stopped and (len(plan.tasks) > 1 or not calls_in(run.ledger)):
        await try_all(run, [task.specialist for task in plan.tasks])
    return {}


async def approve_plan(state: RunState, runtime: Runtime[Means]) -> RunUpdate:
    """Goes on, asks a person, or ends the run, as the approval policy says."""
    run = runtime.context.run
    policy = run.settings.approval
    if state.plan is None or policy.policy("plan") == "auto":
        return {}
    if why := policy.refuses("plan"):
        approval.note_refused(run, {"plan": why})
        return {"stopped": f"the plan was refused: {why}"}
    answer = await answer_now(approval.plan_question(run, state.plan), runtime.context)
    return (
        {}
        if answer.decision == "approve"
        else {"stopped": f"the plan was rejected by {answer.by}. {answer.text}".strip()}
    )


async def dispatch(state: RunState, runtime: Runtime[Means]) -> RunUpdate:
    """Opens the conductor for the plan as it stands."""
    assert state.plan is not None
    run = runtime.context.run
    items = context_items(run, state.analysis, state.facts)
    runtime.context.conductor.open(state.plan, state.results, items)
    return {}


def specialist_node(flow: Flow) -> Callable[..., Any]:
    """The node of one specialist: waits for its turn, then runs the task's flow to its end."""

    async def specialist(job: Job, config: RunnableConfig, runtime: Runtime[Means]) -> RunUpdate:
        run, conductor = runtime.context.run, runtime.context.conductor
        assert conductor.plan is not None
        task = conductor.plan[job.task]
        admission = await conductor.admit(task.id)
        if admission == "park":
            raise GraphInterrupt(())  # nothing is written, so the task runs again on resume
        if admission == "later":
            return {}
        if admission == "skip":
            result = _skipped(task, conductor.results, aborts=conductor.aborted)
        else:
            await run.steps.gate()
            reach("task admitted")
            begin = TaskState(task=task, specialist=task.specialist)
            try:
                ended = await flow.ainvoke(begin, config)
            except GraphInterrupt:
                conductor.park(task.id)
                raise
            result = result_of(TaskState.model_validate(ended))
        if task.id not in conductor.told:
            run.ledger.record(TaskEnded(task=task.id, status=result.status, reason=result.reason))
        reach("task ended")
        conductor.end(task.id, result)
        return {"results": {task.id: result}}

    return specialist


async def consent(state: RunState, runtime: Runtime[Means]) -> RunUpdate:
    """A person mends the model that the review asks, or aborts the run."""
    assert state.question is not None
    answer = await answer_now(state.question, runtime.context)
    if answer.decision == "retry":
        return {"question": None}
    return {"question": None, "stopped": ABORTED}


async def integrate(state: RunState, runtime: Runtime[Means]) -> RunUpdate:
    """Publishes the run's branch."""
    await acceptance.integrate(runtime.context.run)
    reach("branch integrated")
    return {}


async def accept(state: RunState, runtime: Runtime[Means]) -> RunUpdate:
    """All gates on the merged tree."""
    return {"verdicts": await acceptance.acceptance(runtime.context.run, state.results)}


def after_accept(state: RunState) -> str:
    """Once more round while something fails on the merged tree that a task could mend."""
    if state.plan is None or state.stopped or state.rounds >= MOST_ROUNDS:
        return "report"
    whole = all(state.results[task.id].status == "merged" for task in state.plan.tasks)
    return "review" if whole and acceptance.repair_task(state.plan, state.results, state.verdicts) else "report"


async def report(state: RunState, runtime: Runtime[Means]) -> RunUpdate:
    """Writes the report; with it the run has ended."""
    run = runtime.context.run
    if state.stopped:
        run.ledger.record(Noticed(text=state.stopped))
    results = {name: r.model_copy(update={"verdicts": kept_verdicts(run, name)}) for name, r in state.results.items()}
    write_report(
        run,
        plan=state.plan,
        results=results,
        verdicts=state.verdicts,
        repairs=state.repairs,
        stopped=state.stopped,
    )
    reach("report written")
    return {"ended": True}


def sentence(roster: Roster, budget: LevelBudget) -> Sentence:
    """The outer graph, not yet compiled: every specialist of the roster is a node."""
    graph = StateGraph(RunState, context_schema=Means)
    for step in (analyse, decompose, try_models, approve_plan, dispatch, review, consent, integrate, accept, report):
        graph.add_node(step.__name__, step)
    flow = specialist_flow(budget)
    specialists = [member.name for member in roster.specialists if member.role == "specialist"]
    for name in specialists:
        graph.add_node(name, specialist_node(flow), input_schema=Job, metadata={"role": "specialist"})
        graph.add_edge(name, "review")
    graph.add_edge(START, "analyse")
    graph.add_edge("analyse", "decompose")
    graph.add_edge("decompose", "try_models")
    graph.add_edge("try_models", "approve_plan")
    graph.add_conditional_edges("approve_plan", after_approval, ["dispatch", "report"])
    graph.add_conditional_edges("dispatch", fan_out, [*specialists, "review"])
    graph.add_conditional_edges("review", after_review, ["dispatch", "integrate", "consent"])
    graph.add_conditional_edges("consent", lambda s: "integrate" if s.stopped else "review", ["review", "integrate"])
    graph.add_edge("integrate", "accept")
    graph.add_conditional_edges("accept", after_accept, ["review", "report"])
    graph.add_edge("report", END)
    return graph


def _skipped(task: Task, results: Mapping[str, TaskResult], *, aborts: bool) -> TaskResult:
    failed = [need for need in task.needs if need in results and results[need].status not in ("merged", "split")]
    reason = f"needs {', '.join(failed)}, which did not pass" if failed else "the run was aborted"
    return TaskResult(
        id=task.id,
        title=task.title,
        specialist=task.specialist,
        needs=task.needs,
        status="skipped",
        aborts=aborts,
        reason=reason,
    )
