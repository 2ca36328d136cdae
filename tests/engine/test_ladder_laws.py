"""Laws of the ladder's table, for every class of failure and any sequence of outcomes."""

from hypothesis import given, settings
from hypothesis import strategies as st

from backend_coordinator.domain.failure import Attempt, Dossier, Failure, FailureClass, Level, LevelBudget
from backend_coordinator.nodes import ladder
from tests.support.ladder_laws import BUDGETS, FAILURES, Walk, grave, peer_law, step, table_law

NUMBER = st.integers(0, 3)
ANY_BUDGET = st.builds(
    LevelBudget,
    self_recovery=NUMBER,
    peer_consultation=NUMBER,
    coordinator_review=NUMBER,
    strategic_escalation=NUMBER,
)


@given(st.data(), ANY_BUDGET)
@settings(max_examples=400)
def test_every_failure_ends_within_its_budgets_whatever_comes_of_attempts_and_advice(
    data: st.DataObject, budget: LevelBudget
) -> None:
    ending = Walk(ladder, budget, lambda choices: data.draw(st.sampled_from(choices))).end()
    assert ending in {"passed", "waived", "abandoned", "aborted", "given up"}


def test_every_class_of_failure_has_one_row_with_the_protocol_s_level_and_peer() -> None:
    table_law(ladder)


def test_a_consulted_peer_is_never_the_author_nor_asked_twice_nor_somebody_outside() -> None:
    peer_law(ladder)


@given(st.sampled_from(FAILURES), st.sampled_from(BUDGETS), st.lists(st.sampled_from(FAILURES), max_size=4))
def test_a_level_4_trigger_takes_level_4_or_ends_whatever_was_before(
    failure: Failure, budget: LevelBudget, before: list[Failure]
) -> None:
    steps = [step(ladder.rule_of(each.kind).level, each.kind, "guide") for each in before]
    if ladder.rule_of(failure.kind).level is Level.STRATEGIC_ESCALATION:
        assert ladder.next_level(failure, steps, budget) in {Level.STRATEGIC_ESCALATION, None}


@given(st.sampled_from(FAILURES), st.sampled_from([kind for kind in FailureClass if ladder.rule_of(kind).level == 2]))
def test_what_a_specialist_hands_back_between_two_deliveries_lowers_no_rung_of_the_evidence(
    failure: Failure, about: FailureClass
) -> None:
    found = failure.model_copy(update={"kind": FailureClass.GATE_FAILURE})
    request = Failure(kind=about, summary="I would rather ask", detail="I would rather ask")
    attempts = tuple(
        Attempt(number=n, specialist="python-pro", failure=each) for n, each in enumerate((found, request, found), 1)
    )
    steps = (step(Level.SELF_RECOVERY, found.kind, "retry"), step(Level.PEER_CONSULTATION, about, "guide"))
    dossier = Dossier(task="backend-T001", failure=found, attempts=attempts, escalations=steps)
    risen = ladder.risen(dossier, LevelBudget())
    assert risen.kind is grave(found)
    level = ladder.next_level(risen, steps, LevelBudget())
    assert level is not None
    assert level >= max(ladder.rule_of(grave(found)).level, Level.COORDINATOR_REVIEW)
