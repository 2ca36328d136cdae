"""Clients that a user made, parent graphs that stream, and several event loops: one retry layer all the same."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from langchain_core.messages import HumanMessage
from langchain_openai import ChatOpenAI
from langgraph.graph import END, START, MessagesState, StateGraph

from backend_coordinator.domain.usage import Usage
from backend_coordinator.errors import ModelCallFailed, ModelUnavailable
from backend_coordinator.nodes.models.call import Request, call_model
from backend_coordinator.nodes.models.resolve import resolve_model
from backend_coordinator.settings import ModelSettings
from backend_coordinator.testing import ScriptedModel
from tests.faults.conftest import PATIENCE, TEXT, WRITE, Bad, Reply, gathered
from tests.faults.server import Asked, Response, calls_changed, page, refused, whole
from tests.support.openai_server import COMPLETION_TOKENS, serving


def instance(it: Bad) -> ChatOpenAI:
    """A client as a user makes it, retries and all, of the server that the environment names."""
    streaming = {"streaming": True, "stream_usage": True} if it.streaming else {}  # False by name would forbid it
    return ChatOpenAI.model_validate({"model": "mine", "max_retries": 4, **streaming})


async def ask(it: Bad, model: ChatOpenAI, **changes: object) -> Reply:
    async with asyncio.timeout(PATIENCE):
        request = Request([HumanMessage("?")], tools=[WRITE])
        return await call_model(model, request, it.terms(**changes), clock=it.clock)


@pytest.mark.parametrize("status", [429, 500])
async def test_f007_an_instance_sends_no_more_than_the_attempts_and_stays_as_it_was(talking: Bad, status: int) -> None:
    talking.always, model = refused(status), instance(talking)
    with pytest.raises(ModelCallFailed, match=f"3 times: status {status}"):
        await ask(talking, model, attempts=3)
    assert len(talking.asked) == 3
    assert (model.max_retries, model.root_async_client.max_retries) == (4, 4)


async def test_f002_an_instance_does_not_wait_where_the_wait_does_not_fit(talking: Bad) -> None:
    talking.always = refused(429, headers={"retry-after": "90"})
    with pytest.raises(ModelCallFailed, match="again in 90 s"):
        await ask(talking, instance(talking), seconds=30)
    assert (len(talking.asked), talking.clock.now()) == (1, 0.0)


async def test_f006_twenty_callers_of_one_instance_wait_together(talking: Bad) -> None:
    def overloaded(asked: Asked) -> Response:
        return refused(429)(asked) if talking.clock.now() < 10 else whole(asked)

    talking.always, model = overloaded, instance(talking)
    assert len(await gathered(*(ask(talking, model) for _ in range(20)))) == 20
    assert len(talking.asked) <= 60


async def streamed_by_parent(node: Callable[[Any], Any]) -> None:
    """Runs the node in a graph whose caller wants every token, in both of LangGraph's ways."""
    graph = StateGraph(MessagesState)
    graph.add_node("backend", node)
    graph.add_edge(START, "backend")
    graph.add_edge("backend", END)
    async with asyncio.timeout(PATIENCE):
        async for _ in graph.compile().astream({"messages": [("user", "?")]}, stream_mode="messages"):
            pass
        async for _ in graph.compile().astream_events({"messages": [("user", "?")]}, version="v2"):
            pass


async def test_f019_a_parent_graph_that_streams_changes_nothing(calling: Bad) -> None:
    calling.always = calls_changed(lambda call: call["function"].update(arguments='{"path": "a.py", "content": "x = 1'))
    replies: list[Reply] = []

    async def node(state: Any) -> dict[str, Any]:
        replies.append(await ask(calling, instance(calling)))
        return {}

    await streamed_by_parent(node)
    for reply, used in replies:
        assert not reply.tool_calls, "arguments that were cut are never completed"
        assert used.uncounted_calls == 0
        assert used.output_tokens == COMPLETION_TOKENS
    assert [asked.streaming for asked in calling.asked] == [calling.streaming] * 2


@pytest.mark.parametrize("streaming", [True, False])
@pytest.mark.parametrize("made", ["by us", "by the user"])
def test_every_loop_has_connections_of_its_own(made: str, streaming: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    async def rounds() -> list[Usage]:
        used = []
        for _ in range(3):
            used += [u for _, u in await gathered(*(call_model(model, request, terms) for _ in range(4)))]
        return used

    terms, request = ModelSettings(streaming=streaming, attempts=2), Request([HumanMessage("?")])
    with serving(ScriptedModel(script=lambda messages, tools: TEXT)) as env:
        for name, value in env.items():
            monkeypatch.setenv(name, value)
        model = (
            resolve_model("openai:loops", terms) if made == "by us" else ChatOpenAI(model="loops", streaming=streaming)
        )
        with ThreadPoolExecutor(2) as pool:
            used = [each for loop in pool.map(asyncio.run, [rounds() for _ in range(6)]) for each in loop]
    assert [each.retries for each in used] == [0] * 72


@pytest.mark.parametrize("streaming", [True], indirect=True)
async def test_a_server_that_counts_no_streams_is_asked_without(talking: Bad) -> None:
    def play(asked: Asked) -> Response:
        told = "Unrecognized request argument supplied: stream_options"
        return refused(400, told)(asked) if "stream_options" in asked.body else whole(asked)

    talking.always = play
    assert [reply.text for reply, _ in (await talking.ask(), await talking.ask())] == ["all is well"] * 2
    assert ["stream_options" in asked.body for asked in talking.asked] == [True, False, False]


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        *(("OPENAI_API_KEY", bad) for bad in ("sk-1\n", " sk-1", "sk 1", "sk-\u00e9", " ")),
        *(
            ("OPENAI_BASE_URL", bad)
            for bad in ("localhost:8000/v1", "http://h:99999/v1", "http://h:x/v1", "http:///v1")
        ),
    ],
)
def test_a_key_or_an_address_that_cannot_be_sent_is_refused_by_its_variable(
    variable: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, good in {"OPENAI_API_KEY": "sk-1", "OPENAI_BASE_URL": "http://127.0.0.1:1/v1"}.items():
        monkeypatch.setenv(name, value if name == variable else good)
    with pytest.raises(ModelUnavailable, match=f"^{variable} (holds|is no)"):
        resolve_model("openai:test-model")


@pytest.mark.parametrize("fault", [page(200), refused(400, "we do not like it")])
async def test_what_no_model_ever_answered_at_is_the_wrong_place(talking: Bad, fault: Any) -> None:
    talking.always = fault
    request, terms = Request([HumanMessage("?")]), talking.terms(attempts=2)
    model = resolve_model("openai:test-model", terms)
    with pytest.raises(
        ModelUnavailable, match=r"^model test-model at http://127\.0\.0\.1:\d+/v1 cannot be used, the ser"
    ):
        await call_model(model, request, terms, clock=talking.clock)
    talking.always = None
    assert (await call_model(model, request, terms, clock=talking.clock))[0].text == TEXT.text
    talking.always = fault
    with pytest.raises(ModelCallFailed):
        await call_model(model, request, terms, clock=talking.clock)
