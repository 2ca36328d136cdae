"""Ctrl-C, SIGTERM, SIGHUP, an interrupted script and its end: nothing is left running, and the run goes on later."""

import json
import os
import shutil
import signal
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from glob import glob
from pathlib import Path

import pytest
from jupyter_client.manager import KernelManager
from langchain_core.messages import AIMessage

from backend_coordinator import Waiting
from backend_coordinator.domain import events as e
from backend_coordinator.domain.objective import Objective
from backend_coordinator.domain.plan import Plan
from backend_coordinator.graph.runs import Runs
from backend_coordinator.nodes.workspace.sandbox import LEVELS, probe
from backend_coordinator.prompts.loader import packaged_specialists
from backend_coordinator.settings import cache_folder
from backend_coordinator.testing import ScriptedModel, calls
from tests.support.commands import CLI, Command, demand_free, events_of, heir_of_orphans, left, started, the_run, until
from tests.support.department import Told, Work, department, plan, refuse, task, write_own_file
from tests.support.openai_server import serving
from tests.support.runs import QUICK, ROOT, coordinator, git, merges, of
from tests.support.wheelhouse import add_installed

ONE, TWO = plan(task(1)), plan(task(1), task(2))
MODEL = ("--model", "openai:test-model")
WAITING = (
    "import os, subprocess, unittest\n\nimport price\n\n\nclass Waits(unittest.TestCase):\n"
    "    def test_it(self):\n        self.assertTrue(price.price)\n"
    "        if 'HOLD' in os.environ:\n            subprocess.run(['sleep', '1000'])\n"
)
"""A test that waits where the present settings have that variable."""
QUICKLY, PATIENTLY = 0.3, 50.0
"""Seconds that what is under way gets to end by itself."""


@pytest.fixture
def shop(shop: Path) -> Path:
    """Settings with a roster whose python-pro may call any program, and a variable for tests."""
    (packaged,) = [path for path in packaged_specialists().iterdir() if path.name == "python-pro.md"]
    roster = shop.parent / "roster"
    roster.mkdir()
    (roster / packaged.name).write_text(packaged.read_text(encoding="utf-8").replace('"*": ask', '"*": allow'))
    (shop / "backend-coordinator.toml").write_text(f'roster = ["{roster}"]\n[services]\nHOLD = "1"\n')
    git(shop, "add", "backend-coordinator.toml")
    git(shop, "commit", "--quiet", "-m", "settings", "--", "backend-coordinator.toml")
    return shop


class Held:
    """A model that is asked about a task and does not answer until it is released."""

    def __init__(self, number: int = 1) -> None:
        self.task, self.asked, self.release = f"backend-T{number:03d}", threading.Event(), threading.Event()

    def __call__(self, told: Told) -> AIMessage:
        if told.task == self.task:
            self.asked.set()
            self.release.wait(60)
        return write_own_file(told)


class Scene:
    """One run of a workspace whose model answers in this process."""

    def __init__(self, shop: Path) -> None:
        self.shop, self.folder = shop, shop.parent

    @contextmanager
    def driven(
        self,
        made: Plan,
        work: Work,
        *words: str,
        grace: float = QUICKLY,
        env: Mapping[str, str] | None = None,
        program: str = CLI,
        sandbox: str = "none",
    ) -> Iterator[Command]:
        """A process that carries `made` out, or does what `words` say."""
        (self.folder / "plan.json").write_text(made.model_dump_json())
        begin = ("run", "files", "--plan", str(self.folder / "plan.json"), "--sandbox", sandbox)
        words = (*(words if words[:1] == ("resume",) else begin + words), *MODEL)
        with (
            serving(ScriptedModel(script=department(made, work))) as served,
            heir_of_orphans(),
            started(
                program.replace("{grace}", str(grace)),
                *words,
                "--workspace",
                str(self.shop),
                env={**served, **(env or {})},
                folder=self.folder,
            ) as command,
        ):
            yield command
            assert command.process.poll() is not None
            assert left() == []

    def demand_stopped(self, command: Command, number: signal.Signals) -> None:
        """The command ended as a signal says, left nobody behind, and told how to go on."""
        assert command.ended() == 128 + number, command.lines()
        assert left() == []
        demand_free(self.shop)
        assert (
            command.lines()[-1] == f"stopped: backend-coordinator resume {the_run(self.shop)} --workspace {self.shop}"
        )

    def demand_it_goes_on(self, made: Plan = ONE, work: Work = write_own_file) -> list[e.Event]:
        """Resumed it ends accepted, and no attempt begins anew, no recorded call is repeated, no merge is missing."""
        run, before = the_run(self.shop), events_of(self.shop)
        assert run is not None
        handle = coordinator(self.shop, department(made, work)).resume(run)
        try:
            report = handle.result()
        except Waiting:
            pytest.fail(handle.questions[0].text)
        assert report.accepted, report.summary
        events = events_of(self.shop)
        attempts = Counter((event.task, event.attempt) for event in of(e.TaskStarted, events))
        assert set(attempts.values()) == {1}, attempts
        assert merges(self.shop, report.branch) == [each.id for each in made.tasks]
        assert sorted(event.task for event in of(e.Merged, events)) == [each.id for each in made.tasks]
        return events[len(before) :]

    def shell(self, told: Told) -> AIMessage:
        """Calls a command that does not end."""
        if told.turn == 1:
            return told.calls("bash", command=f"touch began-{self.folder.name}; sleep 1000 & sleep 1000")
        return told.calls("submit", summary="wrote f1.txt") if told.turn else write_own_file(told)

    def in_the_shell(self) -> bool:
        """Whether that command began."""
        return bool(glob(str(cache_folder() / "trees" / "*" / "*" / f"began-{self.folder.name}")))

    def end(self, command: Command, ending: str) -> None:
        """Ends the process, after which no other is left, and the run is free."""
        if ending == "kill":
            command.process.kill()
        else:
            command.process.send_signal(signal.SIGTERM)
        if ending == "signal":
            self.demand_stopped(command, signal.SIGTERM)
        elif ending == "signal twice":
            command.waits_for(lambda: any("stopping" in line for line in command.lines()), "it is told to stop")
            command.process.send_signal(signal.SIGTERM)
        command.ended()
        until(lambda: left() == [], "the kernel has ended them")
        demand_free(self.shop)

    def calls(self) -> Counter[str]:
        """How many model calls are recorded, by task."""
        return Counter(event.purpose for event in of(e.ModelCalled, events_of(self.shop)) if event.task)


@pytest.fixture
def scene(shop: Path) -> Scene:
    return Scene(shop)


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("run", signal.SIGINT),
        pytest.param("run", signal.SIGTERM, marks=pytest.mark.slow),
        pytest.param("run", signal.SIGHUP, marks=pytest.mark.slow),
        pytest.param("resume", signal.SIGTERM, marks=pytest.mark.slow),
    ],
)
def test_a_signal_during_a_model_call(scene: Scene, name: str, number: signal.Signals) -> None:
    words, held = ["--json"], Held()
    if name == "resume":
        words = ["resume", Runs(scene.shop, "offline", QUICK).create(Objective(text="files"), plan=ONE), "--json"]
    with scene.driven(ONE, held, *words) as command:
        command.waits_for(held.asked.is_set, "the model is asked")
        command.process.send_signal(number)
        scene.demand_stopped(command, number)
        held.release.set()
    assert json.loads(command.out.read_text()) == {"run": the_run(scene.shop), "status": "stopped"}
    scene.demand_it_goes_on()
    assert scene.calls() == {"backend-T001": 2}


@pytest.mark.slow
def test_what_is_under_way_ends_within_its_grace_and_nothing_new_begins(scene: Scene) -> None:
    held = Held()
    with scene.driven(TWO, held, grace=PATIENTLY) as command:
        command.waits_for(held.asked.is_set, "the model is asked")
        command.waits_for(lambda: len(of(e.Merged, events_of(scene.shop))) == 1, "task 2 is merged")
        command.process.send_signal(signal.SIGINT)
        command.waits_for(lambda: any("stopping" in line for line in command.lines()), "it is told to stop")
        held.release.set()
        scene.demand_stopped(command, signal.SIGINT)
    events = events_of(scene.shop)
    assert scene.calls()["backend-T001"] == 1, "the answer that came in time is kept"
    assert [event.task for event in of(e.ToolCalled, events)] == ["backend-T002"], "and its tool does not begin"
    scene.demand_it_goes_on(TWO)
    assert scene.calls() == {"backend-T001": 2, "backend-T002": 2}


@pytest.mark.slow
def test_a_second_signal_ends_the_process_at_once(scene: Scene) -> None:
    held = Held()
    with scene.driven(ONE, held, grace=PATIENTLY) as command:
        command.waits_for(held.asked.is_set, "the model is asked")
        command.process.send_signal(signal.SIGINT)
        command.waits_for(lambda: any("stopping" in line for line in command.lines()), "it is told to stop")
        command.process.send_signal(signal.SIGINT)
        assert command.ended() == -signal.SIGINT
        assert left() == []
        demand_free(scene.shop)
        held.release.set()
    scene.demand_it_goes_on()


@pytest.mark.slow
@pytest.mark.parametrize("ending", ["signal", "signal twice", "kill"])
async def test_a_command_of_the_bash_tool_and_its_children_are_ended(scene: Scene, ending: str) -> None:
    if (await probe("auto")).level != "bubblewrap":
        pytest.skip("below bubblewrap no rule allows bash")
    grace = PATIENTLY if ending == "signal twice" else QUICKLY
    with scene.driven(ONE, scene.shell, grace=grace, sandbox="auto") as command:
        command.waits_for(scene.in_the_shell, "the command began")
        assert sum("sleep 1000" in each for each in left()) >= 2
        scene.end(command, ending)
    scene.demand_it_goes_on(ONE, scene.shell)
    assert scene.calls() == {"backend-T001": 3}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("level", "ending"),
    [("bubblewrap", "signal"), ("landlock", "signal"), ("landlock", "kill"), ("none", "signal"), ("none", "kill")],
)
async def test_the_tests_of_an_inspection_and_their_children_are_ended(
    scene: Scene, wheels: Path, level: str, ending: str
) -> None:
    best = (await probe("auto")).level
    if LEVELS.index(best) > LEVELS.index(level):
        pytest.skip(f"no {level} here")
    add_installed("coverage", wheels)
    files = {"requirements.txt": "coverage\n", "price.py": "price = 1\n", "tests/test_price.py": WAITING}
    made = plan(task(1, writes=tuple(files), steps=("write_code", "write_tests")))

    def work(told: Told) -> AIMessage:
        if told.turn == 0:
            return calls(*(("write", {"path": path, "content": text}) for path, text in files.items()))
        return told.calls("submit", summary="a price")

    folder = scene.folder / "bin"
    folder.mkdir()
    (folder / "git").symlink_to(shutil.which("git") or "")
    env = {"PATH": str(folder)} if level == "landlock" else {}
    with scene.driven(made, work, env=env, sandbox="none" if level == "none" else "auto") as command:
        command.waits_for(lambda: any("sleep 1000" in each for each in left()), "the test waits")
        (began,) = of(e.RunStarted, events_of(scene.shop))
        assert began.sandbox == level
        scene.end(command, ending)
    scene.demand_it_goes_on(made, work)
    assert scene.calls() == {"backend-T001": 2}


GIT = """#!/bin/sh
case "$*" in
  *update-ref*refs/heads/backend-coordinator/*-*)
    if [ -e {folder}/hold ]; then
      touch {folder}/began
      while [ -e {folder}/hold ]; do sleep 0.01; done
    fi;;
esac
exec {git} "$@"
"""


@pytest.mark.slow
def test_a_merge_under_way_is_completed_also_where_a_terminal_interrupts_the_whole_group(scene: Scene) -> None:
    hold, began, wrapper = (scene.folder / name for name in ("hold", "began", "bin/git"))
    wrapper.parent.mkdir()
    wrapper.write_text(GIT.format(folder=scene.folder, git=shutil.which("git")))
    wrapper.chmod(0o755)

    def work(told: Told) -> AIMessage:
        hold.touch()
        return write_own_file(told)

    env = {"PATH": f"{wrapper.parent}:{os.environ['PATH']}"}
    with scene.driven(ONE, work, env=env) as command:
        command.waits_for(began.exists, "the branch is about to move")
        os.killpg(command.process.pid, signal.SIGINT)
        command.waits_for(lambda: any("stopping" in line for line in command.lines()), "it is told to stop")
        hold.unlink()
        scene.demand_stopped(command, signal.SIGINT)
    events = events_of(scene.shop)
    assert [event.task for event in of(e.Merged, events)] == ["backend-T001"]
    assert of(e.Failed, events) == []
    assert merges(scene.shop, f"backend-coordinator/{the_run(scene.shop)}") == ["backend-T001"]
    after = scene.demand_it_goes_on()
    assert of(e.Merged, after) == of(e.ModelCalled, after) == []


@pytest.mark.slow
def test_a_signal_while_one_task_asks_and_another_works(scene: Scene) -> None:
    held = Held(2)

    def work(told: Told) -> AIMessage:
        asks = told.task == "backend-T001" and "GUIDANCE from lead" not in told.text
        return refuse(told) if asks else held(told)

    with scene.driven(TWO, work) as command:
        command.waits_for(lambda: held.asked.is_set() and of(e.Asked, events_of(scene.shop)), "the question is asked")
        command.process.send_signal(signal.SIGHUP)
        scene.demand_stopped(command, signal.SIGHUP)
        held.release.set()
    ledger = Runs(scene.shop).ledger(the_run(scene.shop) or "")
    (question,) = ledger.open_questions()
    ledger.answer(question.id, e.Answer(decision="guide", text="just write it", by="lead"))
    after = scene.demand_it_goes_on(TWO, work)
    assert of(e.Asked, after) == []
    assert scene.calls() == {"backend-T001": 3, "backend-T002": 2}


SCRIPT = """
import asyncio, sys
from backend_coordinator import Coordinator, Plan
from backend_coordinator.nodes import stopping

stopping.GRACE = {grace}
plan = Plan.model_validate_json(open(sys.argv[sys.argv.index("--plan") + 1]).read())
run = Coordinator(sys.argv[-3], sys.argv[-1]).start(plan)

async def awaited():
    await run

async def events():
    async for _ in run.events():
        pass

{form}
"""
INTERRUPTED = {
    "result": "run.result()",
    "events": "for _ in run.events(): pass",
    "await": "asyncio.run(awaited())",
    "async events": "asyncio.run(events())",
}


@pytest.mark.slow
@pytest.mark.parametrize("form", INTERRUPTED)
def test_a_script_that_is_interrupted_stops_its_run(scene: Scene, form: str) -> None:
    held = Held()
    with scene.driven(ONE, held, program=SCRIPT.replace("{form}", INTERRUPTED[form])) as command:
        command.waits_for(held.asked.is_set, "the model is asked")
        command.process.send_signal(signal.SIGINT)
        assert command.ended() in (1, -signal.SIGINT), command.lines()
        assert command.lines()[-1] == "KeyboardInterrupt"
        demand_free(scene.shop)
        held.release.set()
    scene.demand_it_goes_on()
    assert scene.calls() == {"backend-T001": 2}


@pytest.mark.slow
def test_a_script_that_ends_with_a_run_under_way_stops_it(scene: Scene) -> None:
    form = "import pathlib, time\nwhile not [*pathlib.Path(sys.argv[-1]).glob('../go')]: time.sleep(0.01)"
    with scene.driven(ONE, scene.shell, program=SCRIPT.replace("{form}", form)) as command:
        command.waits_for(scene.in_the_shell, "the command began")
        (scene.folder / "go").touch()
        assert command.ended() == 0, command.lines()
        assert left() == []
        assert command.lines() == []
        demand_free(scene.shop)
    assert of(e.ToolCalled, events_of(scene.shop))[1:] == [], "the tool is not told as failed"
    scene.demand_it_goes_on(ONE, scene.shell)


@pytest.mark.slow
def test_a_notebook_that_is_interrupted_stops_its_run_and_can_go_on(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    (scene.folder / "plan.json").write_text(ONE.model_dump_json())
    held = Held()
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    with serving(ScriptedModel(script=department(ONE, held))) as served, heir_of_orphans():
        manager = KernelManager(kernel_name="python3")
        manager.start_kernel(env={**os.environ, **served})
        client = manager.client()
        client.start_channels()
        try:
            client.wait_for_ready(60)
            words = ["--plan", str(scene.folder / "plan.json"), MODEL[1], "", str(scene.shop)]
            begin = SCRIPT.replace("{grace}", str(QUICKLY)).replace("{form}", "").replace("sys.argv", repr(words))
            assert client.execute_interactive(begin, timeout=60)["content"]["status"] == "ok"
            waiting = client.execute("run.result()")
            until(held.asked.is_set, "the model is asked")
            manager.interrupt_kernel()
            reply = client.get_shell_msg(timeout=60)
            while reply["parent_header"].get("msg_id") != waiting:
                reply = client.get_shell_msg(timeout=60)
            assert reply["content"]["ename"] == "KeyboardInterrupt"
            demand_free(scene.shop)
            held.release.set()
            again = "report = Coordinator(None, run._runs.workspace).resume(run.id)\nassert (await report).accepted"
            assert (
                client.execute_interactive(again.replace("None", repr(MODEL[1])), timeout=60)["content"]["status"]
                == "ok"
            )
        finally:
            client.stop_channels()
            manager.shutdown_kernel(now=True)
    assert scene.calls() == {"backend-T001": 2}
