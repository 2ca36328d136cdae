"""What the coordinator may decide on a dossier, and why a decision cannot be used (Coordinator Review)."""

from collections.abc import Mapping
from typing import Literal, NamedTuple

from pydantic import Field

from backend_coordinator.domain.base import Value
from backend_coordinator.domain.failure import Failure, FailureClass
from backend_coordinator.domain.plan import Amendment, Part, Plan, Task
from backend_coordinator.domain.report import TaskResult
from backend_coordinator.domain.roster import Specialist
from backend_coordinator.errors import InvalidPlan, UnknownSpecialist
from backend_coordinator.nodes.amend import divided
from backend_coordinator.nodes.context import RunContext
from backend_coordinator.nodes.plan_compiler import PlanDraft
from backend_coordinator.nodes.screen import Screen

MOST_MINUTES = 60
"""A task waits no longer for something outside; what takes longer is for a person to know."""


class Review(Value):
    """The coordinator's decision on a dossier.

    `to` names the new specialist for reassign, `amendment` what changes for amend, `parts` what takes the task's place
    for split, `minutes` how long to wait.
    """

    action: Literal["guide", "reassign", "split", "amend", "wait", "escalate", "give_up"]
    text: str
    to: str | None = None
    amendment: Amendment | None = None
    parts: tuple[Part, ...] = ()
    minutes: int = Field(0, ge=0, le=MOST_MINUTES)


class Scene(NamedTuple):
    """What stands when a task is reviewed: the plan, what has ended, and the screen before the task's specialist."""

    plan: Plan
    results: Mapping[str, TaskResult]
    screen: Screen


def unusable(
    context: RunContext, review: Review, task: Task, author: Specialist, *, failure: Failure, scene: Scene
) -> str | None:
    """Why an action cannot be carried out with what came with it; None where it can."""
    if review.action == "reassign" and assignable(context, review, author) is None:
        return f"{review.to!r} cannot take the task"
    if review.action == "amend" and amended(review, task, scene) is None:
        return "the amendment changes nothing"
    if review.action == "wait" and not (review.minutes and failure.kind is FailureClass.EXTERNAL_BLOCK):
        return "there is nothing outside to wait for, or no time was said"
    if review.action == "split":
        try:
            divided(context, scene.plan, task, review.parts)
        except InvalidPlan as error:
            return f"it cannot be split: {error}"
    return None


def assignable(context: RunContext, review: Review, author: Specialist) -> str | None:
    """Who else takes the task; None where nobody does, or nobody should."""
    if review.action != "reassign" or review.to is None:
        return None
    try:
        member = context.roster.get(review.to)
    except UnknownSpecialist:
        return None
    return member.name if member.role == "specialist" and member.name != author.name else None


def amended(review: Review, task: Task, scene: Scene) -> Task | None:
    """The task as it becomes, with nothing in it that its specialist must not read; None where it stays as it is."""
    if review.action != "amend" or review.amendment is None:
        return None
    told = scene.screen.value(review.amendment).of(task).model_dump(mode="json")
    (changed,) = PlanDraft.model_validate({"tasks": [told]}).tasks  # which reads ids however they are spelled
    return changed if changed != task else None
