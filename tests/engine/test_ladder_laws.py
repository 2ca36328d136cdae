"""Laws of the ladder's table, for every class of failure and any sequence of outcomes."""

from hypothesis import given, settings
from hypothesis import strategies as st

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
from backend_coordinator.nodes.ladder import RULES, SURVIVING, next_level, peer_for, risen, rule_of
from backend_coordinator.prompts.loader import load_roster

ROSTER = load_roster()
BUDGETS = st.builds(
    LevelBudget,
    self_recovery=st.integers(0, 3),
    peer_consultation=st.integers(0, 3),
    coordinator_review=st.integers(0, 3),
    strategic_escalation=st.integers(0, 3),
)
FAILURES = st.builds(
    Failure,
    kind=st.sampled_from(FailureClass),
    summary=st.just("it failed"),
    detail=st.sampled_from(["", *(sign for _, sign, _ in SURVIVING)]),
    items=st.lists(st.sampled_from(["A7", "C2", "C5", "S3", "S7", "D3"]), max_size=2).map(tuple),
)
ACTIONS: st.SearchStrategy[Action | None] = st.sampled_from([None, "install", "retry", "guide", "reassign"])
OWN_TRIES = (FailureClass.MERGE_CONFLICT, FailureClass.MISSING_DEPENDENCY)


def surviving(failure: Failure) -> list[FailureClass]:
    rows = [row for row in SURVIVING if any(item.startswith(row[0]) for item in failure.items)]
    return [kind for _, sign, kind in rows if sign in failure.detail]


def step(level: Level, failure: Failure, action: Action | None) -> Escalation:
    return Escalation(
        task="backend-T001", level=level, failure=failure.kind, asked="x", asked_by="y", question="?", action=action
    )


@given(st.data(), BUDGETS)
@settings(max_examples=300)
def test_the_ladder_ends_for_any_failures_and_outcomes_and_keeps_its_rules(
    data: st.DataObject, budget: LevelBudget
) -> None:
    steps: list[Escalation] = []
    failure = data.draw(FAILURES)
    most = sum(budget.by_level.values()) + len(OWN_TRIES) * budget.self_recovery
    for _ in range(most + 1):
        level = next_level(failure, steps, budget)
        if level is None:
            return
        assert level >= rule_of(failure.kind).level
        own = failure.kind if failure.kind in OWN_TRIES else None
        alike = [s for s in steps if s.level > 1 or (s.failure if s.failure in OWN_TRIES else None) is own]
        assert sum(each.level is level for each in alike) < budget.of(level)
        assert all(s.level <= level for s in steps if s.failure is failure.kind), "one failure never goes down"
        if steps and failure.kind is FailureClass.STUCK:
            assert level > steps[-1].level or level is Level.STRATEGIC_ESCALATION, "nothing new came of that advice"
        if steps and steps[-1].action is None:
            assert level > steps[-1].level, "a helpless rung is not taken again"
        action = data.draw(ACTIONS)
        steps.append(step(level, failure, action))
        if action is not None:  # another attempt was made, which may fail in another way
            failure = data.draw(FAILURES)
    raise AssertionError(f"{most + 1} steps with a budget of {most}")


@given(FAILURES, BUDGETS, st.integers(0, 3))
def test_self_recovery_that_fails_skips_the_peers_and_a_grave_item_goes_to_level_4(
    failure: Failure, budget: LevelBudget, used: int
) -> None:
    if rule_of(failure.kind).level is not Level.SELF_RECOVERY:
        return
    level = next_level(failure, [step(Level.SELF_RECOVERY, failure, "retry")] * used, budget)
    assert level is not Level.PEER_CONSULTATION
    if surviving(failure):
        assert level is not Level.COORDINATOR_REVIEW


def test_every_class_of_failure_has_exactly_one_row() -> None:
    assert sorted(rule.failure for rule in RULES) == sorted(FailureClass)


@given(st.sampled_from(FailureClass), st.sampled_from(ROSTER.specialists), st.sets(st.integers(0, 5)))
def test_a_consulted_peer_is_never_the_author_nor_asked_twice_nor_somebody_outside(
    kind: FailureClass, author: object, turns: set[int]
) -> None:
    member = ROSTER.get(author.name)  # type: ignore[attr-defined]
    asked: list[str] = []
    while peer := peer_for(Failure(kind=kind, summary="x"), member, ROSTER, asked):
        assert peer.name != member.name
        assert peer.name not in asked
        assert peer.role != "external"
        asked.append(peer.name)
    assert len(asked) <= len(ROSTER.specialists)


def test_the_table_s_own_peer_comes_before_the_author_s() -> None:
    failure = Failure(kind=FailureClass.PERFORMANCE_ISSUE, summary="p95 over 200 ms")
    first = peer_for(failure, ROSTER.get("python-pro"), ROSTER)
    assert first is not None
    assert first.name == "backend-architect"
    own = peer_for(failure, ROSTER.get("backend-architect"), ROSTER)
    assert own is None or own.name != "backend-architect"


@given(FAILURES, BUDGETS, st.integers(0, 3), st.booleans())
def test_a_failure_that_leaves_level_1_takes_on_the_class_of_where_it_goes(
    failure: Failure, budget: LevelBudget, used: int, again: bool
) -> None:
    steps = (step(Level.SELF_RECOVERY, failure, "retry"),) * used
    found = Attempt(number=1, specialist="python-pro", failure=failure)
    attempts = (found, found.model_copy(update={"number": 2})) if again else (found,)
    changed = risen(Dossier(task="backend-T001", failure=failure, attempts=attempts, escalations=steps), budget)
    repeated = again and failure.kind is not FailureClass.MERGE_CONFLICT
    if failure.kind is FailureClass.STUCK and surviving(failure):
        assert changed.kind is surviving(failure)[0]
    elif rule_of(failure.kind).level is not Level.SELF_RECOVERY or not (repeated or used >= budget.self_recovery):
        assert changed == failure
    else:
        assert changed.kind is next(iter(surviving(failure)), FailureClass.RETRIES_EXHAUSTED)
        level = next_level(changed, steps, budget)
        assert level is None or level >= rule_of(changed.kind).level
