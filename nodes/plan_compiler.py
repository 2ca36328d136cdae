"""From a drafted plan to one that holds together: what is wrong is named, what can be mended is."""

import re
from collections.abc import Collection
from typing import NamedTuple

from pydantic import model_validator

from backend_coordinator.domain.base import Value
from backend_coordinator.domain.objective import Analysis, RepositoryFacts
from backend_coordinator.domain.plan import Finding, Plan, Task
from backend_coordinator.domain.roster import Roster
from backend_coordinator.errors import InvalidPlan
from backend_coordinator.nodes.plan_draft import Draft
from backend_coordinator.nodes.plan_rules import BY_STEP, RULES, doubled_id
from backend_coordinator.nodes.stack import expert_for

MOST_ROUNDS = 10
"""Times that the rules are applied until none has anything to mend any more; two are the rule."""
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
    ids = [_id(need) for need in needs] if isinstance(needs, list) else []
    more = {"needs": [need for n, need in enumerate(ids) if need not in ids[:n]]} if isinstance(needs, list) else {}
    return {**task, **more, **({"id": _id(task["id"])} if "id" in task else {})}


def _id(given: object) -> object:
    number = _NUMBER.fullmatch(given.strip()) if isinstance(given, str) else None
    return f"backend-T{int(number[1]):03d}" if number else given


class Compiled(NamedTuple):
    """A sound plan and what was found on the way to it."""

    plan: Plan
    findings: tuple[Finding, ...]

    @property
    def repairs(self) -> tuple[str, ...]:
        """What was changed, one line each, for the report."""
        return repairs_in(self.findings)


class Examined(NamedTuple):
    """The tasks as they are after all repairs, and every finding; the plan is unsound where one is refused."""

    tasks: tuple[Task, ...]
    findings: tuple[Finding, ...]

    @property
    def refused(self) -> tuple[Finding, ...]:
        """What has no one right remedy."""
        return tuple(finding for finding in self.findings if not finding.repair and not finding.remark)


def compile_plan(
    draft: PlanDraft,
    roster: Roster,
    *,
    analysis: Analysis | None = None,
    facts: RepositoryFacts | None = None,
    settled: Collection[str] = (),
) -> Compiled:
    """The plan of a draft, mended by every rule that has one right remedy.

    With an analysis it is a model's draft, which has to cover it and is brought to its right size; with facts the
    stacks decide who writes code. Tasks that are `settled` have begun or ended and stay as they are. Raises
    InvalidPlan with one finding a line for what has no remedy.
    """
    examined = examine(draft, roster, analysis=analysis, facts=facts, settled=settled)
    if examined.refused:
        raise InvalidPlan([str(finding) for finding in examined.refused])
    return Compiled(Plan(tasks=examined.tasks), examined.findings)


def examine(
    draft: PlanDraft,
    roster: Roster,
    *,
    analysis: Analysis | None = None,
    facts: RepositoryFacts | None = None,
    settled: Collection[str] = (),
) -> Examined:
    """What every rule finds in a draft, whose order of tasks does not matter; raises nothing."""
    if not draft.tasks:
        return Examined((), (Finding(rule="empty", reason="the plan has no task"),))
    tasks, findings = doubled_id(draft.tasks, frozenset(settled))
    at_work = Draft(tasks, roster, analysis, facts, frozenset(settled))
    for _ in range(MOST_ROUNDS):
        found = [finding for rule in RULES.values() for finding in rule(at_work)]
        findings += [finding for finding in found if finding.repair]
        if not any(finding.repair for finding in found):
            break
    findings += [finding for finding in found if not finding.repair]
    return Examined(tuple(at_work), tuple(findings))


def repairs_in(findings: Collection[Finding]) -> tuple[str, ...]:
    """What was changed, one line each."""
    return tuple(str(finding) for finding in findings if finding.repair)


def reasons(plan: Plan, roster: Roster, facts: RepositoryFacts) -> dict[str, str]:
    """Why each task has its specialist: the stack that the code lies in, a step of it, or because the plan says so."""
    return {task.id: _reason(task, roster, facts) for task in plan.tasks}


def _reason(task: Task, roster: Roster, facts: RepositoryFacts) -> str:
    name = roster.resolve(task.specialist)
    if "write_code" in task.steps and (stack := expert_for(facts, task.writes)) and stack.specialist == name:
        return f"{stack.reason} (in {stack.root})" if stack.root else stack.reason
    step = next((step for step, who in BY_STEP.items() if step in task.steps and who == name), None)
    return f"{step.replace('_', ' ')} is its work" if step else "named by the plan"
