"""What becomes of a delivery: gates, approvals, validation by those who use it, and the merge."""

from collections.abc import Sequence

from langgraph.runtime import Runtime

from backend_coordinator.domain.failure import Failure, FailureClass
from backend_coordinator.graph.answers import Means, answer_to
from backend_coordinator.graph.state import TaskState, TaskUpdate
from backend_coordinator.graph.updates import failing
from backend_coordinator.nodes import dependencies
from backend_coordinator.nodes.inspect import digest, inspect_delivery, keep_verdicts
from backend_coordinator.nodes.merge import merge_delivery


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


async def approve(state: TaskState, runtime: Runtime[Means]) -> TaskUpdate:
    """What the delivery adds to the manifests goes by the approval policy, whatever was claimed about it."""
    run, delivery = runtime.context.run, state.delivery
    assert delivery is not None
    added = await dependencies.new_dependencies(run, state.base, delivery)
    if not added:
        return {}
    if refused := await asked(state, runtime, tuple(added), delivery.summary):
        return failing(state, runtime.context, dependencies.refused_lines(added, refused), digest(delivery))
    return {"delivery": dependencies.admitted(run, delivery, added)}


async def asked(state: TaskState, runtime: Runtime[Means], names: Sequence[str], why: str) -> str | None:
    """Why new dependencies are refused, by the policy or by a person whom it asks; None where they are not."""
    run = runtime.context.run
    question = dependencies.question_about(run, state.task, names, why)
    answer = await answer_to(question, runtime, state.task.id) if question else None
    return dependencies.refusal(run, answer) if names else None


async def validate(state: TaskState, runtime: Runtime[Means]) -> TaskUpdate:
    """Those who will use a contract say whether they can (API Contract Coordination); what needs it waits."""
    return {}


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
