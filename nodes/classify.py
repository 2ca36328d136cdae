"""From failed verdicts to the class of failure that decides where the ladder starts; evidence alone decides."""

import re
from collections.abc import Sequence

from backend_coordinator.domain.failure import Failure, FailureClass
from backend_coordinator.domain.verdict import Verdict

_SIGNS: tuple[tuple[FailureClass, re.Pattern[str]], ...] = (
    (FailureClass.SYNTAX_ERROR, re.compile(r"\b(?:SyntaxError|IndentationError|TabError)\b")),
    (FailureClass.MISSING_DEPENDENCY, re.compile(r"ModuleNotFoundError: No module named")),
)
_ITEMS = {"C5": FailureClass.TEST_FAILURE, "C1": FailureClass.STYLE}
MOST_DETAIL = 8_000


def classify(failed: Sequence[Verdict]) -> Failure | None:
    """The failure that these failed verdicts make, or None where there is none."""
    if not failed:
        return None
    detail = "\n\n".join(_told(verdict) for verdict in failed)[:MOST_DETAIL]
    kinds = {_ITEMS.get(verdict.id, FailureClass.GATE_FAILURE) for verdict in failed}
    kind = kinds.pop() if len(kinds) == 1 else FailureClass.GATE_FAILURE
    kind = next((found for found, sign in _SIGNS if sign.search(detail)), kind)
    summary = "; ".join(f"{verdict.id}: {verdict.reason}" for verdict in failed)
    return Failure(kind=kind, summary=summary[:500], detail=detail, items=tuple(v.id for v in failed))


def _told(verdict: Verdict) -> str:
    lines = [f"{verdict.id} failed: {verdict.reason}"]
    for evidence in verdict.evidence:
        lines.append(f"$ {' '.join(evidence.command)} -> exit {evidence.exit_code}: {evidence.summary}")
        lines += [f"{finding.path}:{finding.line}: {finding.message}" for finding in evidence.findings]
    return "\n".join(lines)
