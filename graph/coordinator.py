"""The public face of the engine: `Coordinator`, and `Run`, the handle of one run."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backend_coordinator.domain.events import Event, RunEnded
from backend_coordinator.domain.objective import Objective
from backend_coordinator.domain.plan import Plan
from backend_coordinator.domain.question import Answerer
from backend_coordinator.domain.report import Report
from backend_coordinator.errors import ModelUnavailable, Stopped, Waiting
from backend_coordinator.graph.build import sentence
from backend_coordinator.graph.embedding import Node, node_of, tool_of
from backend_coordinator.graph.loop import in_loop
from backend_coordinator.graph.open_questions import OpenQuestion
from backend_coordinator.graph.planning import created, plan_only
from backend_coordinator.graph.runs import Runs, drive
from backend_coordinator.nodes.answerers import bound
from backend_coordinator.nodes.items import Given, items_of
from backend_coordinator.nodes.ledger import Ledger
from backend_coordinator.nodes.models.resolve import default_model, resolve_model
from backend_coordinator.nodes.tools.catalogue import roster_with
from backend_coordinator.nodes.workspace.user_repository import open_workspace, root_of
from backend_coordinator.settings import Settings, load_settings

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel
    from langchain_core.tools import BaseTool

_POLL = 0.1
_TOOL = "Has a backend department carry out an objective in the repository, and says whether it was accepted."
_MOST_SECONDS_TO_STOP = 10.0


class Coordinator:
    """Coordinates backend work in one git repository.

    `model` is a chat model, `openai:<name>` or `offline`; None takes openai when a key or base URL is set and
    offline otherwise. `init` makes the workspace a repository if it is none, as soon as a plan or run has passed
    all checks. `database` is the address of a PostgreSQL database for the tables of runs; None takes that of
    BACKEND_COORDINATOR_DATABASE, or none. Raises WorkspaceError and ModelUnavailable at once.

    `answers` binds who answers in a person's place, by a name of an external, such as `frontend-coordinator` and
    `tech-lead-orchestrator`, or `user`: a function of the Question (also async) that returns an Answer, a mapping, a
    decision, or None to leave it to a person; a graph that takes `{"question": {...}}` and gives
    `{"answer": {...}}`; or `"persona"`, the run's model in that role. Raises ConfigurationError for other names.
    """

    def __init__(
        self,
        model: "str | BaseChatModel | None" = None,
        workspace: str | Path = ".",
        *,
        settings: Settings | None = None,
        init: bool = False,
        base: str | None = None,
        database: str | None = None,
        answers: Mapping[str, Answerer] | None = None,
    ) -> None:
        chosen = model or default_model()
        resolve_model(chosen)
        root = root_of(Path(workspace))
        if not init:
            open_workspace(root, base=base)
        present = settings or load_settings(root)  # wrong ones are refused at once; each drive reads them again
        bound_to = bound(answers, roster_with(*(root / folder for folder in present.roster))) if answers else {}
        self.runs = Runs(root, chosen, settings, init=init, base=base, database=database, answers=bound_to)

    def plan(self, objective: str, *, context: Iterable[Given] = ()) -> Plan:
        """The plan for an objective; nothing is started and the workspace stays as it is.

        `context` is what you give to know: files, folders, `KIND=PATH`, or a kind and a text each.
        Raises ModelCallFailed, InvalidPlan, and ConfigurationError for a context that cannot be used.
        """
        return (
            in_loop(plan_only(self.runs, Objective(text=objective, context=items_of(context)))).result().compiled.plan
        )

    def start(
        self,
        work: str | Plan | Path,
        *,
        objective: str | None = None,
        context: Iterable[Given] = (),
        deadline: str | None = None,
    ) -> "Run":
        """Starts a run for an objective, or for a plan or its file (then `objective` names it), and returns its handle.

        `context` as for `plan`: each part of it reaches those specialists only who see its kind. What fails after the
        `deadline`, an ISO 8601 day or time, becomes a question. Raises InvalidPlan, and ConfigurationError for a file
        that is no plan and a deadline that is no time.
        """
        return Run(self.runs, created(self.runs, work, objective, items_of(context), deadline=deadline))

    def resume(self, run: str) -> "Run":
        """Goes on with a run that stopped; one that has ended is only reported. Raises UnknownRun."""
        self.runs.place(run)
        return Run(self.runs, run)

    def as_node(self) -> Node:
        """An async node for a larger graph: reads the objective from `messages`, answers with a message.

        Its questions surface as interrupts of the parent; answer them with
        `Command(resume={interrupt.id: {"decision": "guide", "text": "..."}})`.
        """
        return node_of(self.runs)

    def as_tool(self, name: str = "backend", description: str = _TOOL) -> "BaseTool":
        """An async tool for an agent that takes an objective and answers with one line.

        Its artifact holds run, status, accepted and branch; questions surface as those of `as_node` do.
        """
        return tool_of(self.runs, name, description)

    def graph(self) -> Any:
        """The compiled graph, for drawing and inspection."""
        settings = self.runs.settings or Settings()
        return sentence(roster_with(), settings.budget).compile()


class Run:
    """One run on its way, in the loop of its process; use `result()` in scripts and `await run` in async code."""

    def __init__(self, runs: Runs, run: str) -> None:
        self.id = run
        self._runs = runs
        self._ledger = runs.ledger(run)
        self._left_open: frozenset[str] = frozenset()
        self._refused: Future[Report] | None = None
        self._asked = threading.Lock()
        self._future = self._begin()

    @property
    def folder(self) -> Path:
        """Where it is kept, its report included."""
        return self._runs.place(self.id)

    def events(self) -> "Events":
        """What happens, from the beginning, until the run has ended or only waits for answers."""
        return Events(self._ledger, self._going(), self._begun, self.stop)

    @property
    def questions(self) -> tuple[OpenQuestion, ...]:
        """The open questions."""
        return tuple(OpenQuestion(question, self._ledger) for question in self._ledger.open_questions())

    def result(self) -> Report:
        """Blocks until the run has ended.

        Raises Waiting when only answers can bring it further, and ModelUnavailable when a model cannot be used; after
        answering, or correcting that, call it again. Raises Stopped after `stop()`. A KeyboardInterrupt stops the run.
        """
        while True:
            future = self._going()
            try:
                return future.result()
            except KeyboardInterrupt:
                self.stop()
                raise
            except Waiting:
                if self._going() is future:
                    raise
            except ModelUnavailable:
                self._refused = future
                raise

    def stop(self) -> None:
        """Lets nothing new begin, and ends the work under way and its processes, within seconds.

        A model call or tool may end by itself for a moment, a merge always does; the run can be resumed.
        """
        loop, task = self._driver.result()
        loop.call_soon_threadsafe(task.cancel)
        wait((self._future,), timeout=_MOST_SECONDS_TO_STOP)

    def _begin(self) -> "Future[Report]":
        self._begun: Future[None] = Future()
        self._driver: Future[tuple[asyncio.AbstractEventLoop, asyncio.Task[Any]]] = Future()
        return in_loop(self._drive(self._begun, self._driver))

    async def _drive(self, begun: "Future[None]", driver: "Future[tuple[Any, asyncio.Task[Any]]]") -> Report:
        task = asyncio.current_task()
        assert task is not None
        driver.set_result((asyncio.get_running_loop(), task))
        try:
            return await drive(self._runs, self.id, begun)
        except asyncio.CancelledError:
            msg = f"run {self.id} was stopped: Coordinator.resume({self.id!r}) goes on with it"
            raise Stopped(msg) from None
        finally:
            self._left_open = self._open()

    def _going(self) -> "Future[Report]":
        """The present drive; a new one after an answer to what it waited for, or once its refusal was told."""
        with self._asked:  # of two threads that ask, one begins
            over = self._future.done() and isinstance(self._future.exception(), Waiting)
            answered = over and (not self._open() or self._open() != self._left_open)
            if answered or self._future is self._refused:
                self._future = self._begin()
            return self._future

    def _open(self) -> frozenset[str]:
        return frozenset(question.id for question in self._ledger.open_questions())

    def __await__(self) -> Generator[Any, None, Report]:
        return self._ended().__await__()

    async def _ended(self) -> Report:
        """The result; who cancels the wait for it stops the run, as with any task."""
        try:
            return await asyncio.to_thread(self.result)
        except asyncio.CancelledError:
            await asyncio.to_thread(self.stop)
            raise


@dataclass(frozen=True)
class Events:
    """The typed events of a run; for both `for` and `async for`."""

    ledger: Ledger
    future: "Future[Report]"
    begun: "Future[None]"
    stop: Callable[[], None]

    def __iter__(self) -> Iterator[Event]:
        try:
            yield from chain.from_iterable(self._told())
        except KeyboardInterrupt:
            self.stop()
            raise

    async def __aiter__(self) -> AsyncIterator[Event]:
        told = self._told()
        while (events := await asyncio.to_thread(next, told, None)) is not None:
            for event in events:
                yield event

    def _told(self) -> Iterator[Sequence[Event]]:
        """What is new; now and then nothing, so that no thread of somebody who leaves has to be waited for."""
        either: tuple[Future[Any], ...] = (self.begun, self.future)
        while not wait(either, _POLL, return_when=FIRST_COMPLETED).done:
            yield ()
        if not self.begun.done():
            return  # refused: the events there are belong to others, `result` says why
        seen = 0
        while True:
            over = self.future.done()
            found = self.ledger.events(after=seen)
            seen = found[-1][0] if found else seen
            yield (events := [event for _, event in found])
            if over or any(isinstance(event, RunEnded) for event in events):
                return
            self.ledger.wait_for_events(_POLL)
