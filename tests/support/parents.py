"""Graphs of other people with coordinators inside, in every form and under every checkpointer; also as a process."""

import asyncio
import json
import os
import signal
import sys
import warnings
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import AIMessage, BaseMessage, ToolMessage
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.memory import MemorySaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.types import Command
from langgraph.warnings import LangGraphDeprecationWarning

from backend_coordinator import Coordinator
from backend_coordinator.testing import ScriptedModel, calls
from tests.support.department import Told, department, plan, refuse, task, write_own_file
from tests.support.doomed import counted
from tests.support.runs import coordinator

ASK = {"messages": [("user", "three files")]}
GUIDE = {"decision": "guide", "text": "just write it", "by": "lead"}
PLAN = plan(task(1), task(2, needs=[1]), task(3))
LIMITS: RunnableConfig = {"recursion_limit": 10}
Form = Callable[[Sequence[Coordinator]], Any]


def guided(told: Told) -> AIMessage:
    """Task 3 refuses until the lead has spoken."""
    if told.task == "backend-T003" and "GUIDANCE from lead" not in told.text:
        return refuse(told)
    return write_own_file(told)


@asynccontextmanager
async def saver_of(kind: str, place: str) -> AsyncIterator[BaseCheckpointSaver[Any] | None]:
    """A parent's checkpointer; `place` is a file for sqlite and a URL for postgres."""
    if kind == "sqlite":
        async with AsyncSqliteSaver.from_conn_string(place) as saver:
            yield saver
    elif kind == "postgres":
        from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver

        async with AsyncPostgresSaver.from_conn_string(place) as saver:
            await saver.setup()
            yield saver
    else:
        yield MemorySaver() if kind == "memory" else None


def node(made: Sequence[Coordinator]) -> Any:
    """A node of a graph."""
    graph = StateGraph(MessagesState)
    graph.add_node("backend", made[0].as_node())
    graph.add_edge(START, "backend")
    return graph


def subgraph(made: Sequence[Coordinator]) -> Any:
    """A node inside a subgraph of the parent."""
    graph = StateGraph(MessagesState)
    graph.add_node("team", node(made).compile())
    graph.add_edge(START, "team")
    return graph


def two(made: Sequence[Coordinator]) -> Any:
    """Two coordinators in parallel branches, each with a workspace of its own."""
    graph = StateGraph(MessagesState)
    for name, each in zip(("shop", "stock"), made, strict=True):
        graph.add_node(name, each.as_node())
        graph.add_edge(START, name)
        graph.add_edge(name, END)
    return graph


def twice(made: Sequence[Coordinator]) -> Any:
    """One coordinator called twice within one node."""
    backend = made[0].as_node()

    async def both(state: MessagesState, config: RunnableConfig) -> dict[str, Any]:
        first = await backend({"objective": "three files"}, config)
        second = await backend({"objective": "three files more"}, config)
        return {"messages": [*first["messages"], *second["messages"]]}

    graph = StateGraph(MessagesState)
    graph.add_node("both", both)
    graph.add_edge(START, "both")
    return graph


def calling(tool: str, **arguments: object) -> ScriptedModel:
    """A model that calls one tool for each thing the user wants, and then is done."""

    def script(messages: Sequence[BaseMessage], tools: Sequence[str]) -> AIMessage:
        last_wish = max(place for place, message in enumerate(messages) if message.type == "human")
        if any(isinstance(message, ToolMessage) for message in messages[last_wish:]):
            return AIMessage("done")
        return calls((tool, arguments), turn=len(messages))

    return ScriptedModel(script=script)


class _Open:
    """A graph whose framework compiles it itself."""

    def __init__(self, compile_: Callable[..., Any]) -> None:
        self.compile = compile_


def agent(made: Sequence[Coordinator]) -> Any:
    """A tool of `create_agent`."""
    agents = pytest.importorskip("langchain.agents")
    model, tools = calling("backend", objective="three files"), [made[0].as_tool()]
    return _Open(lambda checkpointer: agents.create_agent(model, tools, checkpointer=checkpointer))


def supervised(made: Sequence[Coordinator]) -> Any:
    """An agent of langgraph-supervisor."""
    supervisors = pytest.importorskip("langgraph_supervisor")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LangGraphDeprecationWarning)  # it still uses what LangGraph wants to remove
        return supervisors.create_supervisor([node(made).compile(name="backend")], model=calling("transfer_to_backend"))


def deep(made: Sequence[Coordinator]) -> Any:
    """A sub-agent of deepagents."""
    deepagents = pytest.importorskip("deepagents")
    helper = {"name": "backend", "description": "builds backends", "runnable": node(made).compile()}
    model = calling("task", description="three files", subagent_type="backend")
    return _Open(
        lambda checkpointer: deepagents.create_deep_agent(model=model, subagents=[helper], checkpointer=checkpointer)
    )


FORMS: dict[str, Form] = {
    form.__name__: form for form in (node, subgraph, two, twice, agent, supervised, deep)
}  # fmt: skip
RUNS = {"two": 2, "twice": 2}
"""How many runs a form makes, where it is not one."""


def said(state: dict[str, Any]) -> str:
    """All that was said in the parent's messages."""
    return "\n".join(str(message.text) for message in state["messages"])


async def _invoke(form: str, kind: str, place: str, shops: Sequence[Path], given: str) -> None:
    """One invocation: `begin`, `go on` (with None) or `answer`; tells which questions wait and what was said."""
    armed, log = shops[0].parent / "armed", shops[0].parent / "calls"

    def work(told: Told) -> AIMessage:
        if told.task == "backend-T002" and told.turn == 1 and armed.exists():
            armed.unlink()
            os.kill(os.getpid(), signal.SIGKILL)
        return guided(told)

    made = [coordinator(shop, counted(department(PLAN, work), log)) for shop in shops]
    async with saver_of(kind, place) as saver:
        app = FORMS[form](made).compile(checkpointer=saver)
        thread: RunnableConfig = {**LIMITS, "configurable": {"thread_id": "1"}}
        first: Any = {"begin": ASK, "go on": None}.get(given)
        if given == "answer":
            first = Command(resume={each.id: GUIDE for each in (await app.aget_state(thread)).interrupts})
        state = await app.ainvoke(first, thread)
        waiting = [each.id for each in state.get("__interrupt__", ())]
        os.write(1, json.dumps({"waiting": waiting, "said": said(state)}).encode())
        if waiting:
            os.kill(os.getpid(), signal.SIGKILL)  # while it waits, with the saver open


if __name__ == "__main__":
    asyncio.run(_invoke(*sys.argv[1:4], [Path(shop) for shop in sys.argv[5:]], sys.argv[4]))  # type: ignore[call-arg]
