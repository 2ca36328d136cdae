"""Work that several checks of one inspection need, done once."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import TypeVar, cast

T = TypeVar("T")
_TASKS: ContextVar[dict[Hashable, asyncio.Task[object]] | None] = ContextVar("shared", default=None)


@asynccontextmanager
async def sharing() -> AsyncIterator[None]:
    """Inside, `once` does each piece of work a single time; what still runs at the end is cancelled."""
    tasks: dict[Hashable, asyncio.Task[object]] = {}
    token = _TASKS.set(tasks)
    try:
        yield
    finally:
        _TASKS.reset(token)
        for task in tasks.values():
            task.cancel()
        await asyncio.gather(*tasks.values(), return_exceptions=True)


async def once(key: Hashable, work: Callable[[], Awaitable[T]]) -> T:
    """The result of `work`, shared by all callers with this key; outside `sharing` it simply runs."""
    tasks = _TASKS.get()
    if tasks is None:
        return await work()
    if key not in tasks:
        tasks[key] = asyncio.ensure_future(_run(work))
    return cast(T, await asyncio.shield(tasks[key]))


async def _run(work: Callable[[], Awaitable[T]]) -> object:
    return await work()
