"""What comes back from a specialist."""

from typing import Literal

from backend_coordinator.domain.base import Value
from backend_coordinator.domain.context import ContextKind

Topic = Literal[
    "performance_issue", "database_design", "api_contract_mismatch", "architectural_question", "api_design_conflict",
    "integration_issue", "external_block",
    "architecture_mismatch", "security_concern", "performance_unachievable", "breaking_change",
    "cross_service_conflict", "database_conflict", "stability_threat", "api_security_infeasible", "timeline",
]  # fmt: skip
"""What a specialist can hand a task back for: the classes of failure that no tool finds."""

Change = Literal["added", "modified", "deleted"]


class Artifact(Value):
    """A file in the delivered tree, computed from the diff and never inlined into state."""

    path: str
    kind: ContextKind
    sha256: str
    change: Change


class Decision(Value):
    """Something decided on the way that later tasks may need; filtered by its kind."""

    kind: ContextKind = ContextKind.SYSTEM_DESIGN
    text: str


class Claim(Value):
    """What the specialist says about one acceptance criterion; a claim is never evidence."""

    criterion: str
    met: bool
    how: str = ""


class Need(Value):
    """Help or further work a specialist asks the coordinator for; it never delegates itself."""

    what: str
    why: str
    who: str | None = None


class Delivery(Value):
    """The outcome of one attempt; `commit` and `tree` are object names in the run's repository."""

    task: str
    attempt: int
    specialist: str
    summary: str
    refusal: str | None = None
    about: Topic | None = None
    """What the refusal is for; without it the task lies outside the specialist's expertise."""
    commit: str = ""
    tree: str = ""
    artifacts: tuple[Artifact, ...] = ()
    decisions: tuple[Decision, ...] = ()
    claims: tuple[Claim, ...] = ()
    needs: tuple[Need, ...] = ()
