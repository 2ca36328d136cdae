"""Two processes that want one run at once: one acts, the others are told in one line."""

import itertools
import re
import signal
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from langchain_core.messages import AIMessage, BaseMessage

from backend_coordinator.domain import events as e
from backend_coordinator.domain.objective import Objective
from backend_coordinator.domain.question import Question
from backend_coordinator.graph.runs import Runs
from backend_coordinator.testing import ScriptedModel
from tests.support.batches import SCRIPT as MANY
from tests.support.commands import CLI, Command, demand_free, events_of, started, until
from tests.support.department import Told, department, plan, task, write_own_file
from tests.support.openai_server import serving
from tests.support.runs import QUICK, merges, of

ONE = plan(task(1))
MODEL = ("--model", "openai:test-model")
AT_ONCE = """
import os, sys, time
from pathlib import Path
import backend_coordinator.graph.coordinator, backend_coordinator.cli
place = Path(sys.argv.pop(1))
(place / f"here-{os.getpid()}").touch()
while not (place / "go").exists():
    if os.getppid() == 1:
        sys.exit("whoever was to give the word is gone")
"""
"""Has everything loaded and waits for the word, so that all begin within a moment."""
ACTS = f"""{AT_ONCE}
from backend_coordinator.cli import main
main()
"""
STARTS = f"""{AT_ONCE}
import asyncio
from backend_coordinator.cli.output import fail
from backend_coordinator.domain.objective import Objective
from backend_coordinator.domain.plan import Plan
from backend_coordinator.errors import CoordinatorError
from backend_coordinator.graph.runs import Runs, drive
from backend_coordinator.settings import Settings

shop, model, plan = sys.argv[1:]
runs = Runs(Path(shop), model, Settings(sandbox="none"))
try:
    runs.create(Objective(text="one file"), plan=Plan.model_validate_json(plan), run="the-run")
    asyncio.run(drive(runs, "the-run"))
except CoordinatorError as error:
    sys.exit(fail(error, as_json=False))
"""
_rounds = itertools.count()


@contextmanager
def at_once(number: int, program: str, *words: str, env: Mapping[str, str], folder: Path) -> Iterator[list[Command]]:
    """Processes that begin the same at one moment."""
    place = folder / f"round-{next(_rounds)}"
    place.mkdir()
    with ExitStack() as stack:
        each = [started(program, str(place), *words, env=env, folder=place) for _ in range(number)]
        commands = [stack.enter_context(command) for command in each]
        until(lambda: len([*place.glob("here-*")]) == number, "all are here")
        (place / "go").touch()
        yield commands


def demand_one_acted(commands: Sequence[Command], why: str, code: int = 0) -> None:
    """Exactly one ended with the code, the others with 2 and one line that says why."""
    codes = Counter(command.ended() for command in commands)
    said = [command.lines() for command in commands]
    assert codes == {code: 1, 2: len(commands) - 1}, said
    for command in commands:
        if command.process.returncode == 2:
            (line,) = command.lines()
            assert re.fullmatch(f"error: {why}", line)


class Gate:
    """A model that answers only once all the others were told that they are too late."""

    def __init__(self) -> None:
        self.open = threading.Event()

    def __call__(self, told: Told) -> AIMessage:
        self.open.wait(60)
        return write_own_file(told)


def drive(shop: Path, number: int, program: str, *words: str) -> None:
    """So many processes at once do the same, of which one carries the run out."""
    gate = Gate()
    with (
        serving(ScriptedModel(script=department(ONE, gate))) as env,
        at_once(number, program, *words, env=env, folder=shop.parent) as commands,
    ):
        until(lambda: sum(c.process.poll() is not None for c in commands) == number - 1, "the others are told")
        gate.open.set()
        holder = next(command.process.pid for command in commands if command.process.poll() is None)
        demand_one_acted(commands, rf"run \S+ is driven by process {holder}: wait for it, or answer its .*")
    events = events_of(shop)
    assert len(of(e.RunStarted, events)) + len(of(e.RunResumed, events)) == 1
    assert [event.task for event in of(e.Merged, events)] == ["backend-T001"]
    demand_free(shop)


@pytest.mark.slow
def test_of_five_that_start_one_run_at_once_one_drives_it(shop: Path) -> None:
    drive(shop, 5, STARTS, str(shop), MODEL[1], ONE.model_dump_json())


@pytest.mark.slow
def test_of_two_that_start_one_run_at_once_one_drives_it(shop: Path, race: int) -> None:
    drive(shop, 2, STARTS, str(shop), MODEL[1], ONE.model_dump_json())


@pytest.mark.slow
def test_of_two_that_resume_one_run_at_once_one_drives_it(shop: Path, race: int) -> None:
    run = Runs(shop, "offline", QUICK).create(Objective(text="one file"), plan=ONE)
    drive(shop, 2, ACTS, "resume", run, *MODEL, "--workspace", str(shop))


@pytest.mark.slow
@pytest.mark.parametrize("number", [2, 5])
def test_of_many_that_decide_one_question_at_once_one_is_heard(
    shop: Path, number: int, pytestconfig: pytest.Config
) -> None:
    runs = Runs(shop, "offline", QUICK)
    ledger = runs.ledger(run := runs.create(Objective(text="one file"), plan=ONE))
    for each in range(pytestconfig.getoption("rounds")):
        question = Question(id=f"q-{each:08x}", run=run, asked_by="python-pro", text="?", choices=("guide", "abort"))
        ledger.ask(question)
        words = ("decide", run, question.id, "guide", "--text", "do", "--by", "lead", "--workspace", str(shop))
        with at_once(number, ACTS, *words, env={}, folder=shop.parent) as commands:
            demand_one_acted(commands, rf"{question.id} was already answered by lead at \S+ \S+ UTC: guide")
        assert len([event for event in of(e.Answered, events_of(shop)) if event.question == question.id]) == 1


@pytest.mark.slow
def test_of_two_batches_on_one_file_at_once_one_acts(shop: Path) -> None:
    file = shop.parent / "objectives.jsonl"
    file.write_text('{"objective": "files of good-1"}\n')
    gate = threading.Event()

    def script(messages: Sequence[BaseMessage], tools: Sequence[str]) -> AIMessage:
        gate.wait(60)
        return MANY(messages, tools)

    words = ("batch", str(file), *MODEL, "--workspace", str(shop))
    with (
        serving(ScriptedModel(script=script)) as env,
        at_once(2, ACTS, *words, env=env, folder=shop.parent) as commands,
    ):
        until(lambda: any(command.process.poll() is not None for command in commands), "the other is told")
        gate.set()
        demand_one_acted(commands, r"\S+ is being written by another batch: wait for it, or .*")
    assert len(file.with_suffix(".results.jsonl").read_text().splitlines()) == len(Runs(shop).ids()) == 1


@pytest.mark.slow
def test_a_holder_that_is_stopped_keeps_the_run_and_one_that_is_killed_loses_it_at_once(shop: Path) -> None:
    run, gate = Runs(shop, "offline", QUICK).create(Objective(text="one file"), plan=ONE), Gate()
    words = ("resume", run, *MODEL, "--workspace", str(shop))
    with serving(ScriptedModel(script=department(ONE, gate))) as env:
        with started(CLI.format(grace=0), *words, env=env, folder=shop.parent) as holder:
            holder.waits_for(lambda: of(e.TaskStarted, events_of(shop)), "the task began")
            holder.process.send_signal(signal.SIGSTOP)
            with started(CLI.format(grace=0), *words, env=env, folder=shop.parent) as second:
                assert second.ended() == 2
            (line,) = second.lines()
            assert line.startswith(f"error: run {run} is driven by process {holder.process.pid}: ")
            holder.process.kill()
            holder.ended()
            demand_free(shop)
        gate.open.set()
        with started(CLI.format(grace=0), *words, env=env, folder=shop.parent) as second:
            assert second.ended() == 0, second.lines()
    assert merges(shop, f"backend-coordinator/{run}") == ["backend-T001"]
