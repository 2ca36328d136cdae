"""Driving runs in tests and looking at what they left behind."""

import io
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import NamedTuple, TypeVar

import pytest

from backend_coordinator import Coordinator, Settings
from backend_coordinator.cli import main
from backend_coordinator.domain.events import Event
from backend_coordinator.domain.report import Report, TaskResult
from backend_coordinator.graph.coordinator import Run
from backend_coordinator.testing import Script, ScriptedModel

ROOT = Path(__file__).parents[2]
QUICK = Settings(sandbox="none")
E = TypeVar("E")


def coordinator(shop: Path, script: Script, **changes: object) -> Coordinator:
    """A coordinator whose models follow a script."""
    return Coordinator(ScriptedModel(script=script), shop, settings=QUICK.model_copy(update=changes))


def finished(run: Run) -> tuple[Report, list[Event]]:
    """The report and all events of a run that ends without questions."""
    report = run.result()
    return report, list(run.events())


def of(kind: type[E], events: Iterable[Event]) -> list[E]:
    """The events of one kind."""
    return [event for event in events if isinstance(event, kind)]


def statuses(report: Report) -> dict[str, str]:
    """How each task ended, by the last digits of its id."""
    return {result.id[-3:]: result.status for result in report.tasks}


def result_of(report: Report, number: int) -> TaskResult:
    """The result of task N."""
    return next(result for result in report.tasks if result.id == f"backend-T{number:03d}")


def git(folder: Path, *args: str) -> str:
    """git as the user calls it."""
    done = subprocess.run(["git", "-C", str(folder), *args], capture_output=True, text=True, check=True)
    return done.stdout.rstrip("\n")


def merges(shop: Path, branch: str) -> list[str]:
    """Ids of the tasks whose merge stands on a branch, one entry a merge."""
    subjects = git(shop, "log", "--merges", "--format=%s", branch).splitlines()
    return sorted(subject.partition(":")[0] for subject in subjects)


def tree(shop: Path, revision: str) -> str:
    """The tree of a revision."""
    return git(shop, "rev-parse", f"{revision}^{{tree}}")


def python(*args: str, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """A Python process that finds this package."""
    variables = {**os.environ, "PYTHONPATH": str(ROOT), **(env or {})}
    return subprocess.run([sys.executable, *args], env=variables, capture_output=True, text=True, cwd="/", check=False)


class Said(NamedTuple):
    """What a command printed, and how it ended."""

    returncode: int
    stdout: str
    stderr: str


def cli_here(*args: str) -> Said:
    """The command line in this process."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setattr(sys, "argv", ["backend-coordinator", *args])
        with pytest.raises(SystemExit) as ending:
            main()
    assert isinstance(ending.value.code, int)
    return Said(ending.value.code, out.getvalue(), err.getvalue())


def cli(*args: str, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """The command line in a process of its own."""
    return python("-c", "from backend_coordinator.cli import main; main()", *args, env=env)
