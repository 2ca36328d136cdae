"""The rungs of the ladder as steps of a specialist's flow."""

import asyncio
from collections.abc import Awaitable
from datetime import datetime, timedelta
from functools import partial

from langgraph.runtime import Runtime

from backend_coordinator.domain.failure import Dossier, FailureClass
from backend_coordinator.errors import ModelUnavailable
from backend_coordinator.graph.answers import Means, answer_to
from backend_coordinator.graph.delivery import asked
from backend_coordinator.graph.state import TaskState, TaskUpdate
from backend_coordinator.graph.updates import amend, items_of, scene_of, screen_of, stepped
from backend_coordinator.nodes import dependencies, levels
from backend_coordinator.nodes.amend import keep_parts
from backend_coordinator.nodes.ladder import risen
from backend_coordinator.nodes.review import MOST_MINUTES
from backend_coordinator.nodes.try_models import question_about, times_mended


async def ladder(state: TaskState, runtime: Runtime[Means]) -> TaskUpdate:
    """The foot of the ladder; which rung comes next is decided by the table alone."""
    assert state.failure is not None
    if runtime.context.conductor.aborted:
        return {"ending": "abandoned"}
    run = runtime.context.run
    return {"failure": risen(dossier_of(state), run.settings.budget, late=run.overdue)}


async def level_1(state: TaskState, runtime: Runtime[Means]) -> TaskUpdate:
    """Self-recovery."""
    run = runtime.context.run
    assert state.failure is not None
    author, failure = run.roster.get(state.specialist), state.failure
    if failure.kind is not FailureClass.MISSING_DEPENDENCY or state.delivery is None:
        return stepped(state, runtime.context, levels.self_recovery(run, state.task, author, failure))
    found = await dependencies.recover(run, state.delivery.commit, failure)
    why = f"{author.name}'s work imports it and no manifest declares it.\n{failure.detail}"
    refused = await asked(state, runtime, found.to_decide, why)
    step = levels.dependency_recovery(run, state.task, author, failure, found=found, refused=refused)
    return stepped(state, runtime.context, step)


async def level_2(state: TaskState, runtime: Runtime[Means]) -> TaskUpdate:
    """Peer consultation."""
    run = runtime.context.run
    author = run.roster.get(state.specialist)
    if state.failure is not None and state.failure.by:
        return stepped(state, runtime.context, levels.remarks(run, state.task, author, dossier_of(state)))
    items, before = items_of(state, runtime.context), partial(screen_of, state, runtime.context)
    rung = levels.consult(run, state.task, author, dossier_of(state), items, screen=before)
    return await _advised(state, runtime.context, rung)


async def level_3(state: TaskState, runtime: Runtime[Means]) -> TaskUpdate:
    """Coordinator review."""
    run = runtime.context.run
    author = run.roster.get(state.specialist)
    items = items_of(state, runtime.context)
    scene = scene_of(state, runtime.context)
    rung = levels.coordinator_review(run, state.task, author, dossier_of(state), items, scene=scene)
    return await _advised(state, runtime.context, rung)


async def _advised(state: TaskState, means: Means, rung: Awaitable[levels.Step]) -> TaskUpdate:
    """What a rung says; it is not taken where the model that it asks cannot be used."""
    mended, ledger = times_mended(means.run.ledger), means.run.ledger
    try:
        step = await rung
        amend(state, means, step, levels.COORDINATOR)
        if step.parts:
            keep_parts(ledger, state.task.id, step.parts)
        if step.minutes:
            name = _waits(state.task.id, len(state.escalations) + 1)
            until = means.run.clock.wall() + timedelta(minutes=step.minutes)
            ledger.note(name, ledger.noted(name) or until.isoformat())
        return stepped(state, means, step)
    except ModelUnavailable as error:
        return {"question": question_about(means.run, error, mended)}


async def wait(state: TaskState, runtime: Runtime[Means]) -> TaskUpdate:
    """Lets what remains of the time until the noted deadline pass, without a slot; an aborted run ends the wait."""
    run, conductor = runtime.context.run, runtime.context.conductor
    until = datetime.fromisoformat(run.ledger.noted(_waits(state.task.id, len(state.escalations))) or "")
    async with conductor.asking(state.task.id, alone=True) as aborted:
        # A clock that was set back meanwhile makes nobody wait longer than the longest wait.
        left = min(max(0.0, (until - run.clock.wall()).total_seconds()), MOST_MINUTES * 60)
        passing, ending = asyncio.ensure_future(run.clock.sleep(left)), asyncio.ensure_future(aborted.wait())
        try:
            await asyncio.wait((passing, ending), return_when=asyncio.FIRST_COMPLETED)
        finally:
            passing.cancel()
            ending.cancel()
    return {"ending": "abandoned"} if conductor.aborted else {}


def _waits(task: str, step: int) -> str:
    return f"wait {task} {step}"


async def level_4(state: TaskState, runtime: Runtime[Means]) -> TaskUpdate:
    """Strategic escalation: a question with the dossier, to a person or a parent graph."""
    run, dossier = runtime.context.run, dossier_of(state)
    question = levels.question_for(run, state.task, dossier)
    answer = await answer_to(question, runtime, state.task.id)
    scene = scene_of(state, runtime.context)
    step = levels.strategic_escalation(run, state.task, dossier, question, answer, scene=scene)
    amend(state, runtime.context, step, answer.by)
    update = stepped(state, runtime.context, step)
    if answer.decision == "waive":
        given = levels.waivers(dossier.failure, answer)
        left = tuple(item for item in dossier.failure.items if item not in {waiver.item for waiver in given})
        update["waived"] = (*state.waived, *given)
        update["failure"] = dossier.failure.model_copy(update={"items": left}) if left else None
    return update


async def give_up(state: TaskState) -> TaskUpdate:
    """The end of a task that did not pass; what depends on it is skipped, or waits for its parts."""
    last = state.escalations[-1].action if state.escalations else None
    reason = state.failure.summary if state.failure else "given up"
    ends = {"abandon": "abandoned", "abort": "aborted", "split": "split"}
    ending = state.ending or ends.get(last or "", "given_up")
    return {"ending": ending, "reason": reason}  # type: ignore[typeddict-item]


def dossier_of(state: TaskState) -> Dossier:
    """What is handed up with the present failure."""
    assert state.failure is not None
    return Dossier(task=state.task.id, failure=state.failure, attempts=state.attempts, escalations=state.escalations)
