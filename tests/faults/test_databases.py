"""Databases of a run that were lost, emptied, cut, overwritten or locked: told in one line, and never begun again."""

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from backend_coordinator import Waiting
from backend_coordinator.domain.events import Noticed, RunResumed, TaskStarted
from backend_coordinator.domain.failure import LevelBudget
from backend_coordinator.errors import ConfigurationError
from backend_coordinator.graph.build import sentence
from backend_coordinator.graph.persistence import checkpoints
from backend_coordinator.graph.runs import Runs
from backend_coordinator.nodes import damage
from backend_coordinator.prompts.loader import load_roster
from tests.engine.conftest import home as home
from tests.engine.conftest import shop as shop
from tests.support.department import Told, department, plan, refuse, task, write_own_file
from tests.support.runs import Said, cli_here, coordinator, of

LEDGER, STATE = "run.sqlite", "checkpoints.sqlite"
SCRIPT = department(plan(task(1), task(2)), lambda told: refuse(told) if second(told) else write_own_file(told))


def second(told: Told) -> bool:
    """Whether task 2 is to wait for a person."""
    return told.task == "backend-T002" and "GUIDANCE" not in told.text


@pytest.fixture
def run(shop: Path) -> str:
    """A run that merged its first task and waits for an answer about its second."""
    begun = coordinator(shop, SCRIPT).start("two files")
    with pytest.raises(Waiting):
        begun.result()
    return begun.id


def delete(file: Path) -> None:
    file.unlink()


def empty(file: Path) -> None:
    file.write_bytes(b"")


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:5000])


def overwrite(file: Path) -> None:
    """Every page but the first: SQLite keeps no checksums, so one of data alone may go unnoticed by it."""
    data = file.read_bytes()
    file.write_bytes(data[:4096] + b"\xff" * (len(data) - 4096))


def told(shop: Path, run: str, *, file: str, command: str = "resume") -> str:
    """The one line with which the run is refused; nothing of it begins again."""
    said = cli_here(command, run, "--workspace", str(shop), *(["--model", "offline"] if command == "resume" else []))
    assert said.returncode == 2, said
    assert said.stdout == ""
    (line,) = said.stderr.splitlines()
    assert line.startswith(f"error: run {run}: {Runs(shop).place(run) / file} ")
    return line


@pytest.mark.parametrize("harm", [delete, empty, cut, overwrite])
@pytest.mark.parametrize("file", [LEDGER, STATE])
def test_f044_a_damaged_database_is_named_with_the_way_out_and_the_branch(
    shop: Path, run: str, file: str, harm: Callable[[Path], None]
) -> None:
    harm(Runs(shop).place(run) / file)
    for _ in range(2):  # also after a first look, which may have made a file
        line = told(shop, run, file=file)
        assert "restore it from a backup, or start a new run" in line
        assert line.endswith(f"what was merged is on backend-coordinator/{run}")


def _write(file: Path, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(file)) as database, database:
        assert database.execute(statement, values).rowcount > 0


@pytest.mark.parametrize("column", ["checkpoint", "metadata"])
def test_f045_a_checkpoint_that_was_cut_is_named(shop: Path, run: str, column: str) -> None:
    _write(Runs(shop).place(run) / STATE, f"update checkpoints set {column} = substr({column}, 1, 20)")
    assert "holds checkpoint 1f" in told(shop, run, file=STATE)


def test_f045_a_row_of_the_ledger_that_was_cut_is_named(shop: Path, run: str) -> None:
    _write(Runs(shop).place(run) / LEDGER, "update event set body = substr(body, 1, 20)")
    assert "holds a row that cannot be read" in told(shop, run, file=LEDGER, command="show")


@pytest.mark.parametrize("file", [LEDGER, STATE])
def test_f046_what_sqlite_says_of_overwritten_pages_is_told(shop: Path, run: str, file: str) -> None:
    overwrite(Runs(shop).place(run) / file)
    assert "is damaged (database disk image is malformed)" in told(shop, run, file=file)


@pytest.mark.parametrize("harm", [delete, empty, cut, overwrite])
def test_f046_a_damaged_run_hides_no_other(shop: Path, run: str, harm: Callable[[Path], None]) -> None:
    other = coordinator(shop, department(plan(task(1)))).start("one file")
    assert other.result().accepted
    harm(Runs(shop).place(run) / LEDGER)
    where = ("--workspace", str(shop))
    rows = {line.split()[0]: line for line in cli_here("runs", *where).stdout.splitlines()}
    assert rows[other.id].split()[1:] == ["accepted", "one", "file"]
    assert rows[run].split()[1] == "damaged"
    assert "restore it from a backup" in rows[run]
    assert cli_here("show", other.id, *where).returncode == 0
    assert cli_here("doctor", "--model", "offline", *where).returncode == 0


@pytest.mark.parametrize("file", [LEDGER, STATE])
def test_f049_a_locked_database_is_waited_for_then_named_and_the_run_goes_on_after(
    shop: Path, run: str, file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (question,) = Runs(shop).ledger(run).open_questions()
    assert cli_here("decide", run, question.id, "guide", "-t", "do it", "--workspace", str(shop)).returncode == 0
    works = coordinator(shop, SCRIPT)
    with monkeypatch.context() as patch, closing(sqlite3.connect(Runs(shop).place(run) / file)) as holder:
        patch.setattr(damage, "PATIENCE", 0.05)
        holder.execute("begin immediate")
        with pytest.raises(ConfigurationError, match=rf"run {run}: .*{file} is locked by another process: end what"):
            works.resume(run).result()
        holder.rollback()
    before = len(Runs(shop).ledger(run).events())
    assert works.resume(run).result().accepted
    after = [event for _, event in Runs(shop).ledger(run).events()][before:]
    assert [event.task for event in of(TaskStarted, after)] == ["backend-T002"], "the first task was not repeated"


async def test_f049_half_a_minute_is_waited(shop: Path, run: str) -> None:
    with Runs(shop).ledger(run).store.reading() as execute:
        assert execute("pragma busy_timeout").rows[0][0] >= 30_000
    async with checkpoints(Runs(shop).place(run)) as saver:
        rows = await saver.conn.execute_fetchall("pragma busy_timeout")
        assert next(iter(rows))[0] >= 30_000


def test_f051_a_step_that_was_renamed_is_named_and_not_left_out(shop: Path, run: str) -> None:
    ledger = Runs(shop).ledger(run)
    parts = ledger.noted("parts") or ""
    ledger.note("parts", parts.replace('"step review"', '"step look_again"'))
    said = resumed(shop, run)
    assert f"run {run} may need what this version no longer has (step look_again)" in said.stderr
    assert "end it with the version that began it, or start a new run" in said.stderr
    ledger.note("parts", parts)
    assert resumed(shop, run).returncode == 3


def test_f051_a_specialist_whose_file_is_gone_is_named_and_its_task_not_dropped(shop: Path, tmp_path: Path) -> None:
    roster = tmp_path / "roster"
    roster.mkdir()
    for name in ("own-pro", "other-pro"):
        head = f"---\nname: {name}\ndescription: ours\nrole: specialist\n---\n"
        (roster / f"{name}.md").write_text(f"{head}You write files.\n")
    script = department(plan(task(1), task(2, specialist="own-pro")), refuse)
    begun = coordinator(shop, script, roster=(str(roster),)).start("two files")
    with pytest.raises(Waiting):
        begun.result()
    (roster / "own-pro.md").unlink()
    said = resumed(shop, begun.id)
    assert said.returncode == 2
    assert f"run {begun.id} has tasks for own-pro, whom the roster no longer has" in said.stderr


def resumed(shop: Path, run: str) -> Said:
    """What the resume says; it adds nothing to the run's story where it is refused."""
    before = of(RunResumed, (event for _, event in Runs(shop).ledger(run).events()))
    said = cli_here("resume", run, "--model", "offline", "--workspace", str(shop))
    after = of(RunResumed, (event for _, event in Runs(shop).ledger(run).events()))
    assert (len(after) > len(before)) == (said.returncode != 2)
    return said


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"version": 99}, "has state version 99, this program knows"),
        ({"version": 0}, "has state version 0, this program"),
        ({"version": "new"}, "does not fit this version (version: "),
        ({"plan": {"tasks": [{"id": "x"}]}}, "does not fit this version (plan.tasks.0"),
        ({"verdicts": [{"id": "C1", "verdict": "perhaps"}]}, "does not fit this version (verdicts.0.verdict"),
    ],
)
async def test_f052_a_state_that_this_version_does_not_know_is_refused(
    shop: Path, run: str, change: dict[str, object], why: str
) -> None:
    async with checkpoints(Runs(shop).place(run)) as saver:
        app = sentence(load_roster(), LevelBudget()).compile(checkpointer=saver)
        await app.aupdate_state({"configurable": {"thread_id": run}}, change, as_node="analyse")
    said = await asyncio.to_thread(resumed, shop, run)
    assert said.returncode == 2
    assert why in said.stderr
    assert len(said.stderr.splitlines()) == 1


def test_f052_a_field_that_is_no_longer_known_is_named(shop: Path, run: str) -> None:
    ledger = Runs(shop).ledger(run)
    ledger.note("parts", (ledger.noted("parts") or "").replace('"field heard"', '"field overheard"'))
    assert "no longer has (field overheard)" in resumed(shop, run).stderr


def test_f052_an_event_of_a_later_version_is_told_apart(shop: Path, run: str) -> None:
    ledger = Runs(shop).ledger(run)
    ledger.record(Noticed(text="new"))
    _write(Runs(shop).place(run) / LEDGER, "update event set body = replace(body, 'noticed', 'unheard')")
    assert "holds a row that cannot be read" in told(shop, run, file=LEDGER, command="show")


async def test_f054_of_many_checkpoints_of_one_thread_the_newest_is_kept(shop: Path, run: str) -> None:
    async with checkpoints(Runs(shop).place(run)) as saver:
        app = sentence(load_roster(), LevelBudget()).compile(checkpointer=saver)
        for number in range(50):
            config = {"configurable": {"thread_id": run}}
            await app.aupdate_state(config, {"rounds": number}, as_node="analyse")
        count = "select count(*) from checkpoints where thread_id = ? and checkpoint_ns = ''"
        rows = await saver.conn.execute_fetchall(count, (run,))
        assert next(iter(rows))[0] == 1
        assert (await app.aget_state(config)).values["rounds"] == 49
