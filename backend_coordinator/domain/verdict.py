"""What a gate says, and on what it rests."""

from enum import StrEnum

from backend_coordinator.domain.base import Value


class Outcome(StrEnum):
    """A gate's answer; `unknown` never counts as `pass`."""

    PASS = "pass"
    FAIL = "fail"
    UNKNOWN = "unknown"
    NOT_APPLICABLE = "not_applicable"
    WAIVED = "waived"


class Finding(Value):
    """One place a check speaks of; `line` counts from 1, 0 means the whole file."""

    path: str
    line: int = 0
    message: str


class Evidence(Value):
    """What a tool said about one tree: `output_sha256` is over its whole output, `summary` one line of it."""

    tool: str
    version: str = ""
    command: tuple[str, ...] = ()
    exit_code: int | None = None
    output_sha256: str = ""
    summary: str = ""
    findings: tuple[Finding, ...] = ()
    tree: str = ""


class Waiver(Value):
    """A person's word that one failed item may stand; shown as waived, never as pass.

    `expires` is an ISO date: from the day after on, the item fails again.
    """

    item: str
    by: str
    reason: str
    expires: str | None = None


class Verdict(Value):
    """One item's or check's outcome on one tree; `reason` is one line a person can act on."""

    id: str
    verdict: Outcome
    reason: str
    evidence: tuple[Evidence, ...] = ()
    tree: str = ""
