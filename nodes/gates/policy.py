"""What verdicts must say for work to be accepted, and the line that tells it."""

from collections.abc import Collection, Sequence

from backend_coordinator.domain.verdict import Outcome, Verdict

DEFAULT_REQUIRED = ("C2", "C5", "S3", "S7", "D3", "O1")

_SETTLED = frozenset({Outcome.PASS, Outcome.WAIVED, Outcome.NOT_APPLICABLE})


def accepted(verdicts: Sequence[Verdict], required: Collection[str] = DEFAULT_REQUIRED) -> bool:
    """True if nothing fails and each required item has a verdict that is pass, waived or not applicable."""
    return not failures(verdicts) and not _unsettled(verdicts, required)


def _unsettled(verdicts: Sequence[Verdict], required: Collection[str]) -> list[str]:
    settled = {v.id for v in verdicts if v.verdict in _SETTLED} - {v.id for v in verdicts if v.verdict not in _SETTLED}
    return sorted(set(required) - settled)


def failures(verdicts: Sequence[Verdict]) -> tuple[Verdict, ...]:
    """The failed ones, in order."""
    return tuple(verdict for verdict in verdicts if verdict.verdict is Outcome.FAIL)


def headline(verdicts: Sequence[Verdict], accepted: bool, required: Collection[str] = DEFAULT_REQUIRED) -> str:
    """The last line of a run: what was verified, what failed, and up to five places a person should look.

    Where nothing failed it names the required items that stand in the way of acceptance.
    """
    verified = sum(verdict.verdict is Outcome.PASS for verdict in verdicts)
    unknown = [verdict.id for verdict in verdicts if verdict.verdict is Outcome.UNKNOWN]
    waived = [verdict.id for verdict in verdicts if verdict.verdict is Outcome.WAIVED]
    parts = [f"{'accepted' if accepted else 'not accepted'}, {verified} of {len(verdicts)} verified"]
    if failed := failures(verdicts):
        parts.append(f"{len(failed)} failed: {', '.join(verdict.id for verdict in failed)}")
    elif open_items := _unsettled(verdicts, required):
        parts.append(f"required but not verified: {', '.join(open_items)}")
    if waived:
        parts.append(f"{len(waived)} waived: {', '.join(waived)}")
    if unknown:
        first = sorted(unknown, key=lambda item: item not in required)[:5]
        parts.append(f"{len(unknown)} unknown: look at {', '.join(first)}")
    return ", ".join(parts)
