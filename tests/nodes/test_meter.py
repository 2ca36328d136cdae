"""Limits of run, specialist and task: refused before a call begins, live over parallel calls, kept across processes."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from langchain_core.language_models import FakeListChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage

from backend_coordinator.domain import events as e
from backend_coordinator.domain.failure import Escalation, FailureClass, Level
from backend_coordinator.domain.question import Answer
from backend_coordinator.domain.roster import Roster
from backend_coordinator.domain.usage import Limits, Price, Usage
from backend_coordinator.errors import ConfigurationError
from backend_coordinator.nodes import records
from backend_coordinator.nodes.ledger import Ledger
from backend_coordinator.nodes.limits import demand_limits
from backend_coordinator.nodes.meter import RUN, Meter, driven
from backend_coordinator.nodes.models.call import Request, usage_of
from backend_coordinator.nodes.models.clock import Clock, Span
from backend_coordinator.nodes.models.faults import CallFailed
from backend_coordinator.nodes.models.prices import money_of
from backend_coordinator.nodes.tools.catalogue import roster_with
from backend_coordinator.settings import AllLimits, ModelSettings, Settings
from backend_coordinator.testing import ScriptedModel
from tests.support.department import metered

TASK, OTHER = "backend-T001", "backend-T002"
REQUEST = Request([HumanMessage("?")])
OPENAI = "https://api.openai.com/v1"


class Hand(Clock):
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.time = 0.0
        self.given: list[float] = []
        """The time each call got."""

    def now(self) -> float:
        return self.time

    @asynccontextmanager
    async def limit(self, seconds: float) -> AsyncIterator[Span]:
        self.given.append(seconds)
        async with super().limit(seconds) as span:
            yield span


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return records.create(tmp_path)


@pytest.fixture
def clock() -> Hand:
    return Hand()


@pytest.fixture
def model(clock: Hand) -> ScriptedModel:
    """Each answer takes 100 tokens in, 40 of them cached, 10 out, and 5 s."""

    def script(messages: Sequence[BaseMessage], tools: Sequence[str]) -> AIMessage:
        clock.time += 5
        return metered(AIMessage("yes"))

    return ScriptedModel(script=script)


TERMS = ModelSettings(prices={"ScriptedModel": Price(input=10_000, cached=5_000, output=20_000)})
"""An answer costs 0.6 + 0.2 + 0.2 US dollars."""

THREE = {
    "model_calls": 3,
    "turns": 3,
    "input_tokens": 300,
    "output_tokens": 30,
    "total_tokens": 330,
    "money": 3.0,
    "seconds": 15.0,
}
"""Limits that three answers reach."""


def meter(ledger: Ledger, clock: Hand, scope: str, **bounds: float) -> Meter:
    limits = Limits.model_validate(bounds)
    if scope == TASK:
        return Meter({}, limits, ledger, clock)
    return Meter({scope: limits}, Limits(), ledger, clock)


async def ask(
    ledger: Ledger, meter: Meter, model: ScriptedModel, purpose: str = TASK, specialist: str = "python-pro"
) -> None:
    _, called = await meter.call(model, REQUEST, TERMS, purpose=purpose, specialist=specialist)
    ledger.record(called)


@pytest.mark.parametrize("scope", [RUN, "python-pro", TASK])
@pytest.mark.parametrize("kind", THREE)
async def test_each_limit_refuses_the_call_after_the_one_that_reached_it_and_a_new_process_does_too(
    kind: str, scope: str, ledger: Ledger, clock: Hand, model: ScriptedModel
) -> None:
    used = meter(ledger, clock, scope, **{kind: THREE[kind]})
    for _ in range(3):
        await ask(ledger, used, model)
    name = kind.replace("_", " ")
    with pytest.raises(CallFailed, match=f"a limit of {scope} is reached: {name}: {THREE[kind]:g} of") as refused:
        await ask(ledger, used, model)
    assert refused.value.usage == Usage()
    assert len(ledger.events()) == 3
    if not (scope == RUN and kind == "seconds"):  # those are read from the dates of the events
        with pytest.raises(CallFailed, match=name):
            meter(ledger, clock, scope, **{kind: THREE[kind]}).demand("python-pro", TASK)


@pytest.mark.parametrize("scope", [RUN, "python-pro", TASK])
@pytest.mark.parametrize("kind", ["tool_calls", "seconds"])
def test_tools_are_counted_with_their_time(kind: str, scope: str, ledger: Ledger, clock: Hand) -> None:
    bound = {"tool_calls": 2, "seconds": 8}[kind]
    used = meter(ledger, clock, scope, **{kind: bound})
    for _ in range(2):
        used.demand("python-pro", TASK)
        clock.time += 4
        ledger.record(e.ToolCalled(task=TASK, tool="glob", subject="", ok=True, specialist="python-pro", seconds=4))
    with pytest.raises(CallFailed, match=f"{kind.replace('_', ' ')}: {bound} of {bound} used"):
        used.demand("python-pro", TASK)


async def test_what_others_use_counts_for_the_run_only(ledger: Ledger, clock: Hand, model: ScriptedModel) -> None:
    limits = Limits(model_calls=2)
    used = Meter({RUN: Limits(model_calls=5), "python-pro": limits}, limits, ledger, clock)
    await ask(ledger, used, model)
    await ask(ledger, used, model, OTHER, "api-architect")
    await ask(ledger, used, model, "analysis", "backend-coordinator")
    await ask(ledger, used, model, f"consultation-{TASK}-1", "python-pro")
    with pytest.raises(CallFailed, match="of python-pro is reached"):
        await ask(ledger, used, model, "backend-T003")
    await ask(ledger, used, model, OTHER, "api-architect")
    with pytest.raises(CallFailed, match="of the run is reached"):
        await ask(ledger, used, model, "review", "backend-coordinator")


async def test_parallel_calls_count_when_they_begin(ledger: Ledger, clock: Hand, model: ScriptedModel) -> None:
    used = meter(ledger, clock, RUN, model_calls=3)
    ended = await asyncio.gather(
        *(ask(ledger, used, model, f"backend-T{n:03d}") for n in range(10)), return_exceptions=True
    )
    assert [type(each) for each in ended] == [type(None)] * 3 + [CallFailed] * 7
    assert len(ledger.events()) == 3


async def test_a_call_that_failed_is_kept_and_counts(ledger: Ledger, clock: Hand) -> None:
    def script(messages: Sequence[BaseMessage], tools: Sequence[str]) -> AIMessage:
        clock.time += 5
        return metered(AIMessage("no", additional_kwargs={"refusal": "no"}))

    used = meter(ledger, clock, TASK, model_calls=1)
    with pytest.raises(CallFailed, match="refused to answer"):
        await ask(ledger, used, ScriptedModel(script=script))
    ((_, kept),) = ledger.events()
    assert isinstance(kept, e.ModelCalled)
    assert (kept.failed, kept.model, kept.specialist) == ("refusal", "ScriptedModel", "python-pro")
    assert (kept.usage.input_tokens, kept.usage.seconds) == (100, 5)
    with pytest.raises(CallFailed, match="model calls: 1 of 1 used"):
        used.demand("python-pro", TASK)


async def test_a_call_gets_no_more_time_than_the_limits_leave(
    ledger: Ledger, clock: Hand, model: ScriptedModel
) -> None:
    used = Meter({RUN: Limits(seconds=50)}, Limits(seconds=20), ledger, clock)
    await ask(ledger, used, model)
    await ask(ledger, used, model)
    clock.time = 43
    await ask(ledger, used, model)
    clock.time = 49.75
    await ask(ledger, used, model, OTHER)
    await ask(ledger, meter(ledger, clock, RUN), model)
    assert clock.given == [20, 15, 7, 1, TERMS.seconds]


def test_a_limit_of_what_nobody_counted_is_reached_with_the_first_call() -> None:
    reply = AIMessage("yes")
    used = usage_of(FakeListChatModel(responses=["yes"]), reply, {})
    assert (used.uncounted_calls, used.unpriced_calls) == (1, 1)
    for kind in ("input_tokens", "output_tokens", "total_tokens", "money"):
        reached = Limits.model_validate({kind: 10**9}).exceeded_by(used)
        assert reached == f"{kind.replace('_', ' ')}: 1 model calls used an unknown amount"
    assert Limits(model_calls=2, turns=1, tool_calls=1, seconds=1).exceeded_by(used) is None


def test_models_of_rules_cost_nothing_but_by_a_price_of_the_user_s_own(model: ScriptedModel) -> None:
    reply = metered(AIMessage("yes"))
    assert usage_of(model, AIMessage("yes"), {}) == Usage(model_calls=1)
    free = usage_of(model, reply, {})
    assert (free.input_tokens, free.cached_tokens, free.output_tokens) == (100, 40, 10)
    assert (free.money, free.unpriced_calls) == (0, 0)
    assert usage_of(model, reply, TERMS.prices).money == pytest.approx(1.0)


def test_prices_are_the_user_s_own_then_the_known_ones_then_unknown() -> None:
    used = Usage(input_tokens=1_000_000, cached_tokens=400_000, output_tokens=100_000)
    own = {"gpt-4o": Price(input=1, output=2)}
    assert money_of(OPENAI, "gpt-4o", used, own) == pytest.approx(1.2)
    listed = money_of(OPENAI, "gpt-4o", used, {})
    assert listed is not None
    assert listed > 1.2
    assert money_of("http://127.0.0.1:8000/v1", "gpt-4o", used, {}) is None
    assert money_of(OPENAI, "gpt-nonesuch", used, {}) is None
    assert money_of(OPENAI, "gpt-4o", used.model_copy(update={"cached_tokens": 2_000_000}), {}) is None


def test_the_time_in_which_people_were_waited_for_is_not_the_run_s(ledger: Ledger, tmp_path: Path) -> None:
    started = e.RunStarted(objective="", base="", branch="", model="", sandbox="")
    answered = e.Answered(question="q-00000000", answer=Answer(decision="abort"))
    noticed, resumed = e.Noticed(text=""), e.RunResumed(process=1)
    for event in (started, noticed, answered, resumed, noticed, answered, noticed):
        ledger.record(event)
    minutes = (0, 2, 30, 60, 63, 64, 65)
    with sqlite3.connect(tmp_path / records.FILE) as db:
        for number, minute in enumerate(minutes, 1):
            at = f"2026-01-01 {minute // 60 + 10}:{minute % 60:02d}:00"
            db.execute("update event set at = ? where number = ?", (at, number))
    assert list(driven(ledger.dated_events())) == [0, 120, 0, 0, 180, 0, 120]
    with pytest.raises(CallFailed, match="a limit of the run is reached: seconds: 420 of 400 used"):
        Meter({RUN: Limits(seconds=400)}, Limits(), ledger, Hand()).demand("python-pro")


@pytest.mark.parametrize("scope", [RUN, "python-pro", TASK])
@pytest.mark.parametrize("kind", ["output_tokens", "seconds"])
async def test_after_a_person_s_guidance_counting_begins_again(
    kind: str, scope: str, ledger: Ledger, clock: Hand, model: ScriptedModel
) -> None:
    def guided(task: str, level: Level = Level.STRATEGIC_ESCALATION) -> e.Escalated:
        about = {"task": task, "level": level, "failure": FailureClass.BUDGET_EXHAUSTED, "action": "guide"}
        step = Escalation.model_validate({**about, "asked": "lead", "asked_by": "coordinator", "question": "?"})
        return e.Escalated(escalation=step)

    ledger.record(e.TaskStarted(task=TASK, specialist="python-pro", attempt=1, title=""))
    used = meter(ledger, clock, scope, **{kind: THREE[kind]})
    for _ in range(3):
        await ask(ledger, used, model)
    ledger.record(guided(TASK, Level.COORDINATOR_REVIEW))
    with pytest.raises(CallFailed):
        used.demand("python-pro", TASK)
    ledger.record(guided(TASK))
    for _ in range(3):
        await ask(ledger, used, model)
    for each in (used, meter(ledger, clock, scope, **{kind: THREE[kind]})):
        if each is used or not (scope == RUN and kind == "seconds"):
            with pytest.raises(CallFailed, match=f"{THREE[kind]:g} of {THREE[kind]:g} used"):
                each.demand("python-pro", TASK)


@pytest.fixture
def roster() -> Roster:
    return roster_with()


@pytest.mark.parametrize(
    "limits",
    [
        AllLimits(run=Limits(money=1)),
        AllLimits(task=Limits(money=1)),
        AllLimits(specialists={"python-pro": Limits(money=1)}),
    ],
)
def test_a_limit_of_money_is_refused_where_the_price_is_unknown(
    limits: AllLimits, roster: Roster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    settings = Settings(limits=limits)
    known = ModelSettings(prices={"mine": Price(input=1, output=2)})
    with pytest.raises(
        ConfigurationError, match=r'the price of mine is unknown: set \[model.prices."mine"\], or remove'
    ):
        demand_limits("openai:mine", settings, roster)
    demand_limits("openai:mine", settings.model_copy(update={"model": known}), roster)
    demand_limits("openai:mine", Settings(limits=AllLimits(run=Limits(model_calls=1))), roster)
    demand_limits("offline", settings, roster)
    with pytest.raises(ConfigurationError, match="the price of theirs is unknown"):
        demand_limits("offline", settings.model_copy(update={"models": {"python-expert": "openai:theirs"}}), roster)


def test_limits_of_nobody_are_refused(roster: Roster) -> None:
    with pytest.raises(
        ConfigurationError, match=r"limits\.specialists: no specialist is called 'pyton-pro'.*python-pro"
    ):
        demand_limits("offline", Settings(limits=AllLimits(specialists={"pyton-pro": Limits()})), roster)
