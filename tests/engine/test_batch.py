"""Batches: one line for each objective, whatever becomes of the others, and nothing done twice."""

import json
import re
import resource
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from io import FileIO
from pathlib import Path

import pytest
from langchain_core.messages import AIMessage, BaseMessage

from backend_coordinator import Batch, CoordinatorError, Entry
from backend_coordinator.domain.question import Answer
from backend_coordinator.errors import ModelUnavailable
from backend_coordinator.graph.batch_files import Result, write
from backend_coordinator.graph.persistence import driving
from backend_coordinator.graph.runs import Runs
from backend_coordinator.testing import Script, ScriptedModel
from tests.support.batches import SCRIPT
from tests.support.openai_server import serving
from tests.support.runs import cli, cli_here, git

MODEL = ("--model", "openai:test-model")


def batch(shop: Path, *names: str, script: Script = SCRIPT, **changes: int) -> Batch:
    """A batch of such objectives in one repository, their names being their ids."""
    entries = [Entry(id=name, objective=f"files of {name}", workspace=shop) for name in names]
    return Batch(entries, shop.parent / "results.jsonl", model=ScriptedModel(script=script), **changes)


def written(shop: Path, *lines: object) -> Path:
    """A file of such lines beside the repository."""
    file = shop.parent / "objectives.jsonl"
    file.write_text("".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines))
    return file


def lines_of(path: Path) -> dict[str, dict[str, object]]:
    """The results on disk by id, each there once."""
    found = [json.loads(line) for line in path.read_text().splitlines()]
    assert len({each["id"] for each in found}) == len(found)
    return {each["id"]: each for each in found}


def ended(results: Iterable[Result]) -> dict[str, str]:
    return {result.id: result.status for result in results}


def unasked(messages: Sequence[BaseMessage], tools: Sequence[str]) -> AIMessage:
    raise AssertionError("a model was asked")


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A server that keeps its connections open, as real ones do."""
    monkeypatch.setattr(BaseHTTPRequestHandler, "protocol_version", "HTTP/1.1")
    with serving(ScriptedModel(script=SCRIPT)) as env:
        for name, value in env.items():
            monkeypatch.setenv(name, value)
        yield


def test_each_objective_has_one_line_and_what_fails_fails_alone(shop: Path) -> None:
    names = ("good-1", "refused-2", "asking-3", "good-4", "asking-5")
    going = batch(shop, *names)
    going.entries = (*going.entries, Entry(id="gone", objective="files of good-6", workspace=shop / "gone"))
    first = {result.id: result for result in going}
    statuses = {"good-1": "accepted", "refused-2": "not_accepted", "good-4": "accepted", "gone": "failed"}
    assert ended(first.values()) == {**statuses, "asking-3": "waiting", "asking-5": "waiting"}
    assert first["gone"].summary == f"{shop / 'gone'} does not exist: pass --init to make it a new repository"
    assert first["gone"].run is None
    assert {name: line["status"] for name, line in lines_of(going.results).items()} == statuses
    runs = Runs(shop)
    for name in names:
        told = first[name]
        assert told.run is not None
        objective = json.loads(runs.ledger(told.run).noted("objective_json") or "")
        assert objective["text"] == f"files of {name}"
        if told.status != "waiting":
            assert told.branch == f"backend-coordinator/{told.run}"
            assert told.report is not None
            assert told.report.is_file()
    assert sorted(runs.ids()) == sorted(str(first[name].run) for name in names)

    ledger = runs.ledger(str(first["asking-3"].run))
    ledger.answer(ledger.open_questions()[0].id, Answer(decision="guide", text="just write it", by="lead"))
    before = going.results.read_text()
    again = ended(going)
    assert again == {**statuses, "asking-3": "accepted", "asking-5": "waiting"}
    assert going.results.read_text().startswith(before)
    assert lines_of(going.results).keys() == {*statuses, "asking-3"}


def test_a_batch_that_has_ended_calls_no_model_and_starts_no_run(shop: Path) -> None:
    first = {result.id: result for result in batch(shop, "good-1", "refused-2")}
    left, runs = (shop.parent / "results.jsonl").read_text(), Runs(shop).ids()
    assert {result.id: result for result in batch(shop, "good-1", "refused-2", script=unasked)} == first
    assert ((shop.parent / "results.jsonl").read_text(), Runs(shop).ids()) == (left, runs)


def test_a_line_that_was_removed_is_written_again_without_another_run(shop: Path) -> None:
    going = batch(shop, "good-1", "good-2")
    first, runs = {result.id: result for result in going}, Runs(shop).ids()
    going.results.unlink()
    assert {result.id: result for result in batch(shop, "good-1", "good-2", script=unasked)} == first
    assert Runs(shop).ids() == runs


@pytest.mark.parametrize("kept", [1, 9, -2, -1], ids=["one-byte", "an-id-s-begin", "all-but-the-end", "no-newline"])
def test_a_line_that_was_cut_off_is_written_again_whole(shop: Path, kept: int) -> None:
    going = batch(shop, "good-1", "good-2")
    list(going)
    first, second = going.results.read_bytes().splitlines(keepends=True)
    going.results.write_bytes(first + second[:kept])
    list(batch(shop, "good-1", "good-2", script=unasked))
    assert going.results.read_bytes() == first + second


@pytest.mark.parametrize("text", ["mine", '{"objective": "x"}', '{"id":"a","objective":"x"}', "[1]\n", "\n\nmine\n{"])
def test_a_file_of_something_else_is_refused_and_stays_as_it_is(shop: Path, text: str) -> None:
    going = batch(shop, "good-1")
    going.results.write_text(text)
    with pytest.raises(CoordinatorError, match=r"line \d is no result .*name another file with --out"):
        list(going)
    assert going.results.read_text() == text


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"objective": "files of good-2"}, "objective"),
        ({"constraints": ("no new packages",)}, "constraints"),
        ({"workspace": Path("/elsewhere"), "base": "main"}, "workspace and base"),
    ],
)
def test_an_entry_that_changed_since_its_result_is_refused_before_anything_starts(
    shop: Path, change: dict[str, object], named: str
) -> None:
    going = batch(shop, "good-1")
    list(going)
    entries = [Entry(id="new", objective="files of good-3", workspace=shop), going.entries[0].model_copy(update=change)]
    with pytest.raises(CoordinatorError, match=rf"'good-1' has a result in .*, but another {named} since: give it"):
        list(Batch(entries, going.results, model="offline"))
    assert len(Runs(shop).ids()) == 1


def test_a_results_file_has_one_writer_at_a_time(shop: Path) -> None:
    going = iter(batch(shop, "good-1", "good-2"))
    next(going)
    with pytest.raises(CoordinatorError, match="is being written by another batch: wait for it, or name another"):
        list(batch(shop, "good-3"))
    assert len(list(going)) == 1


def test_a_run_that_somebody_else_drives_is_left_to_them(shop: Path) -> None:
    (first,) = batch(shop, "asking-1")
    assert first.run is not None
    with driving(Runs(shop).place(first.run)):
        (second,) = batch(shop, "asking-1")
    assert (second.status, second.run) == ("waiting", first.run)
    assert "is driven by process" in second.summary


def apart(shop: Path, name: str, model: str) -> Path:
    """Another repository beside it, whose Python specialist has this model."""
    git(shop.parent, "clone", "--quiet", str(shop), name)
    (shop.parent / name / "backend-coordinator.toml").write_text(f'[models]\npython-pro = "{model}"\n')
    return shop.parent / name


def test_a_model_that_one_workspace_cannot_use_stops_only_its_objectives(shop: Path) -> None:
    places = [apart(shop, "bad-1", "gpt-1"), apart(shop, "bad-2", "gpt-2"), shop, apart(shop, "bad-3", "gpt-1")]
    going = batch(shop, concurrency=1)
    going.entries = tuple(
        Entry(id=f"good-{number}", objective=f"files of good-{number}", workspace=place)
        for number, place in enumerate(places)
    )
    results = iter(going)
    assert next(results).id == "good-2"
    problem = r"models\.python-pro: unknown model '{}': use [^;]+"
    with pytest.raises(ModelUnavailable, match=f"^{problem.format('gpt-1')}; {problem.format('gpt-2')}$"):
        next(results)
    assert {name: line["status"] for name, line in lines_of(going.results).items()} == {"good-2": "accepted"}

    (places[0] / "backend-coordinator.toml").unlink()
    going.entries = going.entries[:1]
    assert ended(going) == {"good-0": "accepted"}


@pytest.mark.usefixtures("served")
def test_what_waits_is_told_beside_a_model_that_cannot_be_used(shop: Path) -> None:
    bad = {"id": "bad", "objective": "files of good-1", "workspace": str(apart(shop, "bad", "gpt"))}
    file = written(shop, bad, {"id": "asking-1", "objective": "files of asking-1"})
    said = cli_here("batch", str(file), "--workspace", str(shop), *MODEL)
    assert said.returncode == 2
    assert "asking-1 waits: " in said.stderr
    assert said.stderr.splitlines()[-1].startswith("error: models.python-pro: unknown model 'gpt'")
    assert "failed" not in said.stderr + said.stdout


@pytest.mark.slow
def test_as_many_work_at_once_as_was_said_and_no_more(shop: Path) -> None:
    together, lock, here = threading.Barrier(8), threading.Lock(), [0]
    most = 0

    def script(messages: Sequence[BaseMessage], tools: Sequence[str]) -> AIMessage:
        nonlocal most
        with lock:
            here[0] += 1
            most = max(most, here[0])
        if list(tools) == ["answer_analysis"] and "good-8" not in str(messages):
            together.wait(60)
        with lock:
            here[0] -= 1
        return SCRIPT(messages, tools)

    names = [f"good-{number}" for number in range(9)]
    assert set(ended(batch(shop, *names, script=script, concurrency=8)).values()) == {"accepted"}
    assert most == 8


@pytest.mark.slow
def test_an_iteration_that_is_left_stops_its_runs_and_the_next_takes_them_up(shop: Path) -> None:
    names = [f"good-{number}" for number in range(4)]
    for result in batch(shop, *names, concurrency=2):
        assert result.status == "accepted"
        break
    begun = Runs(shop).ids()
    assert len(begun) < 4
    for run in begun:
        with driving(Runs(shop).place(run)):
            pass
    assert set(ended(batch(shop, *names)).values()) == {"accepted"}
    assert set(begun) < set(Runs(shop).ids())
    assert len(Runs(shop).ids()) == 4


@pytest.mark.slow
@pytest.mark.usefixtures("served")
def test_the_command_line_answers_with_the_results_and_their_exit_code(shop: Path) -> None:
    entries = [{"id": f"good-{n}", "objective": f"files of good-{n}", "workspace": "new"} for n in range(6)]
    file = written(shop, *entries, "", {"objective": "files of good-7"})
    words = ("batch", str(file), "--workspace", str(shop), *MODEL)
    done = cli(*words, "--init")
    assert done.returncode == 0, done.stderr
    results = shop.parent / "objectives.results.jsonl"
    assert done.stdout == f"7 of 7 objectives: 7 accepted; results {results}\n"
    assert re.findall(r"\] (\d/7) ", done.stderr) == [f"{number}/7" for number in range(1, 8)]
    lines = lines_of(results)
    assert len(Runs(shop.parent / "new").ids()) == 6
    assert git(shop.parent / "new", "rev-list", "--count", "main") == "1"
    (other,) = Runs(shop).ids()
    assert [name[:2] for name, line in lines.items() if line["run"] == other] == ["8-"]

    refused = {"id": "refused-9", "objective": "files of refused-9"}
    written(shop, *entries, {"id": "asking-8", "objective": "files of asking-8"}, refused)
    more = cli(*words, "--json")
    assert more.returncode == 3, more.stderr
    told = {line["id"]: line["status"] for line in map(json.loads, more.stdout.splitlines())}
    statuses = {str(entry["id"]): "accepted" for entry in entries}
    assert told == {**statuses, "asking-8": "waiting", "refused-9": "not_accepted"}
    waits, then = more.stderr.splitlines()
    assert waits.startswith("asking-8 waits: backend-coordinator show batch-asking-8-")
    assert then.startswith("then: backend-coordinator ")
    written(shop, *entries, refused)
    again = cli_here(*words)
    assert again.returncode == 1
    assert "7/7 refused-9 not accepted: backend-T001 " in again.stderr


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        (["{", '{"objective": "x"}', '{"text": "x"}'], "line 1: not a JSON object: .*; line 3: the objective is missi"),
        (['{"objective": "x"}', "", '{"objective": " "}'], 'line 3: the objective is missing or empty: write {"obj'),
        (
            ['{"objective": "x", "workspce": "y"}'],
            "line 1: 'workspce' is no field: use id, objective, workspace, const",
        ),
        (['{"objective": "x", "workspace": "\\u0000"}'], "line 1: workspace: "),
        (['{"objective": "x", "constraints": "y"}'], "line 1: constraints: "),
        (
            ['{"objective": "x", "id": "a"}', "", '{"objective": "y", "id": "a"}'],
            "line 3: the id 'a' is that of line 1",
        ),
        ([], "holds no objective: write lines such as "),
    ],
)
def test_lines_that_are_wrong_are_named_before_anything_starts(shop: Path, lines: list[str], why: str) -> None:
    said = cli_here("batch", str(written(shop, *lines)), "--workspace", str(shop), "--model", "offline")
    assert said.returncode == 2
    assert re.search(why, said.stderr), said.stderr
    assert Runs(shop).ids() == ()
    assert sorted(path.name for path in shop.parent.iterdir()) == ["objectives.jsonl", "shop"]


def test_neither_input_nor_a_place_that_cannot_be_written_is_taken_for_results(shop: Path) -> None:
    file = written(shop, {"objective": "x"})
    where = ("--workspace", str(shop), "--model", "offline")
    for out, why in ((file, "holds the objectives"), (shop / "no" / "r.jsonl", "cannot be written"), (shop, "cannot")):
        said = cli_here("batch", str(file), *where, "--out", str(out))
        assert said.returncode == 2
        assert why in said.stderr
        assert "with --out" in said.stderr
    assert "name it with --out" in cli_here("batch", "-", *where).stderr
    assert "cannot be read" in cli_here("batch", str(shop / "none.jsonl"), *where).stderr
    assert file.read_text() == '{"objective": "x"}\n'


def test_a_line_that_finds_no_room_is_an_error_that_says_so(shop: Path) -> None:
    result = Result(id="a", objective="x", run=None, status="failed", summary="", seconds=0)
    with (
        FileIO("/dev/full", "a") as file,
        pytest.raises(CoordinatorError, match="/dev/full cannot be written any more"),
    ):
        write(file, result)


@contextmanager
def room_for(size: int) -> Iterator[None]:
    """No file of this process may become larger than `size` bytes: what is written beyond is cut off, then refused."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_half_a_line_is_taken_back_and_no_other_follows_it(tmp_path: Path) -> None:
    result = Result(id="a", objective="x", run=None, status="failed", summary="", seconds=0)
    path = tmp_path / "results.jsonl"
    path.write_text("whole\n")
    with FileIO(path, "a") as file:
        with room_for(path.stat().st_size + 10), pytest.raises(CoordinatorError, match="cannot be written any more"):
            write(file, result)
        assert path.read_text() == "whole\n"
        with pytest.raises(ValueError, match="closed file"):
            write(file, result)
    assert path.read_text() == "whole\n"


@pytest.mark.slow
def test_a_result_that_finds_no_room_stops_the_others_and_none_is_lost(shop: Path) -> None:
    asked: set[str] = set()

    def script(messages: Sequence[BaseMessage], tools: Sequence[str]) -> AIMessage:
        asked.update(re.findall(r"files of (good-\d)", str(messages)))
        return SCRIPT(messages, tools)

    names = [f"good-{number}" for number in range(3)]
    going = batch(shop, *names, script=script, concurrency=1)
    large = Result(id="large", objective="x", run=None, status="failed", summary="x" * 20_000_000, seconds=0)
    going.results.write_text(f"{large.model_dump_json()}\n")
    with (
        room_for(going.results.stat().st_size + 10),
        pytest.raises(
            CoordinatorError, match=r"results.jsonl cannot be written any more \(.+\): mend that, then start"
        ),
    ):
        list(going)
    assert asked == {"good-0"}
    assert set(lines_of(going.results)) == {"large"}
    assert set(ended(going).values()) == {"accepted"}
    assert set(lines_of(going.results)) == {"large", *names}
