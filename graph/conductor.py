"""Who may work now: tasks of one open superstep wait here for their needs and for a slot, longest way first."""

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import Literal

from backend_coordinator.domain.context import ContextItem
from backend_coordinator.domain.plan import Plan
from backend_coordinator.domain.report import TaskResult
from backend_coordinator.graph.slots import Share

Admission = Literal["run", "skip", "park", "later"]
_URGENCY = {"high": 0, "normal": 1, "low": 2}


@dataclass
class Conductor:
    """Lives as long as one process drives one run; its share of the process's places bounds how many tasks work.

    A task is in exactly one of: ended, waiting (`_ready` has those whose needs are merged), working, asking, parked,
    put off, or expected.
    """

    share: Share
    plan: Plan | None = None
    results: dict[str, TaskResult] = field(default_factory=dict)
    items: Sequence[ContextItem] = ()
    aborted: bool = False
    """Whether an answer ended the run: nothing starts any more, and nobody is waited for."""
    told: frozenset[str] = frozenset()
    """Tasks of whose end the ledger tells, though an earlier process could not keep it."""
    _expected: set[str] = field(default_factory=set)
    """Who comes for admission, or to its end, without anybody's help."""
    _waiting: dict[str, asyncio.Future[Admission]] = field(default_factory=dict)
    _ready: list[tuple[int, float, str]] = field(default_factory=list)
    _working: set[str] = field(default_factory=set)
    _asking: dict[str, asyncio.Event] = field(default_factory=dict)
    _parked: set[str] = field(default_factory=set)
    _later: set[str] = field(default_factory=set)
    """Who needs a task that was split: its parts come in the next superstep."""
    _begun: Collection[str] = ()
    _urgency: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.share.granted = self._fill

    def open(self, plan: Plan, results: dict[str, TaskResult], items: Sequence[ContextItem]) -> None:
        """Makes the plan and what already ended known; all other tasks are expected to come for admission."""
        self.plan, self.results, self.items = plan, dict(results), items
        self.aborted = any(result.aborts for result in results.values())
        self._expected = plan.by_id.keys() - results.keys()
        self._parked.clear()
        self._later.clear()
        for task in reversed(plan.tasks):  # what an urgent task needs is as urgent
            blocked = [self._urgency[each] for each in plan.blocks[task.id]]
            self._urgency[task.id] = min([_URGENCY[task.priority], *blocked])

    async def admit(self, task: str) -> Admission:
        """Waits until the task may work (`run`), cannot (`skip`: a need failed) or must stand aside (`park`).

        `later` is for who comes again in the next superstep, with other needs.
        """
        loop = asyncio.get_running_loop()
        place: asyncio.Future[Admission] = loop.create_future()
        self._waiting[task] = place
        self._expected.discard(task)
        self._settle([task])
        loop.call_soon(self._fill)  # all that were sent come in one turn of the loop: the first of them is no better
        try:
            return await place
        finally:
            self._waiting.pop(task, None)

    def end(self, task: str, result: TaskResult) -> None:
        """The task is over; who needs it is woken."""
        self.results[task] = result
        self._expected.discard(task)
        self._settle(self._blocked(task))
        if result.aborts:
            self.abort()
        self._rest(task)

    def abort(self, begun: Collection[str] = ()) -> None:
        """An answer ended the run: who waits is woken to be skipped, but for tasks that were `begun`: they see it."""
        self.aborted, self._begun = True, begun
        self._settle(list(self._waiting))
        self._fill()

    def park(self, task: str) -> None:
        """The task waits for a person beyond this process's time; who needs it parks too."""
        self._parked.add(task)
        self._settle(self._blocked(task))
        self._rest(task)

    @asynccontextmanager
    async def asking(self, task: str, *, alone: bool = False) -> AsyncIterator[asyncio.Event]:
        """Gives the slot back while a person is asked; the event is set once nothing else can run,
        or the run was aborted.

        `alone` is who goes on without a person's help: then other tasks' questions wait too. Left normally, it waits
        for a slot again.
        """
        quiet = self._asking[task] = asyncio.Event()
        if alone:
            self._expected.add(task)
        self._rest(task)
        try:
            yield quiet
        finally:
            del self._asking[task]
        await self.admit(task)

    def order(self, task: str) -> tuple[int, float, str]:
        """Of two tasks that could work, the one with the smaller value does first."""
        assert self.plan is not None
        return self._urgency[task], -self.plan.ranks[task], task

    def _settle(self, tasks: Iterable[str]) -> None:
        """Wakes those of the waiting that never will work, with all that need them, and notes those that can now."""
        assert self.plan is not None, "the conductor was not opened"
        todo = list(tasks)
        for task in todo:
            place, needs = self._waiting.get(task), self.plan[task].needs
            if place is None or place.done():
                continue
            if (self.aborted and task not in self._begun) or any(
                need in self.results and self.results[need].status not in ("merged", "split") for need in needs
            ):
                self._expected.add(task)
                place.set_result("skip")
            elif any(need in self._later or self._is_split(need) for need in needs):
                self._later.add(task)
                place.set_result("later")
                todo += self._blocked(task)
            elif not self._parked.isdisjoint(needs):
                self._parked.add(task)
                place.set_result("park")
                todo += self._blocked(task)
            elif all(need in self.results for need in needs):
                heappush(self._ready, self.order(task))

    def _rest(self, task: str) -> None:
        """The task works no longer."""
        if task in self._working:
            self._working.remove(task)
            self.share.give()
        self._fill()

    def _fill(self) -> None:
        """Wakes the first of those that can work while there are places; tells who asks when nothing can."""
        while self._ready:
            task = self._ready[0][-1]
            place = self._waiting.get(task)
            if place is not None and not place.done():
                if not self.share.take():
                    break
                self._working.add(task)
                place.set_result("run")
            heappop(self._ready)
        self.share.release()
        if self.aborted or not (self._working or self._ready or self._expected):
            for quiet in self._asking.values():
                quiet.set()

    def _is_split(self, task: str) -> bool:
        return task in self.results and self.results[task].status == "split"

    def _blocked(self, task: str) -> tuple[str, ...]:
        assert self.plan is not None
        return self.plan.blocks[task]
