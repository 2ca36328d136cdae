"""The metrics of a known run equal what is computed by hand, and `metrics` adds up a workspace's runs."""

import json
import math
from pathlib import Path
from typing import get_args

import pytest
from langchain_core.messages import AIMessage

from backend_coordinator.domain.report import MetricName, Report
from backend_coordinator.domain.verdict import Outcome
from backend_coordinator.nodes import metrics
from backend_coordinator.nodes.gates.testrun import TestRun
from backend_coordinator.nodes.history import DEFINED
from backend_coordinator.nodes.workspace.environment import Environment
from tests.support.department import Told, department, metered, plan, task, write_own_file
from tests.support.runs import ROOT, cli_here, coordinator, finished, git, result_of

SERVICE = """\
import sqlite3
from fastapi import FastAPI

db = sqlite3.connect(":memory:", check_same_thread=False)
db.execute("CREATE TABLE book (id integer)")


def books() -> list[int]:
    return [row[0] for row in db.execute("SELECT id FROM book ORDER BY id")]


def book(number: int) -> int:
    return number


def remove(number: int) -> None:
    raise LookupError


app = FastAPI()
app.add_api_route("/books", books)
app.add_api_route("/books/{number}", book)
app.add_api_route("/books/{number}", remove, methods=["DELETE"])
"""
"""Fourteen lines of code, of which all but `raise` run; three operations, of which all but DELETE are asked."""
TESTS = """\
from fastapi.testclient import TestClient

from main import app


def test_books() -> None:
    client = TestClient(app)
    for number in range(20):
        assert client.get("/books").json() == []
        assert client.get(f"/books/{number}").json() == number
"""
"""40 requests, 20 statements."""


def work(told: Told) -> AIMessage:
    """Task 1 is merged at once, task 2 once it was guided, task 3 never."""
    if told.task.endswith("1") or (told.task.endswith("2") and "GUIDANCE from" in told.text):
        return metered(write_own_file(told))
    return metered(told.calls("submit", summary="nothing", refusal="blocked", about="external_block"))


ENOUGH = {"action": "give_up", "text": "enough"}


def review(told: Told) -> dict[str, object]:
    return {"action": "guide" if told.task.endswith("2") else "give_up", "text": "so be it"}


@pytest.fixture
def shop(shop: Path) -> Path:
    """The repository with a service and its tests."""
    files = {"main.py": SERVICE, "test_main.py": TESTS, "requirements.txt": "fastapi\nhttpx\nhttpx2\npytest\n"}
    for name, text in files.items():
        (shop / name).write_text(text)
    git(shop, "add", *files)
    git(shop, "commit", "--quiet", "-m", "service", "--", *files)
    return shop


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[TestRun]:
    """What the tests of the merged tree showed: times can be known in no other way."""
    runs: list[TestRun] = []
    real = metrics.run_tests

    async def noting(tree: Path, environment: Environment) -> TestRun:
        runs.append(await real(tree, environment))
        return runs[-1]

    monkeypatch.setattr(metrics, "run_tests", noting)
    return runs


def known_run(shop: Path) -> Report:
    made = plan(task(1), task(2), task(3))
    report, _ = finished(coordinator(shop, department(made, work, review=review), required=("C2",)).start("books"))
    return report


def rank_95(values: list[float]) -> float:
    return sorted(values)[math.ceil(len(values) * 0.95) - 1]


def test_the_eight_metrics_of_a_known_run_equal_hand_computed_values(shop: Path, seen: list[TestRun]) -> None:
    report = known_run(shop)

    assert [result.status for result in report.tasks] == ["merged", "merged", "given_up"]
    (run,) = seen
    assert (len(run.timings), len(run.statements)) == (40, 20)
    decided = [v.verdict for v in report.verdicts if v.id[0] == "S" and v.verdict in (Outcome.PASS, Outcome.FAIL)]
    assert set(decided) == {Outcome.PASS}  # the run changed text files alone, so 100 percent
    assert {metric.name: metric.value for metric in report.metrics} == {
        "backend_tasks_completed": 2,
        "backend_avg_completion_time": pytest.approx(
            (result_of(report, 1).seconds + result_of(report, 2).seconds) / 2, abs=0.001
        ),
        "backend_success_rate": 33.333,
        "api_endpoint_coverage": 66.667,
        "test_coverage": 92.857,
        "database_query_performance": rank_95([*run.statements]),
        "security_audit_pass_rate": 100,
        "api_response_time_p95": rank_95([timing.ms for timing in run.timings]),
    }
    three = report.recovery[2]
    assert (three.steps, three.ended, three.recovered, three.rate) == (2, 2, 1, 50)
    assert (three.calls.model_calls, three.attempts.model_calls, three.attempts.input_tokens) == (2, 2, 200)
    assert sorted((each.task[-1], each.attempt) for each in report.progress) == [("1", 1), ("2", 1), ("2", 2), ("3", 1)]


def told(shop: Path, *words: str) -> tuple[int, str, str]:
    return cli_here("metrics", *words, "--workspace", str(shop))


@pytest.fixture
def two_runs(shop: Path) -> tuple[str, str]:
    """One accepted run of a task, and one that was not: merged one, gave the other up."""
    accepted = coordinator(shop, department(plan(task(1)), work, review=review)).start("one")
    finished(accepted)
    refused = coordinator(shop, department(plan(task(2), task(3)), work, review=review)).start("two")
    finished(refused)
    return accepted.id, refused.id


def test_over_runs_ratios_are_of_sums_and_costs_are_of_all_runs(shop: Path, two_runs: tuple[str, str]) -> None:
    found = json.loads(told(shop, "--json")[1])
    values = {metric["name"]: metric["value"] for metric in found["metrics"]}
    assert (found["runs"], found["accepted"], found["unfinished"], found["unreadable"]) == (2, 1, [], {})
    assert values["backend_tasks_completed"] == 2
    assert values["backend_success_rate"] == 33.333  # 1 of 1 and 0 of 2, where the mean of ratios is 50
    assert found["escalations"] == {"external_block": 2}
    assert [row["rate"] for row in found["recovery"]] == [None, None, 50, None]
    paths = shop.glob(".backend-coordinator/runs/*/report.json")
    reports = [Report.model_validate_json(path.read_bytes()) for path in paths]
    tokens = sum(report.usage.input_tokens + report.usage.output_tokens for report in reports)
    assert found["usage"]["input_tokens"] + found["usage"]["output_tokens"] == tokens
    one = json.loads(told(shop, two_runs[0], "--json")[1])
    assert (one["runs"], {m["name"]: m["value"] for m in one["metrics"]}["backend_success_rate"]) == (1, 100)


def test_what_is_unfinished_is_counted_apart_and_what_cannot_be_read_is_named(
    shop: Path, two_runs: tuple[str, str]
) -> None:
    folder = shop / ".backend-coordinator" / "runs"
    (folder / two_runs[0] / "report.json").write_text("{")
    (folder / two_runs[1] / "report.json").unlink()
    code, said, _ = told(shop)
    assert code == 0
    assert "0 ended runs, 0 accepted; 1 unfinished, in no figure" in said
    assert f"cannot be read: {two_runs[0]}: the report of run" in said
    assert "backend_success_rate" in said
    assert "cost per accepted run: not measured, no run was accepted" in said


def test_since_takes_runs_of_that_day_or_later(shop: Path, two_runs: tuple[str, str]) -> None:
    assert told(shop, "--since", "2001-01-01")[1].startswith("2 ended runs")
    assert told(shop, "--since", "2999-01-01")[1].startswith("0 ended runs")
    assert told(shop, "--since", "soon")[0] == 2
    assert told(shop, "no-such-run")[0] == 2


def test_every_figure_is_defined_here_and_in_the_documentation(shop: Path) -> None:
    assert list(DEFINED)[:8] == list(get_args(MetricName))
    said = told(shop, "--explain")[1]
    assert all(f"{name}: {text}" in said for name, text in DEFINED.items())
    if (page := ROOT / "docs" / "metrics.md").is_file():
        assert all(f"`{name}`" in page.read_text() for name in get_args(MetricName))


def test_show_tells_recovery_and_the_progress_of_what_is_not_merged(shop: Path, two_runs: tuple[str, str]) -> None:
    said = cli_here("show", two_runs[1], "--workspace", str(shop)).stdout
    assert "Task: backend-T003, attempt 1 by python-pro" in said
    assert "Blockers: external_block: blocked" in said
    assert "Task: backend-T002" not in said
    assert "all recovery: 4 model calls" in said
    found = json.loads(cli_here("show", two_runs[1], "--json", "--workspace", str(shop)).stdout)
    assert found["recovery"][2]["rate"] == 50
    assert [each["attempt"] for each in found["progress"]] == [1, 1, 2]


def test_the_reviewer_reads_the_progress(shop: Path) -> None:
    read: list[str] = []

    def noting(told: Told) -> dict[str, object]:
        read.append(told.text)
        return review(told)

    finished(coordinator(shop, department(plan(task(3)), work, review=noting)).start("one"))
    assert "PROGRESS:\nTask: backend-T003, attempt 1 by python-pro\n" in read[0]


def test_research_in_a_run_is_coordination_and_show_tells_it(shop: Path) -> None:
    def looking(told: Told) -> AIMessage:
        if told.turn < 3:
            return told.calls("grep", pattern=f"nothing-{told.turn}")
        if told.turn == 3:
            return told.calls("request_research", topic="locks", why="no hit", needed="an example")
        return told.calls("submit", summary=told.results[-1], refusal="x")

    answer = {"found": True, "answer": "Use an advisory lock."}
    made = plan(task(1, specialist="backend-engineer"))
    script = department(
        made, looking, research=lambda told: answer, review=lambda told: {"action": "give_up", "text": "n"}
    )
    run = coordinator(shop, script).start("one")
    report, _ = finished(run)
    assert "research-backend-T001-1" in {call.purpose.rpartition("-")[0] for call in report.calls if call.task is None}
    said = cli_here("show", run.id, "--workspace", str(shop)).stdout
    assert "backend-engineer asked librarian (3 look-ups failed): locks; answer: Use an advisory lock." in said
