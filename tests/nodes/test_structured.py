"""Sloppy answers are read where there is one reading; otherwise the exact finding is told and nothing is guessed."""

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as some
from langchain_core.messages import AIMessage
from pydantic import BaseModel, JsonValue

from backend_coordinator.domain.objective import Analysis
from backend_coordinator.domain.roster import Roster
from backend_coordinator.errors import InvalidPlan
from backend_coordinator.nodes.levels import Guidance, Review
from backend_coordinator.nodes.models.fitting import slug
from backend_coordinator.nodes.models.structured import Unreadable, read
from backend_coordinator.nodes.needs import Additions
from backend_coordinator.nodes.plan_compiler import PlanDraft, compile_plan
from backend_coordinator.prompts.loader import load_roster
from tests.support.sloppy import CORPUS, Sloppy, broken, called

TYPES: dict[str, type[BaseModel]] = {
    "analysis": Analysis,
    "decomposition": PlanDraft,
    "review": Review,
    "consultation": Guidance,
    "needs": Additions,
}


@pytest.fixture(scope="module")
def roster() -> Roster:
    return load_roster()


@pytest.mark.parametrize("case", CORPUS, ids=lambda case: f"{case.kind}: {case.name}")
def test_an_answer_is_read_as_it_was_meant_or_asked_back_for(case: Sloppy, roster: Roster) -> None:
    answer = TYPES[case.kind]
    if case.compiled:
        with pytest.raises(InvalidPlan) as unsound:
            compile_plan(read(case.reply, PlanDraft), roster)
        assert case.asked in str(unsound.value)
    elif case.asked:
        with pytest.raises(Unreadable) as unreadable:
            read(case.reply, answer)
        assert case.asked in str(unreadable.value)
        assert all("\n" not in line and len(line) < 400 for line in unreadable.value.findings)
    else:
        found, meant = read(case.reply, answer), answer.model_validate(case.means)
        if isinstance(found, PlanDraft) and isinstance(meant, PlanDraft) and case.kind == "decomposition":
            assert compile_plan(found, roster).plan == compile_plan(meant, roster).plan
        else:
            assert found == meant


def test_nothing_that_is_required_is_made_up() -> None:
    nothing: list[JsonValue] = [{}, None, [], "", 7, {"action": None, "text": None}]
    for value in nothing:
        with pytest.raises(Unreadable):
            read(AIMessage(json.dumps(value)), Review)


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        '{"a":' * 5_000 + "1" + "}" * 5_000,
        "{'a':" * 5_000 + "1" + "}" * 5_000,
        '{"' * 20_000,
        "{id} " * 9_000,
    ],
    ids=["open lists", "deep", "deep and broken", "quotes", "many"],
)
def test_a_model_that_went_astray_is_asked_back(text: str) -> None:
    for reply in (AIMessage(text), broken(text)):
        with pytest.raises(Unreadable):
            read(reply, Review)


def test_half_a_surrogate_costs_one_character() -> None:
    text = '{"action": "guide", "text": "a\\ud800b"}'
    assert read(AIMessage(text), Review) == Review(action="guide", text="a?b")


ANY = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats(allow_nan=False) | some.text(),
    lambda inner: some.lists(inner, max_size=4) | some.dictionaries(some.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)


@given(ANY | some.text(alphabet='{}[]",:\\abc \n'))
def test_whatever_is_there_gives_an_answer_or_findings(value: JsonValue) -> None:
    for answer in TYPES.values():
        with suppress(Unreadable):
            assert isinstance(read(AIMessage(value if isinstance(value, str) else json.dumps(value)), answer), answer)


WORDS = some.text(min_size=5).filter(lambda text: text.strip() == text and slug(text) not in ("null", "nothing"))


@given(some.builds(Review, text=WORDS, to=some.none() | WORDS) | some.builds(Guidance, guidance=WORDS))
def test_a_clean_answer_comes_back_as_it_was(value: Review | Guidance) -> None:
    assert read(AIMessage(value.model_dump_json()), type(value)) == value
    assert read(called(value.model_dump(mode="json")), type(value)) == value
