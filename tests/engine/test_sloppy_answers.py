"""Sloppy answers, each given to the verb that asked: right within one corrective round, and never a crash."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from pydantic import BaseModel

from backend_coordinator import Coordinator
from backend_coordinator.domain.objective import Analysis, Objective, RepositoryFacts
from backend_coordinator.errors import InvalidPlan, ModelCallFailed
from backend_coordinator.graph.runs import Runs
from backend_coordinator.nodes.ask import Inquiry, ask
from backend_coordinator.nodes.context import RunContext
from backend_coordinator.nodes.decompose import decompose
from backend_coordinator.nodes.levels import Guidance, Review
from backend_coordinator.nodes.needs import Additions
from backend_coordinator.nodes.plan_compiler import PlanDraft, compile_plan
from backend_coordinator.settings import ModelSettings
from backend_coordinator.testing import ScriptedModel
from tests.faults.server import served
from tests.support.department import department, plan, task
from tests.support.responses_server import responses
from tests.support.runs import QUICK, statuses
from tests.support.sloppy import CORPUS, UNSOUND, Sloppy, called, fenced

OBJECTIVE = Objective(text="a login")
TYPES: dict[str, type[BaseModel]] = {
    "analysis": Analysis,
    "review": Review,
    "consultation": Guidance,
    "needs": Additions,
}


@pytest.fixture
def context(shop: Path) -> RunContext:
    runs = Runs(shop, "offline")
    return asyncio.run(runs.context(runs.create(OBJECTIVE)))


def at(context: RunContext, number: int, script: Callable[..., AIMessage]) -> RunContext:
    """The run with journals of its own for one case."""
    (context.folder / str(number)).mkdir(exist_ok=True)
    return replace(context, folder=context.folder / str(number), model=ScriptedModel(script=script))


async def asked(context: RunContext, case: Sloppy) -> object:
    """What the verb that asks for answers of this kind makes of it."""
    if case.kind == "decomposition":
        return (await decompose(context, OBJECTIVE, Analysis(), RepositoryFacts())).plan
    found, _ = await ask(context, Inquiry(case.kind, "You coordinate.", "What now?"), TYPES[case.kind])
    return found


def meant(context: RunContext, case: Sloppy) -> object:
    if case.kind == "decomposition":
        draft = PlanDraft.model_validate(case.means)
        return compile_plan(draft, context.roster, analysis=Analysis(), facts=RepositoryFacts()).plan
    return TYPES[case.kind].model_validate(case.means)


async def test_every_sloppy_answer_is_right_within_one_corrective_round(context: RunContext) -> None:
    wrong, at_once = [], 0
    for number, case in enumerate(CORPUS):
        told: list[str] = []

        def script(
            messages: Sequence[BaseMessage], tools: Sequence[str], case: Sloppy = case, told: list[str] = told
        ) -> AIMessage:
            told.append(str(messages[-1].text))
            return case.reply if len(told) == 1 else AIMessage(f"You are right. Here it is:\n{fenced(case.means)}")

        try:
            right = await asked(at(context, number, script), case) == meant(context, case)
        except (ModelCallFailed, InvalidPlan):
            right = False
        if not right or len(told) > 2 or (case.asked and case.asked not in told[-1]):
            wrong.append(f"{case.kind}: {case.name}")
        at_once += len(told) == 1
    assert len(CORPUS) >= 60
    assert wrong == []
    assert at_once == sum(not case.asked for case in CORPUS) >= 20


async def test_an_unsound_plan_that_stays_so_is_refused_with_its_findings(context: RunContext) -> None:
    unsound = [case for case in CORPUS if case.asked in UNSOUND]
    assert unsound
    for number, case in enumerate(unsound):
        with pytest.raises(InvalidPlan) as refused:
            await asked(at(context, number, lambda messages, tools, case=case: case.reply), case)
        assert case.asked in str(refused.value)


async def test_an_answer_that_stays_unreadable_fails_the_call(context: RunContext) -> None:
    unreadable = [case for case in CORPUS if case.asked and case.asked not in UNSOUND]
    for number, case in enumerate(unreadable):
        with pytest.raises(ModelCallFailed, match="the model's answer stayed malformed"):
            await asked(at(context, number, lambda messages, tools, case=case: case.reply), case)


def test_a_run_whose_coordinator_is_sloppy_throughout_is_accepted(shop: Path) -> None:
    """Prose, a cyclic plan, and a mended one in a fence with other spellings."""
    clean = department(plan(task(1), task(2, needs=[1])))

    def script(messages: Sequence[BaseMessage], tools: Sequence[str]) -> AIMessage:
        if "submit" in tools:
            return clean(messages, tools)
        user = next(str(message.text) for message in messages if isinstance(message, HumanMessage))
        if tools == ["answer_analysis"]:
            return AIMessage("Two files." if len(messages) == 2 else "```json\n{'endpoints': 'none',}\n```")
        tasks = [
            {
                "id": f"T{n}",
                "title": "t",
                "objective": f"write f{n}.txt",
                "specialist": "Python Pro",
                "writes": f"f{n}.txt",
            }
            for n in (1, 2)
        ]
        if "WHAT IS WRONG WITH IT" not in user:
            return called({"tasks": [{**tasks[0], "needs": ["T2"]}, {**tasks[1], "needs": ["T1"]}]})
        return AIMessage(
            f"The mended plan: {fenced({'plan': [tasks[0], {**tasks[1], 'needs': 'T1', 'effort': 'Quick'}]})}"
        )

    report = Coordinator(ScriptedModel(script=script), shop, settings=QUICK).start("two files").result()
    assert report.accepted, report.summary
    assert statuses(report) == {"001": "merged", "002": "merged"}


def test_a_run_over_the_responses_api_is_accepted(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = QUICK.model_copy(update={"model": ModelSettings(api="responses")})
    with served(ScriptedModel(script=department(plan(task(1), task(2)))), responses) as server:
        for name, value in server.env.items():
            monkeypatch.setenv(name, value)
        report = Coordinator("openai:test-model", shop, settings=settings).start("two files").result()
    assert report.accepted, report.summary
    assert report.usage.input_tokens == 100 * report.usage.model_calls
