"""The signed account of one run."""

from typing import Literal

from pydantic import Field

from backend_coordinator.domain.base import Value
from backend_coordinator.domain.context import ContextKind
from backend_coordinator.domain.delivery import Artifact, Claim, Decision, Need
from backend_coordinator.domain.events import InDoubt, ModelCalled, PlanChanged
from backend_coordinator.domain.failure import Attempt, Escalation, Level
from backend_coordinator.domain.protocol import ProtocolStep
from backend_coordinator.domain.question import Question
from backend_coordinator.domain.usage import Usage
from backend_coordinator.domain.verdict import Verdict, Waiver

TaskStatus = Literal["merged", "abandoned", "given_up", "skipped", "split"]


class TaskResult(Value):
    """How one task ended; `verdicts` are those of its delivered tree."""

    id: str
    title: str
    specialist: str
    needs: tuple[str, ...] = ()
    status: TaskStatus
    reason: str = ""
    summary: str = ""
    commit: str = ""
    artifacts: tuple[Artifact, ...] = ()
    decisions: tuple[Decision, ...] = ()
    claims: tuple[Claim, ...] = ()
    requests: tuple[Need, ...] = ()
    attempts: int = 0
    failures: tuple[Attempt, ...] = ()
    escalations: tuple[Escalation, ...] = ()
    verdicts: tuple[Verdict, ...] = ()
    waived: tuple[Waiver, ...] = ()
    aborts: bool = False
    """The answer to its question ended the whole run."""
    usage: Usage = Usage()
    seconds: float = 0.0
    log: str = ""


class Decided(Value):
    """One line of the log of decisions: `by` made it while working on `task`."""

    task: str
    by: str
    kind: ContextKind
    text: str


MetricName = Literal[
    "backend_tasks_completed",
    "backend_avg_completion_time",
    "backend_success_rate",
    "api_endpoint_coverage",
    "test_coverage",
    "database_query_performance",
    "security_audit_pass_rate",
    "api_response_time_p95",
]


class Metric(Value):
    """One of the "Metrics to Track": `value` is in `unit`; None means not measured, and then `how` says why.

    A ratio is `part` of `whole`, so that those of several runs can be added up.
    """

    name: MetricName
    value: float | None
    unit: str
    how: str
    part: float | None = None
    whole: float | None = None


class LevelRecovery(Value):
    """What one level of the ladder brought and took (Error Escalation Protocol).

    `steps` counts how often it was taken, `ended` the tasks that took no further rung and ended, `recovered` those of
    them that were merged, `rate` those in percent of the steps (None: not measured). `calls` are its own model calls,
    `attempts` the attempts that came after its rungs.
    """

    level: Level
    steps: int = 0
    ended: int = 0
    recovered: int = 0
    rate: float | None = None
    calls: Usage = Usage()
    attempts: Usage = Usage()


class Progress(Value):
    """What one attempt came to (the backend engineer's Progress Reporting), by what was recorded of it.

    `claimed` of `criteria` acceptance criteria are said to be met; None before anything was handed in.
    """

    task: str
    attempt: int
    specialist: str
    progress: str
    claimed: int | None = None
    criteria: int | None = None
    completed: tuple[str, ...] = ()
    blockers: tuple[str, ...] = ()
    next: str = ""
    help_needed: tuple[str, ...] = ()


class Report(Value):
    """One run from objective to branch; `accepted` follows from the verdicts and the tasks alone."""

    format: Literal["backend-coordinator/report/1"] = "backend-coordinator/report/1"
    run: str
    objective: str
    accepted: bool
    summary: str
    base: str
    branch: str
    commit: str
    tree: str
    model: str
    models: dict[str, str] = Field(default_factory=dict)
    """Model strings of those who have another one."""
    sandbox: str
    tasks: tuple[TaskResult, ...]
    verdicts: tuple[Verdict, ...]
    escalations: tuple[Escalation, ...]
    decisions: tuple[Decided, ...] = ()
    """What specialists decided, in the order of the plan; each reaches later tasks by its kind."""
    questions: tuple[Question, ...] = ()
    protocols: tuple[ProtocolStep, ...] = ()
    """What was done of the two protocols, in the order of the plan."""
    split: tuple[TaskResult, ...] = ()
    """Tasks in whose place their parts stand among `tasks`."""
    history: tuple[PlanChanged, ...] = ()
    """How the plan changed while it was carried out, oldest first."""
    repairs: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    """What the compiler found in the plan and left as it is."""
    chosen: dict[str, str] = Field(default_factory=dict)
    """By task: the specialist it was planned for, and why."""
    metrics: tuple[Metric, ...] = ()
    recovery: tuple[LevelRecovery, ...] = ()
    """The four levels; none in a report of before they were counted."""
    progress: tuple[Progress, ...] = ()
    """One for each attempt, in the order in which tasks and attempts began."""
    baseline: tuple[str, ...] = ()
    """Tests that failed on `base` and still fail; they are not blamed on the run."""
    in_doubt: tuple[InDoubt, ...] = ()
    """Tool calls of which nobody knows whether they took effect: a process ended while they ran."""
    usage: Usage
    coordination: Usage
    """The part of `usage` that analysis, decomposition, reviews and consultations took."""
    work: Usage = Usage()
    """The other part: the specialists' turns and their tools."""
    calls: tuple[ModelCalled, ...] = ()
    """All model calls, oldest first."""
    seconds: float
    """Wall time since the run was created: gates, merges and waiting are in it, parallel work only once."""
