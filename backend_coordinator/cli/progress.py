"""A run as it goes: a live table in a terminal, plain lines where the output is piped."""

import sys
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

from backend_coordinator.cli.output import plain, tell, terminal
from backend_coordinator.domain import events as e
from backend_coordinator.domain.verdict import Outcome

if TYPE_CHECKING:
    from rich.live import Live
    from rich.table import Table

_LOUD = (
    e.RunStarted,
    e.RunResumed,
    e.PlanMade,
    e.PlanChanged,
    e.Escalated,
    e.Asked,
    e.Answered,
    e.Noticed,
    e.Failed,
    e.InDoubt,
)


def follow(events: Iterable[e.Event], *, quiet: bool) -> None:
    """Shows events until there are no more; with `quiet` it only waits."""
    if quiet:
        for _ in events:
            pass
    elif sys.stderr.isatty():
        _live(events)
    else:
        started = time.monotonic()
        for event in events:
            if text := line(event):
                tell(f"[{time.monotonic() - started:6.1f} s] {text}")


def line(event: e.Event) -> str | None:
    """One plain line for an event a reader should see, None for the small ones."""
    match event:
        case e.RunStarted():
            return f"run on {event.branch}, model {event.model}, sandbox {event.sandbox}"
        case e.RunResumed():
            return "going on where the run stopped"
        case e.PlanMade():
            groups = " then ".join("+".join(task.removeprefix("backend-") for task in group) for group in event.groups)
            return f"plan: {len(event.tasks)} tasks, {groups}" + "".join(f"; repaired: {r}" for r in event.repairs)
        case e.PlanChanged():
            return _short(": ".join(event.told))
        case e.Escalated():
            step = event.escalation
            return f"{step.task} level {int(step.level)}, {step.asked}: {_short(step.answer) or 'no answer'}"
        case e.Asked():
            return f"question {event.question.id} to {event.question.to}: {_short(event.question.text)}"
        case e.Answered():
            return f"question {event.question} answered by {event.answer.by}: {event.answer.decision}"
        case e.Noticed():
            return f"note: {event.text}"
        case _:
            return _of_a_task(event)


def _of_a_task(event: e.Event) -> str | None:
    match event:
        case e.TaskStarted():
            again = f" (attempt {event.attempt})" if event.attempt > 1 else ""
            return f"{event.task} {event.specialist}: {event.title}{again}"
        case e.Delivered():
            return f"{event.task} delivered {event.artifacts} files"
        case e.Inspected():
            passed = [item for item, outcome in event.verdicts if outcome is Outcome.PASS]
            failed = [item for item, outcome in event.verdicts if outcome is Outcome.FAIL]
            text = f"{event.task} inspected: {', '.join(passed) or 'nothing'} passed"
            return f"{text}, {', '.join(failed)} FAILED" if failed else text
        case e.Failed():
            return f"{event.task} attempt {event.attempt} failed, {event.failure}: {_short(event.summary)}"
        case e.InDoubt():
            return f"{event.task} in doubt, the process ended while it ran: {event.tool} {_short(event.subject)}"
        case e.TaskEnded():
            reason = f": {_short(event.reason)}" if event.reason else ""
            return f"{event.task} {event.status.replace('_', ' ')}{reason}"
        case _:
            return None


def _live(events: Iterable[e.Event]) -> None:
    from rich.live import Live

    rows: dict[str, list[str]] = {}
    with Live(_table(rows), console=terminal(), refresh_per_second=8, transient=False) as live:
        for event in events:
            _update(rows, event, live)


def _update(rows: dict[str, list[str]], event: e.Event, live: "Live") -> None:
    if isinstance(event, e.PlanMade):
        for task in event.tasks:
            rows.setdefault(task, ["", "waits", ""])
    if isinstance(event, e.TaskStarted):
        rows[event.task] = [event.specialist, f"attempt {event.attempt}", event.title]
    elif isinstance(event, e.ToolCalled) and event.task in rows:
        rows[event.task][1] = f"{event.tool} {_short(event.subject, 32)}"
    elif isinstance(event, e.Delivered):
        rows[event.task][1] = "in inspection"
    elif isinstance(event, e.TaskEnded):
        rows.setdefault(event.task, ["", "", ""])[1] = event.status.replace("_", " ")
    if isinstance(event, _LOUD) and (text := line(event)):
        live.console.print(plain(text))
    live.update(_table(rows))


def _table(rows: dict[str, list[str]]) -> "Table":
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for heading in ("task", "specialist", "doing", "what"):
        table.add_column(heading, no_wrap=True, overflow="ellipsis")
    for task, cells in rows.items():
        table.add_row(*map(plain, (task, *cells)))
    return table


def _short(text: str, most: int = 160) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= most else f"{flat[: most - 1]}…"
