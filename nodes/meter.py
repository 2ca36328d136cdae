"""What a run has used so far, live over its parallel tasks, and whether its limits let it go on."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from langchain_core.messages import AIMessage, AnyMessage

from backend_coordinator.domain.events import (
    Answered,
    Escalated,
    Event,
    ModelCalled,
    RunResumed,
    RunStarted,
    TaskStarted,
    ToolCalled,
)
from backend_coordinator.domain.failure import Level
from backend_coordinator.domain.usage import Limits, Usage
from backend_coordinator.errors import ModelCallFailed
from backend_coordinator.nodes.ledger import Ledger
from backend_coordinator.nodes.models.call import Request, call_model, place_of
from backend_coordinator.nodes.models.clock import CLOCK, Clock
from backend_coordinator.nodes.models.faults import CallFailed, Kind, usage_in
from backend_coordinator.settings import ModelSettings

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

RUN = "the run"
WAY_OUT = (
    "Until a person's guidance gives as much again, no attempt under this limit can go on. "
    "A specialist's limit does not bind others."
)
_LEAST_SECONDS = 1.0
"""What a call gets even where less is left of a limit."""


class Meter:
    """Counts a run's calls by its ledger, and refuses more than its limits leave room for.

    `limits` are by whom they bind: `RUN`, or a specialist over all its tasks; `task` binds each task. Of a task or a
    specialist `seconds` are those of its model calls and tools, of the run those in which a process drove it. Whoever
    is guided by a person after a limit was reached (Level 4) may use as much again.
    """

    redact: Callable[[str], str] = str
    """What every message goes through before it is sent."""
    step: Callable[[], AbstractAsyncContextManager[None]] = nullcontext
    """What every call is made within."""

    def __init__(self, limits: Mapping[str, Limits], task: Limits, ledger: Ledger, clock: Clock = CLOCK) -> None:
        self._limits, self._task, self._ledger, self._clock = limits, task, ledger, clock
        self._used: defaultdict[str, Usage] = defaultdict(Usage)
        self._author: dict[str, str] = {}
        self._before, self._began = 0.0, clock.now()
        numbers = [number for number, _ in ledger.events()]
        self._seen = max(numbers, default=0)  # a database of many runs counts over all of them
        dated = ledger.dated_events()[: len(numbers)]
        for (_, event), past in zip(dated, driven(dated), strict=True):
            self._before += past
            self._take(event)

    def demand(self, specialist: str, task: str | None = None) -> None:
        """Lets one more call of a model or a tool begin.

        Raises CallFailed of kind LIMIT, naming what the run, the specialist or the task has reached.
        """
        for number, event in self._ledger.events(after=self._seen):
            self._seen = number
            self._take(event)
        for name, reached in self._reached(specialist, task):
            raise CallFailed(f"a limit of {name} is reached: {reached}", Kind.LIMIT, Usage())

    def _take(self, event: Event) -> None:
        match event:
            case TaskStarted(task=task, specialist=author):
                self._author[task] = author
            case ModelCalled(usage=used):  # one that failed was begun all the same
                self._add(used.model_copy(update={"model_calls": 1}), event.specialist, event.task)
            case ToolCalled(seconds=seconds):
                self._add(Usage(tool_calls=1, seconds=seconds), event.specialist, event.task)
            case Escalated(escalation=step) if step.level is Level.STRATEGIC_ESCALATION and step.action == "guide":
                for name, _ in list(self._reached(self._author.get(step.task, ""), step.task)):
                    self._begin_again(name)
            case _:
                pass

    def _begin_again(self, name: str) -> None:
        del self._used[name]
        if name == RUN:
            self._before, self._began = 0.0, self._clock.now()

    def _add(self, used: Usage, specialist: str, task: str | None) -> None:
        for name in filter(None, (RUN, specialist, task)):
            self._used[name] += used

    def _reached(self, specialist: str, task: str | None) -> Iterator[tuple[str, str]]:
        for name, bounds in self._bounds(specialist, task):
            if reached := bounds.exceeded_by(self._used[name], self._seconds(name)):
                yield name, reached

    def _bounds(self, specialist: str, task: str | None) -> Iterator[tuple[str, Limits]]:
        yield from ((name, self._limits[name]) for name in (RUN, specialist) if name in self._limits)
        if task is not None:
            yield task, self._task

    def _seconds(self, name: str) -> float:
        return self._before + self._clock.now() - self._began if name == RUN else self._used[name].seconds

    async def call(
        self, model: "BaseChatModel", request: Request, terms: ModelSettings, *, purpose: str, specialist: str
    ) -> tuple[AIMessage, ModelCalled]:
        """One model call within the limits, and what it used: for the ledger, as soon as its answer is kept.

        One that failed is recorded here. Raises like `call_model`, and like `demand` before anything is sent.
        """
        called = ModelCalled(purpose=purpose, usage=Usage(), specialist=specialist, model=place_of(model)[1])
        self.demand(specialist, called.task)
        terms, began, turn = self._bounded(terms, called), self._clock.now(), int(called.task is not None)
        self._add(Usage(model_calls=1, turns=turn), specialist, called.task)
        request = replace(request, messages=[self._redacted(message) for message in request.messages])
        try:
            async with self.step():
                reply, used = await call_model(model, request, terms, clock=self._clock)
        except ModelCallFailed as error:
            used = usage_in(error).model_copy(update={"seconds": self._clock.now() - began})
            kind = error.kind if isinstance(error, CallFailed) else "no answer"
            self._ledger.record(called.model_copy(update={"usage": used, "failed": str(kind)}))
            raise
        finally:
            self._add(Usage(model_calls=-1, turns=-turn), specialist, called.task)
        return reply, called.model_copy(update={"usage": used + Usage(turns=turn)})

    def _redacted(self, message: AnyMessage) -> AnyMessage:
        """What was told to the model; its own words stay."""
        told = message.content
        if isinstance(message, AIMessage) or not isinstance(told, str) or (text := self.redact(told)) == told:
            return message
        return message.model_copy(update={"content": text})

    def _bounded(self, terms: ModelSettings, called: ModelCalled) -> ModelSettings:
        """The terms with no more time than the limits leave."""
        bounds = self._bounds(called.specialist, called.task)
        left = [b.seconds - self._seconds(name) for name, b in bounds if b.seconds is not None]
        return terms.model_copy(update={"seconds": max(_LEAST_SECONDS, min(terms.seconds, *left))}) if left else terms


def driven(dated: Iterable[tuple[str, Event]]) -> Iterator[float]:
    """For each event the seconds before it in which a process drove the run: none where people were waited for."""
    before: datetime | None = None
    for at, event in dated:
        now = datetime.fromisoformat(at)
        if isinstance(event, Answered):  # by any process, at any time
            yield 0.0
            continue
        goes_on = before is not None and not isinstance(event, RunStarted | RunResumed)
        yield (now - before).total_seconds() if before and goes_on else 0.0
        before = now
