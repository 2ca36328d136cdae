"""What all calls to one server and model share: its limits, and how they behave while it is overloaded or down."""

import asyncio
import math
import random
import threading
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import NamedTuple

from backend_coordinator.nodes.models.clock import Clock
from backend_coordinator.nodes.models.faults import DOWN, Fault, Kind

_MINUTE = 60.0
_OPENS_AFTER = 3
"""Faults of a server in a row, over all its callers, before nobody asks it for a while."""
_FIRST_PAUSE, _LONGEST_PAUSE = 10.0, 60.0
_FIRST_COOLING = 1.0
"""Seconds after a 429 without Retry-After; doubled with each further one."""
_FULL = 64
"""Requests at once from which on nothing is counted any more."""


class Pass(NamedTuple):
    """The right to send one request; `era` tells which faults belong to a closing that has happened already."""

    era: int
    tokens: int


class Rates(NamedTuple):
    """What a caller allows in a minute, of requests and of tokens; None is no limit."""

    requests: int | None = None
    tokens: int | None = None


ANY_RATE = Rates()


class Sent(NamedTuple):
    """What counts against the limits of a minute; a correction of tokens is an entry without a request."""

    at: float
    requests: int
    tokens: int


@dataclass
class Endpoint:
    """One server and model; safe to use from several threads and event loops.

    A 429 closes it at once, other faults of the server when they come in a row. While it is closed nobody asks. Then
    one request goes ahead, and each success doubles how many may be under way (a circuit breaker with a half-open
    state and slow start). A caller with limits per minute waits for a minute that has room, whoever filled it.
    """

    answered: bool = False
    """Whether it ever gave an answer, of whatever kind, to this process."""
    works: bool = False
    """Whether the last request brought a message."""
    spoke: bool = False
    """Whether any ever did."""
    counts: bool = True
    """Whether it takes the wish to count what a stream uses."""
    _closed_until: float = 0.0
    _closings: int = 0
    _faults: int = 0
    _era: int = 0
    _width: int | None = None
    _under_way: int = 0
    _sent: deque[Sent] = field(default_factory=deque)
    _waiting: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    async def admit(self, clock: Clock, deadline: float, tokens: int, rates: Rates = ANY_RATE) -> Pass:
        """Waits until a request of about this many tokens may be sent.

        Raises Fault of kind LATE at once when that will not be before `deadline` (on the clock).
        """
        while True:
            changed = asyncio.Event()
            with self._lock:
                until = self._free_at(clock.now(), tokens, rates)
                if until <= clock.now():
                    self._under_way += 1
                    self._sent.append(Sent(clock.now(), 1, tokens))
                    return Pass(self._era, tokens)
                self._waiting.append((asyncio.get_running_loop(), changed))
            if math.isfinite(until) and until > deadline:
                raise late(clock, until - clock.now(), deadline - clock.now())
            await _first(changed, clock, (deadline if math.isinf(until) else until) - clock.now())
            if clock.now() >= deadline:
                raise late(clock, None, 0.0)

    def _free_at(self, now: float, tokens: int, rates: Rates) -> float:
        if now < self._closed_until:
            return self._closed_until
        if self._width is not None and self._under_way >= self._width:
            return math.inf
        while self._sent and self._sent[0].at <= now - _MINUTE:
            self._sent.popleft()
        if rates == ANY_RATE:
            return now
        requests = [(sent.at, sent.requests) for sent in self._sent]
        used = [(sent.at, sent.tokens) for sent in self._sent]
        return max(_room_at(requests, now, rates.requests, 1), _room_at(used, now, rates.tokens, tokens))

    def succeeded(self, passed: Pass, tokens: int) -> None:
        """The request was answered and used this many tokens."""
        with self._lock:
            self._under_way -= 1
            self.works = self.spoke = True
            if tokens:
                self._sent.append(Sent(self._sent[-1].at if self._sent else 0.0, 0, tokens - passed.tokens))
            self._alive(passed)
        self._wake()

    def failed(self, passed: Pass, fault: Fault, clock: Clock) -> None:
        """The request met a fault."""
        with self._lock:
            self._under_way -= 1
            self.works = False
            self.answered = self.answered or fault.kind not in DOWN or fault.kind is Kind.SERVER
            if fault.kind is Kind.RATE_LIMITED:
                self._close(passed, clock, _FIRST_COOLING, fault.wait)
            elif fault.kind in DOWN:
                self._faults += 1
                if self._faults >= _OPENS_AFTER or fault.wait is not None:
                    self._close(passed, clock, _FIRST_PAUSE, fault.wait)
            else:
                self._alive(passed)
        self._wake()

    def _alive(self, passed: Pass) -> None:
        """The server answers; what was sent before it closed says nothing about how it is since."""
        self.answered = True
        if passed.era == self._era:
            self._faults = self._closings = 0
            if self._width is not None:
                self._width = self._width * 2 if self._width < _FULL else None

    def left(self) -> None:
        """The request was given up before its end."""
        with self._lock:
            self._under_way -= 1
        self._wake()

    def _close(self, passed: Pass, clock: Clock, first: float, asked: float | None) -> None:
        """Closes for the time asked for, else for one that doubles; late news of an earlier closing only lengthens.

        A time of zero is no time to wait: everyone would be back at once.
        """
        if passed.era == self._era:
            self._era += 1
            self._closings += 1
            grown = min(first * 2 ** (self._closings - 1), _LONGEST_PAUSE)
            pause = asked or grown * random.uniform(1.0, 1.25)
            self._closed_until = max(self._closed_until, clock.now() + pause)
        elif asked is not None:
            self._closed_until = max(self._closed_until, clock.now() + asked)
        self._width = 1

    def _wake(self) -> None:
        with self._lock:
            waiting, self._waiting = self._waiting, []
        for loop, changed in waiting:
            with suppress(RuntimeError):  # its loop has been closed
                loop.call_soon_threadsafe(changed.set)


def late(clock: Clock, needed: float | None, left: float) -> Fault:
    """The fault of a wait that does not fit: when the server would be ready, and how much time there was."""
    if needed is None:
        return Fault(Kind.LATE, "the time for this call was over before the server took the request")
    ready = (clock.wall() + timedelta(seconds=needed)).strftime("%Y-%m-%d %H:%M:%S UTC")
    return Fault(
        Kind.LATE, f"the server takes requests again in {needed:.0f} s, at {ready}; {max(left, 0):.0f} s are left"
    )


def _room_at(sent: Sequence[tuple[float, int]], now: float, bound: int | None, need: int) -> float:
    """When a minute's entries, oldest first, leave room under `bound`; what is above the bound by itself goes alone."""
    used = sum(amount for _, amount in sent)
    if bound is None or used <= 0 or used + need <= bound:
        return now
    for at, amount in sent:
        used -= amount
        if used <= 0 or used + need <= bound:
            return at + _MINUTE
    return now


async def _first(changed: asyncio.Event, clock: Clock, seconds: float) -> None:
    """Waits for a change or for time to pass."""
    waits = [asyncio.ensure_future(changed.wait()), asyncio.ensure_future(clock.sleep(max(0.0, seconds)))]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()


_endpoints: dict[tuple[str, str], Endpoint] = {}
_known = threading.Lock()


def endpoint_of(server: str, model: str) -> Endpoint:
    """The endpoint that all runs of this process share for a server and a model."""
    with _known:
        return _endpoints.setdefault((server, model), Endpoint())
