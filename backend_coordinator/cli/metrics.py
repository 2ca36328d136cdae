"""The command that brings the metrics of a workspace's runs together."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from backend_coordinator.cli.options import AsJson, Workspace, runs_of
from backend_coordinator.cli.output import columns, say, say_json
from backend_coordinator.errors import ConfigurationError

if TYPE_CHECKING:
    from backend_coordinator.domain.report import LevelRecovery, Progress
    from backend_coordinator.graph.runs import Runs
    from backend_coordinator.nodes.history import Cost, History

HERE = Path()


def add_to(app: typer.Typer) -> None:
    """Adds this command to the command line."""
    app.command()(metrics)


def metrics(
    run: Annotated[list[str] | None, typer.Argument(help="Only these runs.")] = None,
    since: Annotated[
        datetime | None, typer.Option("--since", formats=["%Y-%m-%d"], help="Runs created on this day (UTC) or later.")
    ] = None,
    explain: Annotated[bool, typer.Option("--explain", help="Say what each figure is.")] = False,
    workspace: Workspace = HERE,
    as_json: AsJson = False,
) -> None:
    """Tells the metrics over the workspace's runs, what recovery brought, and what an accepted run costs."""
    from backend_coordinator.nodes.history import DEFINED

    found = _history(runs_of(workspace), run or (), since)
    if as_json:
        say_json({**found.model_dump(mode="json"), **({"definitions": dict(DEFINED)} if explain else {})})
        return
    _tell(found)
    for name, text in DEFINED.items() if explain else ():
        say(f"\n{name}: {text}")


def recovering(levels: Sequence["LevelRecovery"], reports: Sequence["Progress"]) -> Iterator[str]:
    """The progress of each task that is not merged, and what recovery took; nothing where there was none."""
    from backend_coordinator.nodes import costs, progress, recovery

    for each in progress.unfinished(reports):
        yield progress.in_words(each)
    if any(level.steps for level in levels):
        took = costs.in_words(recovery.total(levels))
        yield f"recovery\n{columns([recovery.HEADINGS, *recovery.rows(levels)])}\nall recovery: {took}"


def _history(runs: "Runs", names: list[str] | tuple[()], since: datetime | None) -> "History":
    from backend_coordinator.nodes.history import history_of

    for name in names:
        runs.place(name)
    reports, unfinished, unreadable = [], [], {}
    for name in dict.fromkeys(names) or runs.ids():
        try:
            created = runs.ledger(name).noted("created")
            if since is not None and float(created or 0) < since.replace(tzinfo=UTC).timestamp():
                continue
            if (report := runs.report(name)) is None:
                unfinished.append(name)
            else:
                reports.append(report)
        except ConfigurationError as error:  # one run's files must not hide the others
            unreadable[name] = str(error)
    return history_of(reports, unfinished=unfinished, unreadable=unreadable)


def _tell(found: "History") -> None:
    from backend_coordinator.nodes import recovery

    open_ = f"; {len(found.unfinished)} unfinished, in no figure" if found.unfinished else ""
    say(f"{found.runs} ended runs, {found.accepted} accepted{open_}")
    for name, why in found.unreadable.items():
        say(f"cannot be read: {name}: {' '.join(why.split())}")
    told = [(m.name, "not measured" if m.value is None else f"{m.value:g} {m.unit}", m.how) for m in found.metrics]
    say("\n" + columns(told))
    say("\n" + columns([recovery.HEADINGS, *recovery.rows(found.recovery)]))
    if found.escalations:
        say("\nescalations: " + ", ".join(f"{kind} {count}" for kind, count in found.escalations.items()))
    say(f"\ncost per accepted run: {_cost(found.cost)}")


def _cost(cost: "Cost | None") -> str:
    if cost is None:
        return "not measured, no run was accepted"
    tokens = "tokens unknown" if cost.tokens is None else f"{cost.tokens:.0f} tokens"
    money = "money unknown" if cost.money is None else f"${cost.money:g}"
    return f"{tokens}, {money}, {cost.seconds:g} s"
