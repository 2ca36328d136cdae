"""One model call, and one attempt of a specialist, against a server that behaves as told."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TypeVar

import pytest
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage

from backend_coordinator.domain.context import Assignment
from backend_coordinator.domain.usage import Usage
from backend_coordinator.nodes.models.call import Request, call_model
from backend_coordinator.nodes.models.resolve import resolve_model
from backend_coordinator.nodes.tools.bench import Bench
from backend_coordinator.nodes.work import Worked, work
from backend_coordinator.settings import ModelSettings
from backend_coordinator.testing import ScriptedModel, calls
from tests.faults.server import Asked, Fault, Response, Server, served, whole
from tests.nodes.conftest import bench as bench
from tests.nodes.conftest import context as context
from tests.nodes.conftest import task as task
from tests.nodes.conftest import workspace as workspace
from tests.support.clock import VirtualClock

PATIENCE = 20
"""Real seconds after which a test that hangs fails."""
WRITE = {
    "type": "function",
    "function": {
        "name": "write",
        "description": "Writes a file.",
        "parameters": {"type": "object", "properties": {"path": {"type": "string"}, "content": {"type": "string"}}},
    },
}
WRITTEN = calls(("write", {"path": "docs/a.md", "content": "one\ntwo\n"}))
TEXT = AIMessage("all is well")

T = TypeVar("T")
Reply = tuple[AIMessage, Usage]


@dataclass
class Bad:
    """A server whose first requests meet `faults`, then answers well; None among them is a good answer."""

    server: Server
    clock: VirtualClock
    streaming: bool
    faults: list[Fault | None] = field(default_factory=list)
    always: Fault | None = None

    def terms(self, **changes: object) -> ModelSettings:
        """How the model is asked."""
        return ModelSettings.model_validate({"streaming": self.streaming, **changes})

    async def ask(self, **changes: object) -> Reply:
        """One call of the model."""
        terms = self.terms(**changes)
        request = Request([HumanMessage("?")], tools=[WRITE])
        async with asyncio.timeout(PATIENCE):
            return await call_model(resolve_model("openai:test-model", terms), request, terms, clock=self.clock)

    async def work(self, bench: Bench) -> Worked:
        """One attempt of a specialist."""
        settings = bench.context.settings.model_copy(update={"model": self.terms()})
        context = replace(bench.context, model="openai:test-model", settings=settings, clock=self.clock)
        assignment = Assignment(task=bench.task.id, specialist="python-pro", attempt=1, packet="do it")
        async with asyncio.timeout(PATIENCE):
            return await work(assignment, replace(bench, context=context), "you are python-pro")

    @property
    def asked(self) -> Sequence[Asked]:
        """What the server got."""
        return self.server.requests

    def play(self, asked: Asked) -> Response:
        """The answer to one request."""
        fault = self.faults.pop(0) if self.faults else self.always
        return (fault or whole)(asked)


Answers = Callable[[Sequence[BaseMessage], Sequence[str]], AIMessage]


@contextmanager
def bad(answers: Answers, *, streaming: bool) -> Iterator[Bad]:
    """A server of these answers, and the environment that leads there."""
    clock = VirtualClock()
    with served(ScriptedModel(script=answers), lambda asked: it.play(asked), clock) as server:
        it = Bad(server, clock, streaming)
        with pytest.MonkeyPatch.context() as patch:
            for name, value in server.env.items():
                patch.setenv(name, value)
            yield it


@pytest.fixture(params=[True, False], ids=["streaming", "whole"])
def streaming(request: pytest.FixtureRequest) -> bool:
    """Both ways of answering."""
    return bool(request.param)


@pytest.fixture
def calling(streaming: bool) -> Iterator[Bad]:
    """A server whose model calls a tool once, and then submits."""

    def answers(messages: Sequence[BaseMessage], tools: Sequence[str]) -> AIMessage:
        turn = sum(isinstance(message, AIMessage) for message in messages)
        written = any("wrote" in str(message.content) for message in messages if message.type == "tool")
        return calls(("submit", {"summary": "done"}), turn=turn) if written else WRITTEN

    with bad(answers, streaming=streaming) as it:
        yield it


@pytest.fixture
def talking(streaming: bool) -> Iterator[Bad]:
    """A server whose model answers with text."""
    with bad(lambda messages, tools: TEXT, streaming=streaming) as it:
        yield it


async def gathered(*asked: Awaitable[T]) -> list[T]:
    """All answers; none of the calls may fail."""
    return list(await asyncio.gather(*asked))
