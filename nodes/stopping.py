"""Stopping a run: nothing new begins, what is under way gets a moment to end, and no thread of it is left behind."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any, ParamSpec, TypeVar

from backend_coordinator.nodes.workspace.processes import outlast

P = ParamSpec("P")
T = TypeVar("T")
GRACE = 3.0
"""Seconds that a model call, a tool or a merge which is under way gets to end by itself."""


class Steps:
    """What a run has under way, and whether more of it may begin."""

    def __init__(self) -> None:
        self._stopping = False
        self._under_way = 0
        self._one_ended = asyncio.Event()

    async def gate(self) -> None:
        """Returns at once, or, when the run is being stopped, never: what stands here is cancelled in the end."""
        if self._stopping:
            await asyncio.get_running_loop().create_future()

    @asynccontextmanager
    async def step(self) -> AsyncIterator[None]:
        """One model call, tool or merge."""
        await self.gate()
        self._under_way += 1
        try:
            yield
        finally:
            self._under_way -= 1
            self._one_ended.set()

    async def carried_out(self, work: Coroutine[Any, Any, T]) -> T:
        """What `work` gives. A first cancellation lets steps under way end, for `GRACE` seconds; a second does not."""
        task = asyncio.ensure_future(work)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            self._stopping = True
            with suppress(TimeoutError):
                async with asyncio.timeout(GRACE):
                    while self._under_way and not task.done():
                        self._one_ended.clear()
                        await self._one_ended.wait()
            raise
        finally:
            task.cancel()
            await outlast(task)


async def whole(work: Coroutine[Any, Any, T]) -> T:
    """What `work` gives; it ends also where the caller is cancelled meanwhile, which is raised afterwards."""
    task = asyncio.ensure_future(work)
    if cancellation := await outlast(task):
        raise cancellation from task.exception()
    return task.result()


async def in_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """What a blocking call gives, such as one of git; no cancellation leaves its thread behind."""
    return await whole(asyncio.to_thread(function, *args, **kwargs))
