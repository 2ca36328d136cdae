"""The metrics of a run: each is computed from what was recorded, or left out with the reason."""

import math
from collections.abc import Sequence

from backend_coordinator.domain.base import Value
from backend_coordinator.domain.report import Metric, MetricName, TaskResult
from backend_coordinator.domain.verdict import Outcome, Verdict
from backend_coordinator.nodes.context import RunContext
from backend_coordinator.nodes.gates.application import Application, application_of
from backend_coordinator.nodes.gates.files import is_measured
from backend_coordinator.nodes.gates.integration import Integration, integrated
from backend_coordinator.nodes.gates.openapi import contracts
from backend_coordinator.nodes.gates.project import run_tests
from backend_coordinator.nodes.gates.shared import sharing
from backend_coordinator.nodes.gates.testrun import TestRun, old_failures, operation_of
from backend_coordinator.nodes.ledger import Ledger
from backend_coordinator.nodes.stopping import in_thread

_NOTE = "measured"
_UNSEEN = "the tests sent no request that could be seen"
_DECIDED = (Outcome.PASS, Outcome.FAIL, Outcome.WAIVED)


class Measured(Value):
    """What one run of a tree's tests showed; `failing` are those of its tests that failed on the base too."""

    tree: str
    metrics: tuple[Metric, ...]
    failing: tuple[str, ...] = ()
    integration: Integration = Integration(problem="not measured")


async def measure(context: RunContext) -> None:
    """Notes what the tests of the merged tree show, unless it is noted already.

    It shares the inspection's test run. After a kill the verdicts may come from disk without one: then the tests
    run once more.
    """
    repository = context.repository
    head = await in_thread(lambda: repository.tree(repository.head()))
    base = await in_thread(repository.tree, repository.user.base_commit)
    if head.oid == base.oid or noted(context.ledger, head.oid):
        return
    old: tuple[str, ...] = ()
    try:
        environment = await context.environment(head.path)
        async with sharing(context.verdicts.memory):
            app = await application_of(head, environment)
            run = await run_tests(head.path, environment)
            if run.failing:
                old = old_failures(run, await run_tests(base.path, environment))
    except Exception as error:  # noqa: BLE001 - a figure that cannot be had must not end the run
        problem = f"the measurement broke: {type(error).__name__}: {error}"
        run, app = TestRun("none", problem=problem), Application(problem=problem)
    held = integrated(run, contracts(head))
    found = Measured(tree=head.oid, metrics=measured_by(run, app), failing=old, integration=held)
    context.ledger.note(_NOTE, found.model_dump_json())


def noted(ledger: Ledger, tree: str) -> Measured | None:
    """What was measured of this tree, or None."""
    text = ledger.noted(_NOTE)
    found = Measured.model_validate_json(text) if text else None
    return found if found and found.tree == tree else None


def metrics_of(
    results: Sequence[TaskResult], verdicts: Sequence[Verdict], measured: Measured | None
) -> tuple[Metric, ...]:
    """All eight, in the order of "Metrics to Track".

    A task's completion time is that of its attempts, without waiting and inspection. Success means that the
    first attempt was merged. The security rate counts the items S1 to S7 that were decided on the merged tree: a
    waived one was decided and does not pass.
    """
    merged = [result for result in results if result.status == "merged"]
    begun = [result for result in results if result.attempts]
    first = [result for result in merged if result.attempts == 1 and not result.failures]
    decided = [verdict for verdict in verdicts if verdict.id.startswith("S") and verdict.verdict in _DECIDED]
    passing = [verdict for verdict in decided if verdict.verdict is Outcome.PASS]
    took = sum(result.seconds for result in merged)
    mean = took / len(merged) if merged else None
    how = f"working time of a merged task, mean of {len(merged)}, without waiting and inspection"
    items = f"decided security items pass: {', '.join(verdict.id for verdict in passing)}"
    gone = "no merged tree was inspected"
    tests = measured.metrics if measured else measured_by(TestRun("none", problem=gone), Application(problem=gone))
    return (
        _metric("backend_tasks_completed", "tasks", len(merged), f"merged, of {len(results)} tasks", ""),
        _metric("backend_avg_completion_time", "s", mean, how, "no task was merged", of=(round(took, 3), len(merged))),
        _share("backend_success_rate", len(first), len(begun), "begun tasks merged at once", "no task was begun"),
        *tests[:3],
        _share("security_audit_pass_rate", len(passing), len(decided), items, "no security item was decided"),
        *tests[3:],
    )


def measured_by(run: TestRun, app: Application) -> tuple[Metric, ...]:
    """What a test run says of endpoints, coverage, database and response time, in this order.

    Requests and statements are timed in the tests' own process, while coverage is measured, without a network.
    A figure that a test recorded stands for none of them: its name does not say what was timed.
    """
    why = run.problem or ("the project has no tests" if run.runner == "none" else "")
    requests = [timing.ms for timing in run.timings]
    how = f"95th percentile of {len(requests)} requests in the tests' process"
    statements = f"95th percentile of {len(run.statements)} statements on SQLite in the tests, each to its first row"
    return (
        _endpoints(run, app, why),
        _coverage(run, why),
        _metric(
            "database_query_performance",
            "ms",
            _p95(run.statements),
            statements,
            why or "the tests executed no statement that could be timed; SQLite's can",
        ),
        _metric("api_response_time_p95", "ms", _p95(requests), how, why or _UNSEEN),
    )


def _endpoints(run: TestRun, app: Application, why: str) -> Metric:
    operations = app.document.operations if app.document else ()
    reached = {operation_of(request, operations) for request in run.requests} - {None}
    why = app.problem or ("" if operations else "there is no FastAPI application with operations") or why
    whole = len(operations) if run.requests else 0
    return _share("api_endpoint_coverage", len(reached), whole, "operations were sent a request", why or _UNSEEN)


def _coverage(run: TestRun, why: str) -> Metric:
    files = [lines for path, lines in run.coverage.items() if is_measured(path)]
    executed = sum(len(lines.executed) for lines in files)
    whole = executed + sum(len(lines.missing) for lines in files)
    return _share(
        "test_coverage", executed, whole, "lines ran under the tests", why or "no line of Python was measured"
    )


def _p95(values: Sequence[float]) -> float | None:
    return sorted(values)[math.ceil(0.95 * len(values)) - 1] if values else None


def _share(name: MetricName, part: int, whole: int, how: str, why: str) -> Metric:
    value = 100 * part / whole if whole else None
    return _metric(name, "%", value, f"{part} of {whole} {how}", why, of=(part, whole))


def _metric(
    name: MetricName,
    unit: str,
    value: float | None,
    how: str,
    why: str,
    *,
    of: tuple[float | None, float | None] = (None, None),
) -> Metric:
    if value is None:
        return Metric(name=name, unit=unit, value=None, how=why)
    part, whole = of
    return Metric(name=name, unit=unit, value=round(value, 3), how=how, part=part, whole=whole)
