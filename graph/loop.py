"""The event loop in which this process drives its runs: one for all, in a thread of its own.

A model client keeps connections that belong to the loop they were opened in, so a loop for each run would break the
second run that uses the client.
"""

import asyncio
import atexit
import os
import threading
import warnings
from collections.abc import Coroutine
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any, TypeVar

T = TypeVar("T")
_MOST_THREADS = 64
"""For git, files and models without an async side; the default is a few threads a core."""

_going: dict[Future[None], Future[Any]] = {}
"""Each task of the loop, which holds its tasks only weakly, with the future that has its result."""
_loops: list[asyncio.AbstractEventLoop] = []
_of_parents: list[asyncio.AbstractEventLoop] = []
"""Without a thread in this forked process, and never closed here: they share their selectors with the parent's."""
_starting = threading.Lock()


def in_loop(work: Coroutine[Any, Any, T]) -> "Future[T]":
    """Runs a coroutine to its end in the process's loop, so that callers may have a loop of their own or none."""
    future: Future[T] = Future()

    async def settle() -> None:
        try:
            future.set_result(await work)
        except BaseException as error:  # noqa: BLE001 - handed to whoever asks the future
            future.set_exception(error)

    task = asyncio.run_coroutine_threadsafe(settle(), _loop())
    _going[task] = future
    task.add_done_callback(_going.pop)
    return future


def _loop() -> asyncio.AbstractEventLoop:
    with _starting:
        if not _loops:
            loop = asyncio.new_event_loop()
            loop.set_default_executor(ThreadPoolExecutor(_MOST_THREADS, thread_name_prefix="backend-coordinator"))
            threading.Thread(target=loop.run_forever, name="backend-coordinator", daemon=True).start()
            # The clients keep connections for the next run, and nobody tells them which is the last.
            atexit.register(warnings.filterwarnings, "ignore", "unclosed transport", ResourceWarning)
            # Not atexit, which comes after the executors' threads were ended: no work could end properly then.
            threading._register_atexit(_leave)  # type: ignore[attr-defined]
            _loops.append(loop)
        return _loops[0]


def _leave() -> None:
    """Stops what is under way when the interpreter exits, and waits for its end."""
    going = dict(_going)
    for task in going:
        task.cancel()
    wait(going.values())


def _forget() -> None:
    _going.clear()
    _of_parents.extend(_loops)
    _loops.clear()
    _starting.release()


# A fork while another thread starts the loop would leave the child half of it, and the lock held for ever.
os.register_at_fork(before=_starting.acquire, after_in_parent=_starting.release, after_in_child=_forget)
