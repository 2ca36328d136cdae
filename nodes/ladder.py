"""The escalation ladder as data: a class of failure is one row, and one function reads the table."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from backend_coordinator.domain.failure import Dossier, Escalation, Failure, FailureClass, Level, LevelBudget
from backend_coordinator.domain.roster import Roster, Specialist


class Rule(NamedTuple):
    """Where a class of failure starts, and whom Level 2 consults first (Error Escalation Protocol)."""

    failure: FailureClass
    level: Level
    peer: str | None = None


F, L = FailureClass, Level
RULES: tuple[Rule, ...] = (
    Rule(F.MISSING_DEPENDENCY, L.SELF_RECOVERY),
    Rule(F.SYNTAX_ERROR, L.SELF_RECOVERY),
    Rule(F.TEST_FAILURE, L.SELF_RECOVERY),
    Rule(F.STYLE, L.SELF_RECOVERY),
    Rule(F.GATE_FAILURE, L.SELF_RECOVERY),
    Rule(F.MERGE_CONFLICT, L.SELF_RECOVERY),
    Rule(F.EMPTY_ANSWER, L.SELF_RECOVERY),
    Rule(F.CUT_OFF, L.SELF_RECOVERY),
    Rule(F.PERFORMANCE_ISSUE, L.PEER_CONSULTATION, "backend-architect"),
    Rule(F.DATABASE_DESIGN, L.PEER_CONSULTATION, "database-optimizer"),
    Rule(F.API_CONTRACT_MISMATCH, L.PEER_CONSULTATION, "api-architect"),
    Rule(F.API_DESIGN_CONFLICT, L.PEER_CONSULTATION, "api-architect"),
    Rule(F.ARCHITECTURAL_QUESTION, L.PEER_CONSULTATION, "backend-architect"),
    Rule(F.OUTSIDE_EXPERTISE, L.PEER_CONSULTATION),
    Rule(F.RETRIES_EXHAUSTED, L.COORDINATOR_REVIEW),
    Rule(F.INTEGRATION_ISSUE, L.COORDINATOR_REVIEW),
    Rule(F.EXTERNAL_BLOCK, L.COORDINATOR_REVIEW),
    Rule(F.BUDGET_EXHAUSTED, L.COORDINATOR_REVIEW),
    Rule(F.STUCK, L.COORDINATOR_REVIEW),
    Rule(F.REFUSAL, L.COORDINATOR_REVIEW),
    Rule(F.CONTENT_FILTER, L.COORDINATOR_REVIEW),
    Rule(F.CONTEXT_OVERFLOW, L.COORDINATOR_REVIEW),
    Rule(F.ARCHITECTURE_MISMATCH, L.STRATEGIC_ESCALATION),
    Rule(F.SECURITY_CONCERN, L.STRATEGIC_ESCALATION),
    Rule(F.PERFORMANCE_UNACHIEVABLE, L.STRATEGIC_ESCALATION),
    Rule(F.BREAKING_CHANGE, L.STRATEGIC_ESCALATION),
    Rule(F.CROSS_SERVICE_CONFLICT, L.STRATEGIC_ESCALATION),
    Rule(F.DATABASE_CONFLICT, L.STRATEGIC_ESCALATION),
    Rule(F.STABILITY_THREAT, L.STRATEGIC_ESCALATION),
    Rule(F.API_SECURITY_INFEASIBLE, L.STRATEGIC_ESCALATION),
    Rule(F.TIMELINE, L.STRATEGIC_ESCALATION),
)


SURVIVING: tuple[tuple[str, str, FailureClass], ...] = (
    ("S", "", F.SECURITY_CONCERN),
    ("A7", "while the version is still", F.BREAKING_CHANGE),
)
"""Failed items, by how their id begins and what was found, that go to Level 4 as this class after Level 1."""

_OWN_TRIES = frozenset({F.MERGE_CONFLICT, F.MISSING_DEPENDENCY})
"""Classes with Level 1 tries of their own, since neither is a mistake in the code."""


def rule_of(kind: FailureClass, rules: Sequence[Rule] = RULES) -> Rule:
    """The row of a class; the last one wins, so that an added row replaces a packaged one."""
    return next(rule for rule in reversed(rules) if rule.failure is kind)


def next_level(
    failure: Failure, taken: Iterable[Escalation], budget: LevelBudget, rules: Sequence[Rule] = RULES
) -> Level | None:
    """The rung this failure takes next, or None when every budget from there on is spent.

    Level 1 that did not help leads to the coordinator (Level 3), not to a peer; a failed item of SURVIVING leads to
    Level 4. A class never takes a lower rung than before, and being stuck after advice takes a higher one. A rung
    that had no answer (`action` None) is never taken again for the same failure.
    """
    steps = tuple(taken)
    used = _used(failure, steps)
    start = rule_of(failure.kind, rules).level
    lowest: int = max([start, *(step.level for step in steps if step.failure is failure.kind)])
    if steps and failure.kind is FailureClass.STUCK:
        lowest = max(lowest, min(steps[-1].level + 1, Level.STRATEGIC_ESCALATION))
    helpless = steps[-1].level if steps and steps[-1].action is None else 0
    path = [step for step in Level if step >= lowest and step > helpless]
    if start is Level.SELF_RECOVERY:
        over = {Level.PEER_CONSULTATION, *([Level.COORDINATOR_REVIEW] if _surviving(failure) else [])}
        path = [step for step in path if step not in over]
    return next((step for step in path if used[step] < budget.of(step)), None)


def risen(dossier: Dossier, budget: LevelBudget, rules: Sequence[Rule] = RULES) -> Failure:
    """The failure under the class it takes on once Level 1 can do no more: a class of SURVIVING, or exhausted retries.

    That is when its tries are spent, or when an earlier attempt came back with exactly this finding: to say it again
    would tell its author nothing new. A conflict is with something else each time.
    """
    failure, grave = dossier.failure, _surviving(dossier.failure)
    if failure.kind is FailureClass.STUCK and grave:
        return failure.model_copy(update={"kind": grave})
    if rule_of(failure.kind, rules).level is not Level.SELF_RECOVERY:
        return failure
    spent = _used(failure, dossier.escalations)[Level.SELF_RECOVERY] >= budget.of(Level.SELF_RECOVERY)
    known = [_finding(attempt.failure) for attempt in dossier.attempts[:-1]]
    if not spent and (_finding(failure) not in known or failure.kind is FailureClass.MERGE_CONFLICT):
        return failure
    return failure.model_copy(update={"kind": grave or FailureClass.RETRIES_EXHAUSTED})


def _finding(failure: Failure) -> tuple[FailureClass, list[str]]:
    """What was found, without the commands that found it, which count the files they read."""
    return failure.kind, [line for line in failure.detail.splitlines() if not line.startswith("$ ")]


def _surviving(failure: Failure) -> FailureClass | None:
    rows = (row for row in SURVIVING if any(item.startswith(row[0]) for item in failure.items))
    return next((kind for _, sign, kind in rows if sign in failure.detail), None)


def _used(failure: Failure, steps: Sequence[Escalation]) -> Counter[Level]:
    own = {failure.kind} if failure.kind in _OWN_TRIES else set(FailureClass) - _OWN_TRIES
    return Counter(step.level for step in steps if step.level > Level.SELF_RECOVERY or step.failure in own)


def peer_for(
    failure: Failure,
    author: Specialist,
    roster: Roster,
    asked: Iterable[str] = (),
    rules: Sequence[Rule] = RULES,
) -> Specialist | None:
    """Whom to consult: the ladder's peer, then the author's own table; never the author, nobody twice."""
    named = [rule_of(failure.kind, rules).peer]
    named += [to for route in author.escalates_to if route.failure is failure.kind for to in route.to]
    excluded = {author.name, *asked}
    members = (roster.get(name) for name in named if name and name in roster)
    return next((m for m in members if m.name not in excluded and m.role != "external"), None)
