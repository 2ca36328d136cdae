"""The escalation ladder as data: a class of failure is one row, and one function reads the table."""

import re
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


class Survivor(NamedTuple):
    """A failed item, by how its id begins and what was found (a pattern), and the class it has after Level 1."""

    items: str
    sign: str
    failure: FailureClass


SURVIVING: tuple[Survivor, ...] = (
    Survivor("S", "", F.SECURITY_CONCERN),
    Survivor("A7", "while the version is still", F.BREAKING_CHANGE),
    Survivor("D", "", F.DATABASE_DESIGN),
    Survivor("A3", "does not declare|declares neither", F.API_CONTRACT_MISMATCH),
    Survivor("O1", "not in the contract|has no route|the (?:route|contract) (?:has|does)|on one side only",
             F.API_CONTRACT_MISMATCH),
    Survivor("P", "", F.PERFORMANCE_ISSUE),
)  # fmt: skip
"""What a failed item that its author cannot mend is a case of (Error Escalation Protocol): others exhaust retries."""

_OWN_TRIES = frozenset({F.MERGE_CONFLICT, F.MISSING_DEPENDENCY})
"""Classes with Level 1 tries of their own, since neither is a mistake in the code."""


def rule_of(kind: FailureClass, rules: Sequence[Rule] = RULES) -> Rule:
    """The row of a class; the last one wins, so that an added row replaces a packaged one."""
    return next(rule for rule in reversed(rules) if rule.failure is kind)


def next_level(
    failure: Failure, taken: Iterable[Escalation], budget: LevelBudget, rules: Sequence[Rule] = RULES
) -> Level | None:
    """The rung this failure takes next, or None when every budget from there on is spent.

    Level 1 that did not help leads to where the class of `surviving` starts. A class never takes a lower rung than
    before, and being stuck after advice takes a higher one. A rung that had no answer (`action` None) is never taken
    again for the same failure. What a specialist reports itself starts a rung and is no evidence: it passes nothing,
    and what the gates found takes no lower rung for it.
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
        beyond = rule_of(surviving(failure, rules), rules).level
        path = [step for step in path if step is Level.SELF_RECOVERY or step >= beyond]
    return next((step for step in path if used[step] < budget.of(step)), None)


def risen(dossier: Dossier, budget: LevelBudget, rules: Sequence[Rule] = RULES, *, late: bool = False) -> Failure:
    """The failure under the class it takes on once Level 1 can do no more: that of `surviving`.

    That is when its tries are spent, or when an earlier attempt came back with exactly this finding: to say it again
    would tell its author nothing new. A conflict is with something else each time. After the objective's deadline
    (`late`) a failure that has not gone up by itself is a timeline concern (When to Escalate), once for a task.
    """
    failure = dossier.failure
    kind = _risen(dossier, budget, rules)
    told = any(step.failure is FailureClass.TIMELINE for step in dossier.escalations)
    if late and not told and rule_of(kind, rules).level < Level.STRATEGIC_ESCALATION:
        kind = FailureClass.TIMELINE
    return failure if kind is failure.kind else failure.model_copy(update={"kind": kind})


def _risen(dossier: Dossier, budget: LevelBudget, rules: Sequence[Rule]) -> FailureClass:
    failure, grave = dossier.failure, surviving(dossier.failure, rules)
    if failure.kind is FailureClass.STUCK and rule_of(grave, rules).level is Level.STRATEGIC_ESCALATION:
        return grave
    if rule_of(failure.kind, rules).level is not Level.SELF_RECOVERY:
        return failure.kind
    spent = _used(failure, dossier.escalations)[Level.SELF_RECOVERY] >= budget.of(Level.SELF_RECOVERY)
    known = [_finding(attempt.failure) for attempt in dossier.attempts[:-1]]
    repeated = _finding(failure) in known and failure.kind is not FailureClass.MERGE_CONFLICT
    return grave if spent or repeated else failure.kind


def surviving(failure: Failure, rules: Sequence[Rule] = RULES) -> FailureClass:
    """The class that the failed items have after Level 1: of several the gravest, the one that starts highest.

    Where no item has a row in SURVIVING the retries are exhausted.
    """
    rows = [row for row in SURVIVING if any(item.startswith(row.items) for item in failure.items)]
    kinds = [row.failure for row in rows if re.search(row.sign, failure.detail)]
    return max(kinds, key=lambda kind: rule_of(kind, rules).level, default=FailureClass.RETRIES_EXHAUSTED)


def _finding(failure: Failure) -> tuple[FailureClass, list[str]]:
    """What was found, without the commands that found it, which count the files they read."""
    return failure.kind, [line for line in failure.detail.splitlines() if not line.startswith("$ ")]


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
    """Whom to consult: the ladder's peer, then the author's own table; never the author, nobody twice.

    Of several rows of that table for the class those come first whose situation, or whose member's expertise, has most
    words of the failure.
    """
    about = _words(f"{failure.summary} {failure.detail}")
    own = [(route, to) for route in author.escalates_to if route.failure is failure.kind for to in route.to]
    members = [(roster.get(to), route.when) for route, to in own if to in roster]
    members.sort(key=lambda row: -len(about & _words(" ".join((row[1], *row[0].expertise)))))
    first = rule_of(failure.kind, rules).peer
    named = [*([roster.get(first)] if first and first in roster else []), *(member for member, _ in members)]
    excluded = {author.name, *asked}
    return next((m for m in named if m.name not in excluded and m.role != "external"), None)


def _words(text: str) -> frozenset[str]:
    """The words of a text that carry meaning, by how they begin."""
    return frozenset(word[:5] for word in re.findall(r"[a-z0-9]{4,}", text.lower()))
