"""Runs whose tables are in PostgreSQL: whole, killed, shared by processes, and taken over from one that was stopped."""

import os
import re
import select
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psycopg
import pytest
from langchain_core.messages import AIMessage
from langgraph.checkpoint.memory import MemorySaver
from langgraph.graph import START, MessagesState, StateGraph

from backend_coordinator import Coordinator
from backend_coordinator.domain.events import Noticed
from backend_coordinator.domain.question import Answer, Question
from backend_coordinator.errors import ConfigurationError, RunTaken, Waiting
from backend_coordinator.graph.prune import prune
from backend_coordinator.graph.runs import Runs
from backend_coordinator.nodes import postgres_store, records
from backend_coordinator.nodes.ledger import Ledger
from backend_coordinator.nodes.points import POINTS
from backend_coordinator.nodes.postgres_store import PostgresStore
from backend_coordinator.nodes.records import VARIABLE
from backend_coordinator.nodes.report import write_report
from backend_coordinator.settings import Approval
from backend_coordinator.testing import ScriptedModel
from tests.support import postgres_server, sharer
from tests.support.department import Told, department, refuse, write_own_file
from tests.support.runs import QUICK, ROOT, cli, cli_here, git, merges, statuses

Starting = Callable[..., "Driver"]
TASKS = [each.id for each in sharer.PLAN.tasks]


class Driver:
    """A process that drives the run of a workspace."""

    def __init__(self, shop: Path, *, gate: Path | None = None, point: str = "", signal: int = 0) -> None:
        command = [sys.executable, sharer.__file__, str(shop), str(gate or ""), point, str(int(signal))]
        env = {**os.environ, "PYTHONPATH": str(ROOT)}
        with tempfile.TemporaryFile("w+") as file:
            self._said = os.fdopen(os.dup(file.fileno()))
            self.process = subprocess.Popen(command, env=env, stdout=file, stderr=file, cwd="/")

    def stopped(self) -> None:
        """Returns when it has stopped itself."""
        status = os.waitid(os.P_PID, self.process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
        assert status is not None
        assert status.si_code == os.CLD_STOPPED, self.ended()

    def ended(self) -> tuple[int, str]:
        """Its exit code and what it said."""
        code = self.process.wait(60)
        if not self._said.closed:
            with self._said as file:
                file.seek(0)
                self._text = file.read().strip()
        return code, self._text


def first_ended(*drivers: Driver) -> Driver:
    """The one that ends first."""
    ends = {os.pidfd_open(driver.process.pid): driver for driver in drivers}
    (ended, *_), _, _ = select.select(list(ends), [], [], 60)
    for descriptor in ends:
        os.close(descriptor)
    return ends[ended]


@pytest.fixture
def start(shop: Path) -> Iterator[Starting]:
    """Starts processes that end with the test."""
    drivers: list[Driver] = []

    def start(**wishes: Any) -> Driver:
        drivers.append(Driver(shop, **wishes))
        return drivers[-1]

    yield start
    for driver in drivers:
        driver.process.kill()
        driver.ended()


@pytest.fixture
def variable(database: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv(VARIABLE, database)
    return database


def test_a_whole_run_leaves_its_tables_in_the_database_and_its_files_in_the_folder(shop: Path, database: str) -> None:
    model = ScriptedModel(script=department(sharer.PLAN))
    coordinator = Coordinator(model, shop, settings=QUICK, database=database)
    run = coordinator.start("two files")
    report = run.result()
    assert report.accepted
    assert merges(shop, report.branch) == TASKS
    names = {path.name for path in run.folder.iterdir()}
    assert {"database.json", "git", "transcripts", "report.json"} <= names
    assert not [name for name in names if "sqlite" in name]
    where = run.folder / "database.json"
    assert postgres_server.PASSWORD not in where.read_text()
    assert where.stat().st_mode & 0o777 == 0o600
    assert coordinator.resume(run.id).result() == report
    with psycopg.connect(database, options="-c search_path=backend_coordinator") as db:
        kept = "select checkpoint_ns, checkpoint -> 'channel_versions' from checkpoints"
        ((namespace, versions),) = db.execute(kept).fetchall()
        blobs = db.execute("select checkpoint_ns, channel, version from checkpoint_blobs").fetchall()
    assert namespace == ""
    assert {(space, versions.get(channel)) for space, channel, _ in blobs} == {("", version) for *_, version in blobs}


def test_commands_find_the_database_in_the_environment_and_say_where_it_is_without_it(
    shop: Path, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = (
        Coordinator(ScriptedModel(script=department(sharer.PLAN)), shop, settings=QUICK).start("two files").result()
    )
    assert f"{report.run}  accepted" in cli_here("runs", "-w", str(shop)).stdout
    assert cli_here("show", report.run, "-w", str(shop)).returncode == 0
    monkeypatch.delenv(VARIABLE)
    said = cli_here("show", report.run, "-w", str(shop))
    assert said.returncode == 2
    parts = psycopg.conninfo.conninfo_to_dict(variable)
    assert all(str(word) in said.stderr for word in (report.run, parts["host"], parts["dbname"], VARIABLE))


@pytest.mark.slow
@pytest.mark.parametrize("point", ["branch moved", "answer recorded", "plan recorded"])
def test_a_process_killed_in_the_middle_is_resumed_by_another(
    shop: Path, variable: str, start: Starting, point: str
) -> None:
    assert start(point=point, signal=signal.SIGKILL).ended()[0] == -signal.SIGKILL
    assert start().ended() == (0, "")
    report = Runs(shop).report(sharer.RUN)
    assert report is not None
    assert report.accepted
    assert merges(shop, report.branch) == TASKS


def test_a_question_is_answered_from_another_process(shop: Path, variable: str) -> None:
    plan = department(sharer.PLAN, refuse)
    run = Coordinator(ScriptedModel(script=plan), shop, settings=QUICK).start("two files")
    with pytest.raises(Waiting):
        run.result()
    (question,) = run.questions
    said = cli("decide", run.id, question.id, "abandon", "-w", str(shop))
    assert said.returncode == 0, said.stderr
    assert statuses(run.result()) == {"001": "abandoned", "002": "skipped"}


@pytest.mark.slow
@pytest.mark.parametrize("begun", [False, True])
def test_of_two_processes_one_acts_and_the_other_is_told(
    shop: Path, variable: str, start: Starting, tmp_path: Path, begun: bool, *, race: int
) -> None:
    if begun:
        assert start(point="plan recorded", signal=signal.SIGKILL).ended()[0] == -signal.SIGKILL
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    both = [start(gate=gate) for _ in range(2)]
    told = first_ended(*both)
    (acting,) = {*both} - {told}
    code, said = told.ended()
    assert (code, said.partition(" by")[0]) == (2, "RunLocked: run shared is driven")
    assert f"process {acting.process.pid} on " in said
    gate.write_text("")
    assert acting.ended() == (0, "")
    report = Runs(shop).report(sharer.RUN)
    assert report is not None
    assert report.accepted
    assert merges(shop, report.branch) == TASKS


NOT_REACHED = ("run created", "intent recorded", "question recorded", "answer taken")
"""Before the process has the lock, or not in this run."""


@pytest.mark.slow
@pytest.mark.parametrize("point", [each for each in POINTS if each not in NOT_REACHED])
def test_a_stopped_process_that_lost_its_lock_writes_nothing_when_it_goes_on(
    shop: Path, variable: str, start: Starting, point: str
) -> None:
    holder = start(point=point, signal=signal.SIGSTOP)
    holder.stopped()
    assert _end_lock(variable) == 1
    assert start().ended() == (0, "")
    before = _kept(shop, variable)
    os.kill(holder.process.pid, signal.SIGCONT)
    code, said = holder.ended()
    assert (code, said.partition(" by")[0]) == (1, "RunTaken: run shared was taken over")
    assert _kept(shop, variable) == before


def _kept(shop: Path, database: str) -> dict[str, object]:
    """All rows of all tables, the branch in both repositories, and every file of the run that tells something."""
    folder = Runs(shop).place(sharer.RUN)
    files = {
        str(path): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and "git" not in path.relative_to(folder).parts[:1]
    }
    branches = [
        git(repository, "for-each-ref", "--format=%(refname) %(objectname)") for repository in (shop, folder / "git")
    ]
    return {**_rows(database), **files, "branches": branches}


def _rows(database: str) -> dict[str, object]:
    """The rows of all tables that tell something of runs."""
    with psycopg.connect(database, options="-c search_path=backend_coordinator") as db:
        names = [str(row[0]) for row in db.execute("select tablename from pg_tables where schemaname = current_schema")]
        told = [name for name in names if name not in ("version", "checkpoint_migrations")]
        return {name: sorted(map(repr, db.execute(f"select * from {name}".encode()))) for name in told}


@pytest.fixture
def ledger(database: str, tmp_path: Path) -> Ledger:
    (tmp_path / "run").mkdir()
    return records.create(tmp_path / "run", "run", database)


def _end_lock(database: str) -> int:
    """Ends the session that holds a lock; says how many there were."""
    with psycopg.connect(database, autocommit=True) as db:
        held = "locktype = 'advisory' and granted and database = (select oid from pg_database where datname = %s)"
        ending = f"select pg_terminate_backend(pid, 5000) from pg_locks where {held}"
        return len(db.execute(ending.encode(), (db.info.dbname,)).fetchall())


def test_who_takes_over_waits_for_no_transaction_of_the_former_holder(ledger: Ledger, database: str) -> None:
    store = ledger.store
    assert isinstance(store, PostgresStore)

    def late(fence: int) -> None:
        with store.writing(fence) as execute:
            execute("insert into note values (?, 'late', '')", store.key)
            with store.driving() as later:
                assert later == fence + 1
                execute("select 1")

    with store.driving() as fence:
        assert _end_lock(database) == 1
        with pytest.raises(RunTaken, match="taken over by process"):
            late(fence)
    assert ledger.noted("late") is None


async def test_a_report_is_not_written_by_who_was_overtaken(shop: Path, variable: str) -> None:
    report = (
        Coordinator(ScriptedModel(script=department(sharer.PLAN)), shop, settings=QUICK).start("two files").result()
    )
    runs = Runs(shop)
    context = await runs.context(report.run, fence=0)
    with pytest.raises(RunTaken):
        write_report(context, plan=None, results={}, verdicts=(), repairs=(), stopped="too late")
    assert runs.report(report.run) == report


async def test_an_embedded_run_has_its_tables_in_the_database(shop: Path, database: str) -> None:
    made = Coordinator(ScriptedModel(script=department(sharer.PLAN)), shop, settings=QUICK, database=database)
    parent = StateGraph(MessagesState)
    parent.add_node("backend", made.as_node())
    parent.add_edge(START, "backend")
    thread = {"configurable": {"thread_id": "t"}}
    ended = await parent.compile(MemorySaver()).ainvoke({"messages": [("user", "two files")]}, thread)
    assert ended["messages"][-1].additional_kwargs["backend_coordinator"]["accepted"]
    assert _rows(database)["lease"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("update version set number = 99", "NewerDatabase: .* have version 99, this program knows .*: upgrade"),
        ("update version set number = 1", "ConfigurationError: .* have version 1, .*: end their runs"),
        ("delete from lease", "DamagedRun: .* holds no run run: it was lost"),
        (
            "drop schema backend_coordinator cascade",
            "ConfigurationError: run run: .* holds no tables .*: restore it or correct the address, then resume",
        ),
    ],
)
def test_tables_of_another_version_and_lost_ones_are_refused(
    ledger: Ledger, database: str, tmp_path: Path, change: str, said: str
) -> None:
    with psycopg.connect(database, options="-c search_path=backend_coordinator") as db:
        db.execute(change.encode())
    with pytest.raises(ConfigurationError) as refusal:
        records.load(tmp_path / "run", database)
    assert re.match(said, f"{type(refusal.value).__name__}: {refusal.value}")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("host=/", "host=/none/", "No such file"),
        (postgres_server.PASSWORD, "a-wrong-password", "password authentication failed"),
        ("@/shop", "@/nothing", 'database "nothing.*" does not exist'),
        ("postgresql://", "postgre://", "write postgresql://USER"),
        ("?host", "?hots=1&host", "cannot be read as an address: write postgresql://USER"),
    ],
)
def test_a_database_that_lets_nobody_in_is_named_without_the_password_before_anything_is_made(
    shop: Path, database: str, old: str, new: str, said: str
) -> None:
    address = database.replace(old, new)
    coordinator = Coordinator(ScriptedModel(script=department(sharer.PLAN)), shop, settings=QUICK, database=address)
    with pytest.raises(ConfigurationError, match=said) as refusal:
        coordinator.start("two files")
    assert "\n" not in str(refusal.value)
    assert not any(secret in str(refusal.value) for secret in (postgres_server.PASSWORD, "a-wrong-password"))
    assert not (shop / ".backend-coordinator").exists()


def test_a_missing_right_is_named_with_its_grant(database: str, tmp_path: Path) -> None:
    role = f"clerk{os.getpid()}"
    with psycopg.connect(database, autocommit=True) as db:
        db.execute(f"create role {role} login password '{postgres_server.PASSWORD}'".encode())
        with pytest.raises(ConfigurationError, match="has to grant create on database shop"):
            records.create(tmp_path, "run", database.replace("postgres:", f"{role}:"))
        (tmp_path / "run").mkdir()
        records.create(tmp_path / "run", "run", database)
        for right, said in (("", "for schema .*: use the role that owns"), ("all", "for table .* belong to another")):
            if right:
                db.execute(f"grant all on schema backend_coordinator to {role}".encode())
            with pytest.raises(ConfigurationError, match=f"run run: .*permission denied {said}"):
                records.load(tmp_path / "run", database.replace("postgres:", f"{role}:"))
        postgres_store.close()
        db.execute(f"drop owned by {role}".encode())
        db.execute(f"drop role {role}".encode())


def test_an_address_may_name_its_sessions_and_an_encoding(shop: Path, database: str) -> None:
    address = f"{database}&application_name=shop&client_encoding=latin1"
    coordinator = Coordinator(ScriptedModel(script=department(sharer.PLAN)), shop, settings=QUICK, database=address)
    assert coordinator.start("zwei Dateien für 5 €").result().accepted


def test_a_database_of_another_encoding_than_utf8_is_refused(database: str, tmp_path: Path) -> None:
    name = f"latin{os.getpid()}"
    with psycopg.connect(database, autocommit=True) as db:
        db.execute(f"create database {name} encoding 'LATIN1' template template0".encode())
        try:
            with pytest.raises(ConfigurationError, match="has the encoding LATIN1"):
                records.create(tmp_path, "run", re.sub("@/[a-z0-9]+", f"@/{name}", database))
        finally:
            postgres_store.close()
            db.execute(f"drop database {name} with (force)".encode())


def test_an_answer_needs_one_connection_however_many_answer_at_once(ledger: Ledger) -> None:
    ledger.ask(Question(id="q-00000001", run="run", asked_by="a", text="?", choices=("guide", "abort")))
    with ExitStack() as others:
        for _ in range(7):
            others.enter_context(ledger.store.reading())
        assert ledger.answer("q-00000001", Answer(decision="abort", by="me")).answer


def test_many_that_make_the_tables_at_once_all_find_them(database: str, tmp_path: Path) -> None:
    def create(number: int) -> Ledger:
        (tmp_path / str(number)).mkdir()
        return records.create(tmp_path / str(number), f"run-{number}", database)

    with ThreadPoolExecutor(6) as several:
        ledgers = list(several.map(create, range(6)))
    assert len({each.store.key for each in ledgers}) == 6


def test_an_event_is_never_seen_before_one_of_a_lower_number(ledger: Ledger, database: str) -> None:
    late = threading.Thread(target=ledger.record, args=(Noticed(text="second"),))
    with ledger.store.writing() as execute:
        ledger._append(execute, Noticed(text="first"))
        late.start()
        with psycopg.connect(database, autocommit=True) as db:
            while not db.execute("select 1 from pg_locks where not granted").fetchone():
                assert late.is_alive(), "the second was not held back"
        assert ledger.events() == []
    late.join()
    assert [event.text for _, event in ledger.events() if isinstance(event, Noticed)] == ["first", "second"]


def test_a_text_with_nul_characters_breaks_neither_tables_nor_checkpoints(shop: Path, database: str) -> None:
    settings = QUICK.model_copy(update={"approval": Approval(plan="ask")})
    coordinator = Coordinator(ScriptedModel(script=department(sharer.PLAN)), shop, settings=settings, database=database)
    run = coordinator.start("two\0files")
    with pytest.raises(Waiting):
        run.result()
    run.questions[0].answer("reject", "not\0now")
    assert "rejected by user. not" in run.result().summary


def test_a_run_outlives_the_end_of_all_its_sessions(shop: Path, database: str) -> None:
    def work(told: Told) -> AIMessage:
        if told.turn == 0:
            with psycopg.connect(database, autocommit=True) as db:
                others = "pid <> pg_backend_pid() and datname = current_database()"
                db.execute(f"select pg_terminate_backend(pid, 5000) from pg_stat_activity where {others}".encode())
        return write_own_file(told)

    script = department(sharer.PLAN, work)
    assert (
        Coordinator(ScriptedModel(script=script), shop, settings=QUICK, database=database).start("x").result().accepted
    )


def test_a_pruned_run_leaves_no_checkpoint_and_a_removed_one_no_row(shop: Path, variable: str) -> None:
    coordinator = Coordinator(ScriptedModel(script=department(sharer.PLAN)), shop, settings=QUICK)
    report = coordinator.start("two files").result()
    (freed,) = prune(coordinator.runs, [report.run])
    rows = {name for name, found in _rows(variable).items() if found}
    assert (freed.bytes > 0, rows) == (True, {"note", "event", "lease"})
    assert coordinator.resume(report.run).result() == report
    list(prune(coordinator.runs, [report.run], delete=True))
    assert not any(_rows(variable).values())


def test_a_run_whose_database_cannot_be_reached_is_kept_and_one_whose_rows_are_lost_is_removed_by_name(
    shop: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = Coordinator(ScriptedModel(script=department(sharer.PLAN)), shop, settings=QUICK, database=database)
    unset, damaged = (kept.start("two files") for _ in range(2))
    ended = Coordinator(ScriptedModel(script=department(sharer.PLAN)), shop, settings=QUICK).start("two files")
    assert all(run.result().accepted for run in (unset, damaged, ended))
    (damaged.folder / "database.json").write_text("{")
    runs = Runs(shop)
    became = {each.run: each for each in prune(runs)}
    assert VARIABLE in became[unset.id].kept
    assert "database.json is damaged" in became[damaged.id].kept
    assert became[ended.id].bytes > 0
    unreached, removed = prune(runs, [unset.id, damaged.id], delete=True)
    assert VARIABLE in unreached.kept
    assert (removed.kept, runs.ids()) == ("", tuple(sorted((unset.id, ended.id))))
