"""The rule of the smallest plan: tasks that one specialist would do one after the other are one task."""

from collections.abc import Iterator
from itertools import combinations

from backend_coordinator.domain.plan import Effort, Finding, Requirements, Task
from backend_coordinator.nodes.plan_draft import Draft

_BUILDING = frozenset({"write_code", "write_tests", "document", "integration_test", "monitoring"})
_AFTERWARDS = frozenset({"write_tests", "document"})


def right_size(draft: Draft) -> Iterator[Finding]:
    """A draft that splits what one specialist does in one go is joined (Cost and effort tagging: splitting costs).

    Joined are code tasks, where all code of the plan is one line of them, nothing else waits in between and both
    together are not above large; and tests or documents with the code that they belong to. Only a model's draft is; a
    person's plan stays as it is cut.
    """
    if draft.analysis is None:
        return
    line = _is_a_line(draft)
    for task in draft.open:
        while second := _joinable(draft, draft.tasks[task.id], line):
            _join(draft, draft.tasks[task.id], second)
            reason = f"is followed by {second.id}, which {second.specialist} does in the same go"
            yield Finding(rule="right-size", task=task.id, reason=reason, repair=f"{second.id} is part of it now")


def _is_a_line(draft: Draft) -> bool:
    """Whether no two tasks that write code may run at once; a plan whose code was cut for that is a large one."""
    before = {task.id: draft.upstream(task.id) for task in draft if "write_code" in task.steps}
    return all(one in before[other] or other in before[one] for one, other in combinations(before, 2))


def _joinable(draft: Draft, first: Task, line: bool) -> Task | None:
    if "write_code" not in first.steps or not _BUILDING.issuperset(first.steps):
        return None
    waiting = [task for task in draft if first.id in task.needs]
    for second in waiting:
        alike = second.specialist == first.specialist and second.service in (first.service, None)
        if second.needs != (first.id,) or not alike or not second.steps or second.id in draft.settled:
            continue
        if _AFTERWARDS.issuperset(second.steps):
            return second
        small = line and first.effort.weight + second.effort.weight <= Effort.LARGE.weight
        alone = all(other is second or second.id in draft.upstream(other.id) for other in waiting)
        if small and alone and "write_code" in second.steps and _BUILDING.issuperset(second.steps):
            return second
    return None


def _join(draft: Draft, first: Task, second: Task) -> None:
    """The first task with what the second asks for; who waited for the second waits for the first."""
    both = ("acceptance_criteria", "success_criteria", "expected_output", "writes", "steps", "covers")
    asked = {
        f: _union(getattr(first.requirements, f), getattr(second.requirements, f)) for f in Requirements.model_fields
    }
    weight = first.effort.weight + second.effort.weight
    draft.change(
        first.id,
        title=f"{first.title}; {second.title}",
        objective=f"{first.objective}\n\n{second.objective}",
        requirements=Requirements.model_validate(asked),
        priority=max(first.priority, second.priority, key=("low", "normal", "high").index),
        effort=next((effort for effort in Effort if effort.weight >= weight), Effort.LARGE),
        **{field: _union(getattr(first, field), getattr(second, field)) for field in both},
    )
    del draft.tasks[second.id]
    for task in list(draft):
        if second.id in task.needs:
            renamed = (first.id if need == second.id else need for need in task.needs)
            draft.change(task.id, needs=tuple(dict.fromkeys(renamed)))


def _union(one: tuple[str, ...], other: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*one, *other)))
