"""What the two graphs remember between steps: pydantic values, so that any checkpointer's dicts become types again."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict
from typing_extensions import TypedDict

from backend_coordinator.domain.context import Message
from backend_coordinator.domain.delivery import Delivery
from backend_coordinator.domain.failure import Attempt, Escalation, Failure
from backend_coordinator.domain.objective import Analysis, Objective, RepositoryFacts
from backend_coordinator.domain.plan import Plan, Task
from backend_coordinator.domain.question import Question
from backend_coordinator.domain.report import TaskResult
from backend_coordinator.domain.usage import Usage
from backend_coordinator.domain.verdict import Verdict, Waiver
from backend_coordinator.nodes.tools.protocol import Submission

STATE_VERSION = 1


def joined(old: dict[str, TaskResult], new: dict[str, TaskResult]) -> dict[str, TaskResult]:
    """Results by task id; a later one replaces an earlier one."""
    return {**old, **new}


class _State(BaseModel):
    model_config = ConfigDict(frozen=True)


class RunState(_State):
    """One run. `ended` is the terminal marker: without it a run is not over, whatever LangGraph says is next."""

    version: int = STATE_VERSION
    objective: Objective | None = None
    facts: RepositoryFacts = RepositoryFacts()
    analysis: Analysis = Analysis()
    plan: Plan | None = None
    repairs: tuple[str, ...] = ()
    rounds: int = 0
    heard: tuple[str, ...] = ()
    """Ids of the tasks whose reported needs were judged."""
    results: Annotated[dict[str, TaskResult], joined] = {}
    verdicts: tuple[Verdict, ...] = ()
    question: Question | None = None
    """About a model that the review cannot use."""
    stopped: str | None = None
    ended: bool = False


class RunUpdate(TypedDict, total=False):
    """What an outer node changes."""

    version: int
    objective: Objective
    facts: RepositoryFacts
    analysis: Analysis
    plan: Plan
    repairs: tuple[str, ...]
    rounds: int
    heard: tuple[str, ...]
    results: dict[str, TaskResult]
    verdicts: tuple[Verdict, ...]
    question: Question | None
    stopped: str | None
    ended: bool


class Job(_State):
    """All that `dispatch` sends to a specialist's node; the rest is asked of the conductor."""

    task: str


Ending = Literal["merged", "abandoned", "given_up", "aborted", "split"]


class TaskState(_State):
    """One task on its way through its specialist's flow; assignment and verdicts, which are large, are notes."""

    task: Task
    specialist: str
    attempt: int = 0
    base: str = ""
    guidance: tuple[Message, ...] = ()
    submission: Submission | None = None
    delivery: Delivery | None = None
    failure: Failure | None = None
    question: Question | None = None
    attempts: tuple[Attempt, ...] = ()
    escalations: tuple[Escalation, ...] = ()
    waived: tuple[Waiver, ...] = ()
    usage: Usage = Usage()
    seconds: float = 0.0
    """Wall time of the attempts so far."""
    fresh: bool = True
    ending: Ending | None = None
    reason: str = ""


class TaskUpdate(TypedDict, total=False):
    """What a step of the flow changes."""

    task: Task
    specialist: str
    attempt: int
    base: str
    guidance: tuple[Message, ...]
    submission: Submission | None
    delivery: Delivery
    failure: Failure | None
    question: Question | None
    attempts: tuple[Attempt, ...]
    escalations: tuple[Escalation, ...]
    waived: tuple[Waiver, ...]
    usage: Usage
    seconds: float
    fresh: bool
    ending: Ending
    reason: str
