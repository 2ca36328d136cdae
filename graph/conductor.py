"""Who may work now: tasks of one open superstep wait here for their needs and for a slot, longest way first."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Literal

from backend_coordinator.domain.context import ContextItem
from backend_coordinator.domain.plan import Plan
from backend_coordinator.domain.report import TaskResult

Admission = Literal["run", "skip", "park"]
_URGENCY = {"high": 0, "normal": 1, "low": 2}


@dataclass
class Conductor:
    """Lives as long as one process drives one run; `slots` is how many tasks work at once.

    A task is in exactly one of: ended, waiting, working, asking, parked, or not here yet.
    """

    slots: int
    plan: Plan | None = None
    results: dict[str, TaskResult] = field(default_factory=dict)
    items: Sequence[ContextItem] = ()
    _waiting: dict[str, asyncio.Future[Admission]] = field(default_factory=dict)
    _working: set[str] = field(default_factory=set)
    _asking: dict[str, asyncio.Event] = field(default_factory=dict)
    _parked: set[str] = field(default_factory=set)

    def open(self, plan: Plan, results: dict[str, TaskResult], items: Sequence[ContextItem]) -> None:
        """Makes the plan and what already ended known; all other tasks are expected to come for admission."""
        self.plan, self.results, self.items = plan, dict(results), items
        self._parked.clear()

    @property
    def aborted(self) -> bool:
        """Whether an answer ended the run: nothing starts any more, and nobody is waited for."""
        return any(result.aborts for result in self.results.values())

    async def admit(self, task: str) -> Admission:
        """Waits until the task may work (`run`), cannot (`skip`: a need failed) or must stand aside (`park`)."""
        place: asyncio.Future[Admission] = asyncio.get_running_loop().create_future()
        self._waiting[task] = place
        self._move()
        try:
            return await place
        finally:
            self._waiting.pop(task, None)

    def end(self, task: str, result: TaskResult) -> None:
        """The task is over; who needs it is woken."""
        self.results[task] = result
        self._working.discard(task)
        self._move()

    def park(self, task: str) -> None:
        """The task waits for a person beyond this process's time; who needs it parks too."""
        self._working.discard(task)
        self._parked.add(task)
        self._move()

    @asynccontextmanager
    async def asking(self, task: str) -> AsyncIterator[asyncio.Event]:
        """Gives the slot back while a person is asked; the event is set once nothing else can run,
        or the run was aborted.

        Left normally, it waits for a slot again.
        """
        self._working.discard(task)
        quiet = self._asking[task] = asyncio.Event()
        self._move()
        try:
            yield quiet
        finally:
            del self._asking[task]
        await self.admit(task)

    def _move(self) -> None:
        assert self.plan is not None, "the conductor was not opened"
        for task in [t for t in self._waiting if not self._waiting[t].done()]:
            needs = self.plan[task].needs
            ended = [self.results[need] for need in needs if need in self.results]
            if self.aborted or any(result.status != "merged" for result in ended):
                self._wake(task, "skip")
            elif self._parked.intersection(needs):
                self._parked.add(task)
                self._wake(task, "park")
        ready = [t for t in self._waiting if not self._waiting[t].done() and self._needs_ended(t)]
        for task in sorted(ready, key=self._order)[: max(0, self.slots - len(self._working))]:
            self._working.add(task)
            self._wake(task, "run")
        still = not self._working and not self._missing() and not any(map(self._is_moving, self._waiting))
        if still or self.aborted:
            for quiet in self._asking.values():
                quiet.set()

    def _is_moving(self, task: str) -> bool:
        return self._waiting[task].done() or self._needs_ended(task)

    def _wake(self, task: str, admission: Admission) -> None:
        self._waiting[task].set_result(admission)

    def _needs_ended(self, task: str) -> bool:
        assert self.plan is not None
        return all(need in self.results for need in self.plan[task].needs)

    def _order(self, task: str) -> tuple[int, float, str]:
        assert self.plan is not None
        return _URGENCY[self.plan[task].priority], -self.plan.ranks[task], task

    def _missing(self) -> bool:
        """Whether a task has not come for admission yet."""
        assert self.plan is not None
        here = {*self.results, *self._waiting, *self._working, *self._asking, *self._parked}
        return any(task.id not in here for task in self.plan.tasks)
