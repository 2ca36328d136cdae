"""The merge queue: one delivery at a time joins the run's branch, and the merged tree is looked at first."""

from backend_coordinator.domain.delivery import Delivery
from backend_coordinator.domain.events import Merged, Noticed
from backend_coordinator.domain.failure import Failure, FailureClass
from backend_coordinator.domain.plan import Task
from backend_coordinator.errors import WorkspaceError
from backend_coordinator.nodes.conflicts import LOCK_FILES, about, advice, rival_migrations
from backend_coordinator.nodes.context import RunContext
from backend_coordinator.nodes.inspect import failure_between, judge
from backend_coordinator.nodes.points import reach
from backend_coordinator.nodes.stopping import in_thread, whole
from backend_coordinator.nodes.workspace.git import GitError
from backend_coordinator.nodes.workspace.merging import Conflict
from backend_coordinator.nodes.workspace.repository import Prepared


async def merge_delivery(
    context: RunContext, task: Task, delivery: Delivery, *, waived: frozenset[str]
) -> Failure | None:
    """Merges one inspected delivery; merging it a second time changes nothing.

    A conflict, migrations that take one place, or a gate that fails on the merged tree only, is a Failure and leaves
    the branch as it was.
    """
    repository = context.repository
    async with context.merging, context.steps.step():
        if not delivery.commit or await in_thread(repository.contains, delivery.commit):
            await _told(context, task, delivery)
            await _publish(context)
            return None
        head = await in_thread(repository.head)
        try:
            prepared = await in_thread(repository.prepare_merge, task.id, delivery.commit, task.title)
        except GitError as error:
            return Failure(kind=FailureClass.EXTERNAL_BLOCK, summary=f"the work cannot be merged: {error}")
        if isinstance(prepared, Conflict):
            return await _conflict(context, delivery, prepared)
        if prepared.tree != delivery.tree:
            failure = await _rivals(context, delivery, prepared) or await _merged(
                context, head, prepared.commit, waived
            )
            if failure:
                return failure
        reach("merge prepared")
        context.ledger.demand_held()
        await whole(_join(context, task, prepared))
    return None


async def _join(context: RunContext, task: Task, prepared: Prepared) -> None:
    merged = await in_thread(context.repository.commit_merge, prepared)
    reach("branch moved")
    context.ledger.record(Merged(task=task.id, commit=merged.commit))
    await _publish(context)


async def _told(context: RunContext, task: Task, delivery: Delivery) -> None:
    """Records a merge that a process made which ended before it could say so."""
    known = {event.task for _, event in context.ledger.events() if isinstance(event, Merged)}
    if delivery.commit and task.id not in known:
        commit = await in_thread(context.repository.merge_of, delivery.commit)
        context.ledger.record(Merged(task=task.id, commit=commit))


async def _publish(context: RunContext) -> None:
    """Shows the branch to the user already; at the end it has to succeed, on the way a note is enough."""
    context.ledger.demand_held()
    try:
        await in_thread(context.repository.publish)
        reach("branch published")
    except WorkspaceError as error:
        context.ledger.record(Noticed(text=str(error)))


async def _merged(context: RunContext, head: str, merged: str, waived: frozenset[str]) -> Failure | None:
    verdicts = await judge(context, head, merged, "delivery")
    failure = await failure_between(context, head, merged, [v for v in verdicts if v.id not in waived])
    return failure and failure.model_copy(
        update={"kind": FailureClass.INTEGRATION_ISSUE, "summary": f"on the merged tree: {failure.summary}"}
    )


async def _rivals(context: RunContext, delivery: Delivery, prepared: Prepared) -> Failure | None:
    repository, before = context.repository, f"{delivery.commit}^"
    mine = await in_thread(repository.changes, before, delivery.commit)
    theirs = await in_thread(repository.changes, before, prepared.head)
    tree = await in_thread(repository.tree, prepared.commit)
    found = await in_thread(rival_migrations, tree, mine.added, theirs.added)
    if found is None:
        return None
    summary = "migration order: {} takes the same place as {}, which was merged meanwhile".format(*found)
    return await _again(context, delivery, summary, "Number yours after it, and let yours follow it.")


async def _conflict(context: RunContext, delivery: Delivery, conflict: Conflict) -> Failure:
    summary = f"conflicts with what was merged meanwhile in {', '.join(conflict.paths)} ({about(conflict)})"
    return await _again(context, delivery, summary, advice(conflict))


async def _again(context: RunContext, delivery: Delivery, summary: str, advised: str) -> Failure:
    git, locks = context.repository.git, [f":(exclude,glob)**/{name}" for name in LOCK_FILES]
    words = ("diff-tree", "-p", "--no-color", "-r", delivery.commit, "--", ".", *locks)
    own = await in_thread(git.run, *words)
    told = f"{advised}\nYour tree now holds what was merged. Make your change again on top of it; it was:\n"
    return Failure(kind=FailureClass.MERGE_CONFLICT, summary=summary, detail=told + own[:12_000])
