"""What becomes of a delivery: gates, approvals, validation by those who use it, and the merge."""

from collections.abc import Sequence

from langgraph.runtime import Runtime

from backend_coordinator.domain.failure import Failure, FailureClass
from backend_coordinator.graph.answers import Means, answer_to
from backend_coordinator.graph.state import TaskState, TaskUpdate
from backend_coordinator.graph.updates import failing
from backend_coordinator.nodes import approval, contract_protocol, dependencies
from backend_coordinator.nodes.inspect import digest, inspect_delivery, keep_verdicts
from backend_coordinator.nodes.merge import merge_delivery
from backend_coordinator.nodes.schema_protocol import hand_over


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
    """What the delivery touches and what it adds goes by the approval policy, whatever was claimed about it."""
    run, delivery = runtime.context.run, state.delivery
    assert delivery is not None
    added = await dependencies.new_dependencies(run, state.base, delivery)
    new = await dependencies.unapproved(run, delivery, added)
    found = await approval.touched(run, state.base, delivery, new)
    if refused := approval.refusal(run, state.task, found):
        return failing(state, runtime.context, refused, digest(delivery))
    found = approval.undecided(run, delivery, found)
    question = approval.question_about(run, state.task, state.base, delivery, found, added=new) if found else None
    if question is not None:
        answer = await answer_to(question, runtime, state.task.id)
        if answer.decision == "reject":
            return failing(state, runtime.context, approval.rejected(found, answer), digest(delivery))
    return {"delivery": dependencies.admitted(run, delivery, added)} if added else {}


async def asked(state: TaskState, runtime: Runtime[Means], names: Sequence[str], why: str) -> str | None:
    """Why new dependencies are refused, by the policy or by a person whom it asks; None where they are not."""
    run = runtime.context.run
    question = dependencies.question_about(run, state.task, names, why)
    answer = await answer_to(question, runtime, state.task.id) if question else None
    refused = dependencies.refusal(run, answer) if names else None
    if refused and answer is None:
        approval.note_refused(run, {"dependencies": refused}, state.task.id)
    return refused


async def validate(state: TaskState, runtime: Runtime[Means]) -> TaskUpdate:
    """Those who will use a contract say whether they can (API Contract Coordination); what needs it waits."""
    run, task, delivery = runtime.context.run, state.task, state.delivery
    assert delivery is not None
    if not contract_protocol.is_due(run, task, delivery):
        return {}
    shared = await contract_protocol.share(run, task, delivery)
    if not contract_protocol.has_validator(run):
        contract_protocol.not_validated(run, task, state.specialist, shared)
        return {}
    if missing := contract_protocol.missing(run, task, state.specialist, shared):
        return failing(state, runtime.context, missing, digest(delivery))
    question = contract_protocol.question_about(run, task, state.specialist, shared)
    answer = await answer_to(question, runtime, task.id)
    if answer.decision == "approve":
        return {"delivery": contract_protocol.accepted(run, task, delivery, shared, answer)}
    failure = contract_protocol.rejected(run, task, state.specialist, shared, answer)
    return failing(state, runtime.context, failure, digest(delivery))


async def merge(state: TaskState, runtime: Runtime[Means]) -> TaskUpdate:
    """The delivery joins the run's branch, or its failure climbs."""
    run = runtime.context.run
    assert state.delivery is not None
    failure = await merge_delivery(
        run, state.task, state.delivery, waived=frozenset(waiver.item for waiver in state.waived)
    )
    if failure is None:
        plan = runtime.context.conductor.plan
        assert plan is not None
        await hand_over(run, plan, state.task, state.delivery, state.base)
        return {"ending": "merged"}
    return {**failing(state, runtime.context, failure), "fresh": True}
