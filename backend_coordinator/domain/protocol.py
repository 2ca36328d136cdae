"""What was done of the two protocols (API Contract Coordination, Database Change Coordination), step by step."""

from typing import Literal

from backend_coordinator.domain.base import Value
from backend_coordinator.domain.plan import StepKind

Protocol = Literal["api_contract", "schema_change"]
Status = Literal["done", "not_done", "unknown"]


class ProtocolStep(Value):
    """One step of a protocol for one task; `by` took it, or would have, and `evidence` says what is known of it.

    `not_done` is a step that nobody took, `unknown` one of which nothing can be told; neither stops a run by itself.
    """

    task: str
    protocol: Protocol
    step: StepKind
    status: Status
    by: str
    evidence: str
