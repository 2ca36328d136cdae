"""One specialist's way through one task: brief, work, inspect, merge, and the four rungs of the ladder."""

import time
from functools import partial
from typing import Any

from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.runtime import Runtime

from backend_coordinator.domain.events import TaskStarted
from backend_coordinator.domain.failure import LevelBudget
from backend_coordinator.domain.report import TaskResult
from backend_coordinator.errors import ModelUnavailable
from backend_coordinator.graph.answers import Means, answer_to
from backend_coordinator.graph.delivery import approve, inspect, merge, validate
from backend_coordinator.graph.routing import RUNGS, after_consent, after_inspection, after_rung, after_work, climb
from backend_coordinator.graph.rungs import give_up, ladder, level_1, level_2, level_3, level_4, wait
from backend_coordinator.graph.state import TaskState, TaskUpdate
from backend_coordinator.graph.updates import failing, items_of, screen_of
from backend_coordinator.nodes.brief import assign, assigned, fresh_tree, kept_tree
from backend_coordinator.nodes.points import reach
from backend_coordinator.nodes.tools.bench import Bench
from backend_coordinator.nodes.try_models import question_about, times_mended
from backend_coordinator.nodes.work import work as work_on

Flow = CompiledStateGraph[Any, Any, Any, Any]


async def brief(state: TaskState, runtime: Runtime[Means]) -> TaskUpdate:
    """Prepares the next attempt: a tree, and an assignment filtered for its specialist."""
    run, conductor = runtime.context.run, runtime.context.conductor
    assert conductor.plan is not None
    task, attempt = state.task, state.attempt + 1
    base = await fresh_tree(run, task) if state.fresh else state.base
    reach("checkout made")
    assign(
        run,
        task,
        run.roster.get(state.specialist),
        attempt=attempt,
        items=items_of(state, runtime.context),
        guidance=state.guidance,
        blocks=conductor.plan.blocks[task.id],
        screen=screen_of(state, runtime.context),
    )
    run.ledger.record(TaskStarted(task=task.id, specialist=state.specialist, attempt=attempt, title=task.title))
    return {"attempt": attempt, "base": base, "fresh": False, "failure": None}


async def work(state: TaskState, runtime: Runtime[Means]) -> TaskUpdate:
    """One attempt: turns and tools until it is submitted, fails, or needs a person's consent."""
    run = runtime.context.run
    specialist = run.roster.get(state.specialist)
    tree = await kept_tree(run, state.task, state.base, state.attempt)
    bench = Bench(
        tree,
        state.task,
        specialist,
        run,
        state.attempt,
        began=time.monotonic() - state.seconds,
        aborted=lambda: runtime.context.conductor.aborted,
        screen=screen_of(state, runtime.context),
        before=partial(screen_of, state, runtime.context),
        known=items_of(state, runtime.context),
    )
    mended = times_mended(run.ledger)
    try:
        worked = await work_on(assigned(run, state.task.id), bench, specialist.prompt)
    except ModelUnavailable as error:
        return {"question": question_about(run, error, mended), "seconds": bench.seconds()}
    if worked.question is not None:
        return {"question": worked.question, "seconds": bench.seconds()}
    update: TaskUpdate = {
        "usage": state.usage + worked.usage,
        "seconds": bench.seconds(),
        "submission": worked.submission,
        "question": None,
    }
    return {**update, **failing(state, runtime.context, worked.failure)} if worked.failure else update


async def consent(state: TaskState, runtime: Runtime[Means]) -> TaskUpdate:
    """A person allows or refuses a tool call, or mends the model; what was asked for goes on from its journal."""
    assert state.question is not None
    answer = await answer_to(state.question, runtime, state.task.id)
    if answer.decision == "abort":
        return {"question": None, "ending": "aborted", "reason": f"the run was aborted by {answer.by}"}
    return {"question": None}


def result_of(state: TaskState) -> TaskResult:
    """How the task ended, as the outer graph and the report keep it."""
    task, delivery = state.task, state.delivery
    status = state.ending or "given_up"
    return TaskResult(
        id=task.id,
        title=task.title,
        specialist=state.specialist,
        needs=task.needs,
        status="abandoned" if status == "aborted" else status,
        aborts=status == "aborted",
        reason=state.reason,
        summary=delivery.summary if delivery else "",
        commit=delivery.commit if delivery else "",
        artifacts=delivery.artifacts if delivery else (),
        decisions=delivery.decisions if delivery else (),
        claims=delivery.claims if delivery else (),
        requests=delivery.needs if delivery else (),
        attempts=state.attempt,
        failures=state.attempts,
        escalations=state.escalations,
        waived=state.waived,
        usage=state.usage,
        seconds=round(state.seconds, 3),
        log=f"transcripts/{task.id}-{state.attempt}.jsonl",
    )


def specialist_flow(budget: LevelBudget) -> Flow:
    """The compiled flow that every specialist's node runs; `budget` bounds each rung."""
    graph = StateGraph(TaskState, context_schema=Means)
    rungs = (level_1, level_2, level_3, level_4)
    for step in (brief, work, consent, inspect, approve, validate, merge, ladder, *rungs, wait, give_up):
        graph.add_node(step.__name__, step)
    graph.add_edge(START, "brief")
    graph.add_edge("brief", "work")
    graph.add_conditional_edges("work", after_work, ["consent", "inspect", "ladder"])
    graph.add_conditional_edges("consent", after_consent, ["work", "ladder", END])
    graph.add_conditional_edges("inspect", after_inspection, ["approve", "ladder"])
    graph.add_conditional_edges("approve", lambda s: "ladder" if s.failure else "validate", ["validate", "ladder"])
    graph.add_conditional_edges("validate", lambda s: "ladder" if s.failure else "merge", ["merge", "ladder"])
    graph.add_conditional_edges("merge", lambda s: END if s.ending else "ladder", [END, "ladder"])
    graph.add_conditional_edges("ladder", lambda s: climb(s, budget), [*RUNGS, "give_up"])
    after = ["ladder", "brief", "inspect", "approve", "give_up", "wait", "consent"]
    for rung in RUNGS:
        graph.add_conditional_edges(rung, after_rung, after)
    graph.add_conditional_edges("wait", lambda s: "give_up" if s.ending else "brief", ["give_up", "brief"])
    graph.add_edge("give_up", END)
    return graph.compile()
