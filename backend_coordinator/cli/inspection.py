"""The commands that look: runs, show, report, graph, doctor."""

import platform
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple

import typer

from backend_coordinator.cli.metrics import recovering
from backend_coordinator.cli.next_steps import command, say_questions
from backend_coordinator.cli.options import AsJson, Model, Workspace, runs_of
from backend_coordinator.cli.output import columns, say, say_json
from backend_coordinator.errors import ConfigurationError, CoordinatorError, DamagedRun

if TYPE_CHECKING:
    from backend_coordinator.domain.base import Value
    from backend_coordinator.graph.runs import Runs

HERE = Path()
RunId = Annotated[str, typer.Argument(help="The run's id.")]


class Fare(NamedTuple):
    """A model string, None where none could be chosen, and whether and why it can or cannot be used."""

    model: str | None
    usable: bool
    why: str


def add_to(app: typer.Typer) -> None:
    """Adds these commands to the command line."""
    app.add_typer(listing, name="runs")
    for each in (show, report, graph, doctor):
        app.command()(each)


listing = typer.Typer()


@listing.callback(invoke_without_command=True)
def runs(context: typer.Context, workspace: Workspace = HERE, as_json: AsJson = False) -> None:
    """Lists the workspace's runs; `prune` frees what they take."""
    if context.invoked_subcommand:
        return
    here = runs_of(workspace)
    rows = [_row(here, run) for run in here.ids()]
    if as_json:
        say_json({"runs": rows})
    elif rows:
        say(columns([[" ".join(cell.split()) for cell in row.values()] for row in rows]))
    else:
        say("no runs yet")


@listing.command()
def prune(
    run: Annotated[list[str] | None, typer.Argument(help="Only these runs.")] = None,
    older_than: Annotated[float, typer.Option("--older-than", min=0, help="Days since the run ended.")] = 0,
    delete: Annotated[
        bool, typer.Option("--delete", help="Remove whole runs, named ones also where they have not ended.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be freed.")] = False,
    workspace: Workspace = HERE,
    as_json: AsJson = False,
) -> None:
    """Frees what ended runs keep only to be resumed: checkpoints, checkouts, cached verdicts. Branches stay."""
    from backend_coordinator.graph.prune import prune

    found = list(prune(runs_of(workspace), run or (), older_than=older_than, delete=delete, dry_run=dry_run))
    freed = sum(each.bytes for each in found)
    if as_json:
        say_json({"runs": [each.model_dump(mode="json") for each in found], "bytes": freed, "dry_run": dry_run})
        return
    for each in found:
        say(f"{each.run}  {f'kept: {each.kept}' if each.kept else f'{each.bytes} bytes'}")
    say(f"{'would free' if dry_run else 'freed'} {freed} bytes")


def show(
    run: RunId,
    workspace: Workspace = HERE,
    full: Annotated[bool, typer.Option("--full", help="Cut no text.")] = False,
    as_json: AsJson = False,
) -> None:
    """Tells a run's story, task by task: attempts, verdicts, who was asked what, what was answered and changed."""
    from backend_coordinator.cli.story import story_of, told_as_json
    from backend_coordinator.cli.telling import told
    from backend_coordinator.nodes.costs import HEADINGS, calls_in, remarks, rows, shares, spent
    from backend_coordinator.nodes.progress import progress_of
    from backend_coordinator.nodes.recovery import recovery_of

    here = runs_of(workspace)
    ledger = here.ledger(run)
    status, dated, objective = status_of(here, run), ledger.dated_events(), ledger.noted("objective") or ""
    story = story_of(dated)
    recovery, progress = recovery_of(event for _, event in dated), progress_of(event for _, event in dated)
    calls, took = calls_in(ledger), spent(ledger)
    if as_json:
        asked = [question.model_dump(mode="json") for question in ledger.questions()]
        events = [{"at": at, **event.model_dump(mode="json")} for at, event in dated]
        by = {"all": took.total, "coordination": took.coordination, "work": took.work, **shares(calls)}
        usage = {name: used.model_dump(mode="json") for name, used in by.items()}
        head = {"run": run, "status": status, "objective": objective, "usage": usage}
        came = {"recovery": _dumped(recovery), "progress": _dumped(progress)}
        say_json({**head, "tasks": told_as_json(story), **came, "questions": asked, "events": events})
        return
    say(f"run {run}: {status}\nobjective: {' '.join(objective.split())}")
    for text in told(story, full=full):
        say(text)
    if calls:
        say("\n" + "\n".join((columns([HEADINGS, *rows(calls, took)]), *remarks(calls, took.total))))
    for text in recovering(recovery, progress):
        say(f"\n{text}")
    if questions := ledger.open_questions():
        say_questions(here.workspace, run, questions)
    elif status == "unfinished":
        say(f"\nif no process drives it: {command(here.workspace, 'resume', run)}")


def _dumped(values: "Iterable[Value]") -> list[object]:
    return [value.model_dump(mode="json") for value in values]


def report(
    run: RunId,
    workspace: Workspace = HERE,
    format_: Annotated[Literal["markdown", "json"], typer.Option("--format", help="How to print it.")] = "markdown",
    as_json: AsJson = False,
) -> None:
    """Prints a run's report; exit code 1 where the run was not accepted."""
    here = runs_of(workspace)
    found = here.report(run)
    if found is None:
        msg = f"run {run} has no report yet, it is {status_of(here, run)}: {command(here.workspace, 'show', run)}"
        raise ConfigurationError(msg)
    if as_json or format_ == "json":
        say_json(found.model_dump(mode="json"))
    else:
        say((here.place(run) / "report.md").read_text(encoding="utf-8").rstrip())
    raise typer.Exit(0 if found.accepted else 1)


def graph(
    xray: Annotated[bool, typer.Option("--xray", help="Show each specialist's gates and the four levels.")] = False,
    as_json: AsJson = False,
) -> None:
    """Prints the graph as Mermaid text."""
    from backend_coordinator.graph.drawing import mermaid

    text = mermaid(xray=xray)
    if as_json:
        say_json({"mermaid": text})
    else:
        say(text)


def doctor(workspace: Workspace = HERE, model: Model = None, as_json: AsJson = False) -> None:
    """Says what this machine offers a run, and whether its models answer; exit code 2 where one does not."""
    findings = {"python": platform.python_version(), **_git(), **_sandbox(), **_installer()}
    models = _models(workspace, model)
    if as_json:
        say_json({**findings, **{what: each._asdict() for what, each in models.items()}})
    else:
        told = {what: f"{each.model}: {each.why}" if each.model else each.why for what, each in models.items()}
        say(columns([*findings.items(), *told.items()]))
    if not all(each.usable for each in models.values()):
        raise typer.Exit(ConfigurationError.exit_code)


def status_of(runs: "Runs", run: str) -> str:
    """accepted, not accepted, waiting, or unfinished."""
    if (report := runs.report(run)) is not None:
        return "accepted" if report.accepted else "not accepted"
    return "waiting" if runs.ledger(run).open_questions() else "unfinished"


def _row(runs: "Runs", run: str) -> dict[str, str]:
    row = {"run": run, "status": "unreadable", "objective": "", "reason": ""}
    try:
        row["objective"] = runs.ledger(run).noted("objective") or ""
        row["status"] = status_of(runs, run)
    except ConfigurationError as error:  # one run's files must not hide the others
        row["reason"] = str(error)
        if isinstance(error, DamagedRun):
            row["status"] = "damaged"
    return row


def _git() -> dict[str, str]:
    from backend_coordinator.nodes.workspace.git import require_git

    try:
        require_git()
    except CoordinatorError as error:
        return {"git": str(error)}
    return {"git": shutil.which("git") or "found"}


def _sandbox() -> dict[str, str]:
    import asyncio

    from backend_coordinator.nodes.workspace.sandbox import probe

    found = asyncio.run(probe("auto"))
    return {"sandbox": found.level, "sandbox holds": found.holds, "sandbox advice": found.advice}


def _installer() -> dict[str, str]:
    return {"installer": "uv" if shutil.which("uv") else "pip (uv on the PATH would be faster)"}


def _models(workspace: Path, model: str | None) -> dict[str, Fare]:
    """The model a run in this workspace would have, those of members that have their own, and how each one fares."""
    from backend_coordinator.graph.loop import in_loop
    from backend_coordinator.nodes.context import own_models
    from backend_coordinator.nodes.models.resolve import default_model, resolve_model
    from backend_coordinator.nodes.tools.catalogue import roster_with
    from backend_coordinator.nodes.try_models import demand_answer
    from backend_coordinator.nodes.workspace.user_repository import root_of
    from backend_coordinator.settings import load_settings

    def fare(name: str) -> Fare:
        try:
            why = in_loop(demand_answer(resolve_model(name, settings.model), settings.model)).result()
        except CoordinatorError as error:
            return Fare(name, False, str(error))
        return Fare(name, True, why)

    try:
        root = root_of(workspace)
        settings = load_settings(root)
        own = own_models(roster_with(*(root / folder for folder in settings.roster)), settings)
        named = {"model": model or default_model(), **{f"model of {name}": each for name, each in own.items()}}
    except CoordinatorError as error:
        return {"model": Fare(model, False, str(error))}
    return {what: fare(name) for what, name in named.items()}
