"""What a run took, summed and in words: what nobody counted is unknown, never 0."""

from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from backend_coordinator.domain.events import ModelCalled, Noticed, ToolCalled
from backend_coordinator.domain.usage import Usage
from backend_coordinator.nodes import records
from backend_coordinator.nodes.costs import (
    Spent,
    calls_in,
    in_words,
    money,
    parts_in_words,
    remarks,
    rows,
    shares,
    spent,
)

COUNTED = Usage(model_calls=1, turns=1, retries=2, input_tokens=100, cached_tokens=40, output_tokens=10, money=0.00012)
UNCOUNTED = Usage(model_calls=1, turns=1, uncounted_calls=1, unpriced_calls=1, seconds=2)
UNPRICED = COUNTED.model_copy(update={"money": 0.0, "unpriced_calls": 1})


def call(purpose: str, used: Usage, **more: str) -> ModelCalled:
    return ModelCalled.model_validate({"purpose": purpose, "usage": used, "model": "mine", **more})


def table(*calls: ModelCalled) -> dict[str, tuple[str, ...]]:
    """The figures by row, without the seconds."""
    total = sum((each.usage for each in calls), Usage())
    return {name: tuple(cells[:-1]) for name, *cells in rows(calls, Spent(total, Usage(), total))}


def test_the_ledger_s_calls_are_summed_and_coordination_is_what_no_task_used(tmp_path: Path) -> None:
    ledger = records.create(tmp_path)
    made = (call("analysis", COUNTED), call("backend-T001", COUNTED), call("review-backend-T001-0", COUNTED))
    tools = [ToolCalled(task="backend-T001", tool="glob", subject="", ok=ok, seconds=1.5) for ok in (True, False)]
    for each in made:
        ledger.record(each)
    for tool in tools:
        ledger.record(tool)
    ledger.record(Noticed(text="a note"))
    total, coordination, work = spent(ledger)
    assert calls_in(ledger) == made
    assert (total.input_tokens, total.tool_calls, total.retries) == (300, 2, 6)
    assert (coordination.input_tokens, coordination.tool_calls, coordination.tool_seconds) == (200, 0, 0.0)
    assert (work.input_tokens, work.tool_calls, work.tool_seconds) == (100, 2, 3.0)


@settings(max_examples=10)
@given(
    st.lists(
        st.sampled_from(["analysis", "backend-T001", "review-backend-T001-0", "consultation-backend-T002-1"]),
        max_size=6,
    ),
    st.lists(st.integers(0, 100), max_size=4),
)
def test_coordination_and_work_are_all_there_is_and_seconds_of_models_and_tools_stay_apart(
    purposes: list[str], tools: list[int]
) -> None:
    with TemporaryDirectory() as folder:
        ledger = records.create(Path(folder))
        for purpose in purposes:
            ledger.record(call(purpose, COUNTED.model_copy(update={"seconds": 0.5})))
        for took in tools:
            ledger.record(ToolCalled(task="backend-T001", tool="glob", subject="", ok=True, seconds=took))
        total, coordination, work = spent(ledger)
    assert total == coordination + work
    assert total.model_calls == len(purposes)
    assert total.seconds == 0.5 * len(purposes)
    assert (total.tool_calls, total.tool_seconds) == (len(tools), sum(tools))


def test_the_parts_are_told_in_tokens_and_seconds_and_what_is_unknown_stays_so() -> None:
    work = COUNTED.model_copy(update={"seconds": 2.0, "tool_calls": 3, "tool_seconds": 4.26})
    assert parts_in_words(COUNTED, work) == "coordination 110 tokens, 0.0 s; work 110 tokens, 2.0 s, tools 4.3 s"
    assert parts_in_words(UNCOUNTED, work + UNCOUNTED) == (
        "coordination unknown tokens, 2.0 s; work 110 + unknown tokens, 4.0 s, tools 4.3 s"
    )
    assert list(remarks([], work)) == ["seconds are those of model calls; 3 tool calls took another 4.3"]


def test_a_verb_s_calls_are_one_share_whatever_they_are_about() -> None:
    names = ("decomposition", "decomposition-2", "review-backend-T001-0", "backend-T001", "review-backend-T002-1")
    found = shares(call(name, COUNTED) for name in (*names, "needs-0", "try-models", "backend-T001"))
    assert {name: used.model_calls for name, used in found.items()} == {
        "decomposition": 2,
        "review": 2,
        "backend-T001": 2,
        "needs": 1,
        "try-models": 1,
    }


def test_what_was_not_counted_is_unknown_in_every_sum_it_belongs_to() -> None:
    told = table(call("analysis", COUNTED), call("backend-T001", UNCOUNTED), call("backend-T002", UNPRICED))
    assert told == {
        "analysis": ("1", "2", "100", "40", "10", "$0.00012"),
        "backend-T001": ("1", "0", "unknown", "unknown", "unknown", "unknown"),
        "backend-T002": ("1", "2", "100", "40", "10", "unknown"),
        "coordination": ("0", "0", "0", "0", "0", "$0"),
        "work": ("3", "4", "200 + unknown", "80 + unknown", "20 + unknown", "$0.00012 + unknown"),
        "all": ("3", "4", "200 + unknown", "80 + unknown", "20 + unknown", "$0.00012 + unknown"),
    }


def test_a_line_says_the_same() -> None:
    assert in_words(Usage(model_calls=2)) == "2 model calls, 0 tokens in, 0 out"
    assert in_words(COUNTED) == "1 model calls, 100 tokens in, 10 out, cost $0.00012"
    assert in_words(UNCOUNTED) == "1 model calls, unknown tokens in, unknown out, cost unknown"
    assert in_words(COUNTED + UNCOUNTED) == (
        "2 model calls, 100 + unknown tokens in, 10 + unknown out, cost $0.00012 + unknown"
    )
    assert money(Usage(money=12.5)) == "$12.5"


def test_remarks_say_what_is_open_and_what_to_do() -> None:
    late = call("backend-T001", Usage(retries=5), failed="out of time")
    made = (call("analysis", COUNTED), late, late, call("backend-T001", UNCOUNTED, model="yours"))
    assert list(remarks(made, sum((each.usage for each in made), Usage()))) == [
        "2 calls brought no answer: out of time",
        "of 1 calls the server did not say how many tokens they took",
        "what 1 calls cost is unknown: model.prices may name the price of yours",
    ]
    assert list(remarks(made[:1], COUNTED)) == []
