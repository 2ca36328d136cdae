"""The command line where it is interrupted, called from a subfolder, or shown files it cannot read."""

import asyncio
import json
import os
import pty
import re
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from langchain_core.messages import AIMessage

from backend_coordinator import Waiting
from backend_coordinator.cli.next_steps import command
from backend_coordinator.domain.events import Failed
from backend_coordinator.domain.objective import Objective
from backend_coordinator.errors import Stopped
from backend_coordinator.graph.persistence import driving
from backend_coordinator.graph.runs import Runs
from backend_coordinator.nodes.workspace.sandbox import probe
from backend_coordinator.prompts.loader import packaged_specialists
from backend_coordinator.settings import cache_folder
from backend_coordinator.testing import ScriptedModel
from tests.support.department import Told, department, plan, refuse, task, write_own_file
from tests.support.openai_server import serving
from tests.support.processes import command_lines
from tests.support.runs import ROOT, Said, cli_here, coordinator

ONE = plan(task(1))
MODEL = ("--model", "openai:test-model")


def refusing_at_first(told: Told) -> AIMessage:
    return write_own_file(told) if "GUIDANCE from user" in told.text else refuse(told)


@pytest.fixture
def served(shop: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A server whose model refuses task 1 until it is guided; the value is a plan of that task."""
    (shop.parent / "plan.json").write_text(ONE.model_dump_json())
    with serving(ScriptedModel(script=department(ONE, refusing_at_first))) as env:
        for name, value in env.items():
            monkeypatch.setenv(name, value)
        yield shop.parent / "plan.json"


@pytest.fixture
def waiting(shop: Path) -> str:
    """A run that waits for an answer."""
    run = coordinator(shop, department(ONE, refuse)).start("one file")
    with pytest.raises(Waiting):
        run.result()
    return run.id


def ended(shop: Path) -> str:
    """A run that was carried out."""
    run = coordinator(shop, department(ONE)).start("one\nfile")
    assert run.result().accepted
    return run.id


def pasted(text: str) -> Said:
    """What a command line does that was copied from an answer."""
    program, *words = shlex.split(text)
    assert program == "backend-coordinator"
    return cli_here(*words)


def test_every_command_means_the_whole_repository_when_it_is_given_a_subfolder(shop: Path, served: Path) -> None:
    inside = shop / "deep" / "er"
    inside.mkdir(parents=True)
    where = ("--workspace", str(inside))
    begun = cli_here("run", "one file", "--plan", str(served), "--sandbox", "none", *MODEL, *where)
    assert begun.returncode == 3, begun.stderr
    (run,) = Runs(shop).ids()
    assert json.loads(cli_here("runs", "--json", *where).stdout)["runs"][0]["run"] == run
    decided = pasted(next(line for line in begun.stdout.splitlines() if " guide " in line))
    assert decided.returncode == 0, decided.stderr
    done = cli_here("resume", run, *where)
    assert done.returncode == 0, done.stderr
    (place,) = [line.removeprefix("report ") for line in done.stdout.splitlines() if line.startswith("report ")]
    assert Path(place).is_file()
    assert cli_here("report", run, *where).stdout == Path(place).read_text()
    assert "accepted" in cli_here("show", run, *where).stdout
    assert list(inside.iterdir()) == []


def test_a_waiting_run_shows_the_commands_that_answer_it(shop: Path, waiting: str) -> None:
    where = ("--workspace", str(shop))
    shown = cli_here("show", waiting, *where).stdout.splitlines()
    assert shown[-1] == f"then: backend-coordinator resume {waiting} --workspace {shop}"
    wrong = pasted(next(line for line in shown if " guide " in line).replace(" guide ", " maybe "))
    assert wrong.returncode == 2
    assert "takes guide, amend, abandon, abort, not 'maybe'" in wrong.stderr
    decided = pasted(next(line for line in shown if " abandon " in line))
    assert decided.returncode == 0, decided.stderr
    assert decided.stdout.endswith(f": backend-coordinator resume {waiting} --workspace {shop}\n")


def test_an_answer_s_commands_hold_in_a_shell_whatever_the_folder_is_called(tmp_path: Path) -> None:
    root = tmp_path / "it's here"
    assert shlex.split(command(root, "resume", "r-1")) == [
        "backend-coordinator", "resume", "r-1", "--workspace", str(root),
    ]  # fmt: skip


def test_an_ended_run_that_is_resumed_is_only_reported(shop: Path) -> None:
    run = ended(shop)
    said = cli_here("resume", run, "--workspace", str(shop))
    assert said.returncode == 0
    assert said.stderr == ""
    assert [line.partition(" ")[0] for line in said.stdout.splitlines()] == ["branch", "report", "accepted,"]


def test_the_configuration_of_the_repository_holds_in_its_subfolders(shop: Path) -> None:
    inside = shop / "deep"
    inside.mkdir()
    (shop / "backend-coordinator.toml").write_text("slots = 0\n")
    try:
        said = cli_here("run", "one file", "--model", "offline", "--workspace", str(inside))
    finally:
        (shop / "backend-coordinator.toml").unlink()
    assert said.returncode == 2
    assert "backend-coordinator.toml: slots: " in said.stderr


def test_a_plan_is_made_on_the_base_that_was_named(shop: Path) -> None:
    head = (shop / ".git" / "HEAD").read_text()
    (shop / ".git" / "HEAD").write_text((shop / ".git" / "refs" / "heads" / "main").read_text())
    try:
        said = cli_here("plan", "CRUD API for notes", "--base", "main", "--model", "offline", "--workspace", str(shop))
    finally:
        (shop / ".git" / "HEAD").write_text(head)
    assert said.returncode == 0, said.stderr


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('{"format": "backend-coordinator/report/2"}', "has format backend-coordinator/report/2, this program knows"),
        ('{"format": "backend-coordinator/report/1"}', "is damaged: restore it from a backup, or read report.md"),
        ("\0", "is damaged: restore it from a backup, or read report.md"),
    ],
)
def test_a_report_that_cannot_be_read_is_named_and_hides_no_other_run(
    shop: Path, waiting: str, text: str, why: str
) -> None:
    run, where = ended(shop), ("--workspace", str(shop))
    (Runs(shop).place(run) / "report.json").write_text(text)
    for name in ("report", "show", "resume"):
        said = cli_here(name, run, *where)
        assert said.returncode == 2
        (line,) = said.stderr.splitlines()
        assert line.startswith(f"error: the report of run {run}")
        assert why in line
    listed = cli_here("runs", *where)
    assert listed.returncode == 0
    rows = {line.split()[0]: " ".join(line.split()[1:]) for line in listed.stdout.splitlines()}
    assert rows.keys() == {waiting, run}
    assert rows[waiting] == "waiting one file"
    assert f"the report of run {run}" in rows[run]
    assert why in rows[run]


@pytest.mark.parametrize("kept", [0, 100, 5000])
def test_a_ledger_that_cannot_be_read_hides_no_other_run(shop: Path, waiting: str, kept: int) -> None:
    run = ended(shop)
    ledger = Runs(shop).place(run) / "run.sqlite"
    ledger.write_bytes(ledger.read_bytes()[:kept])
    rows = json.loads(cli_here("runs", "--json", "--workspace", str(shop)).stdout)["runs"]
    assert {row["run"]: row["status"] for row in rows} == {waiting: "waiting", run: "damaged"}


class Held:
    """A model that is asked and does not answer; `asked` is set then."""

    def __init__(self) -> None:
        self.asked, self.release = threading.Event(), threading.Event()

    def __call__(self, told: Told) -> AIMessage:
        self.asked.set()
        self.release.wait(60)
        return write_own_file(told)

    @contextmanager
    def driven(self, shop: Path, *args: str) -> Iterator["subprocess.Popen[str]"]:
        """A command that stands in the first model call of task 1."""
        (shop.parent / "plan.json").write_text(ONE.model_dump_json())
        program = "from backend_coordinator.cli import main; main()"
        words = ("run", "one file", "--plan", str(shop.parent / "plan.json"), *MODEL, "--workspace", str(shop), *args)
        with serving(ScriptedModel(script=department(ONE, self))) as env:
            process = subprocess.Popen(
                [sys.executable, "-c", program, *words],
                env={**os.environ, **env, "PYTHONPATH": str(ROOT)},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                start_new_session=True,
                # A shell's background jobs ignore it, and so would their children.
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
            )
            try:
                assert self.asked.wait(60)
                yield process
            finally:
                self.release.set()
                process.kill()
                process.communicate()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_interrupted_run_says_how_to_go_on_and_goes_on(shop: Path, number: signal.Signals) -> None:
    held = Held()
    with held.driven(shop) as process:
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
        assert not held.release.is_set()
    (run,) = Runs(shop).ids()
    assert process.returncode == 128 + number
    assert out == ""
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)
    assert err.splitlines()[-1] == f"stopped: backend-coordinator resume {run} --workspace {shop}"
    report = coordinator(shop, department(ONE)).resume(run).result()
    assert report.accepted


@pytest.mark.slow
def test_an_interrupted_run_answers_as_json(shop: Path) -> None:
    with Held().driven(shop, "--json") as process:
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=60)
    (run,) = Runs(shop).ids()
    assert json.loads(out) == {"run": run, "status": "stopped"}


def test_what_a_terminal_would_act_upon_is_shown_as_its_escape(shop: Path) -> None:
    runs = Runs(shop, "offline")
    run = runs.create(Objective(text="one file"))
    summary = "\x1b[2J\x1b]0;owned\x07\r all \x9b1mpassed\u202e, naïve café"
    runs.ledger(run).record(Failed(task="backend-T001", attempt=1, failure="gate_failure", summary=summary))
    shown = r"\u001b[2J\u001b]0;owned\u0007 all \u009b1mpassed\u202e, naïve café"
    assert shown in cli_here("show", run, "--workspace", str(shop)).stdout
    as_json = cli_here("show", run, "--workspace", str(shop), "--json").stdout
    assert json.loads(as_json)["events"][-1]["summary"] == summary
    assert as_json.replace("\n", "").isprintable()


LIVE = """
from backend_coordinator.cli.progress import follow
from backend_coordinator.domain import events as e

work = {"task": "backend-T001", "specialist": "python-pro", "attempt": 1}
called = e.ToolCalled(task="backend-T001", tool="read", subject="\\x9b1mb", ok=True)
events = [e.TaskStarted(**work, title="\\x1b[2J[/no]"), called, e.Noticed(text="\\x1b]0;owned\\x07 [b]seen[/b]")]
follow(events, quiet=False)
"""


def test_the_live_table_shows_texts_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "150")
    screen, terminal = pty.openpty()
    with open(screen, "rb", buffering=0) as shown, open(terminal, "wb") as err:
        done = subprocess.run([sys.executable, "-c", LIVE], stderr=err, cwd=ROOT, check=False)
        text = shown.read(100_000).decode()
    assert done.returncode == 0, text
    assert [
        part for part in (r"\u001b[2J[/no]", r"read \u009b1mb", r"\u001b]0;owned\u0007 [b]seen[/b]") if part not in text
    ] == []
    assert re.search("\x1b\\[2J|\x1b\\]|\x9b", text) is None


async def test_a_stopped_run_leaves_no_process_behind_and_can_be_resumed(
    shop: Path, wheels: Path, tmp_path: Path
) -> None:
    if (await probe("auto")).level == "none":
        pytest.skip("without a sandbox no rule allows bash")
    name = f"endless-{tmp_path.name}"
    endless = f"import pathlib, time\npathlib.Path({name!r}).touch()\ntime.sleep(1000)\n"

    def work(told: Told) -> AIMessage:
        if told.turn == 0:
            return told.calls("write", path="f1.txt", content=endless)
        return told.calls("bash", command=f"python f1.txt {name}")

    changes = {"roster": (str(_allowing(tmp_path / "roster")),), "sandbox": "auto"}
    run = coordinator(shop, department(ONE, work), **changes).start("one file")
    async with asyncio.timeout(60):
        while not any((cache_folder() / "trees").glob(f"{run.id}-*/*/{name}")):
            await asyncio.sleep(0.01)
    assert name in command_lines()
    run.stop()
    assert name not in command_lines()
    with driving(Runs(shop).place(run.id)):
        pass
    with pytest.raises(Stopped, match=rf"run {run.id} was stopped: Coordinator.resume\('{run.id}'\) goes on with it"):
        run.result()
    assert coordinator(shop, department(ONE)).resume(run.id).result().accepted


def _allowing(folder: Path) -> Path:
    """A roster whose python-pro may call any program."""
    (packaged,) = [path for path in packaged_specialists().iterdir() if path.name == "python-pro.md"]
    folder.mkdir()
    (folder / "python-pro.md").write_text(packaged.read_text(encoding="utf-8").replace('"*": ask', '"*": allow'))
    return folder


@pytest.mark.parametrize(
    ("args", "why"),
    [
        (("show", "r-1"), "no run 'r-1'"),
        (("run", " "), "the objective is empty"),
        (("gates", "check", "nowhere"), "nowhere is not a folder"),
        (("run", "--no-such-option"), "standard error says why"),
    ],
)
def test_an_error_is_json_too_where_json_was_asked_for(shop: Path, args: tuple[str, ...], why: str) -> None:
    where = () if args[0] == "gates" else ("--workspace", str(shop))
    said = cli_here(*args, *where, "--json")
    assert said.returncode == 2
    assert why in json.loads(said.stdout)["error"]
    assert "rror: " in said.stderr
