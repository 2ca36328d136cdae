"""What acceptance means."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend_coordinator.domain.verdict import Outcome, Verdict
from backend_coordinator.errors import ConfigurationError
from backend_coordinator.nodes.gates.policy import DEFAULT_REQUIRED, accepted, failures, headline
from backend_coordinator.nodes.gates.registry import ITEMS, Category
from backend_coordinator.settings import Settings, load_settings

OUTCOMES = st.lists(st.sampled_from(Outcome), min_size=len(ITEMS), max_size=len(ITEMS))
REQUIRED = st.sets(st.sampled_from([item.id for item in ITEMS]))


def verdicts(outcomes: list[Outcome]) -> list[Verdict]:
    return [Verdict(id=i.id, verdict=o, reason="because") for i, o in zip(ITEMS, outcomes, strict=True)]


@given(OUTCOMES, REQUIRED)
def test_work_is_accepted_exactly_when_nothing_fails_and_all_required_items_are_settled(
    outcomes: list[Outcome], required: set[str]
) -> None:
    found = verdicts(outcomes)
    fails = Outcome.FAIL in outcomes
    open_items = {v.id for v in found if v.verdict in (Outcome.FAIL, Outcome.UNKNOWN)}
    assert accepted(found, required) == (not fails and not open_items & required)


@given(REQUIRED.filter(bool))
def test_a_required_item_without_any_verdict_is_not_accepted(required: set[str]) -> None:
    assert not accepted([], required)


def test_two_verdicts_of_one_item_do_not_hide_each_other() -> None:
    both = [Verdict(id="C5", verdict=o, reason="x") for o in (Outcome.PASS, Outcome.UNKNOWN)]
    assert not accepted(both, ["C5"])


def test_the_headline_counts_and_names_required_unknowns_first() -> None:
    outcomes = [Outcome.UNKNOWN] * 28 + [Outcome.PASS] * 11 + [Outcome.NOT_APPLICABLE]
    line = headline(verdicts(outcomes), False)
    assert line == (
        "not accepted, 11 of 40 verified, required but not verified: C2, C5, D3, S3, S7, "
        "28 unknown: look at C2, C5, S3, S7, D3"
    )


def test_the_headline_names_failures_and_waivers() -> None:
    outcomes = [Outcome.FAIL, Outcome.WAIVED] + [Outcome.PASS] * 38
    assert headline(verdicts(outcomes), False) == "not accepted, 38 of 40 verified, 1 failed: A1, 1 waived: A2"
    assert [verdict.id for verdict in failures(verdicts(outcomes))] == ["A1"]


def test_the_headline_names_a_required_item_without_a_verdict_where_nothing_failed() -> None:
    found = verdicts([Outcome.PASS] * 40)[1:]
    assert headline(found, False, ["A1"]) == "not accepted, 39 of 39 verified, required but not verified: A1"
    assert "required" not in headline(found, True, ["A2"])


@pytest.mark.parametrize("name", ["C9", "c5", "A10", "", "X1", "P7", "C5\n"])
def test_a_required_item_that_does_not_exist_is_refused_at_load(name: str, tmp_path: Path) -> None:
    (tmp_path / "backend-coordinator.toml").write_text(f"required = ['C2', {json.dumps(name)}]\n")
    with pytest.raises(ConfigurationError, match=r"toml: required\.1: .* is no item .* A1 to O5") as refused:
        load_settings(tmp_path)
    assert repr(name) in str(refused.value)


def test_every_item_can_be_required() -> None:
    names = tuple(item.id for item in ITEMS)
    assert Settings(required=names).required == names
    with pytest.raises(ValueError, match="T6"):
        Settings(required=("T6",))


def test_the_checklist_has_forty_items_under_seven_headings() -> None:
    counts = [sum(item.category is category for item in ITEMS) for category in Category]
    assert counts == [7, 5, 7, 6, 5, 5, 5]
    assert [ITEMS[n].id for n in (0, 6, 7, 39)] == ["A1", "A7", "C1", "O5"]
    assert {item.id for item in ITEMS}.issuperset(DEFAULT_REQUIRED)
    assert len({item.title for item in ITEMS}) == 40
