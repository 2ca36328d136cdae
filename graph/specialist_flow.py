"""One specialist's way through one task: brief, work, inspect, merge, and the four rungs of the ladder."""

import time
from collections.abc import Awaitable, Sequence
from functools import partial
from typing import Any

from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.runtime import Runtime

from backend_coordinator.domain.events import TaskStarted
from backend_coordinator.domain.failure import Dossier, Failure, FailureClass, LevelBudget
from backend_coordinator.domain.report import TaskResult
from backend_coordinator.errors import ModelUnavailable
from backend_coordinator.graph.answers import Means, answer_to
from backend_coordinator.graph.routing import RUNGS, after_consent, after_inspection, after_rung, after_work, climb
from backend_coordinator.graph.state import TaskState, TaskUpdate
from backend_coordinator.graph.updates import failing, items_of, screen_of, stepped
from backend_coordinator.nodes import dependencies, levels
from backend_coordinator.nodes.brief import assign, assigned, fresh_tree, kept_tree
from backend_coordinator.nodes.inspect import digest, inspect_delivery, keep_verdicts
from backend_coordinator.nodes.ladder import risen
from backend_coordinator.nodes.merge import merge_delivery
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


async def inspect(state: TaskState, runtime: Runtime[Means]) -> TaskUpdate:
    """The gates look at what was really delivered."""
    run = runtime.context.run
    assert state.submission is not None
    if not (run.repository.trees / state.task.id).is_dir():
        gone = Failure(kind=FailureClass.EXTERNAL_BLOCK, summary="the checkout with the work is gone from the cache")
        return {**failing(state, runtime.context, gone), "fresh": True}
    found = await inspect_delivery(
        run,
        state.task,
        state.submission,
        specialist=state.specialist,
        base=state.base,
        attempt=state.attempt,
        earlier=state.attempts,
        waived=frozenset(waiver.item for waiver in state.waived),
    )
    keep_verdicts(run, state.task.id, found.verdicts)
    update: TaskUpdate = {"delivery": found.delivery, "failure": None}
    if found.failure is None:
        return update
    return {**update, **failing(state, runtime.context, found.failure, digest(found.delivery))}


async def approve_dependencies(state: TaskState, runtime: Runtime[Means]) -> TaskUpdate:
    """What the delivery adds to the manifests goes by the approval policy, whatever was claimed about it."""
    run, delivery = runtime.context.run, state.delivery
    assert delivery is not None
    added = await dependencies.new_dependencies(run, state.base, delivery)
    if not added:
        return {}
    if refused := await _asked(state, runtime, tuple(added), delivery.summary):
        return failing(state, runtime.context, dependencies.refused_lines(added, refused), digest(delivery))
    return {"delivery": dependencies.admitted(run, delivery, added)}


async def _asked(state: TaskState, runtime: Runtime[Means], names: Sequence[str], why: str) -> str | None:
    """Why new dependencies are refused, by the policy or by a person whom it asks; None where they are not."""
    run = runtime.context.run
    question = dependencies.question_about(run, state.task, names, why)
    answer = await answer_to(question, runtime, state.task.id) if question else None
    return dependencies.refusal(run, answer) if names else None


async def merge(state: TaskState, runtime: Runtime[Means]) -> TaskUpdate:
    """The delivery joins the run's branch, or its failure climbs."""
    run = runtime.context.run
    assert state.delivery is not None
    failure = await merge_delivery(
        run, state.task, state.delivery, waived=frozenset(waiver.item for waiver in state.waived)
    )
    if failure is None:
        return {"ending": "merged"}
    return {**failing(state, runtime.context, failure), "fresh": True}


async def ladder(state: TaskState, runtime: Runtime[Means]) -> TaskUpdate:
    """The foot of the ladder; which rung comes next is decided by the table alone."""
    assert state.failure is not None
    if runtime.context.conductor.aborted:
        return {"ending": "abandoned"}
    return {"failure": risen(dossier_of(state), runtime.context.run.settings.budget)}


async def level_1(state: TaskState, runtime: Runtime[Means]) -> TaskUpdate:
    """Self-recovery."""
    run = runtime.context.run
    assert state.failure is not None
    author, failure = run.roster.get(state.specialist), state.failure
    if failure.kind is not FailureClass.MISSING_DEPENDENCY or state.delivery is None:
        return stepped(state, runtime.context, levels.self_recovery(run, state.task, author, failure))
    found = await dependencies.recover(run, state.delivery.commit, failure)
    why = f"{author.name}'s work imports it and no manifest declares it.\n{failure.detail}"
    refused = await _asked(state, runtime, found.to_decide, why)
    step = levels.dependency_recovery(run, state.task, author, failure, found=found, refused=refused)
    return stepped(state, runtime.context, step)


async def level_2(state: TaskState, runtime: Runtime[Means]) -> TaskUpdate:
    """Peer consultation."""
    run = runtime.context.run
    author = run.roster.get(state.specialist)
    items, before = items_of(state, runtime.context), partial(screen_of, state, runtime.context)
    rung = levels.consult(run, state.task, author, dossier_of(state), items, screen=before)
    return await _advised(state, runtime.context, rung)


async def level_3(state: TaskState, runtime: Runtime[Means]) -> TaskUpdate:
    """Coordinator review."""
    run = runtime.context.run
    author = run.roster.get(state.specialist)
    items = items_of(state, runtime.context)
    return await _advised(
        state, runtime.context, levels.coordinator_review(run, state.task, author, dossier_of(state), items)
    )


async def _advised(state: TaskState, means: Means, rung: Awaitable[levels.Step]) -> TaskUpdate:
    """What a rung says; it is not taken where the model that it asks cannot be used."""
    mended = times_mended(means.run.ledger)
    try:
        return stepped(state, means, await rung)
    except ModelUnavailable as error:
        return {"question": question_about(means.run, error, mended)}


async def level_4(state: TaskState, runtime: Runtime[Means]) -> TaskUpdate:
    """Strategic escalation: a question with the dossier, to a person or a parent graph."""
    run, dossier = runtime.context.run, dossier_of(state)
    question = levels.question_for(run, state.task, dossier)
    answer = await answer_to(question, runtime, state.task.id)
    step = levels.strategic_escalation(run, state.task, dossier, question, answer)
    update = stepped(state, runtime.context, step)
    if answer.decision == "waive":
        given = levels.waivers(dossier.failure, answer)
        left = tuple(item for item in dossier.failure.items if item not in {waiver.item for waiver in given})
        update["waived"] = (*state.waived, *given)
        update["failure"] = dossier.failure.model_copy(update={"items": left}) if left else None
    return update


async def give_up(state: TaskState) -> TaskUpdate:
    """The end of a task that did not pass; what depends on it is skipped."""
    last = state.escalations[-1].action if state.escalations else None
    reason = state.failure.summary if state.failure else "given up"
    ending = state.ending or {"abandon": "abandoned", "abort": "aborted"}.get(last or "", "given_up")
    return {"ending": ending, "reason": reason}  # type: ignore[typeddict-item]


def dossier_of(state: TaskState) -> Dossier:
    """What is handed up with the present failure."""
    assert state.failure is not None
    return Dossier(task=state.task.id, failure=state.failure, attempts=state.attempts, escalations=state.escalations)


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
    for step in (brief, work, consent, inspect, approve_dependencies, merge, ladder, *rungs, give_up):
        graph.add_node(step.__name__, step)
    graph.add_edge(START, "brief")
    graph.add_edge("brief", "work")
    graph.add_conditional_edges("work", after_work, ["consent", "inspect", "ladder"])
    graph.add_conditional_edges("consent", after_consent, ["work", "ladder", END])
    graph.add_conditional_edges("inspect", after_inspection, ["approve_dependencies", "ladder"])
    graph.add_conditional_edges(
        "approve_dependencies", lambda s: "ladder" if s.failure else "merge", ["merge", "ladder"]
    )
    graph.add_conditional_edges("merge", lambda s: END if s.ending else "ladder", [END, "ladder"])
    graph.add_conditional_edges("ladder", lambda s: climb(s, budget), [*RUNGS, "give_up"])
    after = ["ladder", "brief", "inspect", "approve_dependencies", "give_up", "consent"]
    for rung in RUNGS:
        graph.add_conditional_edges(rung, after_rung, after)
    graph.add_edge("give_up", END)
    return graph.compile()
