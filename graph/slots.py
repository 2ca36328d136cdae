"""Places for tasks at work, of which all runs of a process have one bounded number between them."""

import asyncio
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from backend_coordinator.errors import ConfigurationError

MOST = 16
"""Tasks at work in one process, unless `BACKEND_COORDINATOR_SLOTS` says another number or one run has more slots."""


@dataclass(eq=False)
class Pool:
    """The places; safe to use from several threads and event loops.

    `size` is how many there are; None is 16, or as many as the run with the most slots has.
    """

    size: int | None = None
    shares: "set[Share]" = field(default_factory=set)
    waiting: "dict[Share, None]" = field(default_factory=dict)
    """Who was refused a place since it last got one, the longest waiting first."""
    lock: threading.RLock = field(default_factory=threading.RLock)
    """Reentrant, since the end of an abandoned run may come by garbage collection at any moment."""

    def forget(self) -> None:
        """Begins anew, without any runs."""
        self.shares, self.waiting, self.lock = set(), {}, threading.RLock()

    def free(self) -> bool:
        """Whether a place is left."""
        most = self.size or max(MOST, *(share.slots for share in self.shares))
        return sum(share.held for share in self.shares) < most

    def hand_out(self) -> None:
        """A free place goes to the run that holds the fewest, then to the longest waiting; its loop is told."""
        while self.waiting and self.free():
            share = min(self.waiting, key=lambda each: each.held)
            del self.waiting[share]
            try:
                share.loop.call_soon_threadsafe(share.granted)
            except RuntimeError:  # its loop was closed before it closed its share
                self.shares.discard(share)
            else:
                share.held += 1
                share.spare += 1


@dataclass(eq=False)
class Share:
    """One run's part of a pool: at most `slots` places at once, all given back when it is left."""

    pool: Pool
    slots: int
    granted: Callable[[], object] = lambda: None
    """Called in the run's loop when a place that was refused before is there: to be taken, or released."""
    held: int = 0
    spare: int = 0
    """Granted and not yet taken; counted in `held` too."""
    loop: asyncio.AbstractEventLoop = field(init=False)

    def __post_init__(self) -> None:
        with self.pool.lock:
            self.pool.shares.add(self)
            self.pool.hand_out()  # with it the pool may have grown

    def take(self) -> bool:
        """A place, if the run has a slot left and the pool a place; else the run is told when it has one."""
        with self.pool.lock:
            if self.spare:
                self.spare -= 1
                return True
            if self.held >= self.slots:
                return False
            if self.pool.free():  # then nobody waits
                self.held += 1
                return True
            self.loop = asyncio.get_running_loop()
            self.pool.waiting.setdefault(self)
            return False

    def give(self) -> None:
        """Gives a place back that was taken."""
        with self.pool.lock:
            self.held -= 1
            self.pool.hand_out()

    def release(self) -> None:
        """Gives back what was granted and is not needed any more."""
        with self.pool.lock:
            self.held, self.spare = self.held - self.spare, 0
            self.pool.hand_out()

    def __enter__(self) -> "Share":
        return self

    def __exit__(self, *_: object) -> None:
        """Gives everything back, for good: the run goes on no longer in this process."""
        with self.pool.lock:
            self.slots = self.spare = 0
            self.pool.shares.discard(self)
            self.pool.waiting.pop(self, None)
            self.pool.hand_out()


_POOL = Pool()
os.register_at_fork(after_in_child=_POOL.forget)  # the loops that drive the parent's runs are not in the child


def process_share(slots: int) -> Share:
    """A run's part of the places of this process, closed when left.

    Raises ConfigurationError when `BACKEND_COORDINATOR_SLOTS` is no whole number from 1 on.
    """
    named = os.environ.get("BACKEND_COORDINATOR_SLOTS", "")
    if named and not (named.isdecimal() and int(named)):
        msg = f"BACKEND_COORDINATOR_SLOTS is {named!r}: it takes a whole number from 1 on"
        raise ConfigurationError(msg)
    _POOL.size = int(named) if named else None
    return Share(_POOL, slots)
