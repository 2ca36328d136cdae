"""Why a delivery did not pass, and the ladder it climbs (Error Escalation Protocol)."""

from collections.abc import Mapping
from enum import IntEnum, StrEnum
from typing import Literal

from backend_coordinator.domain.base import Value
from backend_coordinator.domain.usage import Usage


class Level(IntEnum):
    """The four rungs of the ladder."""

    SELF_RECOVERY = 1
    PEER_CONSULTATION = 2
    COORDINATOR_REVIEW = 3
    STRATEGIC_ESCALATION = 4


class FailureClass(StrEnum):
    """What kind of failure it is; the class alone decides where it starts on the ladder.

    It follows from evidence: what tools and gates found, from Level 1 on, or a limit or deadline that passed. What a
    specialist hands its task back for (`Topic`) is a request: it starts a rung, passes nothing and lowers no other.
    """

    MISSING_DEPENDENCY = "missing_dependency"
    SYNTAX_ERROR = "syntax_error"
    TEST_FAILURE = "test_failure"
    STYLE = "style"
    GATE_FAILURE = "gate_failure"
    MERGE_CONFLICT = "merge_conflict"
    EMPTY_ANSWER = "empty_answer"
    CUT_OFF = "cut_off"
    PERFORMANCE_ISSUE = "performance_issue"
    DATABASE_DESIGN = "database_design"
    API_CONTRACT_MISMATCH = "api_contract_mismatch"
    ARCHITECTURAL_QUESTION = "architectural_question"
    API_DESIGN_CONFLICT = "api_design_conflict"
    OUTSIDE_EXPERTISE = "outside_expertise"
    RETRIES_EXHAUSTED = "retries_exhausted"
    INTEGRATION_ISSUE = "integration_issue"
    EXTERNAL_BLOCK = "external_block"
    BUDGET_EXHAUSTED = "budget_exhausted"
    STUCK = "stuck"
    REFUSAL = "refusal"
    CONTENT_FILTER = "content_filter"
    CONTEXT_OVERFLOW = "context_overflow"
    ARCHITECTURE_MISMATCH = "architecture_mismatch"
    SECURITY_CONCERN = "security_concern"
    PERFORMANCE_UNACHIEVABLE = "performance_unachievable"
    BREAKING_CHANGE = "breaking_change"
    CROSS_SERVICE_CONFLICT = "cross_service_conflict"
    DATABASE_CONFLICT = "database_conflict"
    STABILITY_THREAT = "stability_threat"
    API_SECURITY_INFEASIBLE = "api_security_infeasible"
    TIMELINE = "timeline"


class Failure(Value):
    """A classified reason; `detail` is the exact message a specialist gets back."""

    kind: FailureClass
    summary: str
    detail: str = ""
    items: tuple[str, ...] = ()
    """Ids of the gate items that failed, where gates are the reason."""
    by: str = ""
    """Who found it, where that is somebody of the roster: what they said is the answer of Level 2."""


Action = Literal[
    "install", "retry", "guide", "reassign", "split", "amend", "wait", "waive", "abandon", "abort", "give_up"
]


class Escalation(Value):
    """One step on the ladder: who asked whom, what came back, and what it cost."""

    task: str
    level: Level
    failure: FailureClass
    asked: str
    asked_by: str
    question: str
    answer: str = ""
    action: Action | None = None
    usage: Usage = Usage()


class Attempt(Value):
    """One attempt as the dossier keeps it; `delivery_digest` tells identical attempts apart."""

    number: int
    specialist: str
    failure: Failure
    delivery_digest: str = ""


class Dossier(Value):
    """What is handed up with a failure."""

    task: str
    failure: Failure
    attempts: tuple[Attempt, ...] = ()
    escalations: tuple[Escalation, ...] = ()


class LevelBudget(Value):
    """How often one task may use each rung before its failure climbs on."""

    self_recovery: int = 2
    peer_consultation: int = 1
    coordinator_review: int = 2
    strategic_escalation: int = 2

    def of(self, level: Level) -> int:
        """The number of uses of `level`."""
        return self.by_level[level]

    @property
    def by_level(self) -> Mapping[Level, int]:
        """All four numbers."""
        return dict(
            zip(
                Level,
                (
                    self.self_recovery,
                    self.peer_consultation,
                    self.coordinator_review,
                    self.strategic_escalation,
                ),
                strict=True,
            )
        )
