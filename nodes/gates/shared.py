"""Work that several checks of one inspection need, done once; the newest of it is kept for the next inspection."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import TypeVar, cast

T = TypeVar("T")
Memory = dict[Hashable, asyncio.Task[object]]
KEPT = 8
"""Pieces of work a memory holds between inspections; a test run's output can be large."""

_TASKS: ContextVar[tuple[Memory, set[Hashable]] | None] = ContextVar("shared", default=None)


@asynccontextmanager
async def sharing(memory: Memory) -> AsyncIterator[None]:
    """Inside, `once` does each piece of work a single time; what this block began and did not end is cancelled."""
    begun: set[Hashable] = set()
    token = _TASKS.set((memory, begun))
    try:
        yield
    finally:
        _TASKS.reset(token)
        for key in begun:
            if key in memory and not _succeeded(memory[key]):
                memory.pop(key).cancel()
        for key in [key for key, task in memory.items() if task.done()][:-KEPT]:
            del memory[key]


async def once(key: Hashable, work: Callable[[], Awaitable[T]]) -> T:
    """The result of `work`, shared by all callers with this key; outside `sharing` it simply runs."""
    shared = _TASKS.get()
    if shared is None:
        return await work()
    memory, begun = shared
    if key not in memory:
        memory[key] = asyncio.ensure_future(work())
        begun.add(key)
    return cast(T, await asyncio.shield(memory[key]))


def _succeeded(task: asyncio.Task[object]) -> bool:
    return task.done() and not task.cancelled() and task.exception() is None
