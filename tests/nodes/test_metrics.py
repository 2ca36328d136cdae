"""The eight metrics: computed, or left out with the reason."""

import pytest

from backend_coordinator.domain.failure import Attempt, Failure, FailureClass
from backend_coordinator.domain.report import Metric, TaskResult, TaskStatus
from backend_coordinator.domain.verdict import Outcome, Verdict
from backend_coordinator.nodes.gates.application import Application
from backend_coordinator.nodes.gates.openapi import Document
from backend_coordinator.nodes.gates.testrun import FileCoverage, Request, TestRun, Timing
from backend_coordinator.nodes.metrics import Measured, measured_by, metrics_of

NAMES = [
    "backend_tasks_completed",
    "backend_avg_completion_time",
    "backend_success_rate",
    "api_endpoint_coverage",
    "test_coverage",
    "database_query_performance",
    "security_audit_pass_rate",
    "api_response_time_p95",
]
FAILED = Attempt(number=1, specialist="python-pro", failure=Failure(kind=FailureClass.STYLE, summary="a blank"))
SHOP = {
    "openapi": "3.1.0",
    "paths": {"/books": {"get": {}, "post": {}}, "/books/new": {"get": {}}, "/books/{id}": {"get": {}}},
}
RUN = TestRun(
    "pytest",
    passed=3,
    coverage={
        "app/main.py": FileCoverage(frozenset(range(1, 10)), frozenset({10})),
        "tests/test_main.py": FileCoverage(frozenset(), frozenset({1, 2, 3})),
    },
    requests=frozenset({Request("GET", "/books/new", 404), Request("GET", "/books", 200), Request("PUT", "/x", 405)}),
    timings=tuple(Timing("GET", "/books", float(ms)) for ms in range(1, 101)),
    statements=(0.5, 0.25),
    measured={"login_p95_ms": 12.5, "search_p95_ms": 40.0, "users": 900.0},
)


def result(number: int, status: TaskStatus, *, attempts: int = 1, failures: int = 0, seconds: float = 0) -> TaskResult:
    return TaskResult(
        id=f"backend-T{number:03d}",
        title="a task",
        specialist="python-pro",
        status=status,
        attempts=attempts,
        failures=(FAILED,) * failures,
        seconds=seconds,
    )


def by_name(*metrics: Metric) -> dict[str, tuple[float | None, str, str]]:
    return {metric.name: (metric.value, metric.unit, metric.how) for metric in metrics}


def test_a_run_without_anything_has_all_eight_and_measured_none_but_the_count() -> None:
    found = metrics_of((), (), None)
    assert [metric.name for metric in found] == NAMES
    assert found[0] == Metric(name="backend_tasks_completed", value=0, unit="tasks", how="merged, of 0 tasks")
    assert [metric.value for metric in found[1:]] == [None] * 7
    assert all(metric.how for metric in found)
    assert found[4].how == "no merged tree was inspected"


def test_tasks_are_counted_by_how_they_ended() -> None:
    results = (
        result(1, "merged", seconds=2),
        result(2, "merged", attempts=2, failures=1, seconds=5),
        result(3, "merged", failures=1, seconds=2),
        result(4, "given_up", attempts=3, failures=3, seconds=90),
        result(5, "skipped", attempts=0),
    )
    found = by_name(*metrics_of(results, (), None))
    assert found["backend_tasks_completed"] == (3, "tasks", "merged, of 5 tasks")
    assert found["backend_avg_completion_time"][:2] == (3, "s")
    assert found["backend_success_rate"] == (25, "%", "1 of 4 begun tasks merged at once")


def test_security_counts_what_was_decided_and_a_waiver_does_not_pass() -> None:
    said = {
        "S1": "pass",
        "S2": "unknown",
        "S3": "waived",
        "S4": "not_applicable",
        "S5": "fail",
        "S7": "pass",
        "C2": "pass",
    }
    verdicts = [Verdict(id=item, verdict=Outcome(outcome), reason="so") for item, outcome in said.items()]
    found = by_name(*metrics_of((), verdicts, None))["security_audit_pass_rate"]
    assert found == (50, "%", "2 of 4 decided security items pass: S1, S7")
    undecided = [verdict for verdict in verdicts if verdict.id in ("S2", "S4", "C2")]
    found = by_name(*metrics_of((), undecided, None))["security_audit_pass_rate"]
    assert found == (None, "%", "no security item was decided")


def test_a_test_run_gives_four_figures() -> None:
    found = by_name(*measured_by(RUN, Application("app/main.py", None, Document("app/main.py", SHOP))))
    assert found["api_endpoint_coverage"] == (50, "%", "2 of 4 operations were sent a request")
    assert found["test_coverage"] == (90, "%", "9 of 10 lines ran under the tests")
    assert found["database_query_performance"][:2] == (0.5, "ms")
    assert found["api_response_time_p95"] == (95, "ms", "95th percentile of 100 requests in the tests' process")


def test_a_figure_that_a_test_recorded_is_no_response_time() -> None:
    run = TestRun("pytest", passed=1, measured={"query_p95_ms": 40.0, "search_p95_ms": 12.5})
    found = by_name(*measured_by(run, Application()))["api_response_time_p95"]
    assert found == (None, "ms", "the tests sent no request that could be seen")


@pytest.mark.parametrize(
    ("run", "app", "reasons"),
    [
        (
            TestRun("none"),
            Application(),
            ("there is no FastAPI application with operations", *("the project has no tests",) * 3),
        ),
        (
            TestRun("pytest", problem="coverage is not installed"),
            Application("a.py", None, Document("a.py", SHOP)),
            ("coverage is not installed",) * 4,
        ),
        (
            TestRun("pytest", passed=1),
            Application("a.py", "a.py cannot be imported"),
            (
                "a.py cannot be imported",
                "no line of Python was measured",
                "the tests executed no statement that could be timed; SQLite's can",
                "the tests sent no request that could be seen",
            ),
        ),
        (
            TestRun("pytest", passed=1),
            Application("a.py", None, Document("a.py", SHOP)),
            ("the tests sent no request that could be seen",),
        ),
    ],
)
def test_what_has_no_source_is_not_measured_and_says_why(
    run: TestRun, app: Application, reasons: tuple[str, ...]
) -> None:
    found = measured_by(run, app)
    assert [metric.value for metric in found] == [None] * 4
    assert tuple(metric.how for metric in found[: len(reasons)]) == reasons


def test_what_was_measured_takes_its_place_among_the_eight() -> None:
    tests = measured_by(RUN, Application())
    found = metrics_of((), (), Measured(tree="t", metrics=tests))
    assert [metric.name for metric in found] == NAMES
    assert set(tests) < set(found)
