"""Processes of their own that drive a run in this one's place, and die at a point of it."""

import asyncio
import os
import signal
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from backend_coordinator.domain.events import Event
from backend_coordinator.domain.objective import Objective
from backend_coordinator.errors import BadAnswer, RunLocked
from backend_coordinator.graph.runs import Runs, drive
from backend_coordinator.nodes import points
from backend_coordinator.nodes.points import Point
from backend_coordinator.testing import Script, ScriptedModel
from tests.support.runs import QUICK, coordinator

TOLD = 2
"""Exit code of a child that was refused in our own words."""


def child(work: Callable[[], object]) -> int:
    """A process of its own that does this and ends."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forks beside threads, whose locks it does not take
        if pid := os.fork():
            return pid
    code = 1
    with suppress(BaseException):
        try:
            work()
            code = 0
        except (BadAnswer, RunLocked):
            code = TOLD
    os._exit(code)


def ending(pid: int) -> int:
    """The exit code of a child; that of one which a signal ended is negative."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def until(true: Callable[[], bool], seconds: float = 10) -> None:
    """Waits for something outside of this process's reach; its absence is for the caller to see."""
    end = time.monotonic() + seconds
    while not true() and time.monotonic() < end:
        time.sleep(0.01)


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def killed(shop: Path, script: Script, at: Point, *, after: int = 0, **changes: object) -> str:
    """A run whose process was killed when it came to a point after it had been there so often."""
    runs = Runs(shop, ScriptedModel(script=script), QUICK.model_copy(update=changes))
    run = runs.create(Objective(text="files"))

    def work() -> None:
        seen: list[Point] = []
        points.reached.append(lambda point: die() if seen.count(at) > after else None)
        points.reached.insert(0, seen.append)
        asyncio.run(drive(runs, run))

    assert ending(child(work)) == -signal.SIGKILL
    return run


@contextmanager
def at(point: Point, do: Callable[[], object]) -> Iterator[None]:
    """Does something whenever this process comes to a point."""

    def hook(reached: Point) -> None:
        if reached == point:
            do()

    points.reached.append(hook)
    try:
        yield
    finally:
        points.reached.remove(hook)


def events(shop: Path, run: str) -> list[Event]:
    return [event for _, event in Runs(shop).ledger(run).events()]


def resumed(shop: Path, run: str, script: Script, **changes: object) -> list[Event]:
    """What was told since the run was taken up again; it ends accepted."""
    before = len(events(shop, run))
    assert coordinator(shop, script, **changes).resume(run).result().accepted
    return events(shop, run)[before:]
