"""Two processes at once, a full disk, a jumping clock, a parent graph: nothing is lost, nothing done twice."""

import asyncio
import os
import resource
import signal
import sqlite3
import time
from collections import Counter
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path

import pytest
from langchain_core.messages import AIMessage
from langgraph.checkpoint.memory import MemorySaver
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.types import Command

from backend_coordinator import Waiting
from backend_coordinator.domain import events as e
from backend_coordinator.domain.question import Answer
from backend_coordinator.errors import BadAnswer, ConfigurationError
from backend_coordinator.graph.persistence import driving
from backend_coordinator.graph.runs import Runs, drive
from backend_coordinator.nodes import records
from backend_coordinator.testing import ScriptedModel
from tests.engine.conftest import home as home
from tests.engine.conftest import shop as shop
from tests.support.children import TOLD, child, ending, events, resumed, until
from tests.support.department import Told, department, plan, refuse, task, write_own_file
from tests.support.runs import QUICK, coordinator, merges, of

ONE = department(plan(task(1)))
GUIDE = {"decision": "guide", "text": "do it"}


@pytest.fixture
def waiting(shop: Path) -> str:
    """A run that waits for an answer."""
    run = coordinator(shop, department(plan(task(1)), refuse)).start("one file")
    with pytest.raises(Waiting):
        run.result()
    return run.id


def test_f039_of_two_processes_that_answer_at_once_one_is_told(shop: Path, waiting: str, tmp_path: Path) -> None:
    place = Runs(shop).place(waiting)
    (question,) = records.load(place).open_questions()

    def ready(text: str) -> str:
        (tmp_path / str(os.getpid())).touch()
        return text

    def answer() -> None:
        until(go.exists)
        ledger = replace(records.load(place), redact=ready)
        ledger.answer(question.id, Answer(decision="abandon", by=str(os.getpid())))

    go = tmp_path / "go"
    children = [child(answer), child(answer)]
    with closing(sqlite3.connect(place / "run.sqlite")) as holder:
        holder.execute("begin immediate")  # so that both come to the write before either is done
        go.touch()
        until(lambda: all((tmp_path / str(pid)).exists() for pid in children))
        holder.rollback()
    assert sorted(map(ending, children)) == [0, TOLD]
    assert len(of(e.Answered, events(shop, waiting))) == 1


def test_f040_a_second_process_on_one_run_is_refused(shop: Path, waiting: str) -> None:
    runs = Runs(shop, ScriptedModel(script=ONE), QUICK)
    with driving(runs.place(waiting)):
        assert ending(child(lambda: asyncio.run(drive(runs, waiting)))) == TOLD
    assert len(of(e.RunResumed, events(shop, waiting))) == 0


def test_f041_of_five_processes_one_acts_and_its_death_frees_the_lock(tmp_path: Path) -> None:
    effects = tmp_path / "effects"

    def work() -> None:
        with driving(tmp_path):
            with effects.open("a") as file:
                file.write(f"{os.getpid()}\n")
            signal.pause()

    for _ in range(5):
        child(work)
    endings = [os.waitstatus_to_exitcode(os.wait()[1]) for _ in range(4)]  # the fifth holds the lock
    (holder,) = map(int, effects.read_text().split())
    os.kill(holder, signal.SIGKILL)
    assert (endings, ending(holder)) == ([TOLD] * 4, -signal.SIGKILL)
    with driving(tmp_path):
        pass


def test_f043_a_second_answer_changes_nothing_and_is_told_so(shop: Path, waiting: str) -> None:
    ledger = Runs(shop).ledger(waiting)
    (question,) = ledger.open_questions()
    ledger.answer(question.id, Answer(decision="abandon", by="one"))
    with pytest.raises(BadAnswer, match=f"{question.id} was already answered"):
        ledger.answer(question.id, Answer(decision="guide", text="or not", by="two"))
    given = ledger.question(question.id).answer
    assert given is not None
    assert given.by == "one"
    assert len(of(e.Answered, events(shop, waiting))) == 1


def test_f047_an_ended_process_leaves_no_log_whose_loss_would_matter(shop: Path) -> None:
    run = coordinator(shop, ONE).start("one file")
    assert run.result().accepted
    before = events(shop, run.id)
    for log in run.folder.glob("*.sqlite-*"):
        log.unlink()
    assert events(shop, run.id) == before
    assert isinstance(before[-1], e.RunEnded)
    assert resumed(shop, run.id, ONE) == []


@pytest.mark.parametrize("room", [60_000, 120_000])
def test_f048_a_full_disk_is_told_and_the_run_goes_on_once_there_is_room(shop: Path, room: int) -> None:
    parts = plan(task(1), task(2, needs=[1]))
    works = coordinator(shop, department(parts))
    run = works.start("two files")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
    try:
        with pytest.raises(ConfigurationError, match=rf"run {run.id}: .* then resume the run") as refusal:
            run.result()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "\n" not in str(refusal.value)
    resumed(shop, run.id, department(parts))
    calls = Counter(event.purpose for event in of(e.ModelCalled, events(shop, run.id)))
    assert calls["analysis"] == calls["decomposition"] == 1
    assert merges(shop, f"backend-coordinator/{run.id}") == [each.id for each in parts.tasks]


def test_f053_a_clock_that_jumps_back_leaves_every_span_as_it_was(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time

    def work(told: Told) -> AIMessage:
        monkeypatch.setattr(time, "time", lambda: now() - 86_400)
        return write_own_file(told)

    report = coordinator(shop, department(plan(task(1)), work)).start("one file").result()
    assert 0 <= report.seconds < 600
    assert all(0 <= each.seconds < 600 for each in report.tasks)
    assert 0 <= report.usage.seconds < 600


@pytest.mark.parametrize("inner", [None, True])
async def test_f055_a_question_below_a_subgraph_surfaces_and_is_answered_by_its_id(
    shop: Path, inner: bool | None
) -> None:
    works = coordinator(shop, department(plan(task(1)), guided))
    below = StateGraph(MessagesState)
    below.add_node("backend", works.as_node())
    below.add_edge(START, "backend")
    below.add_edge("backend", END)
    above = StateGraph(MessagesState)
    above.add_node("team", below.compile(checkpointer=inner))
    above.add_edge(START, "team")
    above.add_edge("team", END)
    app, config = above.compile(checkpointer=MemorySaver()), {"configurable": {"thread_id": "1"}}
    (asked,) = (await app.ainvoke({"messages": [("user", "one file")]}, config))["__interrupt__"]
    state = await app.ainvoke(Command(resume={asked.id: GUIDE}), config)
    assert state["messages"][-1].additional_kwargs["backend_coordinator"]["accepted"] is True


def guided(told: Told) -> AIMessage:
    """Refuses until somebody has spoken."""
    return write_own_file(told) if "GUIDANCE" in told.text else refuse(told)


async def test_f056_of_two_open_questions_each_gets_its_own_answer_and_none_a_nameless_one(shop: Path) -> None:
    graph = StateGraph(MessagesState)
    graph.add_node("backend", coordinator(shop, department(plan(task(1), task(2)), guided)).as_node())
    graph.add_edge(START, "backend")
    graph.add_edge("backend", END)
    app, config = graph.compile(checkpointer=MemorySaver()), {"configurable": {"thread_id": "1"}}
    await app.ainvoke({"messages": [("user", "two files")]}, config)
    with suppress(RuntimeError):  # LangGraph's own refusal, where it sees both
        await app.ainvoke(Command(resume=GUIDE), config)
    (run,) = Runs(shop).ids()
    assert of(e.Answered, events(shop, run)) == []
    asked = (await app.aget_state(config)).interrupts
    assert len(asked) == 2
    state = await app.ainvoke(Command(resume={each.id: GUIDE for each in asked}), config)
    assert state["messages"][-1].additional_kwargs["backend_coordinator"]["accepted"] is True
