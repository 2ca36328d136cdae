"""What the wrapper raises and returns is taken for what a bad server does, and the same seed does the same."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage

from backend_coordinator.domain.objective import Objective
from backend_coordinator.errors import ConfigurationError, ModelCallFailed, ModelUnavailable
from backend_coordinator.graph.runs import Runs, drive
from backend_coordinator.nodes.models.call import Request, call_model
from backend_coordinator.nodes.models.faults import Kind
from backend_coordinator.settings import ModelSettings
from backend_coordinator.testing import FAULTS, SURVIVABLE, Faulty, ScriptedModel, calls
from backend_coordinator.testing.faulty import ServerRefused
from tests.support.clock import VirtualClock
from tests.support.department import Told, department, plan, task
from tests.support.runs import QUICK, statuses

GOOD = calls(("write", {"path": "a.py", "content": "x = 1\n"}), ("read", {"path": "b.py"}))
MODEL = ScriptedModel(script=lambda messages, tools: GOOD)
TOOL = {"type": "function", "function": {"name": "write", "description": "Writes.", "parameters": {}}}
ASKED = Request([HumanMessage("go")], tools=[TOOL])
KINDS = {
    "rate_limit": Kind.RATE_LIMITED,
    "server_error": Kind.SERVER,
    "overloaded": Kind.SERVER,
    "lost_connection": Kind.CONNECTION,
    "unreadable": Kind.BROKEN,
    "cut_stream": Kind.CUT,
    "length": Kind.LENGTH,
    "empty": Kind.EMPTY,
    "refusal": Kind.REFUSAL,
    "content_filter": Kind.FILTERED,
}


@pytest.mark.parametrize(("name", "kind"), KINDS.items())
async def test_a_fault_is_taken_for_a_server_s(name: str, kind: Kind) -> None:
    model = Faulty(MODEL, rate=1, kinds=[name])
    with pytest.raises(ModelCallFailed) as failed:
        await call_model(model, ASKED, ModelSettings(attempts=1), clock=VirtualClock())
    assert failed.value.kind == kind
    assert [fault.kind for fault in model.injected] == [name]


@pytest.mark.parametrize(("name", "told"), [("revoked_key", "the key for"), ("empty_account", "the account behind")])
async def test_a_fault_that_only_a_person_can_mend(name: str, told: str) -> None:
    with pytest.raises(ModelUnavailable, match=told):
        await call_model(Faulty(MODEL, rate=1, kinds=[name]), ASKED, ModelSettings(), clock=VirtualClock())


async def test_the_time_a_rate_limit_asks_for_is_waited() -> None:
    model, clock = Faulty(MODEL, rate=0.5, seed=2, kinds=["rate_limit"], retry_after=7), VirtualClock()
    _, used = await call_model(model, ASKED, ModelSettings(), clock=clock)
    assert used.retries == len(model.injected) > 0
    assert clock.now() == 7 * used.retries


async def test_arguments_that_are_no_json_and_ids_that_are_doubled_are_answers() -> None:
    broken, _ = await call_model(Faulty(MODEL, rate=1, kinds=["malformed_arguments"]), ASKED, ModelSettings())
    assert (broken.tool_calls, len(broken.invalid_tool_calls)) == ([], 2)
    doubled, _ = await call_model(Faulty(MODEL, rate=1, kinds=["duplicate_ids"]), ASKED, ModelSettings())
    assert [call["id"] for call in doubled.tool_calls] == ["call_0", "call_0"]


def test_a_message_without_calls_has_no_arguments_to_spoil() -> None:
    model = Faulty(ScriptedModel(script=lambda m, t: AIMessage("so")), rate=1, kinds=["malformed_arguments"])
    assert model.invoke("go").text == "so"
    assert model.injected == ()


def outcomes(model: Faulty, texts: Sequence[str]) -> dict[str, list[str]]:
    """What became of each text, asked three times."""
    found: dict[str, list[str]] = {}
    for text in texts * 3:
        before = len(model.injected)
        try:
            model.invoke(text)
        except (ServerRefused, ConnectionError, ValueError) as error:
            found.setdefault(text, []).append(type(error).__name__)
        else:
            found.setdefault(text, []).append("".join(fault.kind for fault in model.injected[before:]))
    return found


def test_the_same_seed_does_the_same_to_the_same_requests_in_any_order() -> None:
    texts = [f"question {n}" for n in range(60)]
    first, again = (outcomes(Faulty(MODEL, seed=7), order) for order in (texts, texts[::-1]))
    assert first == again
    assert first != outcomes(Faulty(MODEL, seed=8), texts)
    met = sum(bool(each) for kinds in first.values() for each in kinds)
    assert 18 <= met <= 54  # 36 of 180 expected


def test_each_kind_is_listed_and_others_are_refused() -> None:
    assert set(SURVIVABLE) < set(FAULTS)
    assert set(KINDS) < set(FAULTS)
    with pytest.raises(ConfigurationError, match="unknown kinds of fault: hail; there are rate_limit"):
        Faulty(MODEL, kinds=["hail"])


def test_injected_says_what_was_asked() -> None:
    model = Faulty(MODEL, rate=1, kinds=["empty"])
    model.invoke("first line\nlast line")
    assert model.injected == ((0, "empty", "last line"),)


def write_until_written(told: Told) -> AIMessage:
    """Writes the file of the task, again where the call did not arrive whole, then submits."""
    if any(isinstance(message, ToolMessage) and message.status == "success" for message in told.messages):
        return told.calls("submit", summary="written")
    return told.calls("write", path=f"f{int(told.task[-3:])}.txt", content=f"hello {told.task}\n")


def test_a_run_gets_over_every_survivable_fault(repository: Callable[[str], Path]) -> None:
    script = department(plan(task(1), task(2, needs=[1]), task(3, needs=[1])), write_until_written)
    met = set()
    for seed in range(4):
        model = Faulty(ScriptedModel(script=script), rate=0.4, seed=seed)
        runs = replace(Runs(repository(f"here{seed}"), model, QUICK), clock=VirtualClock())
        report = asyncio.run(drive(runs, runs.create(Objective(text="three files"))))
        assert statuses(report) == {"001": "merged", "002": "merged", "003": "merged"}
        assert report.escalations == ()
        met |= {fault.kind for fault in model.injected}
    assert len(met) >= 4
