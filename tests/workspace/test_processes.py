"""Processes end as a whole, and what they say is kept."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from backend_coordinator.nodes.workspace.processes import execute

ENV = {"PATH": os.defpath}


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def _gone(pid: int) -> bool:
    end = time.monotonic() + 10
    while _alive(pid) and time.monotonic() < end:
        await asyncio.sleep(0.01)
    return not _alive(pid)


def _written(file: Path) -> str:
    return file.read_text() if file.exists() else ""


async def _read(file: Path) -> int:
    while not _written(file).endswith("\n"):
        await asyncio.sleep(0.01)
    return int(_written(file))


async def test_output_exit_code_and_stdout_are_kept_apart(tmp_path: Path) -> None:
    done = await execute(["sh", "-c", "echo out; echo err >&2; exit 3"], cwd=tmp_path, env=ENV, seconds=20)
    assert (done.exit_code, done.stdout, done.timed_out) == (3, "out\n", False)
    assert sorted(done.output.splitlines()) == ["err", "out"]


async def test_stdin_is_empty_and_the_environment_only_what_was_given(tmp_path: Path) -> None:
    os.environ["BACKEND_COORDINATOR_TEST_SECRET"] = "leak"
    try:
        done = await execute(["sh", "-c", "cat; env"], cwd=tmp_path, env={**ENV, "A": "1"}, seconds=20)
    finally:
        del os.environ["BACKEND_COORDINATOR_TEST_SECRET"]
    assert {line.partition("=")[0] for line in done.output.splitlines()} <= {"PATH", "A", "PWD", "SHLVL", "_", "OLDPWD"}


async def test_long_output_keeps_head_and_tail_with_a_marker(tmp_path: Path) -> None:
    code = "print('first'); [print('x' * 1000) for _ in range(3000)]; print('last')"
    done = await execute([sys.executable, "-c", code], cwd=tmp_path, env=ENV, seconds=20, limit=10_000)
    assert done.output.startswith("first\n")
    assert done.output.endswith("last\n")
    assert "bytes left out" in done.output
    assert len(done.output) < 10_100


async def test_output_within_the_limit_is_complete(tmp_path: Path) -> None:
    code = "import sys; sys.stdout.buffer.write(b'\\xff' + b'y' * 9000)"
    done = await execute([sys.executable, "-c", code], cwd=tmp_path, env=ENV, seconds=20, limit=9001)
    assert done.output == "\ufffd" + "y" * 9000


async def test_the_time_limit_kills_grandchildren_that_ignore_the_polite_signal(tmp_path: Path) -> None:
    script = "trap '' TERM; sh -c 'trap \"\" TERM; echo $$ > pid; while :; do sleep 1; done' & wait; sleep 100"
    done = await execute(["sh", "-c", script], cwd=tmp_path, env=ENV, seconds=0.5)
    assert done.timed_out
    assert done.exit_code is None
    assert await _gone(await _read(tmp_path / "pid"))


async def test_a_child_left_in_the_background_does_not_keep_the_call_waiting(tmp_path: Path) -> None:
    done = await execute(["sh", "-c", "sleep 1000 & echo $! > pid; echo ready"], cwd=tmp_path, env=ENV, seconds=500)
    assert done.output == "ready\n"
    assert done.exit_code == 0
    assert await _gone(await _read(tmp_path / "pid"))


async def test_cancellation_leaves_no_process(tmp_path: Path) -> None:
    task = asyncio.create_task(
        execute(["sh", "-c", "sleep 1000 & echo $! > pid; wait"], cwd=tmp_path, env=ENV, seconds=500)
    )
    pid = await _read(tmp_path / "pid")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await _gone(pid)


@pytest.mark.parametrize("steps", range(1, 11))
async def test_a_cancellation_during_the_start_ends_the_children_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steps: int
) -> None:
    fifo, pids = tmp_path / "pid", list[int]()
    os.mkfifo(fifo)

    class Ahead(subprocess.Popen[bytes]):
        """As on a busy machine: the program already has a child when the event loop goes on."""

        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            pids.append(int(fifo.read_text()))

    monkeypatch.setattr(subprocess, "Popen", Ahead)
    script = "sleep 1000 & echo $! > pid; wait"
    task = asyncio.create_task(execute(["sh", "-c", script], cwd=tmp_path, env=ENV, seconds=500))
    for _ in range(steps):
        await asyncio.sleep(0)
    task.cancel()
    try:
        await asyncio.wait([task], timeout=30)
        assert task.cancelled()
        assert [await _gone(pid) for pid in pids] == [True]
    finally:
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


async def test_a_cancellation_is_not_lost_when_the_program_cannot_be_started(tmp_path: Path) -> None:
    task = asyncio.create_task(execute(["no-such-program"], cwd=tmp_path, env=ENV, seconds=1))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_an_unknown_program_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        await execute(["no-such-program"], cwd=tmp_path, env=ENV, seconds=1)
