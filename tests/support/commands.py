"""Commands in processes of their own, looked at from outside: what they said, and whether anything of them is left."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from backend_coordinator.domain.events import Event
from backend_coordinator.errors import ConfigurationError
from backend_coordinator.graph.persistence import driving
from backend_coordinator.graph.runs import Runs
from tests.support.processes import processes
from tests.support.runs import ROOT

CLI = "from backend_coordinator.nodes import stopping\nstopping.GRACE = {grace}\n"
CLI += "from backend_coordinator.cli import main\nmain()"
_SET_CHILD_SUBREAPER = 36
_MOST_SECONDS = 60


def until(holds: Callable[[], object], what: str) -> None:
    """Looks again and again until something holds."""
    end = time.monotonic() + _MOST_SECONDS
    while not holds():
        assert time.monotonic() < end, f"never: {what}"
        time.sleep(0.01)


class Command:
    """A process that was started, and what it says."""

    def __init__(self, program: str, words: Sequence[str], env: Mapping[str, str], folder: Path) -> None:
        self.out, self.err = folder / f"out-{time.monotonic_ns()}", folder / f"err-{time.monotonic_ns()}"
        with self.out.open("w") as out, self.err.open("w") as err:
            self.process = subprocess.Popen(
                [sys.executable, "-c", program, *words],
                env={**os.environ, "PYTHONPATH": str(ROOT), **env},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
                # A shell's background jobs ignore it, and so would their children.
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
            )

    def ended(self) -> int:
        """Its exit code."""
        return self.process.wait(_MOST_SECONDS)

    def waits_for(self, holds: Callable[[], object], what: str) -> None:
        """Until something holds, as long as the process lives."""
        until(lambda: holds() or self.process.poll() is not None, what)
        assert self.process.poll() is None, f"ended before {what}: {self.err.read_text()}"

    def lines(self) -> list[str]:
        """What it said on standard error."""
        return self.err.read_text().splitlines()


@contextmanager
def started(program: str, *words: str, env: Mapping[str, str], folder: Path) -> Iterator[Command]:
    """A process that is killed in the end if it still lives."""
    command = Command(program, words, env, folder)
    try:
        yield command
    finally:
        command.process.kill()
        command.process.wait()


@contextmanager
def heir_of_orphans() -> Iterator[None]:
    """Makes this process the parent of whatever its descendants leave behind, so that `left` finds it."""
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0
    try:
        yield
    finally:
        libc.prctl(_SET_CHILD_SUBREAPER, 0, 0, 0, 0)


def left() -> list[str]:
    """The command lines of all living descendants of this process."""
    parents: dict[int, int] = {}
    for each in processes():
        with suppress(OSError):
            state, parent = (each / "stat").read_text(errors="replace").rpartition(")")[2].split()[:2]
            if state != "Z":
                parents[int(each.name)] = int(parent)
    found, looked = [], [os.getpid()]
    while looked:
        above = looked.pop()
        below = [each for each, parent in parents.items() if parent == above]
        looked += below
        found += below
    texts = []
    for each in found:
        with suppress(OSError):
            texts.append(Path(f"/proc/{each}/cmdline").read_text(errors="replace").replace("\0", " ")[-200:])
    return texts


def the_run(shop: Path) -> str | None:
    """The one run of a workspace, once there is one."""
    ids = Runs(shop).ids()
    return ids[0] if ids else None


def events_of(shop: Path) -> list[Event]:
    """What the one run of a workspace has told so far."""
    with suppress(ConfigurationError):
        if run := the_run(shop):
            return [event for _, event in Runs(shop).ledger(run).events()]
    return []


def demand_free(shop: Path) -> None:
    """Nobody drives the run."""
    run = the_run(shop)
    assert run is not None
    with driving(Runs(shop).place(run)):
        pass
