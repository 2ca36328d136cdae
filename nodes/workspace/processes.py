"""The one place that starts a process: no shell, no stdin, a session of its own, and nothing left behind."""

import asyncio
import ctypes
import os
import platform
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from backend_coordinator.nodes.workspace.watch import Bounds, overuse

_GRACE = 1.0
_KEYCTL = {"x86_64": 250, "aarch64": 219}


@dataclass(frozen=True)
class Completed:
    """What one process did; `exit_code` is None when it never ran, or was stopped at its time limit or another.

    `output` interleaves stdout and stderr; both texts keep head and tail when they exceed the limit. A
    negative exit code is the number of the signal that ended it.
    """

    argv: tuple[str, ...]
    exit_code: int | None
    output: str
    stdout: str = ""
    timed_out: bool = False
    seconds: float = 0.0


async def execute(
    argv: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    seconds: float,
    limit: int = 2_000_000,
    bounds: Bounds | None = None,
    handles: Sequence[int] = (),
) -> Completed:
    """Run `argv` for at most `seconds`; `limit` bytes are kept of each text, and it has our open files `handles`.

    The whole group is killed at the time limit, when it uses more than `bounds`, which its output then says, on
    cancellation, and when its leader leaves children behind.
    Raises OSError when the program cannot be started.
    """
    start = time.monotonic()
    _forget_keys()
    creation = asyncio.create_task(
        asyncio.get_running_loop().subprocess_exec(
            lambda: _Record(limit),
            *argv,
            cwd=cwd,
            env=dict(env),
            stdin=asyncio.subprocess.DEVNULL,
            start_new_session=True,
            pass_fds=handles,
        )
    )
    # Cancelled itself, it would kill the leader alone and wait for the pipes that its children hold open.
    cancellation = await outlast(creation)
    # Without this a failed start would swallow the cancellation.
    if cancellation and creation.exception():
        raise cancellation
    transport, record = creation.result()
    watches = [asyncio.create_task(overuse(transport.get_pid(), bounds))] if bounds else []
    try:
        if cancellation:
            raise cancellation
        awaited: list[asyncio.Future[None] | asyncio.Task[str]] = [record.exited, *watches]
        done, _ = await asyncio.wait(awaited, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for watch in watches:
            watch.cancel()
        await _end(transport, record)
    code = transport.get_returncode() if record.exited in done else None
    stopped = "".join(f"\n[stopped: {watch.result()}]\n" for watch in watches if watch in done and code is None)
    both, out = record.both.text() + stopped, record.out.text()
    return Completed(tuple(argv), code, both, out, not done, time.monotonic() - start)


@dataclass
class _Text:
    limit: int
    head: bytearray = field(default_factory=bytearray)
    tail: bytearray = field(default_factory=bytearray)
    size: int = 0

    def add(self, chunk: bytes) -> None:
        self.size += len(chunk)
        room = self.limit // 2 - len(self.head)
        self.head += chunk[:room]
        self.tail += chunk[room:]
        # Cut only now and then: every cut moves all that is kept.
        if len(self.tail) > 2 * self.limit:
            del self.tail[: -self.limit // 2]

    def text(self) -> str:
        tail = self.tail if self.size <= self.limit else self.tail[-(self.limit // 2) :]
        left_out = self.size - len(self.head) - len(tail)
        marker = f"\n... {left_out} bytes left out ...\n".encode() if left_out else b""
        return (self.head + marker + tail).decode("utf-8", "replace")


class _Record(asyncio.SubprocessProtocol):
    def __init__(self, limit: int) -> None:
        loop = asyncio.get_running_loop()
        self.both, self.out = _Text(limit), _Text(limit)
        self.exited: asyncio.Future[None] = loop.create_future()
        self.closed: dict[int, asyncio.Future[None]] = {1: loop.create_future(), 2: loop.create_future()}

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        self.both.add(data)
        if fd == 1:
            self.out.add(data)

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        if fd in self.closed and not self.closed[fd].done():
            self.closed[fd].set_result(None)

    def process_exited(self) -> None:
        if not self.exited.done():
            self.exited.set_result(None)


def _forget_keys() -> None:
    """Give this thread, whose children share it, an empty session keyring in the kernel: no namespace hides the old."""
    if sys.platform == "linux" and (number := _KEYCTL.get(platform.machine())):
        ctypes.CDLL(None).syscall(number, 1, None)


async def outlast(task: "asyncio.Task[Any]") -> BaseException | None:
    """Wait for the end of `task`, and give the cancellation that came meanwhile."""
    cancellation = None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as received:
            cancellation = received
    return cancellation


async def _end(transport: asyncio.SubprocessTransport, record: _Record) -> None:
    group = transport.get_pid()
    try:
        if not record.exited.done():
            _signal(group, signal.SIGTERM)
            await asyncio.wait([record.exited], timeout=_GRACE)
    finally:
        _signal(group, signal.SIGKILL)
        try:
            # A descendant that left the group may hold the pipes open for ever.
            await asyncio.wait([record.exited, *record.closed.values()], timeout=_GRACE)
        finally:
            transport.close()


def _signal(group: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)
