"""From a drafted plan to one that holds together: what is wrong is named, what can be mended is."""

from collections.abc import Sequence
from typing import NamedTuple

from pydantic import ValidationError

from backend_coordinator.domain.base import Value
from backend_coordinator.domain.plan import Plan, Task
from backend_coordinator.domain.roster import Roster
from backend_coordinator.errors import InvalidPlan, UnknownSpecialist

AUDITOR = "backend-architect"
REVIEWED = frozenset({"design_contract", "design_migration"})


class PlanDraft(Value):
    """What a model or a file proposes; nothing in it is trusted yet."""

    tasks: tuple[Task, ...]


class Compiled(NamedTuple):
    """A sound plan and what was changed to make it so."""

    plan: Plan
    repairs: tuple[str, ...]


def compile_plan(draft: PlanDraft, roster: Roster) -> Compiled:
    """The plan of a draft, checked against the roster and mended where there is one right way.

    Raises InvalidPlan with one finding a line: a stranger as specialist, a doubled id, a dangling need, a cycle.
    """
    repairs: list[str] = []
    tasks = _known_specialists(draft.tasks, roster, repairs)
    tasks = _contract_first(tasks, repairs)
    tasks = _reviewed(tasks, repairs)
    try:
        return Compiled(Plan(tasks=tuple(tasks)), tuple(repairs))
    except ValidationError as error:
        raise InvalidPlan([str(e["msg"]).removeprefix("Value error, ") for e in error.errors()]) from error


def _known_specialists(tasks: Sequence[Task], roster: Roster, repairs: list[str]) -> list[Task]:
    findings: list[str] = []
    known: list[Task] = []
    for task in tasks:
        try:
            member = roster.get(task.specialist)
        except UnknownSpecialist as error:
            findings.append(f"{task.id}: {error}")
            continue
        if member.role != "specialist":
            findings.append(f"{task.id}: {member.name} is a {member.role} and takes no tasks")
        if member.name != task.specialist:
            repairs.append(f"{task.id}: {task.specialist} is {member.name} in this roster")
        known.append(task.model_copy(update={"specialist": member.name}))
    if findings:
        raise InvalidPlan(findings)
    return known


def _contract_first(tasks: Sequence[Task], repairs: list[str]) -> list[Task]:
    designs = {t.id for t in tasks if REVIEWED.intersection(t.steps)}
    upstream = {t.id: _upstream(t.id, {o.id: o.needs for o in tasks}) for t in tasks}
    mended: list[Task] = []
    for task in tasks:
        missing = sorted(d for d in designs - set(task.needs) if task.id not in upstream[d] and d != task.id)
        if "write_code" in task.steps and task.id not in designs and missing:
            repairs.append(f"{task.id} writes code and now waits for {', '.join(missing)}: design comes first")
            task = task.model_copy(update={"needs": (*task.needs, *missing)})
        mended.append(task)
    return mended


def _reviewed(tasks: Sequence[Task], repairs: list[str]) -> list[Task]:
    changing = [t for t in tasks if REVIEWED.intersection(t.steps)]
    if not changing or any("security_review" in t.steps for t in tasks) or len(tasks) > 998:
        return list(tasks)
    free = next(i for n in range(1, 1000) if (i := f"backend-T{n:03d}") not in {t.id for t in tasks})
    repairs.append(f"{free} added: a change of contract or schema gets a security review")
    review = Task(
        id=free,
        title="Security review",
        objective="Review the delivered contract, schema and evidence for security, and record what is not covered.",
        specialist=AUDITOR,
        needs=tuple(t.id for t in tasks),
        steps=("security_review",),
        writes=("docs/security.md",),
        acceptance_criteria=("docs/security.md names for each endpoint what protects it and what does not",),
        expected_output=("docs/security.md",),
    )
    return [*tasks, review]


def _upstream(task_id: str, needs: dict[str, tuple[str, ...]]) -> set[str]:
    found: set[str] = set()
    todo = list(needs[task_id])
    while todo:
        if (current := todo.pop()) not in found:
            found.add(current)
            todo += needs.get(current, ())
    return found
