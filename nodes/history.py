"""The metrics over many runs: sums, and ratios of sums, never means of ratios."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import get_args

from pydantic import Field

from backend_coordinator.domain.base import Value
from backend_coordinator.domain.report import LevelRecovery, Metric, MetricName, Report
from backend_coordinator.domain.usage import Usage
from backend_coordinator.nodes.recovery import summed

DEFINED: Mapping[str, str] = {
    "backend_tasks_completed": "tasks merged; over runs the sum",
    "backend_avg_completion_time": "seconds of the attempts of merged tasks, without waiting and inspection, by "
    "their number; over runs both are summed first",
    "backend_success_rate": "begun tasks whose first attempt was merged, of all begun; over runs both are summed first",
    "api_endpoint_coverage": "operations of the FastAPI application that a test sent a request, of all; over runs both "
    "are summed first",
    "test_coverage": "executable lines that ran under the tests, of all, tests left out; over runs both are summed "
    "first",
    "database_query_performance": "95th percentile of the statements on SQLite in the tests; over runs the highest, "
    "which that of all statements cannot exceed",
    "security_audit_pass_rate": "items S1 to S7 that passed on the merged tree, of those decided, a waived one being "
    "decided and not passed; over runs both are summed first",
    "api_response_time_p95": "95th percentile of the requests in the tests' process; over runs the highest, which that "
    "of all requests cannot exceed",
    "recovery rate": "rungs of a level after which the task was merged without another rung, of all rungs taken there",
    "escalations": "rungs taken, by class of failure",
    "cost per accepted run": "what all ended runs took, accepted or not, divided by the accepted ones",
}
"""The "Metrics to Track" and what else is told: what each is in a run, and how it is brought together over several."""


class Cost(Value):
    """What one accepted run took on average; None where some calls could not be counted or priced."""

    tokens: float | None
    money: float | None
    """US dollars."""
    seconds: float
    """Wall time."""


class History(Value):
    """Ended runs brought together; `unfinished` and `unreadable` ones are in no figure."""

    runs: int
    accepted: int
    unfinished: tuple[str, ...] = ()
    unreadable: dict[str, str] = Field(default_factory=dict)
    """By run: why."""
    metrics: tuple[Metric, ...]
    recovery: tuple[LevelRecovery, ...]
    escalations: dict[str, int]
    usage: Usage
    cost: Cost | None
    """None where no run was accepted."""


def history_of(
    reports: Sequence[Report], *, unfinished: Sequence[str] = (), unreadable: Mapping[str, str] | None = None
) -> History:
    """What these runs come to together."""
    accepted = sum(report.accepted for report in reports)
    steps = Counter(step.failure.value for report in reports for step in report.escalations)
    used = sum((report.usage for report in reports), Usage())
    return History(
        runs=len(reports),
        accepted=accepted,
        unfinished=tuple(unfinished),
        unreadable=dict(unreadable or {}),
        metrics=tuple(_together(name, reports) for name in get_args(MetricName)),
        recovery=summed(report.recovery for report in reports),
        escalations=dict(steps.most_common()),
        usage=used,
        cost=_cost(used, sum(report.seconds for report in reports), accepted) if accepted else None,
    )


def _cost(used: Usage, seconds: float, accepted: int) -> Cost:
    return Cost(
        tokens=None if used.uncounted_calls else (used.input_tokens + used.output_tokens) / accepted,
        money=None if used.unpriced_calls else used.money / accepted,
        seconds=round(seconds / accepted, 3),
    )


def _together(name: MetricName, reports: Sequence[Report]) -> Metric:
    """One metric over the runs that measured it; a ratio without its two numbers is of before they were kept."""
    there = [metric for report in reports for metric in report.metrics if metric.name == name]
    unit = there[0].unit if there else ""
    found = [(each, each.value) for each in there if each.value is not None]
    pairs = [(each.part, each.whole) for each, _ in found if each.part is not None and each.whole]
    if unit == "ms" or name == "backend_tasks_completed":
        values = [value for _, value in found]
        value, runs = ((max if unit == "ms" else sum)(values) if values else None), len(values)
        return Metric(name=name, unit=unit, value=value, how=f"measured in {runs} of {len(reports)} runs")
    part, whole = sum(part for part, _ in pairs), sum(whole for _, whole in pairs if whole)
    how = f"{part:g} of {whole:g}" if unit == "%" else f"{part:g} s of {whole:g} tasks"
    value = round((100 if unit == "%" else 1) * part / whole, 3) if whole else None
    told = f"{how}, " if whole else ""
    how = f"{told}measured in {len(pairs)} of {len(reports)} runs"
    return Metric(name=name, unit=unit, value=value, how=how, part=part if whole else None, whole=whole or None)
