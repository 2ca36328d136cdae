"""From a drafted plan to one that holds together: what is wrong is named, what can be mended is."""

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from pydantic import ValidationError, model_validator

from backend_coordinator.domain.base import Value
from backend_coordinator.domain.context import ContextKind
from backend_coordinator.domain.plan import Plan, Task
from backend_coordinator.domain.roster import Roster, Specialist
from backend_coordinator.errors import InvalidPlan, UnknownSpecialist
from backend_coordinator.nodes.kinds import rule_for

AUDITOR = "backend-architect"
REVIEWED = {"design_contract": ContextKind.API_CONTRACT, "design_migration": ContextKind.DATABASE_SCHEMA}
"""Steps of design, each with the kind of what comes of it."""
_NUMBER = re.compile(r"(?:backend)?[-_ ]*(?:task|t)?[-_ #]*(\d{1,3})", re.IGNORECASE)


class PlanDraft(Value):
    """What a model or a file proposes; nothing in it is trusted yet.

    Numbers of tasks are read however they are spelled: T1, task-1 and backend-t001 are backend-T001.
    """

    tasks: tuple[Task, ...]

    @model_validator(mode="before")
    @classmethod
    def _number(cls, given: object) -> object:
        if not isinstance(given, dict) or not isinstance(given.get("tasks"), list):
            return given
        return {**given, "tasks": [_numbered(task) for task in given["tasks"]]}


def _numbered(task: object) -> object:
    if not isinstance(task, dict):
        return task
    needs = task.get("needs")
    more = {"needs": [_id(need) for need in needs]} if isinstance(needs, list) else {}
    return {**task, **more, **({"id": _id(task["id"])} if "id" in task else {})}


def _id(given: object) -> object:
    number = _NUMBER.fullmatch(given.strip()) if isinstance(given, str) else None
    return f"backend-T{int(number[1]):03d}" if number else given


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
    tasks = _design_first(tasks, roster, repairs)
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


def _design_first(tasks: Sequence[Task], roster: Roster, repairs: list[str]) -> list[Task]:
    """Code waits for the designs it may see; one that its author never sees cannot be what it is built on."""
    needs = {task.id: task.needs for task in tasks}
    designs = [task for task in tasks if REVIEWED.keys() & task.steps]
    for task in tasks:
        if "write_code" not in task.steps or task in designs:
            continue
        author, before = roster.get(task.specialist), _upstream(task.id, needs)
        missing = [
            design.id
            for design in designs
            if design.id not in before and task.id not in _upstream(design.id, needs) and _sees(author, design)
        ]
        if missing:
            repairs.append(f"{task.id} writes code and now waits for {', '.join(missing)}: design comes first")
            needs[task.id] = (*task.needs, *missing)
    return [task.model_copy(update={"needs": needs[task.id]}) for task in tasks]


def _sees(author: Specialist, design: Task) -> bool:
    return any(rule_for(author, REVIEWED[step])[0] for step in design.steps if step in REVIEWED)


def _reviewed(tasks: Sequence[Task], repairs: list[str]) -> list[Task]:
    changing = [t for t in tasks if REVIEWED.keys() & t.steps]
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


def _upstream(task_id: str, needs: Mapping[str, tuple[str, ...]]) -> set[str]:
    found: set[str] = set()
    todo = list(needs[task_id])
    while todo:
        if (current := todo.pop()) not in found:
            found.add(current)
            todo += needs.get(current, ())
    return found
