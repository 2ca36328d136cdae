"""Freeing what ended runs take: what is left of one still answers every look at it, and nothing else is touched."""

import json
import os
import time
from pathlib import Path

import pytest
from langchain_core.messages import AIMessage

from backend_coordinator import Waiting
from backend_coordinator.graph.batch_files import held
from backend_coordinator.graph.persistence import driving
from backend_coordinator.graph.runs import Runs
from backend_coordinator.nodes.permissions import added
from backend_coordinator.nodes.workspace.orphans import trees_of
from backend_coordinator.settings import cache_folder
from tests.support.department import Told, department, plan, refuse, task, write_own_file
from tests.support.runs import Said, cli_here, coordinator, git

SCRIPT = department(plan(task(1), task(2, needs=[1])))


def stubborn(told: Told) -> AIMessage:
    """Hands task 2 back."""
    return refuse(told) if told.task == "backend-T002" else write_own_file(told)


@pytest.fixture
def ended(shop: Path) -> str:
    """A run that ended without being accepted, so that its checkouts stay."""
    run = coordinator(shop, department(plan(task(1), task(2)), stubborn)).start("two files")
    with pytest.raises(Waiting):
        run.result()
    run.questions[0].answer("abandon")
    assert not run.result().accepted
    return run.id


@pytest.fixture
def waiting(shop: Path) -> str:
    run = coordinator(shop, department(plan(task(1)), refuse)).start("one file")
    with pytest.raises(Waiting):
        run.result()
    return run.id


def pruned(shop: Path, *args: str, code: int = 0) -> dict[str, dict[str, object]]:
    """What became of each run."""
    said = cli_here("runs", "prune", *args, "--json", "--workspace", str(shop))
    assert said.returncode == code, said
    told = json.loads(said.stdout)
    assert told["bytes"] == sum(each["bytes"] for each in told["runs"])
    return {each["run"]: each for each in told["runs"]}


def size(*places: Path) -> int:
    """Bytes of all files below."""
    return sum(path.lstat().st_size for place in places for path in place.rglob("*") if not path.is_dir())


def looks(shop: Path, run: str) -> list[Said]:
    """What every look at a run says."""
    where = ("--workspace", str(shop))
    asked = [("show", run), ("report", run), ("runs",), ("gates", "verify", run), ("resume", run, "--model", "offline")]
    return [cli_here(*words, *where) for words in asked]


def test_a_pruned_run_answers_every_look_as_before(shop: Path, ended: str) -> None:
    place = Runs(shop).place(ended)
    trees = trees_of(place, cache_folder())
    before, taken = looks(shop, ended), size(place, trees)
    assert any(trees.iterdir())
    freed = pruned(shop)[ended]["bytes"]
    assert isinstance(freed, int)
    assert freed > 50_000
    assert taken - freed <= size(place) <= taken - freed + 8192, "the ledger may have grown by one note"
    assert not trees.exists()
    assert not (place / "verdicts").exists()
    assert list(place.glob("checkpoints.sqlite*")) == []
    assert looks(shop, ended) == before
    assert pruned(shop, ended)[ended]["kept"] == ""
    assert looks(shop, ended) == before


def test_nothing_is_freed_by_a_dry_run_which_says_what_would_be(shop: Path, ended: str) -> None:
    place = Runs(shop).place(ended)
    before = {path: path.stat().st_mtime_ns for path in place.rglob("*") if path.name != "lock"}
    promised = pruned(shop, "--dry-run")
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert pruned(shop) == promised


def test_deleting_takes_the_run_and_leaves_its_branch(shop: Path, ended: str) -> None:
    branch = f"backend-coordinator/{ended}"
    commit = git(shop, "rev-parse", branch)
    pruned(shop, "--delete")
    assert Runs(shop).ids() == ()
    assert list(Runs(shop).folder.iterdir()) == []
    assert git(shop, "rev-parse", branch) == commit
    assert cli_here("show", ended, "--workspace", str(shop)).returncode == 2


def test_what_has_not_ended_is_kept_unless_named_for_deletion(shop: Path, waiting: str) -> None:
    for args in ((), ("--delete",), (waiting,)):
        kept = pruned(shop, *args)[waiting]
        assert (kept["bytes"], kept["kept"]) == (0, "it has not ended: name it with --delete to remove it")
    assert len(Runs(shop).ledger(waiting).open_questions()) == 1
    pruned(shop, waiting, "--delete")
    assert Runs(shop).ids() == ()


def test_a_run_that_is_driven_is_left_alone_and_named(shop: Path, ended: str) -> None:
    with driving(Runs(shop).place(ended)):
        kept = pruned(shop, "--delete")[ended]
    assert kept["kept"] == (
        f"run {ended} is driven by process {os.getpid()}, by another call in this process: "
        "wait for it, or answer its questions with decide"
    )
    assert Runs(shop).ids() == (ended,)


def test_days_are_counted_from_the_end(shop: Path, ended: str) -> None:
    assert pruned(shop, "--older-than", "2")[ended]["kept"] == "it is not 2 days old"
    old = time.time() - 3 * 86_400
    os.utime(Runs(shop).place(ended) / "report.json", (old, old))
    assert pruned(shop, "--older-than", "2")[ended]["kept"] == ""


def test_a_damaged_run_is_kept_and_can_be_removed_by_name(shop: Path, ended: str) -> None:
    (Runs(shop).place(ended) / "run.sqlite").unlink()
    assert "is gone: restore it from a backup" in str(pruned(shop, "--delete")[ended]["kept"])
    assert pruned(shop, ended, "--delete")[ended]["kept"] == ""
    assert Runs(shop).ids() == ()


def test_an_unknown_run_is_refused_before_anything_is_freed(shop: Path, ended: str) -> None:
    said = cli_here("runs", "prune", ended, "r-1", "--delete", "--workspace", str(shop))
    assert said.returncode == 2
    assert "no run 'r-1'" in said.stderr
    assert Runs(shop).ids() == (ended,)


def test_what_a_run_keeps_is_its_owners_alone(shop: Path) -> None:
    before = os.umask(0o022)
    try:
        assert coordinator(shop, SCRIPT).start("two files").result().accepted
        added.add(shop, "python-pro", "bash", "ls *")
        with held(shop.parent / "results.jsonl"):
            pass
    finally:
        os.umask(before)
    state = shop / ".backend-coordinator"
    found = [state, *state.rglob("*"), shop.parent / "results.jsonl"]
    assert {path.suffix for path in found} >= {".json", ".md", ".sqlite", ".jsonl", ".yaml"}
    open_ = {str(path.relative_to(shop.parent)): oct(path.stat().st_mode & 0o777) for path in found}
    assert {name: mode for name, mode in open_.items() if int(mode, 8) & 0o077} == {}


def test_the_log_beside_a_database_is_its_owners_alone(shop: Path, waiting: str) -> None:
    ledger = Runs(shop).ledger(waiting)
    with ledger.store.reading() as execute:
        execute("select * from note")  # else the writer, the last to close, would take its log away
        ledger.note("a", "b")
        logs = list(Runs(shop).place(waiting).glob("run.sqlite-*"))
        assert {path.name for path in logs} == {"run.sqlite-shm", "run.sqlite-wal"}
        assert {path.stat().st_mode & 0o777 for path in logs} == {0o600}
