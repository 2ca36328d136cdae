"""What a run tells while it goes: typed events, each a line of the run's journal."""

import re
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from backend_coordinator.domain.base import Value
from backend_coordinator.domain.delivery import Change, Decision
from backend_coordinator.domain.failure import Escalation, FailureClass
from backend_coordinator.domain.plan import Changed, Finding
from backend_coordinator.domain.question import Answer, Question
from backend_coordinator.domain.usage import Usage
from backend_coordinator.domain.verdict import Outcome

COORDINATOR = "backend-coordinator"
_TASK = re.compile(r"backend-T\d{3}")


class _Event(Value):
    version: Literal[1] = 1


class RunStarted(_Event):
    """The run was created on `base`, a commit of the user's repository."""

    type: Literal["run_started"] = "run_started"
    objective: str
    base: str
    branch: str
    model: str
    sandbox: str


class RunResumed(_Event):
    """A process took up a run that had stopped."""

    type: Literal["run_resumed"] = "run_resumed"
    process: int


class Outline(Value):
    """What a reader has to know of a task that has not begun; `why` is the reason for its specialist."""

    task: str
    title: str
    specialist: str
    needs: tuple[str, ...] = ()
    why: str = ""


class PlanMade(_Event):
    """The plan as it now stands; `repairs` are what the compiler changed, `findings` all that it found."""

    type: Literal["plan_made"] = "plan_made"
    tasks: tuple[str, ...]
    groups: tuple[tuple[str, ...], ...]
    repairs: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    outline: tuple[Outline, ...] = ()


class PlanChanged(_Event):
    """The plan is another one from now on; `task` is the one whose failure led to it, if one did."""

    type: Literal["plan_changed"] = "plan_changed"
    task: str = ""
    by: str
    changes: tuple[Changed, ...] = ()
    added: tuple[str, ...] = ()
    replaced: tuple[str, ...] = ()

    @property
    def told(self) -> tuple[str, str]:
        """Whose change it is, and what it is."""
        said = [f"{each.task} {each.field}: {each.before!r} is now {each.after!r}" for each in self.changes]
        said += [f"{', '.join(self.replaced)} replaced"] if self.replaced else []
        said += [f"{', '.join(self.added)} added"] if self.added else []
        return f"plan changed by {self.by}", "; ".join(said)


class TaskStarted(_Event):
    """An attempt of a task began."""

    type: Literal["task_started"] = "task_started"
    task: str
    specialist: str
    attempt: int
    title: str


class ModelCalled(_Event):
    """One model call that ended; `purpose` is a task id or begins with a coordinator's verb.

    `specialist` is who asked, `failed` names the fault of a call that brought no answer.
    """

    type: Literal["model_called"] = "model_called"
    purpose: str
    usage: Usage
    specialist: str = COORDINATOR
    model: str = ""
    failed: str = ""

    @property
    def task(self) -> str | None:
        """The task in whose loop it was made; None for the coordinator's and consulted peers' calls."""
        return self.purpose if _TASK.fullmatch(self.purpose) else None


class ToolCalled(_Event):
    """One tool call of a specialist with what came of it, and how many seconds it took."""

    type: Literal["tool_called"] = "tool_called"
    task: str
    tool: str
    subject: str
    ok: bool
    specialist: str = ""
    seconds: float = 0.0


class InDoubt(_Event):
    """A tool call with effects was under way when its process ended: whether it took effect is not known."""

    type: Literal["in_doubt"] = "in_doubt"
    task: str
    tool: str
    subject: str


class Delivered(_Event):
    """A specialist handed in its work; nothing is checked yet."""

    type: Literal["delivered"] = "delivered"
    task: str
    summary: str
    artifacts: int
    changes: tuple[tuple[Change, str], ...] = ()
    """Each file and what was done to it."""
    claimed: int = 0
    """Of the task's `criteria`, those that are said to be met."""
    criteria: int = 0
    decisions: tuple[Decision, ...] = ()


class Inspected(_Event):
    """The gates decided a delivery; `verdicts` maps item id to outcome."""

    type: Literal["inspected"] = "inspected"
    task: str
    tree: str
    verdicts: tuple[tuple[str, Outcome], ...]


class Failed(_Event):
    """An attempt did not pass."""

    type: Literal["failed"] = "failed"
    task: str
    attempt: int
    failure: FailureClass
    summary: str
    detail: str = ""


class Escalated(_Event):
    """A failure took one step on the ladder."""

    type: Literal["escalated"] = "escalated"
    escalation: Escalation


class Asked(_Event):
    """A question waits for an answer."""

    type: Literal["asked"] = "asked"
    question: Question


class Answered(_Event):
    """A question was answered."""

    type: Literal["answered"] = "answered"
    question: str
    answer: Answer


class Merged(_Event):
    """A task's commit stands on the run's branch."""

    type: Literal["merged"] = "merged"
    task: str
    commit: str


class TaskEnded(_Event):
    """A task reached its end."""

    type: Literal["task_ended"] = "task_ended"
    task: str
    status: str
    reason: str = ""


class Noticed(_Event):
    """Something the user should know that is no failure."""

    type: Literal["noticed"] = "noticed"
    text: str


class RunEnded(_Event):
    """The run is over."""

    type: Literal["run_ended"] = "run_ended"
    accepted: bool
    summary: str


Event = Annotated[
    RunStarted | RunResumed | PlanMade | PlanChanged | TaskStarted | ModelCalled | ToolCalled | InDoubt | Delivered
    | Inspected | Failed | Escalated | Asked | Answered | Merged | TaskEnded | Noticed | RunEnded,
    Field(discriminator="type"),
]  # fmt: skip

EVENT: TypeAdapter[Event] = TypeAdapter(Event)
