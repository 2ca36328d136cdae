"""The laws of the escalation ladder, told apart from its code: what its table says, and what any walk on it keeps.

Each takes the ladder as a module, so that a mutated one is judged by the same laws; each raises AssertionError.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from backend_coordinator.domain.failure import (
    Action,
    Attempt,
    Dossier,
    Escalation,
    Failure,
    FailureClass,
    Level,
    LevelBudget,
)
from backend_coordinator.prompts.loader import load_roster

ROSTER = load_roster()
STARTS = {
    1: "missing_dependency syntax_error test_failure style gate_failure merge_conflict empty_answer cut_off",
    2: "performance_issue database_design api_contract_mismatch api_design_conflict architectural_question "
    "outside_expertise",
    3: "retries_exhausted integration_issue external_block budget_exhausted stuck refusal content_filter "
    "context_overflow",
    4: "architecture_mismatch security_concern performance_unachievable breaking_change cross_service_conflict "
    "database_conflict stability_threat api_security_infeasible timeline",
}
LEVEL = {FailureClass(name): level for level, names in STARTS.items() for name in names.split()}
PEERS = {
    "performance_issue": "backend-architect",
    "database_design": "database-optimizer",
    "api_contract_mismatch": "api-architect",
    "api_design_conflict": "api-architect",
    "architectural_question": "backend-architect",
}
SIGNS = {
    "broken": "A7 failed: GET /v1/orders is gone, while the version is still 1.2.0",
    "unversioned": "A7 failed: the application is given no version",
    "undeclared": "A3 failed: GET /orders raises 404 and does not declare it",
    "unfit": "A3 failed: POST /orders creates and answers 200 instead of 201",
    "apart": "O1 failed: GET /orders has no route",
    "without": "O1 failed: GET /orders is not in the contract",
    "unsaid": "O1 failed: GET /orders: the contract does not declare status 404",
    "invalid": "O1 failed: responses is a required property",
}
OWN_TRIES = ("merge_conflict", "missing_dependency")
EVIDENCE = [  # failed items, what was found, and the class after Level 1
    ((), "", "retries_exhausted"),
    (("C5",), "", "retries_exhausted"),
    (("T2", "C1"), "", "retries_exhausted"),
    (("S7",), "", "security_concern"),
    (("A7",), "broken", "breaking_change"),
    (("A7",), "unversioned", "retries_exhausted"),
    (("A3",), "undeclared", "api_contract_mismatch"),
    (("A3",), "unfit", "retries_exhausted"),
    (("O1",), "apart", "api_contract_mismatch"),
    (("O1",), "without", "api_contract_mismatch"),
    (("O1",), "unsaid", "api_contract_mismatch"),
    (("O1",), "invalid", "retries_exhausted"),
    (("A2",), "", "retries_exhausted"),
    (("D3",), "", "database_design"),
    (("P5",), "", "performance_issue"),
    (("P5", "D2"), "", "database_design"),
    (("O3", "C5", "D2"), "", "database_design"),
    (("D2", "S3"), "", "security_concern"),
    (("C5", "A7"), "broken", "breaking_change"),
    (("A7", "S7"), "broken", "security_concern"),
]
_GRAVE = {(items, SIGNS.get(sign, "")): FailureClass(kind) for items, sign, kind in EVIDENCE}
FAILURES = [
    Failure(kind=kind, summary="it failed", detail=detail, items=items) for kind in LEVEL for items, detail in _GRAVE
]
MISTAKES = [failure for failure in FAILURES if LEVEL[failure.kind] == Level.SELF_RECOVERY]
BUDGETS = [LevelBudget()] + [
    LevelBudget(self_recovery=a, peer_consultation=b, coordinator_review=c, strategic_escalation=d)
    for a, b, c, d in ((0, 0, 0, 0), (1, 1, 1, 1), (0, 2, 3, 1), (3, 3, 3, 3), (2, 2, 0, 2), (1, 0, 2, 0))
]
Choose = Callable[[Sequence[Any]], Any]
"""Takes one of several, as whoever tests pleases."""


def grave(failure: Failure) -> FailureClass:
    """The class of its evidence, by the table above."""
    return _GRAVE[failure.items, failure.detail]


def table_law(ladder: ModuleType) -> None:
    """One row for each class; it starts and asks where the protocol says; evidence has the class above."""
    rules = ladder.RULES
    assert sorted(rule.failure for rule in rules) == sorted(FailureClass)
    assert {rule.failure: int(rule.level) for rule in rules} == LEVEL
    assert {rule.failure.value: rule.peer for rule in rules if rule.peer} == PEERS
    added = ladder.Rule(FailureClass.STYLE, Level.COORDINATOR_REVIEW)
    assert ladder.rule_of(FailureClass.STYLE, (*rules, added)) == added, "an added row replaces a packaged one"
    for failure in FAILURES:
        assert ladder.surviving(failure) is grave(failure), failure


def peer_law(ladder: ModuleType) -> None:
    """The protocol's peer comes first, then the author's own; never the author, nobody twice, nobody outside."""
    for author in ROSTER.specialists:
        for kind in FailureClass:
            own = [ROSTER.get(to).name for route in author.escalates_to if route.failure is kind for to in route.to]
            named = [name for name in (PEERS.get(kind), *own) if name]
            inside = [n for n in dict.fromkeys(named) if n != author.name and ROSTER.get(n).role != "external"]
            asked: list[str] = []
            while peer := ladder.peer_for(Failure(kind=kind, summary="x"), author, ROSTER, asked):
                asked.append(peer.name)
                assert asked == inside[: len(asked)]
            assert asked == inside
    api = ROSTER.get("api-developer")
    for about, to in (("formal documentation", "technical-writer"), ("pipelines", "infrastructure-specialist")):
        wanted = Failure(kind=FailureClass.OUTSIDE_EXPERTISE, summary=f"this needs {about}")
        assert ladder.peer_for(wanted, api, ROSTER).name == to, "the row that fits comes first"


@dataclass
class Walk:
    """One task's way from attempt to attempt and rung to rung, with outcomes that `choose` takes."""

    ladder: ModuleType
    budget: LevelBudget
    choose: Choose
    steps: list[Escalation] = field(default_factory=list)
    attempts: list[Attempt] = field(default_factory=list)
    late: bool = False

    def end(self) -> str:
        """How the task ends: passed, waived, abandoned, aborted or given up."""
        most = sum(self.budget.by_level.values()) + (1 + len(OWN_TRIES)) * self.budget.self_recovery
        failure, ending = self._attempt(), None
        while failure is not None and ending is None:
            assert len(self.steps) <= most, "a loop"
            failure, ending = self._rung(failure)
            if ending is None and self.steps[-1].action is not None:
                failure = self._attempt()
        return ending or "passed"

    def _attempt(self) -> Failure | None:
        """What an attempt comes to: nothing failed, one of all failures, or the same delivery or finding again."""
        self.late = self.late or self.choose([False, False, True])
        choices = ["fails", "fails", "passes"] + (["the same", "as before"] if self.attempts else [])
        match self.choose(choices):
            case "passes":
                return None
            case "the same":
                failure = self.choose(self.attempts).failure.model_copy(update={"kind": FailureClass.STUCK})
            case "as before":
                failure = self.choose(self.attempts).failure
            case _:
                failure = self.choose(self.choose([FAILURES, MISTAKES]))
        number = len(self.attempts) + 1
        self.attempts.append(Attempt(number=number, specialist="python-pro", failure=failure))
        return failure

    def _rung(self, found: Failure) -> tuple[Failure, str | None]:
        dossier = Dossier(
            task="backend-T001", failure=found, attempts=tuple(self.attempts), escalations=tuple(self.steps)
        )
        failure = self.ladder.risen(dossier, self.budget, late=self.late)
        assert failure == found.model_copy(update={"kind": self._class_of(found)}), (found, failure)
        level = self.ladder.next_level(failure, self.steps, self.budget)
        assert level == self._lowest_open(failure), (level, failure, self.steps)
        if level is None:
            return failure, "given up"
        action: Action | None = self.choose(_ANSWERS[level])
        if action == "waive" and not failure.items:
            action = "abandon"
        self.steps.append(step(level, failure.kind, action))
        return failure, _ENDINGS.get(action or "")

    def _class_of(self, found: Failure) -> FailureClass:
        kind, evidence = found.kind, grave(found)
        known = any(a.failure.kind is kind and a.failure.detail == found.detail for a in self.attempts[:-1])
        if kind is FailureClass.STUCK and LEVEL[evidence] == Level.STRATEGIC_ESCALATION:
            kind = evidence
        elif LEVEL[kind] == Level.SELF_RECOVERY:
            spent = self._used(Level.SELF_RECOVERY, kind) >= self.budget.self_recovery
            kind = evidence if spent or (known and kind != "merge_conflict") else kind
        concern = self.late and LEVEL[kind] < Level.STRATEGIC_ESCALATION
        told = any(each.failure is FailureClass.TIMELINE for each in self.steps)
        return FailureClass.TIMELINE if concern and not told else kind

    def _lowest_open(self, failure: Failure) -> Level | None:
        """The lowest rung with budget that is not below where the class starts or has been, nor taken in vain."""
        kind, steps = failure.kind, self.steps
        least = max([LEVEL[kind], *(each.level for each in steps if each.failure is kind)])
        if steps and kind is FailureClass.STUCK:
            least = max(least, min(steps[-1].level + 1, 4))
        if steps and steps[-1].action is None:
            least = max(least, steps[-1].level + 1)
        rungs = [level for level in Level if level >= least]
        if LEVEL[kind] == Level.SELF_RECOVERY:
            rungs = [level for level in rungs if level == Level.SELF_RECOVERY or level >= LEVEL[grave(failure)]]
        return next((level for level in rungs if self._used(level, kind) < self.budget.of(level)), None)

    def _used(self, level: Level, kind: FailureClass) -> int:
        alone = kind if kind in OWN_TRIES else None
        return sum(
            each.level is level and (level > 1 or (each.failure if each.failure in OWN_TRIES else None) is alone)
            for each in self.steps
        )


_ANSWERS: dict[Level, list[Action | None]] = {
    Level.SELF_RECOVERY: ["retry", "retry", "install", None],
    Level.PEER_CONSULTATION: ["guide", "guide", None],
    Level.COORDINATOR_REVIEW: ["guide", "guide", "reassign", None, "give_up"],
    Level.STRATEGIC_ESCALATION: ["guide", "guide", "waive", "abandon", "abort"],
}
_ENDINGS = {"give_up": "given up", "waive": "waived", "abandon": "abandoned", "abort": "aborted"}


def step(level: Level, kind: FailureClass, action: Action | None) -> Escalation:
    """A step on the ladder of which only these three matter."""
    return Escalation(
        task="backend-T001", level=level, failure=kind, asked="x", asked_by="y", question="?", action=action
    )
