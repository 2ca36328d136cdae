"""What recovery took and brought, level by level of the ladder, computed from a run's events alone."""

from collections.abc import Iterable, Iterator, Sequence

from backend_coordinator.domain.events import (
    Escalated,
    Event,
    Failed,
    ModelCalled,
    PlanMade,
    TaskEnded,
    TaskStarted,
    ToolCalled,
)
from backend_coordinator.domain.failure import Escalation, Level
from backend_coordinator.domain.report import LevelRecovery
from backend_coordinator.domain.usage import Usage
from backend_coordinator.nodes.costs import money, tokens
from backend_coordinator.nodes.plan_review import THE_PLAN

HEADINGS = ("level", "taken", "ended here", "recovered", "rate", "its calls", "attempts again")
_ASKING = {"consultation": Level.PEER_CONSULTATION, "review": Level.COORDINATOR_REVIEW}
"""The levels whose rungs ask a model, by the verb of that call's purpose."""


class _Tally:
    """What one pass over the events found; `at` is the last rung of each task, which its next attempt follows."""

    def __init__(self) -> None:
        self.taken: list[Escalation] = []
        self.at: dict[str, Escalation] = {}
        self.again: dict[str, Level] = {}
        self.calls = dict.fromkeys(Level, Usage())
        self.attempts = dict.fromkeys(Level, Usage())
        self.ended: dict[str, str] = {}
        self.fresh: set[str] = set()

    def take(self, event: Event) -> None:
        match event:
            case Escalated(escalation=step):
                if step.task in self.fresh or self.at.get(step.task) != step:  # else a killed process took it before
                    self.taken.append(step)
                self.fresh.discard(step.task)
                self.at[step.task] = step
            case Failed(task=task):
                self.fresh.add(task)
            case TaskStarted(task=task):
                self.fresh.add(task)
                if task in self.at:
                    self.again[task] = self.at[task].level
            case TaskEnded():
                self.ended[event.task] = event.status
            case PlanMade():
                self.ended[THE_PLAN] = "merged"
            case _:
                self._add(event)

    def _add(self, event: Event) -> None:
        if isinstance(event, ToolCalled):
            if event.task in self.again:
                self.attempts[self.again[event.task]] += Usage(tool_calls=1, tool_seconds=event.seconds)
        elif isinstance(event, ModelCalled):
            if again := self.again.get(event.task or ""):
                self.attempts[again] += event.usage
            elif level := _ASKING.get(event.purpose.partition("-")[0]):
                self.calls[level] += event.usage


def recovery_of(events: Iterable[Event]) -> tuple[LevelRecovery, ...]:
    """All four levels of the Error Escalation Protocol, in their order.

    A rung recovered where its task was merged, or the plan it was about compiled, without another rung; a task's
    last rung is where its failure ended. What a level took are its own model calls, and the attempts after its rungs.
    """
    tally = _Tally()
    for event in events:
        tally.take(event)
    last = [(step.level, tally.ended[task]) for task, step in tally.at.items() if task in tally.ended]
    return tuple(
        _level(
            level,
            sum(step.level is level for step in tally.taken),
            ended=sum(where is level for where, _ in last),
            recovered=last.count((level, "merged")),
            took=(tally.calls[level], tally.attempts[level]),
        )
        for level in Level
    )


def _level(level: Level, steps: int, *, ended: int, recovered: int, took: tuple[Usage, Usage]) -> LevelRecovery:
    rate = round(100 * recovered / steps, 3) if steps else None
    calls, attempts = took
    return LevelRecovery(
        level=level, steps=steps, ended=ended, recovered=recovered, rate=rate, calls=calls, attempts=attempts
    )


def total(levels: Iterable[LevelRecovery]) -> Usage:
    """What all recovery took."""
    return sum((each.calls + each.attempts for each in levels), Usage())


def summed(parts: Iterable[Sequence[LevelRecovery]]) -> tuple[LevelRecovery, ...]:
    """The levels of several runs as one: all numbers are sums."""
    each = [row for part in parts for row in part]
    return tuple(_sum(level, [row for row in each if row.level is level]) for level in Level)


def _sum(level: Level, rows: Sequence[LevelRecovery]) -> LevelRecovery:
    return _level(
        level,
        sum(row.steps for row in rows),
        ended=sum(row.ended for row in rows),
        recovered=sum(row.recovered for row in rows),
        took=(sum((row.calls for row in rows), Usage()), sum((row.attempts for row in rows), Usage())),
    )


def rows(levels: Sequence[LevelRecovery]) -> Iterator[tuple[str, ...]]:
    """The table under HEADINGS; a level that no failure took is not measured."""
    for each in levels:
        if not each.steps:
            yield str(int(each.level)), "0", *("not measured",) * 5
            continue
        rate = f"{each.rate:.1f} %"
        numbers = (each.steps, each.ended, each.recovered)
        yield str(int(each.level)), *map(str, numbers), rate, _took(each.calls), _took(each.attempts)


def _took(used: Usage) -> str:
    return f"{used.model_calls} calls, {tokens(used)} tokens, {money(used)}, {used.seconds + used.tool_seconds:.1f} s"
