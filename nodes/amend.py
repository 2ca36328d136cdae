"""Changes of a running plan: one task amended or replaced by its parts, checked as a whole, and told as a diff."""

import json
from collections.abc import Mapping, Sequence

from pydantic import ValidationError

from backend_coordinator.domain.events import COORDINATOR, PlanChanged
from backend_coordinator.domain.objective import RepositoryFacts
from backend_coordinator.domain.plan import Changed, Part, Plan, Task
from backend_coordinator.domain.report import TaskResult
from backend_coordinator.errors import InvalidPlan
from backend_coordinator.nodes.context import RunContext
from backend_coordinator.nodes.facts import repository_facts
from backend_coordinator.nodes.ledger import Ledger
from backend_coordinator.nodes.plan_compiler import Compiled, PlanDraft, compile_plan, examine
from backend_coordinator.nodes.plan_draft import free_id

FEWEST_PARTS = 2
AMENDED = "amended tasks"
"""The note of tasks that were changed while they were at work, by id."""


def unsound(context: RunContext, plan: Plan, task: Task, results: Mapping[str, TaskResult]) -> str | None:
    """Why a task at work cannot be changed into this one; None where the plan stays sound with it.

    What the rules found before is not held against it; what they would mend in the task itself is. What stands for
    security, performance and acceptance is not for those to drop whom it holds up (Error Escalation Protocol).
    """
    if task == plan[task.id]:
        return "it changes nothing"
    if lost := [entry for entry in _demands(plan[task.id]) if entry not in _demands(task)]:
        return f"it drops what is demanded: {'; '.join(lost)}"
    if early := sorted(need for need in task.needs if need in plan.by_id and not _merged(results, need)):
        return f"{task.id} is at work and cannot wait for {', '.join(early)}, which has not passed"
    others = frozenset(plan.by_id) - {task.id}
    before, after = (
        examine(PlanDraft(tasks=each.tasks), context.roster, facts=_facts(context), settled=others)
        for each in (plan, PlanDraft(tasks=with_task(plan, task)))
    )
    mended = next(each for each in after.tasks if each.id == task.id) != task
    new = [finding for finding in after.findings if finding not in before.findings and not finding.remark]
    return "; ".join(str(finding) for finding in new if mended or not finding.repair) or None


def with_task(plan: Plan, task: Task) -> tuple[Task, ...]:
    """The plan's tasks with this one in the place of the one with its id."""
    return tuple(task if each.id == task.id else each for each in plan.tasks)


def keep_amended(ledger: Ledger, task: Task) -> None:
    """Notes a task as it is from now on, at once: the plan of the state has it only when all its siblings ended."""
    known = json.loads(ledger.noted(AMENDED) or "{}")
    ledger.note(AMENDED, json.dumps({**known, task.id: task.model_dump(mode="json")}))


def as_amended(ledger: Ledger, plan: Plan) -> Plan:
    """The plan with all its tasks as they were amended."""
    known = {name: Task.model_validate(task) for name, task in json.loads(ledger.noted(AMENDED) or "{}").items()}
    return Plan(tasks=tuple(known.get(task.id, task) for task in plan.tasks)) if known else plan


def keep_parts(ledger: Ledger, task: str, parts: Sequence[Part]) -> None:
    """Notes what a task is to be replaced by."""
    ledger.note(f"parts {task}", json.dumps([part.model_dump(mode="json") for part in parts]))


def kept_parts(ledger: Ledger, task: str) -> tuple[Part, ...]:
    """What `keep_parts` noted."""
    return tuple(Part.model_validate(part) for part in json.loads(ledger.noted(f"parts {task}") or "[]"))


def divided(context: RunContext, plan: Plan, task: Task, parts: Sequence[Part]) -> Compiled:
    """The plan with a task's parts in its place, compiled: who needed it needs all of them; all else stays.

    Raises InvalidPlan for fewer than two parts, for a step or a criterion of the whole that no part has, and where the
    plan would not be sound.
    """
    if len(parts) < FEWEST_PARTS:
        raise InvalidPlan([f"{task.id} would have {len(parts)} parts, not {FEWEST_PARTS} or more"])
    ids: list[str] = []
    for _ in parts:
        if (free := free_id({*plan.by_id, *ids})) is None:
            raise InvalidPlan(["there is no id left for another task"])
        ids.append(free)
    made = [_part(context, task, part, ids, number) for number, part in enumerate(parts)]
    if lost := [entry for entry in _whole(task) if not any(entry in _whole(part) for part in made)]:
        raise InvalidPlan([f"no part of {task.id} has: {'; '.join(lost)}"])
    rest = [_instead(each, task.id, ids) for each in plan.tasks if each.id != task.id]
    draft = PlanDraft(tasks=(*rest, *made))
    return compile_plan(draft, context.roster, facts=_facts(context), settled=[each.id for each in rest])


def tell_change(context: RunContext, before: Plan, after: Plan, *, of: str = "", by: str = COORDINATOR) -> None:
    """Records how a plan changed, once: a process that does the step again after a crash adds no second line.

    `of` is the task whose failure led to it.
    """
    event = PlanChanged(
        task=of,
        by=by,
        changes=difference(before, after),
        added=tuple(task.id for task in after.tasks if task.id not in before.by_id),
        replaced=tuple(task.id for task in before.tasks if task.id not in after.by_id),
    )
    last = [told for _, told in context.ledger.events() if isinstance(told, PlanChanged) and told.task == of][-1:]
    if [event] != last and (event.changes or event.added or event.replaced):
        context.ledger.record(event)


def difference(before: Plan, after: Plan) -> tuple[Changed, ...]:
    """What is not the same any more in tasks that both plans have, field by field."""
    return tuple(
        Changed(task=task.id, field=name, before=_told(old), after=_told(new))
        for task in after.tasks
        if task.id in before.by_id
        for name in Task.model_fields
        if (old := getattr(before[task.id], name)) != (new := getattr(task, name))
    )


def _told(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    return str(value)


def _merged(results: Mapping[str, TaskResult], name: str) -> bool:
    return name in results and results[name].status == "merged"


def _demands(task: Task) -> tuple[str, ...]:
    return (*task.requirements.security, *task.requirements.performance, *task.acceptance_criteria)


def _whole(task: Task) -> tuple[str, ...]:
    """What a task must not lose by being split: reviews and protocols hang on its steps."""
    return (*task.steps, *task.acceptance_criteria)


def _instead(task: Task, old: str, new: Sequence[str]) -> Task:
    needs = tuple(name for need in task.needs for name in (new if need == old else [need]))
    return task.model_copy(update={"needs": needs}) if old in task.needs else task


def _part(context: RunContext, task: Task, part: Part, ids: Sequence[str], number: int) -> Task:
    """A part is what its task was, but for what it says of itself. Raises InvalidPlan."""
    if part.specialist and part.specialist not in context.roster:
        raise InvalidPlan([f"no specialist is called {part.specialist!r}"])
    if not all(1 <= after <= number for after in part.after):
        raise InvalidPlan([f"part {number + 1} of {task.id} comes after one that is not before it"])
    own = {name: value for name in Part.model_fields if name != "after" and (value := getattr(part, name)) is not None}
    needs = (*task.needs, *(ids[after - 1] for after in part.after))
    try:
        return Task.model_validate({**dict(task), **own, "id": ids[number], "needs": needs})
    except ValidationError as error:
        raise InvalidPlan([f"part {number + 1} of {task.id}: {error.errors()[0]['msg']}"]) from error


def _facts(context: RunContext) -> RepositoryFacts:
    return repository_facts(context.repository.tree(context.repository.user.base_commit), context.roster)
