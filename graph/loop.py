"""The event loop in which this process drives its runs: one for all, in a thread of its own.

A model client keeps connections that belong to the loop they were opened in, so a loop for each run would break the
second run that uses the client.
"""

import asyncio
import threading
from collections.abc import Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache
from typing import Any, TypeVar

T = TypeVar("T")
_MOST_THREADS = 64
"""For git, files and models without an async side; the default is a few threads a core."""

_going: set[Future[None]] = set()


def in_loop(work: Coroutine[Any, Any, T]) -> "Future[T]":
    """Runs a coroutine to its end in the process's loop, so that callers may have a loop of their own or none."""
    future: Future[T] = Future()

    async def settle() -> None:
        try:
            future.set_result(await work)
        except BaseException as error:  # noqa: BLE001 - handed to whoever asks the future
            future.set_exception(error)

    task = asyncio.run_coroutine_threadsafe(settle(), _loop())
    _going.add(task)  # a loop itself holds its tasks only weakly
    task.add_done_callback(_going.discard)
    return future


@lru_cache(maxsize=1)
def _loop() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    loop.set_default_executor(ThreadPoolExecutor(_MOST_THREADS, thread_name_prefix="backend-coordinator"))
    threading.Thread(target=loop.run_forever, name="backend-coordinator", daemon=True).start()
    return loop
