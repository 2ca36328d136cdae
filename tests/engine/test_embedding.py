"""A run as a node of somebody's larger graph."""

import os
import shutil
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import AIMessage
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.memory import MemorySaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.types import Command, RetryPolicy

from backend_coordinator import Coordinator
from backend_coordinator.domain import events as e
from backend_coordinator.domain.objective import Objective
from backend_coordinator.domain.plan import Plan
from backend_coordinator.domain.report import TaskResult
from backend_coordinator.errors import DamagedRun, RunLocked
from backend_coordinator.graph.persistence import checkpoints, driving
from backend_coordinator.graph.runs import Runs
from backend_coordinator.nodes.ledger import Ledger
from tests.support.department import Told, department, plan, refuse, task, write_own_file
from tests.support.runs import cli_here, coordinator, merges, of

GUIDE = {"decision": "guide", "text": "just write it", "by": "lead"}
ASK = {"messages": [("user", "three files")]}


@asynccontextmanager
async def saver_of(kind: str, folder: Path) -> AsyncIterator[BaseCheckpointSaver[str]]:
    if kind == "memory":
        yield MemorySaver()
    else:
        async with AsyncSqliteSaver.from_conn_string(str(folder / "parent.sqlite")) as saver:
            yield saver


def product(inner: Coordinator, saver: BaseCheckpointSaver[str] | None = None) -> Any:
    graph = StateGraph(MessagesState)
    graph.add_node("backend", inner.as_node())
    graph.add_edge(START, "backend")
    graph.add_edge("backend", END)
    return graph.compile(checkpointer=saver)


def guided(told: Told) -> AIMessage:
    """Task 1 and task 2 refuse until the lead has spoken."""
    if told.task in ("backend-T001", "backend-T002") and "GUIDANCE from lead" not in told.text:
        return refuse(told)
    return write_own_file(told)


def ledger_of(shop: Path) -> Ledger:
    runs = Runs(shop)
    (run,) = runs.ids()
    return runs.ledger(run)


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
async def test_a_question_surfaces_as_an_interrupt_of_the_parent_and_its_answer_leads_to_the_end(
    shop: Path, tmp_path: Path, kind: str
) -> None:
    made = plan(task(1), task(3), task(4, needs=[1]))
    async with saver_of(kind, tmp_path) as saver:
        app = product(coordinator(shop, department(made, guided)), saver)
        config = {"configurable": {"thread_id": "1"}}
        state = await app.ainvoke(ASK, config)
        (asked,) = state["__interrupt__"]
        assert asked.value["choices"] == ["guide", "amend", "abandon", "abort"]
        assert "this is not mine to do" in asked.value["text"]
        assert [event.task for event in of(e.Merged, _events(shop))] == ["backend-T003"]
        state = await app.ainvoke(Command(resume={asked.id: GUIDE}), config)
    assert "__interrupt__" not in state
    last = state["messages"][-1]
    assert last.text.startswith("accepted, ")
    told = last.additional_kwargs["backend_coordinator"]
    assert told["status"] == "ended"
    assert told["accepted"] is True
    assert merges(shop, told["branch"]) == ["backend-T001", "backend-T003", "backend-T004"]
    assert len(of(e.TaskStarted, _events(shop))) == 4, "one attempt more for task 1, none for the others"


def _events(shop: Path) -> list[e.Event]:
    return [event for _, event in ledger_of(shop).events()]


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"decision": "waive", "text": "let it pass"}, "takes guide, amend, abandon, abort, not waive"),
        ({"decision": "guide"}, "guide needs a text"),
        ("go on", """takes guide, amend, abandon, abort as {"decision": ..., "text": ...}, not 'go on'"""),
        ({"text": "go on"}, "not {'text': 'go on'}"),
        ({"decision": "maybe"}, "not decision 'maybe'"),
    ],
)
async def test_an_invalid_answer_is_asked_again_with_the_reason_and_is_not_consumed(
    shop: Path, wrong: object, why: str
) -> None:
    app = product(coordinator(shop, department(plan(task(1)), guided)), MemorySaver())
    config = {"configurable": {"thread_id": "1"}}
    (asked,) = (await app.ainvoke(ASK, config))["__interrupt__"]
    (again,) = (await app.ainvoke(Command(resume={asked.id: wrong}), config))["__interrupt__"]
    assert why in again.value["refused"]
    assert ledger_of(shop).open_questions()
    state = await app.ainvoke(Command(resume={again.id: GUIDE}), config)
    assert state["messages"][-1].additional_kwargs["backend_coordinator"]["accepted"] is True
    assert [event.answer.decision for event in of(e.Answered, _events(shop))] == ["guide"]


@pytest.mark.parametrize("first", [0, 1])
async def test_two_questions_at_once_are_answered_in_either_order(shop: Path, first: int) -> None:
    made = plan(task(1), task(2), task(3))
    app = product(coordinator(shop, department(made, guided)), MemorySaver())
    config = {"configurable": {"thread_id": "1"}}
    asked = sorted((await app.ainvoke(ASK, config))["__interrupt__"], key=lambda each: each.value["task"])
    assert [each.value["task"] for each in asked] == ["backend-T001", "backend-T002"]
    chosen, other = asked[first], asked[1 - first]
    (left,) = (await app.ainvoke(Command(resume={chosen.id: GUIDE}), config))["__interrupt__"]
    assert left.id == other.id
    state = await app.ainvoke(Command(resume={other.id: GUIDE}), config)
    assert state["messages"][-1].additional_kwargs["backend_coordinator"]["accepted"] is True
    asked_of = {event.question.id: event.question.task for event in of(e.Asked, _events(shop))}
    answered = [asked_of[event.question] for event in of(e.Answered, _events(shop))]
    assert answered == [chosen.value["task"], other.value["task"]]


async def test_both_questions_can_be_answered_in_one_resume(shop: Path) -> None:
    app = product(coordinator(shop, department(plan(task(1), task(2)), guided)), MemorySaver())
    config = {"configurable": {"thread_id": "1"}}
    asked = (await app.ainvoke(ASK, config))["__interrupt__"]
    state = await app.ainvoke(Command(resume={each.id: GUIDE for each in asked}), config)
    assert state["messages"][-1].additional_kwargs["backend_coordinator"]["accepted"] is True


@pytest.mark.parametrize("checkpointed", [True, False])
async def test_limits_of_the_parent_do_not_bind_the_run(shop: Path, checkpointed: bool) -> None:
    both = threading.Barrier(2, timeout=60)

    def work(told: Told) -> AIMessage:
        if told.task in ("backend-T001", "backend-T002") and told.turn == 0:
            both.wait()
        return write_own_file(told)

    made = plan(task(1), task(2), task(3, needs=[1]), task(4, needs=[3]), task(5, needs=[4]), task(6, needs=[5]))
    app = product(coordinator(shop, department(made, work)), MemorySaver() if checkpointed else None)
    config = {"configurable": {"thread_id": "1"}, "recursion_limit": 10, "max_concurrency": 1}
    state = await app.ainvoke(ASK, config)
    assert state["messages"][-1].additional_kwargs["backend_coordinator"]["accepted"] is True


async def test_without_a_checkpointer_a_waiting_run_says_so_and_can_be_resumed_outside(shop: Path) -> None:
    inner = coordinator(shop, department(plan(task(1)), guided))
    state = await product(inner).ainvoke(ASK)
    told = state["messages"][-1].additional_kwargs["backend_coordinator"]
    (question,) = ledger_of(shop).open_questions()
    assert told == {"run": question.run, "status": "waiting", "accepted": None, "branch": None}
    assert question.id in state["messages"][-1].text
    run = inner.resume(question.run)
    run.questions[0].answer("guide", "just write it", by="lead")
    assert run.result().accepted


async def test_a_second_objective_in_one_thread_is_a_run_of_its_own(shop: Path) -> None:
    app = product(coordinator(shop, department(plan(task(1)))), MemorySaver())
    config = {"configurable": {"thread_id": "1"}}
    for _ in range(2):
        state = await app.ainvoke(ASK, config)
    told = [m.additional_kwargs["backend_coordinator"]["run"] for m in state["messages"] if m.type == "ai"]
    assert len(set(told)) == 2


async def test_strict_checkpoints_give_our_own_types_back(shop: Path) -> None:
    run = coordinator(shop, department(plan(task(1), task(3)), guided)).start("two files")
    for _ in run.events():
        pass
    async with checkpoints(Runs(shop).place(run.id)) as saver:
        found = await saver.aget_tuple({"configurable": {"thread_id": run.id, "checkpoint_ns": ""}})
    assert found is not None
    values = found.checkpoint["channel_values"]
    assert type(values["plan"]) is Plan
    assert type(values["objective"]) is Objective
    written = [value for _, channel, value in found.pending_writes or () if channel == "results"]
    assert [type(result) for results in written for result in results.values()] == [TaskResult]
    run.questions[0].answer("abandon")
    run.result()


def product_of(shop: Path, made: Plan) -> tuple[Any, Any]:
    """A parent with memory and its thread."""
    return product(coordinator(shop, department(made, guided)), MemorySaver()), {"configurable": {"thread_id": "1"}}


def open_tasks(shop: Path) -> list[str | None]:
    return [question.task for question in ledger_of(shop).open_questions()]


def notices(shop: Path) -> list[str]:
    return [event.text for event in of(e.Noticed, _events(shop))]


async def test_one_open_question_takes_an_answer_without_an_id_once(shop: Path) -> None:
    app, config = product_of(shop, plan(task(1), task(2, needs=[1])))
    await app.ainvoke(ASK, config)
    (second,) = (await app.ainvoke(Command(resume=GUIDE), config))["__interrupt__"]
    assert open_tasks(shop) == ["backend-T002"]
    for given in (None, Command(resume=GUIDE)):  # LangGraph hands the old value down again with both
        (again,) = (await app.ainvoke(given, config))["__interrupt__"]
        assert again.id == second.id
        assert "name the interrupt's id" in again.value["refused"]
        assert open_tasks(shop) == ["backend-T002"]
    state = await app.ainvoke(Command(resume={**GUIDE, "text": "this one as well"}), config)
    assert state["messages"][-1].text.startswith("accepted, ")


async def test_an_answer_without_an_id_is_refused_while_two_questions_wait(shop: Path) -> None:
    app, config = product_of(shop, plan(task(1), task(2)))
    await app.ainvoke(ASK, config)
    with pytest.raises(RuntimeError, match="multiple pending interrupts"):
        await app.ainvoke(Command(resume=GUIDE), config)
    assert sorted(map(str, open_tasks(shop))) == ["backend-T001", "backend-T002"]


@pytest.mark.parametrize("kind", ["strange", "stale"])
async def test_a_strange_or_stale_answer_is_not_taken_for_another_question(shop: Path, kind: str) -> None:
    app, config = product_of(shop, plan(task(1), task(2, needs=[1])))
    (first,) = (await app.ainvoke(ASK, config))["__interrupt__"]
    (second,) = (await app.ainvoke(Command(resume={first.id: GUIDE}), config))["__interrupt__"]
    named = first.id if kind == "stale" else "0" * 32
    (again,) = (await app.ainvoke(Command(resume={named: GUIDE}), config))["__interrupt__"]
    assert again.id == second.id
    stale = f"the answers were for other questions: {first.value['id']}"
    assert again.value.get("refused") == (stale if kind == "stale" else None), "a strange one may be another run's"
    assert open_tasks(shop) == ["backend-T002"]
    if kind == "stale":
        assert any("was already answered" in text for text in notices(shop))
    state = await app.ainvoke(Command(resume={again.id: GUIDE}), config)
    assert state["messages"][-1].text.startswith("accepted, ")


async def test_the_command_line_answers_a_question_and_the_parent_goes_on_with_none(shop: Path) -> None:
    app, config = product_of(shop, plan(task(1), task(2, needs=[1])))
    (asked,) = (await app.ainvoke(ASK, config))["__interrupt__"]
    decided = ("guide", "--text", "just write it", "--by", "lead", "--workspace", str(shop))
    said = cli_here("decide", asked.value["run"], asked.value["id"], *decided)
    assert said.returncode == 0, said.stderr
    refused = cli_here("resume", asked.value["run"], "--workspace", str(shop))
    assert refused.returncode == 2
    assert "belongs to the graph that it is a node of" in refused.stderr
    (other,) = (await app.ainvoke(None, config))["__interrupt__"]
    assert other.value["task"] == "backend-T002"
    said = cli_here("decide", other.value["run"], other.value["id"], *decided)
    state = await app.ainvoke(Command(resume=GUIDE), config)
    assert state["messages"][-1].text.startswith("accepted, ")
    assert not [text for text in notices(shop) if "answer" in text]
    ended = cli_here("resume", asked.value["run"], "--workspace", str(shop))
    assert ended.returncode == 0, ended.stderr


async def test_a_wrong_answer_by_id_is_told_why_also_after_one_without_an_id(shop: Path) -> None:
    app, config = product_of(shop, plan(task(1), task(2, needs=[1])))
    await app.ainvoke(ASK, config)
    (second,) = (await app.ainvoke(Command(resume=GUIDE), config))["__interrupt__"]
    wrong = Command(resume={second.id: {"decision": "guide"}})
    (again,) = (await app.ainvoke(wrong, config))["__interrupt__"]
    assert "guide needs a text" in again.value["refused"]


async def test_an_answer_for_one_coordinator_leaves_the_question_of_the_other_alone(shop: Path) -> None:
    inner = coordinator(shop, department(plan(task(1)), guided))
    graph = StateGraph(MessagesState)
    for name in ("one", "two"):
        graph.add_node(name, inner.as_node())
        graph.add_edge(START, name)
    app, config = graph.compile(checkpointer=MemorySaver()), RunnableConfig(configurable={"thread_id": "1"})
    first, second = (await app.ainvoke(ASK, config))["__interrupt__"]
    (left,) = (await app.ainvoke(Command(resume={first.id: GUIDE}), config))["__interrupt__"]
    assert left == second, "shown again as it was, not as refused"
    told = Runs(shop).ledger(second.value["run"]).events()
    assert not of(e.Noticed, [event for _, event in told])


async def test_a_run_whose_folder_was_removed_is_not_begun_again(shop: Path) -> None:
    app, config = product_of(shop, plan(task(1), task(3)))
    (asked,) = (await app.ainvoke(ASK, config))["__interrupt__"]
    run = asked.value["run"]
    kept = Runs(shop).place(run).rename(shop.parent / "kept")
    with pytest.raises(DamagedRun, match=f"^run {run}: .* restore it from a backup, or ask in a new thread"):
        await app.ainvoke(Command(resume={asked.id: GUIDE}), config)
    assert Runs(shop).ids() == ()
    Runs(shop).create(Objective(text="three files"), run=run)
    with pytest.raises(DamagedRun, match=f"^run {run}: .* was made anew, .*; what was merged is on"):
        await app.ainvoke(None, config)
    shutil.rmtree(Runs(shop).place(run))
    kept.rename(Runs(shop).folder / run)
    state = await app.ainvoke(Command(resume={asked.id: GUIDE}), config)
    assert state["messages"][-1].text.startswith("accepted, ")
    assert merges(shop, f"backend-coordinator/{run}") == ["backend-T001", "backend-T003"]


async def test_a_call_beside_one_that_still_works_names_this_process(shop: Path) -> None:
    app, config = product_of(shop, plan(task(1)))
    (asked,) = (await app.ainvoke(ASK, config))["__interrupt__"]
    with (
        driving(Runs(shop).place(asked.value["run"])),
        pytest.raises(RunLocked, match=f"process {os.getpid()}, by another call in this process: "),
    ):
        await app.ainvoke(Command(resume={asked.id: GUIDE}), config)


async def test_calls_of_one_node_are_runs_of_their_own_by_their_objectives(shop: Path) -> None:
    backend = coordinator(shop, department(plan(task(1)))).as_node()
    own = StateGraph(MessagesState)
    own.add_node("thinks", lambda state: {"messages": [("ai", "a note")]})
    own.add_edge(START, "thinks")
    thinking = own.compile(checkpointer=True)
    attempts = []

    async def calls(state: MessagesState, config: RunnableConfig) -> dict[str, Any]:
        await thinking.ainvoke({"messages": []}, config)
        made = [await backend({"objective": text}, config) for text in ("one", "two", "one")]
        attempts.append(made)
        if len(attempts) == 1:
            raise ConnectionError
        return {"messages": [message for each in made for message in each["messages"]]}

    graph = StateGraph(MessagesState)
    graph.add_node("calls", calls, retry_policy=RetryPolicy(initial_interval=0, jitter=False))
    graph.add_edge(START, "calls")
    config: RunnableConfig = {"configurable": {"thread_id": "1"}}
    state = await graph.compile(checkpointer=MemorySaver()).ainvoke(ASK, config)
    told = [m.additional_kwargs["backend_coordinator"]["run"] for m in state["messages"] if m.type == "ai"]
    assert told[0] == told[2] != told[1]
    assert sorted(Runs(shop).ids()) == sorted(set(told)), "the second attempt found the runs of the first"


async def test_a_tool_answers_with_a_line_and_has_the_rest_as_its_artifact(shop: Path) -> None:
    tool = coordinator(shop, department(plan(task(1)))).as_tool("shop", "Builds the shop.")
    assert list(tool.args) == ["objective"]
    answer = await tool.ainvoke({"type": "tool_call", "id": "1", "name": "shop", "args": {"objective": "one file"}})
    assert answer.text.startswith("accepted, ")
    assert answer.artifact["status"] == "ended"
    assert answer.artifact["run"] in Runs(shop).ids()
