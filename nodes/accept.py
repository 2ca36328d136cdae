"""The last look: the whole merged tree against the base it grew from, and what follows from it."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from datetime import date
from functools import reduce

from backend_coordinator.domain.plan import Effort, Plan, Task
from backend_coordinator.domain.question import Question
from backend_coordinator.domain.report import TaskResult
from backend_coordinator.domain.verdict import Outcome, Verdict, Waiver
from backend_coordinator.nodes.context import RunContext
from backend_coordinator.nodes.gates.policy import accepted, failures
from backend_coordinator.nodes.inspect import judge
from backend_coordinator.nodes.metrics import measure
from backend_coordinator.nodes.stopping import in_thread


async def integrate(context: RunContext) -> str:
    """Makes sure that the user's branch shows the run's; says which commit that is."""
    async with context.merging:
        return await in_thread(context.repository.publish)


async def acceptance(context: RunContext, results: Mapping[str, TaskResult]) -> tuple[Verdict, ...]:
    """All 40 verdicts on the merged tree; what a person waived stands as waived, never as pass."""
    head = await in_thread(context.repository.head)
    base = context.repository.user.base_commit
    verdicts, _ = await asyncio.gather(judge(context, base, head, "acceptance"), measure(context))
    merged = {name for name, result in results.items() if result.status == "merged"}
    return standing(verdicts, context.ledger.questions(), merged)


def standing(
    verdicts: Sequence[Verdict], questions: Sequence[Question], merged: Collection[str]
) -> tuple[Verdict, ...]:
    """The verdicts under the waivers that people gave in answer to questions about tasks that were `merged`."""
    given = [
        Waiver(
            item=item, by=answer.by, reason=answer.text, expires=answer.expires.isoformat() if answer.expires else None
        )
        for question in questions
        if question.task in merged and (answer := question.answer) and answer.decision == "waive"
        for item in answer.items or question.items
    ]
    return tuple(reduce(under_waiver, [w for w in given if w.item == verdict.id], verdict) for verdict in verdicts)


def under_waiver(verdict: Verdict, waiver: Waiver | None) -> Verdict:
    """The verdict, as waived where it failed and the waiver has not run out; who gave it and why is its reason."""
    if waiver is None or verdict.verdict is not Outcome.FAIL:
        return verdict
    if waiver.expires is not None and date.fromisoformat(waiver.expires) < date.today():
        return verdict
    reason = f"waived by {waiver.by} ({waiver.reason}; until {waiver.expires or 'revoked'}): {verdict.reason}"
    return verdict.model_copy(update={"verdict": Outcome.WAIVED, "reason": reason})


def is_accepted(
    context: RunContext, plan: Plan | None, results: Mapping[str, TaskResult], verdicts: Sequence[Verdict]
) -> bool:
    """Whether every task was merged, something changed, nothing fails and all that is required passes."""
    if plan is None or any(task.id not in results or results[task.id].status != "merged" for task in plan.tasks):
        return False
    repository = context.repository
    if not repository.changed_paths(repository.user.base_commit, repository.head()):
        return False
    return accepted(verdicts, context.settings.required)


def repair_task(plan: Plan, results: Mapping[str, TaskResult], verdicts: Sequence[Verdict]) -> Task | None:
    """A task that mends what fails on the merged tree only, for whoever wrote most of the code; None if none can."""
    failed = failures(verdicts)
    merged = [r for r in results.values() if r.status == "merged" and "write_code" in plan[r.id].steps]
    if not failed or not merged or len(plan.tasks) > 990:
        return None
    author = max(merged, key=lambda result: (len(result.artifacts), result.id))
    number = max(int(task.id[-3:]) for task in plan.tasks) + 1
    return Task(
        id=f"backend-T{number:03d}",
        title=f"Mend {', '.join(v.id for v in failed)} on the merged tree",
        objective="The merged work fails these gates; mend it:\n" + "\n".join(f"{v.id}: {v.reason}" for v in failed),
        specialist=author.specialist,
        needs=tuple(r.id for r in results.values() if r.status == "merged"),
        steps=("write_code",),
        acceptance_criteria=tuple(f"{v.id} passes" for v in failed),
        effort=Effort.MEDIUM,
    )
