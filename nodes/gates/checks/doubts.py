"""The verdict on places that reading alone cannot decide."""

from collections.abc import Sequence

from backend_coordinator.domain.verdict import Evidence, Finding, Verdict
from backend_coordinator.nodes.gates.evidence import place, read_evidence, unknown


def undecided(item: str, doubts: Sequence[Finding], look: str, *evidence: Evidence) -> Verdict:
    """An unknown that names the places and, by `look`, what a reader should look at there."""
    reason = f"{look}: " + "; ".join(f"{place(doubt)}: {doubt.message}" for doubt in doubts)
    return unknown(item, reason, read_evidence(doubts, reason), *evidence)
