"""What the steps of a specialist's flow keep in its state: never more than the specialist may know."""

from collections.abc import Iterable

from backend_coordinator.domain.context import ContextItem
from backend_coordinator.domain.events import Failed
from backend_coordinator.domain.failure import Attempt, Failure, Level
from backend_coordinator.domain.plan import Plan, Task
from backend_coordinator.domain.roster import Specialist
from backend_coordinator.graph.answers import Means
from backend_coordinator.graph.state import TaskState, TaskUpdate
from backend_coordinator.nodes.amend import keep_amended, tell_change, with_task
from backend_coordinator.nodes.brief import items_from
from backend_coordinator.nodes.levels import Step
from backend_coordinator.nodes.review import Scene
from backend_coordinator.nodes.schema_protocol import handed_over
from backend_coordinator.nodes.screen import Screen
from backend_coordinator.nodes.screening import screen_for


def items_of(state: TaskState, means: Means) -> tuple[ContextItem, ...]:
    """What the task's specialist may be told: what all may, and what direct dependencies handed over."""
    conductor, needs = means.conductor, state.task.needs
    given = items_from([conductor.results[need] for need in needs])
    return (*conductor.items, *given, *handed_over(means.run, needs))


def screen_of(state: TaskState, means: Means, member: Specialist | None = None) -> Screen:
    """The screen before the task's specialist, or before another `member` who is asked about the task."""
    conductor, task = means.conductor, state.task
    assert conductor.plan is not None
    before, pending = {task.id}, [task]
    while pending:  # only what has ended for certain, so that a resumed task has the same screen
        needed = [conductor.plan[need] for need in pending.pop().needs if need not in before]
        before |= {each.id for each in needed}
        pending += needed
    decided = items_from([conductor.results[name] for name in before if name in conductor.results])
    who = member or means.run.roster.get(state.specialist)
    return screen_for(means.run, who, task, items=(*conductor.items, *decided), plan=conductor.plan)


def screened(means: Means, plan: Plan, added: Iterable[Task]) -> tuple[Task, ...]:
    """Tasks that specialists or their work gave rise to, without what their own specialists must not read.

    Who reported a need may say what its own task is.
    """
    items = (*means.conductor.items, *items_from(tuple(means.conductor.results.values())))
    reported = tuple(result.id for result in means.conductor.results.values() if result.requests)

    def before(task: Task) -> Screen:
        knowing = task.model_copy(update={"needs": (*task.needs, *reported)})
        return screen_for(means.run, means.run.roster.get(task.specialist), knowing, items=items, plan=plan)

    return tuple(before(task).value(task) for task in added)


def failing(state: TaskState, means: Means, failure: Failure, delivered: str = "") -> TaskUpdate:
    """The present attempt failed; `delivered` tells equal deliveries from others."""
    run = means.run
    failure = screen_of(state, means).value(run.redact.value(failure))
    attempt = Attempt(number=state.attempt, specialist=state.specialist, failure=failure, delivery_digest=delivered)
    kind, summary, detail = failure.kind, failure.summary, failure.detail
    run.ledger.record(Failed(task=state.task.id, attempt=state.attempt, failure=kind, summary=summary, detail=detail))
    return {"failure": failure, "attempts": (*state.attempts, attempt)}


def scene_of(state: TaskState, means: Means) -> Scene:
    """What stands when the task's failure is reviewed; the plan has the task as this state does."""
    plan = means.conductor.plan
    assert plan is not None
    return Scene(Plan(tasks=with_task(plan, state.task)), means.conductor.results, screen_of(state, means))


def amend(state: TaskState, means: Means, step: Step, by: str) -> None:
    """Makes the task that a rung amended part of the plan, for everybody and for a process that comes after this."""
    if step.task is None:
        return
    before = scene_of(state, means).plan
    means.conductor.plan = Plan(tasks=with_task(before, step.task))
    keep_amended(means.run.ledger, step.task)
    tell_change(means.run, before, means.conductor.plan, of=state.task.id, by=by)


def stepped(state: TaskState, means: Means, step: Step) -> TaskUpdate:
    """A rung was taken; what a person said is for the specialist as it is."""
    person = step.escalation.level is Level.STRATEGIC_ESCALATION
    screen = Screen({}, frozenset()) if person else screen_of(state, means)
    update: TaskUpdate = {"escalations": (*state.escalations, screen.value(step.escalation))}
    if step.task is not None:
        update["task"] = step.task
    if step.failure is not None:
        update["failure"] = screen.value(step.failure)
    if step.guidance is not None:
        update["guidance"] = (*state.guidance, screen.value(step.guidance))
    if step.reassigned is not None:
        update["specialist"], update["fresh"] = step.reassigned, True
    return update
