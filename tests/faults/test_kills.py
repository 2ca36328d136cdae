"""kill -9 and Ctrl-C: what was recorded is not done again, and no process is left."""

import asyncio
import os
import signal
import sqlite3
import threading
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest
from langchain_core.messages import AIMessage, BaseMessage

from backend_coordinator.domain import events as e
from backend_coordinator.domain.objective import Objective
from backend_coordinator.errors import ConfigurationError
from backend_coordinator.graph.runs import Runs, drive
from backend_coordinator.nodes import damage
from backend_coordinator.nodes.points import Point
from backend_coordinator.testing import ScriptedModel
from tests.engine.conftest import home as home
from tests.engine.conftest import shop as shop
from tests.engine.test_command_line import _allowing as allowing
from tests.support.children import at, child, die, ending, events, killed, resumed, until
from tests.support.department import Told, department, plan, task, write_own_file
from tests.support.processes import command_lines
from tests.support.runs import QUICK, coordinator, git, merges, of

ONE = department(plan(task(1)))
Setting = dict[str, object]


def test_f034_a_process_killed_within_a_step_repeats_that_step_alone(shop: Path) -> None:
    run = killed(shop, ONE, "result recorded")
    after = resumed(shop, run, ONE)
    assert of(e.PlanMade, after) == []
    assert of(e.TaskStarted, after) == []
    assert Counter(event.purpose for event in of(e.ModelCalled, events(shop, run))) == {
        "analysis": 1,
        "decomposition": 1,
        "backend-T001": 2,
    }


def test_f035_what_finished_beside_a_killed_task_is_not_repeated(shop: Path) -> None:
    parts = plan(task(1), task(2), task(3))

    def work(told: Told) -> AIMessage:
        if told.task == "backend-T003" and told.turn == 1:
            until(lambda: saved(driven.place(run)) == 2)
            die()
        return write_own_file(told)

    driven = Runs(shop, ScriptedModel(script=department(parts, work)), QUICK)
    run = driven.create(Objective(text="files"))
    assert ending(child(lambda: asyncio.run(drive(driven, run)))) == -signal.SIGKILL
    assert saved(driven.place(run)) == 2
    after = resumed(shop, run, department(parts))
    assert [event.task for event in of(e.TaskEnded, after)] == ["backend-T003"]
    assert merges(shop, f"backend-coordinator/{run}") == [each.id for each in parts.tasks]


def saved(place: Path) -> int:
    """How many results of tasks are on the disk."""
    with closing(sqlite3.connect(place / "checkpoints.sqlite")) as database:
        return int(database.execute("select count(*) from writes where channel = 'results'").fetchone()[0])


def test_f036_no_step_begins_before_the_one_before_it_is_saved(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, two = [], department(plan(task(1), task(2)))

    def script(messages: Sequence[BaseMessage], tools: Sequence[str]) -> AIMessage:
        asked.append(list(tools))
        return two(messages, tools)

    monkeypatch.setattr(damage, "PATIENCE", 5.0)
    runs = Runs(shop, ScriptedModel(script=script), QUICK)
    run = runs.create(Objective(text="files"))
    unsaved: list[sqlite3.OperationalError] = []

    def hold() -> None:
        try:
            holder.execute("begin immediate")
        except sqlite3.OperationalError as error:
            unsaved.append(error)

    with closing(sqlite3.connect(runs.place(run) / "checkpoints.sqlite", timeout=1)) as holder:
        refusal = pytest.raises(ConfigurationError, match="is locked by another process")
        with at("plan recorded", hold), refusal:
            asyncio.run(drive(runs, run))
        holder.rollback()
    assert not unsaved, "the step before was still being written"
    assert asked == [["answer_analysis"], ["answer_decomposition"]], "nobody worked on a plan that was not saved"
    assert resumed(shop, run, two)


def test_f037_a_killed_process_has_saved_its_steps(shop: Path) -> None:
    run = killed(shop, ONE, "task admitted")
    with closing(sqlite3.connect(Runs(shop).place(run) / "checkpoints.sqlite")) as database:
        assert database.execute("select count(*) from checkpoints").fetchone()[0] > 0
    assert of(e.PlanMade, resumed(shop, run, ONE)) == []


def test_f038_ctrl_c_during_a_tool_leaves_no_process_and_a_run_that_goes_on(shop: Path, tmp_path: Path) -> None:
    name = f"slept-{tmp_path.name}"
    endless = "import sys, time\nwhile True:\n    time.sleep(1)\n"

    def work(told: Told) -> AIMessage:
        if told.turn == 0:
            return told.calls("write", path="f1.txt", content=endless)
        return told.calls("bash", command=f"python3 f1.txt {name}")

    wish: Setting = {"roster": (str(allowing(tmp_path / "roster")),), "sandbox": "auto"}
    run = coordinator(shop, department(plan(task(1)), work), **wish).start("one file")

    def interrupt() -> None:
        until(lambda: name in command_lines(), 60)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        run.result()
    until(lambda: name not in command_lines(), 5)
    assert name not in command_lines()
    assert resumed(shop, run.id, ONE)


@pytest.mark.parametrize("point", ["effect done", "result recorded"])
def test_f050_an_effect_is_not_had_twice(shop: Path, tmp_path: Path, point: Point) -> None:
    def work(told: Told) -> AIMessage:
        if told.turn == 1:
            return told.calls("bash", command="python3 f1.txt")
        if told.turn == 0:
            return told.calls("write", path="f1.txt", content="open('f1.txt', 'a').write('# once\\n')\n")
        return told.calls("submit", summary="wrote f1.txt")

    script = department(plan(task(1)), work)
    wish: Setting = {"roster": (str(allowing(tmp_path / "roster")),), "sandbox": "auto"}
    run = killed(shop, script, point, after=1, **wish)
    resumed(shop, run, script, **wish)
    assert git(shop, "show", f"backend-coordinator/{run}:f1.txt").splitlines()[1:] == ["# once"]
