"""What cannot start says so in one line that names the way out, and leaves everything as it was."""

import asyncio
import json
import os
import shutil
import signal
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from langchain_core.messages import AIMessage

from backend_coordinator import Coordinator, Waiting
from backend_coordinator.domain.failure import LevelBudget
from backend_coordinator.domain.objective import Objective
from backend_coordinator.errors import ConfigurationError, ModelUnavailable
from backend_coordinator.graph.build import sentence
from backend_coordinator.graph.persistence import checkpoints, driving
from backend_coordinator.graph.runs import Runs
from backend_coordinator.nodes.workspace import sandbox as sandbox_module
from backend_coordinator.prompts.loader import load_roster
from tests.support.department import Told, department, plan, refuse, task
from tests.support.runs import Said, cli, cli_here, coordinator, git, python

STRANGER = {"tasks": [task(1).model_dump(mode="json") | {"specialist": "a-stranger"}]}
CYCLE = {"tasks": [task(1, needs=[2]).model_dump(mode="json"), task(2, needs=[1]).model_dump(mode="json")]}


def contents(folder: Path) -> dict[str, bytes]:
    """Every file but the two that a look into a run may touch."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    kept = [path for path in files if path.name != "lock" and not path.name.startswith("checkpoints.sqlite")]
    return {str(path.relative_to(folder)): path.read_bytes() for path in kept}


def refused(folder: Path, *args: str, by: Callable[..., Said] = cli_here) -> str:
    """The one line a command is refused with; the folder stays as it was."""
    before = contents(folder)
    done = by(*args, "--workspace", str(folder))
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert contents(folder) == before
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ")
    return line


def run_of(folder: Path, *args: str) -> str:
    return refused(folder, "run", "two files", "--model", "offline", *args)


@pytest.fixture
def waiting(shop: Path) -> str:
    """A run that waits for an answer."""

    def work(told: Told) -> AIMessage:
        return refuse(told)

    run = coordinator(shop, department(plan(task(1)), work)).start("one file")
    with pytest.raises(Waiting):
        run.result()
    return run.id


def test_a_run_driven_elsewhere_is_not_driven_twice(shop: Path, waiting: str) -> None:
    with driving(Runs(shop).place(waiting)):
        line = refused(shop, "resume", waiting, "--model", "offline", by=cli)
    assert f"run {waiting} is driven by process {os.getpid()}: wait for it" in line


def test_a_child_that_inherited_the_lock_does_not_keep_it(shop: Path, waiting: str) -> None:
    place = Runs(shop).place(waiting)
    with driving(place):
        held = [int(fd) for fd in os.listdir("/proc/self/fd") if _leads_to(fd, place / "lock")]
        child = subprocess.Popen(["cat"], stdin=subprocess.PIPE, pass_fds=held)
    try:
        with driving(place):
            pass
    finally:
        child.communicate()


def _leads_to(descriptor: str, place: Path) -> bool:
    with suppress(FileNotFoundError):  # that of the listing itself
        return Path(f"/proc/self/fd/{descriptor}").readlink() == place
    return False


def test_an_unknown_run_is_answered_with_those_there_are(shop: Path, waiting: str) -> None:
    for command in (["resume"], ["show"], ["report"]):
        assert f"no run 'r-1' in {shop}; there are: {waiting}" in refused(shop, *command, "r-1")


def test_an_unknown_question_is_answered_with_the_open_ones(shop: Path, waiting: str) -> None:
    (question,) = Runs(shop).ledger(waiting).open_questions()
    assert f"no question q-1; open: {question.id}" in refused(shop, "decide", waiting, "q-1", "guide")


@pytest.mark.parametrize("model", ["gpt", "openai:", "elsewhere:model", "openai:model"])
def test_a_model_that_cannot_be_used_is_refused_before_the_folder_is_touched(tmp_path: Path, model: str) -> None:
    folder = tmp_path / "plain"
    folder.mkdir()
    line = refused(folder, "run", "two files", "--init", "--model", model)
    assert "offline" in line


def test_the_api_refuses_an_unknown_model_before_the_folder_is_touched(shop: Path) -> None:
    with pytest.raises(ModelUnavailable, match="use openai:<name>, offline"):
        Coordinator("gpt", shop)
    assert not (shop / ".backend-coordinator").exists()


@pytest.mark.parametrize("command", ["run", "plan"])
def test_an_empty_objective_is_refused(shop: Path, command: str) -> None:
    assert "the objective is empty: say what should be built" in refused(shop, command, " \n")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (json.dumps(CYCLE), "the tasks form a cycle: backend-T00"),
        (json.dumps(STRANGER), "no specialist is called 'a-stranger'"),
        ("not json", "is not a plan: Expecting value"),
        ("[]", "is not a plan: "),
        ('{"tasks": []}', "the plan has no task"),
    ],
)
def test_a_plan_file_that_cannot_be_followed_is_refused(shop: Path, text: str, why: str) -> None:
    file = shop.parent / "plan.json"
    file.write_text(text)
    assert why in run_of(shop, "--plan", str(file))


def test_a_plan_file_that_is_missing_is_refused(shop: Path) -> None:
    assert "plan.json is not a plan" in run_of(shop, "--plan", str(shop.parent / "plan.json"))


def test_a_run_of_a_newer_version_is_left_alone(shop: Path, waiting: str) -> None:
    with sqlite3.connect(Runs(shop).place(waiting) / "run.sqlite") as db:
        db.execute("pragma user_version = 99")
    db.close()
    line = refused(shop, "resume", waiting, "--model", "offline")
    assert "has version 99, this program knows 2: upgrade backend-coordinator" in line


async def test_a_state_of_a_newer_version_is_left_alone(shop: Path, waiting: str) -> None:
    async with checkpoints(Runs(shop).place(waiting)) as saver:
        app = sentence(load_roster(), LevelBudget()).compile(checkpointer=saver)
        config = {"configurable": {"thread_id": waiting}}
        await app.aupdate_state(config, {"version": 99}, as_node="analyse")
    line = await asyncio.to_thread(refused, shop, "resume", waiting, "--model", "offline")
    assert f"run {waiting} has state version 99, this program knows 1: upgrade backend-coordinator" in line


@pytest.mark.parametrize("name", ["run.sqlite", "checkpoints.sqlite"])
def test_a_run_whose_database_was_emptied_is_not_begun_again(shop: Path, waiting: str, name: str) -> None:
    place = Runs(shop).place(waiting)
    for suffix in ("-wal", "-shm"):
        (place / f"{name}{suffix}").unlink(missing_ok=True)
    (place / name).write_bytes(b"")
    assert "start a new run" in refused(shop, "resume", waiting, "--model", "offline")


def test_a_damaged_database_is_named(shop: Path, waiting: str) -> None:
    (Runs(shop).place(waiting) / "run.sqlite").write_bytes(b"no database at all, but long enough to be one" * 9)
    line = refused(shop, "resume", waiting, "--model", "offline")
    assert "run.sqlite is damaged" in line
    assert "start a new run" in line


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_refused(shop: Path) -> None:
    shop.chmod(0o555)
    try:
        assert f"{shop} cannot be written" in run_of(shop)
    finally:
        shop.chmod(0o755)


def test_a_detached_head_needs_a_base(shop: Path) -> None:
    head = git(shop, "rev-parse", "HEAD")
    (shop / ".git" / "HEAD").write_text(f"{head}\n")
    try:
        assert "is detached: pass --base REV" in run_of(shop)
    finally:
        (shop / ".git" / "HEAD").write_text("ref: refs/heads/main\n")


def test_a_repository_without_a_commit_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "fresh"
    folder.mkdir()
    git(folder, "init", "--quiet")
    assert "has no commit yet: commit something, or pass --init" in run_of(folder)


def test_a_folder_that_is_no_repository_is_offered_init(tmp_path: Path) -> None:
    folder = tmp_path / "plain"
    folder.mkdir()
    assert "is not a git repository: pass --init to make it one" in run_of(folder)


def test_a_branch_that_takes_the_place_of_ours_is_refused_before_a_run_is_made(shop: Path) -> None:
    heads = shop / ".git" / "refs" / "heads"
    shutil.copyfile(heads / "main", heads / "backend-coordinator")
    try:
        assert "has a branch named backend-coordinator" in run_of(shop)
    finally:
        (heads / "backend-coordinator").unlink()
    assert not (shop / ".backend-coordinator").exists()


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    """A folder that is no repository."""
    folder = tmp_path / "plain"
    folder.mkdir()
    return folder


@pytest.mark.parametrize("command", ["run", "plan"])
@pytest.mark.parametrize(
    ("configuration", "why"), [('roster = ["nowhere"]', "is not a folder of specialists"), ("slots = 0", "slots: ")]
)
def test_a_wrong_configuration_is_refused_before_the_folder_becomes_a_repository(
    plain: Path, command: str, configuration: str, why: str
) -> None:
    (plain / "backend-coordinator.toml").write_text(configuration)
    assert why in refused(plain, command, "two files", "--init", "--model", "offline")


def test_a_wrong_plan_is_refused_before_the_folder_becomes_a_repository(plain: Path) -> None:
    (plain.parent / "plan.json").write_text(json.dumps(STRANGER))
    assert "a-stranger" in run_of(plain, "--init", "--plan", str(plain.parent / "plan.json"))


def test_a_sandbox_that_is_required_and_missing_is_refused_before_the_folder_becomes_a_repository(
    plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The launcher of an older kernel: it cannot restrict itself.
    (tmp_path / "launcher.py").write_text("raise SystemExit(126)\n")
    monkeypatch.setattr(sandbox_module, "_HERE", tmp_path)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "git").symlink_to(str(shutil.which("git")))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert "install bubblewrap" in run_of(plain, "--init", "--sandbox", "required")


@pytest.mark.parametrize("folder", ["plain", "missing"])
def test_a_base_that_a_new_repository_cannot_have_is_refused_before_it_is_made(plain: Path, folder: str) -> None:
    assert "has no commit v1: leave --base out" in run_of(plain.parent / folder, "--init", "--base", "v1")
    assert (plain.parent / folder).exists() == (folder == "plain")


@pytest.mark.slow
def test_a_process_killed_while_it_makes_a_run_leaves_none_and_its_id_free(shop: Path, tmp_path: Path) -> None:
    script = f"""
from pathlib import Path
from backend_coordinator.domain.objective import Objective
from backend_coordinator.graph.runs import Runs
Runs(Path({str(shop)!r}), "offline").create(Objective(text="x"), run="embedded-1")
"""
    wrapper = tmp_path / "bin" / "git"
    wrapper.parent.mkdir()
    wrapper.write_text(f"""#!/bin/sh
case "$*" in *update-ref*) kill -9 $PPID; exit 1;; esac
exec {shutil.which("git")} "$@"
""")
    wrapper.chmod(0o755)
    died = python("-c", script, env={"PATH": f"{wrapper.parent}:{os.environ['PATH']}"})
    assert died.returncode == -signal.SIGKILL
    assert Runs(shop).ids() == ()
    assert cli_here("runs", "--workspace", str(shop)).stdout == "no runs yet\n"
    done = python("-c", script)
    assert done.returncode == 0, done.stderr
    assert Runs(shop).ids() == ("embedded-1",)


def test_a_run_of_an_id_that_is_there_is_left_as_it_is(shop: Path) -> None:
    runs = Runs(shop, "offline")
    for text in ("the first", "the second"):
        assert runs.create(Objective(text=text), run="embedded-1") == "embedded-1"
    assert runs.ledger("embedded-1").noted("objective") == "the first"
    assert [path.name for path in runs.folder.iterdir()] == ["embedded-1"]


def test_a_git_that_is_too_old_is_refused(shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = tmp_path / "bin" / "git"
    fake.parent.mkdir()
    fake.write_text("#!/bin/sh\necho git version 2.30.1\n")
    fake.chmod(0o755)
    with monkeypatch.context() as patch:
        patch.setenv("PATH", f"{fake.parent}:{os.environ['PATH']}")
        line = run_of(shop)
    assert "git 2.30.1 is too old: install git 2.34 or newer" in line


def test_a_configuration_that_is_wrong_is_named_by_file_and_field(shop: Path) -> None:
    (shop / "backend-coordinator.toml").write_text("slots = 0\n")
    try:
        assert "backend-coordinator.toml: slots: " in run_of(shop)
    finally:
        (shop / "backend-coordinator.toml").unlink()


def test_an_ended_run_whose_report_is_gone_is_named_with_its_branch(shop: Path) -> None:
    works = coordinator(shop, department(plan(task(1))))
    run = works.start("files")
    report = run.result()
    (shop / ".backend-coordinator" / "runs" / run.id / "report.json").unlink()
    with pytest.raises(ConfigurationError, match=f"ended on {report.branch}, but its report.json is gone"):
        works.resume(run.id).result()
