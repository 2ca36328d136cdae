"""The escalation ladder as data: a class of failure is one row, and one function reads the table."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from backend_coordinator.domain.failure import Escalation, Failure, FailureClass, Level, LevelBudget
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


def rule_of(kind: FailureClass, rules: Sequence[Rule] = RULES) -> Rule:
    """The row of a class; the last one wins, so that an added row replaces a packaged one."""
    return next(rule for rule in reversed(rules) if rule.failure is kind)


def next_level(
    failure: Failure, taken: Iterable[Escalation], budget: LevelBudget, rules: Sequence[Rule] = RULES
) -> Level | None:
    """The rung this failure takes next, or None when every budget from there on is spent.

    Level 1 that did not help leads to the coordinator (Level 3), not to a peer; a failed security item that
    survived Level 1 leads to Level 4. A rung that had no answer (`action` None) is never taken again for the same
    failure.
    """
    steps = tuple(taken)
    used = _used(failure, steps)
    level = rule_of(failure.kind, rules).level
    helpless = steps[-1].level if steps and steps[-1].action is None else 0
    path = [step for step in Level if step >= level and step > helpless]
    if level is Level.SELF_RECOVERY:
        security = any(item.startswith("S") for item in failure.items)
        over = {Level.PEER_CONSULTATION, *([Level.COORDINATOR_REVIEW] if security else [])}
        path = [step for step in path if step not in over]
    return next((step for step in path if used[step] < budget.of(step)), None)


def risen(failure: Failure, taken: Iterable[Escalation], budget: LevelBudget, rules: Sequence[Rule] = RULES) -> Failure:
    """The failure under the class it takes on once Level 1 is used up: a security concern, or exhausted retries."""
    spent = _used(failure, tuple(taken))[Level.SELF_RECOVERY] >= budget.of(Level.SELF_RECOVERY)
    if not spent or rule_of(failure.kind, rules).level is not Level.SELF_RECOVERY:
        return failure
    security = any(item.startswith("S") for item in failure.items)
    kind = FailureClass.SECURITY_CONCERN if security else FailureClass.RETRIES_EXHAUSTED
    return failure.model_copy(update={"kind": kind})


def _used(failure: Failure, steps: Sequence[Escalation]) -> Counter[Level]:
    """How often each rung was used; rebasing has Level 1 tries of its own, since a conflict is nobody's mistake."""
    conflict = FailureClass.MERGE_CONFLICT
    alike = [s for s in steps if s.level > 1 or (s.failure is conflict) == (failure.kind is conflict)]
    return Counter(step.level for step in alike)


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
