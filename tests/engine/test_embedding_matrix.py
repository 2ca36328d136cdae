"""Every form of embedding under every checkpointer, with narrow limits of the parent: answer, question, kill -9."""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from langgraph.types import Command

from backend_coordinator.domain import events as e
from backend_coordinator.graph.runs import Runs
from tests.support.department import department
from tests.support.parents import ASK, FORMS, GUIDE, LIMITS, PLAN, RUNS, guided, said, saver_of
from tests.support.runs import coordinator, git, merges, of, python

SLOW = pytest.mark.slow
TASKS = ["backend-T001", "backend-T002", "backend-T003"]
KINDS = ("none", "memory", "sqlite", "postgres")
QUICK_CELLS = {*((form, "memory", 1) for form in FORMS if form not in ("two", "twice")), ("node", "sqlite", 2)}
CELLS = [
    pytest.param(form, kind, most, marks=() if (form, kind, most) in QUICK_CELLS else SLOW)
    for form in FORMS
    for kind in KINDS
    for most in (1, 2)
]


@pytest.fixture
def shops(shop: Path, tmp_path: Path, form: str) -> list[Path]:
    """The workspaces of a form's coordinators."""
    if form != "two":
        return [shop]
    stock = tmp_path / "stock"
    git(tmp_path, "clone", "--quiet", str(shop), str(stock))
    return [shop, stock]


@pytest.fixture
def place(request: pytest.FixtureRequest, tmp_path: Path, kind: str) -> str:
    """Where a parent keeps its checkpoints."""
    return str(request.getfixturevalue("database")) if kind == "postgres" else str(tmp_path / "parent.sqlite")


def accepted(shops: Sequence[Path]) -> int:
    """How many runs there are, each of which ended accepted with every task merged once."""
    found = [(shop, Runs(shop), run) for shop in shops for run in Runs(shop).ids()]
    for shop, runs, run in found:
        report = runs.report(run)
        assert report is not None
        assert report.accepted
        assert merges(shop, report.branch) == TASKS
        events = [event for _, event in runs.ledger(run).events()]
        assert sorted(event.task for event in of(e.Merged, events)) == TASKS
        assert len(of(e.Answered, events)) == 1
    return len(found)


@pytest.mark.parametrize(("form", "kind", "most"), CELLS)
async def test_a_question_surfaces_and_its_answer_leads_to_the_end(
    shops: list[Path], place: str, form: str, kind: str, most: int
) -> None:
    made = [coordinator(shop, department(PLAN, guided)) for shop in shops]
    config: Any = {**LIMITS, "max_concurrency": most, "configurable": {"thread_id": "1"}}
    async with saver_of(kind, place) as saver:
        app = FORMS[form](made).compile(checkpointer=saver)
        state = await app.ainvoke(ASK, config)
        asked = 0
        while waiting := state.get("__interrupt__"):
            asked += len(waiting)
            assert all("this is not mine to do" in each.value["text"] for each in waiting)
            state = await app.ainvoke(Command(resume={each.id: GUIDE for each in waiting}), config)
    expected = RUNS.get(form, 1)
    if kind == "none":
        assert said(state).count(" waits for q-") >= expected
        for each in made:
            for run in each.runs.ids():
                resumed = each.resume(run)
                resumed.questions[0].answer("guide", "just write it", by="lead")
                assert resumed.result().accepted
    else:
        assert asked == expected
        assert said(state).count("accepted, ") >= expected
    assert accepted(shops) == expected


KILLED = [pytest.param(form, kind, marks=SLOW) for form in FORMS for kind in ("sqlite", "postgres")]


@pytest.mark.parametrize(("form", "kind"), KILLED)
def test_kill_9_in_the_middle_and_while_it_waits_loses_nothing(
    shops: list[Path], place: str, form: str, kind: str, tmp_path: Path
) -> None:
    def parent(given: str) -> tuple[int, dict[str, Any]]:
        done = python("-m", "tests.support.parents", form, kind, place, given, *map(str, shops))
        assert done.returncode in (0, -9), done.stderr
        return done.returncode, json.loads(done.stdout or "{}")

    (tmp_path / "armed").touch()
    assert parent("begin") == (-9, {}), "killed in the second turn of task 2"
    status, told = parent("go on")
    for _ in range(RUNS.get(form, 1)):
        if status == 0:
            break
        assert told["waiting"], "killed while it waits"
        status, told = parent("answer")
    assert status == 0
    assert told["said"].count("accepted, ") >= RUNS.get(form, 1)
    assert accepted(shops) == RUNS.get(form, 1)
    asked = Counter((tmp_path / "calls").read_text().split())
    repeated = sum(times - RUNS.get(form, 1) for times in asked.values() if times > RUNS.get(form, 1))
    assert repeated <= 1, "no more than the call of task 3 that was under way with the deadly one"
