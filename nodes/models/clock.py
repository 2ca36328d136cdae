"""Time as the model layer sees it: one object, so that tests can wait without waiting."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime


class Span:
    """A running time limit that can be started over."""

    def __init__(self, limit: asyncio.Timeout, seconds: float) -> None:
        self._limit, self._seconds = limit, seconds

    def again(self) -> None:
        """Gives the full time once more, counted from now."""
        self._limit.reschedule(asyncio.get_running_loop().time() + self._seconds)


class Clock:
    """The real one; `now` is in seconds and only differences mean anything."""

    def now(self) -> float:
        """Seconds on the monotonic clock."""
        return time.monotonic()

    def wall(self) -> datetime:
        """The time of day, in UTC."""
        return datetime.now(UTC)

    async def sleep(self, seconds: float) -> None:
        """Waits."""
        await asyncio.sleep(seconds)

    @asynccontextmanager
    async def limit(self, seconds: float) -> AsyncIterator[Span]:
        """Bounds what is awaited within. Raises TimeoutError."""
        async with asyncio.timeout(seconds) as limit:
            yield Span(limit, seconds)


CLOCK = Clock()
