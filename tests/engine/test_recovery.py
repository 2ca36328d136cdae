"""kill -9 at chosen calls: a resumed run loses nothing and repeats nothing."""

import shutil
import signal
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from langchain_core.messages import AIMessage, BaseMessage

from backend_coordinator.domain import events as e
from backend_coordinator.domain.events import Event
from backend_coordinator.domain.objective import Objective
from backend_coordinator.domain.usage import Usage
from backend_coordinator.graph.runs import Runs, drive
from backend_coordinator.testing import ScriptedModel, calls
from tests.support import doomed
from tests.support.department import department, plan, task
from tests.support.runs import QUICK, git, merges, of, python

GIT = """#!/bin/sh
if [ -e {armed}.on ]; then
  case "$(cat /proc/$PPID/comm)" in python*)
    case "$GIT_INDEX_FILE $*" in
      {moment}) rm -f {armed}.on && kill -9 $PPID && exit 1;;
    esac;;
  esac
fi
exec {git} "$@"
"""
SCRIPT = str(Path(doomed.__file__))
TASKS = [each.id for each in doomed.PLAN.tasks]


class Scene:
    """One run that is killed once and then resumed, each in a process of its own."""

    def __init__(self, shop: Path, folder: Path) -> None:
        self.shop, self.calls, self.armed = shop, folder / "calls", folder / "armed"
        self.bin = folder / "bin"

    def kill_at_git(self, moment: str) -> None:
        """Kills the process when it calls git with words that fit a shell pattern."""
        self.bin.mkdir()
        wrapper = self.bin / "git"
        pattern = moment.replace(" ", "\\ ")
        wrapper.write_text(GIT.format(armed=self.armed, moment=pattern, git=shutil.which("git")))
        wrapper.chmod(0o755)

    def drive(self, run: str = "") -> int:
        """The exit code of a process that drives the run."""
        path = f"{self.bin}:{Path(shutil.which('git') or '').parent}:/usr/bin:/bin"
        done = python(SCRIPT, str(self.shop), str(self.calls), str(self.armed), run, env={"PATH": path})
        assert done.returncode in (0, -signal.SIGKILL), done.stderr
        return done.returncode

    def resume(self) -> tuple[str, list[Event]]:
        """Resumes the run to its end and looks at what must hold whenever it was killed."""
        runs = Runs(self.shop)
        (run,) = runs.ids()
        before = [event for _, event in runs.ledger(run).events()]
        assert self.drive(run) == 0
        after = [event for _, event in runs.ledger(run).events()][len(before) :]
        report = runs.report(run)
        assert report is not None
        assert report.accepted
        ended = {event.task for event in of(e.TaskEnded, before)}
        assert not ended.intersection(event.task for event in of(e.TaskStarted, after)), "a finished task ran again"
        recorded = Counter(event.purpose for event in of(e.ModelCalled, [*before, *after]))
        assert all(count <= (2 if purpose in TASKS else 1) for purpose, count in recorded.items()), recorded
        assert merges(self.shop, report.branch) == TASKS
        assert {each.id for each in report.tasks} == set(TASKS)
        files = git(self.shop, "ls-tree", "--name-only", report.branch).splitlines()
        assert files == ["f1.txt", "f2.txt", "f3.txt", "f4.txt", "notes.txt"]
        return run, after

    def repeated(self) -> int:
        """How many model calls were made more than once: those that a sibling had under way when the process died."""
        return sum(count - 1 for count in Counter(self.calls.read_text().split()).values())


@pytest.fixture
def scene(shop: Path, tmp_path: Path) -> Scene:
    return Scene(shop, tmp_path)


@pytest.mark.slow
def test_a_process_killed_during_a_model_call_goes_on_with_that_call(scene: Scene) -> None:
    scene.armed.touch()
    assert scene.drive() == -signal.SIGKILL
    _, after = scene.resume()
    assert scene.repeated() <= 1, "only a sibling's call that was under way may be made again"
    assert [event.tool for event in of(e.ToolCalled, after) if event.task == "backend-T002"] == []


@pytest.mark.parametrize(
    "moment",
    [
        pytest.param("*commit-tree*-p*-p*backend-T002*", id="after-a-delivery-before-its-merge"),
        pytest.param(
            "*update-ref*refs/heads/backend-coordinator/*", id="before-the-branch-moves", marks=pytest.mark.slow
        ),
        pytest.param("*fetch --quiet*", id="after-the-branch-moved-before-the-user-has-it", marks=pytest.mark.slow),
        pytest.param(
            "*indexes/backend-T002*read-tree*", id="between-a-merge-and-the-next-task", marks=pytest.mark.slow
        ),
        pytest.param("*indexes/backend-T002*write-tree*", id="while-a-delivery-is-committed", marks=pytest.mark.slow),
    ],
)
@pytest.mark.slow
def test_a_process_killed_around_a_merge_repeats_no_model_call_and_merges_once(scene: Scene, moment: str) -> None:
    scene.kill_at_git(moment)
    assert scene.drive() == -signal.SIGKILL
    scene.resume()
    assert scene.repeated() <= 1, "only a sibling's call that was under way may be made again"


async def test_a_process_killed_before_the_first_checkpoint_begins_again_with_what_it_had_heard(shop: Path) -> None:
    asked: list[str] = []

    def script(messages: Sequence[BaseMessage], tools: Sequence[str]) -> AIMessage:
        asked.extend(tools)
        return department(plan(task(1)))(messages, tools)

    runs = Runs(shop, ScriptedModel(script=script), QUICK)
    run = runs.create(Objective(text="one file"))
    answer = calls(("answer_analysis", {}), turn=0)
    (await runs.context(run)).transcript("analysis").add(answer)
    runs.ledger(run).record(e.ModelCalled(purpose="analysis", usage=Usage(model_calls=1)))
    assert (await drive(runs, run)).accepted
    assert "answer_analysis" not in asked


@pytest.mark.slow
def test_an_ended_run_is_only_reported_when_it_is_resumed(scene: Scene) -> None:
    assert scene.drive() == 0
    runs = Runs(scene.shop)
    (run,) = runs.ids()
    before = runs.ledger(run).events()
    calls = scene.calls.read_text()
    assert scene.drive(run) == 0
    assert runs.ledger(run).events() == before
    assert scene.calls.read_text() == calls
