"""Time that passes only when told to, or when every model call of the test waits for it."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from backend_coordinator.nodes.models.clock import Clock, Span

_EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
_PASSES = 50
"""Turns of an event loop in which everything that has arrived is dealt with."""


@dataclass(eq=False)
class _Alarm:
    """What happens at a time: in `loop`, or in whichever thread made the time pass."""

    at: float
    ring: Callable[[], object]
    loop: asyncio.AbstractEventLoop | None = None
    sleeper: bool = False


class _VirtualSpan(Span):
    def __init__(self, clock: "VirtualClock", alarm: _Alarm, seconds: float) -> None:
        self._clock, self._alarm, self._seconds = clock, alarm, seconds

    def again(self) -> None:
        self._alarm.at = self._clock.now() + self._seconds


@dataclass(eq=False)
class VirtualClock(Clock):
    """A clock that starts at 0 and jumps to the next alarm once every call within a `limit` sleeps.

    A call that waits for its server holds time up: what passes there, the server tells by `advance`. Safe to use from
    several threads and event loops. `slept` are the lengths of all sleeps in seconds.
    """

    slept: list[float] = field(default_factory=list)
    _now: float = 0.0
    _busy: int = 0
    _changes: int = 0
    _alarms: list[_Alarm] = field(default_factory=list)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def now(self) -> float:
        """Seconds since the test began."""
        return self._now

    def wall(self) -> datetime:
        """2026-01-01 and what has passed."""
        return _EPOCH + timedelta(seconds=self._now)

    def at(self, seconds: float, action: Callable[[], object]) -> None:
        """Does something at a time."""
        with self._lock:
            self._alarms.append(_Alarm(seconds, action))

    def advance(self, seconds: float) -> None:
        """Lets time pass, alarm by alarm, once the loops have dealt with what had arrived; not for use in a loop."""
        arrived = threading.Event()
        self._turn(self._loops(), arrived.set)
        arrived.wait()
        self._pass_until(self._now + seconds)

    async def pass_by(self, seconds: float) -> None:
        """Lets time pass, from within a loop."""
        await asyncio.to_thread(self.advance, seconds)

    async def sleep(self, seconds: float) -> None:
        """Waits until the time has passed."""
        self.slept.append(seconds)
        woken = asyncio.Event()
        if seconds > 0:
            with self._pending(seconds, woken.set, sleeper=True):
                await woken.wait()
        else:
            await asyncio.sleep(0)

    @asynccontextmanager
    async def limit(self, seconds: float) -> AsyncIterator[Span]:
        """Bounds what is awaited within. Raises TimeoutError."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(None) as bound:

            def ring() -> None:
                with suppress(RuntimeError):  # what was bounded has ended meanwhile
                    bound.reschedule(loop.time())

            with self._pending(seconds, ring) as alarm:
                yield _VirtualSpan(self, alarm, seconds)

    @contextmanager
    def _pending(self, seconds: float, ring: Callable[[], object], *, sleeper: bool = False) -> Iterator[_Alarm]:
        alarm = _Alarm(self._now + seconds, ring, asyncio.get_running_loop(), sleeper)
        self._change(0 if sleeper else 1, lambda: self._alarms.append(alarm))
        try:
            yield alarm
        finally:
            self._change(0 if sleeper else -1, lambda: self._alarms.remove(alarm) if alarm in self._alarms else None)

    def _change(self, busy: int, change: Callable[[], object]) -> None:
        with self._lock:
            self._busy += busy
            self._changes += 1
            change()
            self._look()

    def _look(self) -> None:
        """Jumps if nothing changes while all loops deal with what has arrived."""
        if 0 < self._busy <= sum(alarm.sleeper for alarm in self._alarms):
            seen = self._changes
            self._turn(self._loops(), lambda: self._jump(seen))

    def _jump(self, seen: int) -> None:
        with self._lock:
            if seen == self._changes:
                self._pass_until(min(alarm.at for alarm in self._alarms))
                self._look()

    def _loops(self) -> list[asyncio.AbstractEventLoop]:
        with self._lock:
            return list(dict.fromkeys(alarm.loop for alarm in self._alarms if alarm.loop))

    def _turn(self, loops: list[asyncio.AbstractEventLoop], done: Callable[[], object]) -> None:
        """Has every loop in turn take many turns, then calls `done`."""

        def turn(left: int) -> None:
            if left:
                loops[0].call_soon(turn, left - 1)
            else:
                self._turn(loops[1:], done)

        if not loops:
            done()
            return
        try:
            loops[0].call_soon_threadsafe(turn, _PASSES)
        except RuntimeError:  # it was closed meanwhile
            self._turn(loops[1:], done)

    def _pass_until(self, end: float) -> None:
        with self._lock:
            while due := [alarm for alarm in self._alarms if alarm.at <= end]:
                first = min(due, key=lambda alarm: alarm.at)
                self._now = max(self._now, first.at)
                self._changes += 1
                self._alarms.remove(first)
                if first.loop is None:
                    first.ring()
                else:
                    first.loop.call_soon_threadsafe(first.ring)
            self._now = max(self._now, end)
