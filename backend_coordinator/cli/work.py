"""The commands that do or direct work: run, resume, decide."""

import sqlite3
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from backend_coordinator.cli.next_steps import command, say_questions
from backend_coordinator.cli.options import (
    Approvals,
    AsJson,
    Ask,
    Base,
    Context,
    Init,
    Model,
    SandboxMode,
    Slots,
    Workspace,
    runs_of,
)
from backend_coordinator.cli.output import say, say_json, tell
from backend_coordinator.cli.signals import STOPPED
from backend_coordinator.errors import BadAnswer, ConfigurationError, Waiting

if TYPE_CHECKING:
    from backend_coordinator.domain.question import Choice, Question
    from backend_coordinator.graph.coordinator import Coordinator, Run
    from backend_coordinator.graph.runs import Runs
    from backend_coordinator.settings import Preset

HERE = Path()


def add_to(app: typer.Typer) -> None:
    """Adds these commands to the command line."""
    for each in (run, resume, decide):
        app.command()(each)


def run(
    objective: Annotated[str, typer.Argument(help='What to build, such as "CRUD API for products with name, price".')],
    workspace: Workspace = HERE,
    init: Init = False,
    model: Model = None,
    base: Base = None,
    slots: Slots = None,
    sandbox: SandboxMode = None,
    ask: Ask = False,
    approval: Approvals = None,
    plan_file: Annotated[
        Path | None, typer.Option("--plan", help="Follow this plan (YAML or JSON, as `plan --out` writes it).")
    ] = None,
    context: Context = None,
    deadline: Annotated[
        str | None, typer.Option("--deadline", help="A day or time (ISO 8601); what fails after it becomes a question.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Carries an objective out: plans, works, inspects, merges into a branch, reports."""
    demand(objective)
    wishes = {"slots": slots, "sandbox": sandbox, "ask": ask}
    coordinator = coordinator_for(workspace, model, init=init, base=base, approval=approval, **wishes)
    handle = coordinator.start(plan_file or objective, objective=objective, context=context or (), deadline=deadline)
    tell(f"run {handle.id}")
    _finish(handle, coordinator.runs.workspace, as_json)


def resume(
    run: Annotated[str, typer.Argument(help="The run's id, as `runs` lists it.")],
    workspace: Workspace = HERE,
    model: Model = None,
    approval: Approvals = None,
    as_json: AsJson = False,
) -> None:
    """Goes on with a run that stopped, was killed, or waited for an answer."""
    from backend_coordinator.graph.coordinator import Run
    from backend_coordinator.graph.readiness import set_preset

    runs = runs_of(workspace, model)
    ended = runs.report(run) is not None
    if approval and not ended:
        set_preset(runs.ledger(run), approval)
    _finish(Run(runs, run), runs.workspace, as_json, quiet=ended)


def decide(
    run: Annotated[str, typer.Argument(help="The run's id.")],
    question: Annotated[str, typer.Argument(help="The question's id.")],
    decision: Annotated[str, typer.Argument(help="One of the question's choices, such as guide or approve.")],
    text: Annotated[str, typer.Option("--text", "-t", help="What to do, or why it may pass.")] = "",
    by: Annotated[str, typer.Option("--by", help="Who decides.")] = "user",
    item: Annotated[list[str] | None, typer.Option("--item", help="waive: only this item; may be repeated.")] = None,
    expires: Annotated[
        datetime | None, typer.Option("--expires", formats=["%Y-%m-%d"], help="waive: the last day it holds.")
    ] = None,
    workspace: Workspace = HERE,
    as_json: AsJson = False,
) -> None:
    """Answers a question of a run, also while another process drives it."""
    from backend_coordinator.domain.question import Answer

    runs = runs_of(workspace)
    ledger = runs.ledger(run)
    asked = _asked(runs, run, question)
    if decision not in asked.choices:
        msg = f"{question} takes {', '.join(asked.choices)}, not {decision!r}"
        raise ConfigurationError(msg)
    choice: Choice = next(choice for choice in asked.choices if choice == decision)
    until = expires.date() if expires else None
    answered = ledger.answer(
        question, Answer(decision=choice, text=text, by=by, items=tuple(item or ()), expires=until)
    )
    if as_json:
        say_json(answered.model_dump(mode="json"))
    else:
        say(f"{question} answered: {decision}. If nobody drives the run: {command(runs.workspace, 'resume', run)}")


def _asked(runs: "Runs", run: str, question: str) -> "Question":
    """The question; one of another run is refused naming that run."""
    try:
        return runs.ledger(run).question(question)
    except BadAnswer:
        for other in runs.ids():
            with suppress(ConfigurationError, sqlite3.DatabaseError):  # one that cannot be read asks nothing either
                if any(asked.id == question for asked in runs.ledger(other).questions()):
                    break
        else:
            raise
        msg = f"{question} is a question of run {other}, not of {run}"
        raise BadAnswer(msg) from None


def coordinator_for(
    workspace: Path,
    model: str | None,
    *,
    init: bool,
    base: str | None,
    approval: "Preset | None" = None,
    **wishes: object,
) -> "Coordinator":
    """The coordinator that the options of a command ask for."""
    from backend_coordinator.graph.coordinator import Coordinator
    from backend_coordinator.nodes.models.resolve import default_model
    from backend_coordinator.nodes.workspace.user_repository import root_of
    from backend_coordinator.settings import load_settings, with_approval

    chosen = model or default_model()
    if chosen == "offline" and model is None:
        tell("no key and no base URL is set: working with the offline model (see --model)")
    asking = dict.fromkeys(("plan", "tools", "dependencies"), "ask") if wishes.pop("ask", False) else {}
    settings = with_approval(load_settings(root_of(workspace)), approval, **asking)
    changes = {name: value for name, value in wishes.items() if value}
    return Coordinator(chosen, workspace, settings=settings.model_copy(update=changes), init=init, base=base)


def _finish(handle: "Run", root: Path, as_json: bool, *, quiet: bool = False) -> None:
    from backend_coordinator.cli.progress import follow

    try:
        follow(handle.events(), quiet=quiet or as_json)
        report = handle.result()
    except Waiting:
        _waiting(handle, root, as_json)
        raise typer.Exit(Waiting.exit_code) from None
    except KeyboardInterrupt:
        handle.stop()
        with suppress(OSError):  # the terminal may be gone
            tell(f"stopped: {command(root, 'resume', handle.id)}")
            if as_json:
                say_json({"run": handle.id, "status": "stopped"})
        raise typer.Exit(STOPPED) from None
    if as_json:
        say_json(report.model_dump(mode="json"))
    else:
        say(f"branch {report.branch}")
        say(f"report {handle.folder / 'report.md'}")
        say(report.summary)
    raise typer.Exit(0 if report.accepted else 1)


def _waiting(handle: "Run", root: Path, as_json: bool) -> None:
    questions = [asked.question for asked in handle.questions]
    if as_json:
        shown = [question.model_dump(mode="json") for question in questions]
        say_json({"run": handle.id, "status": "waiting", "questions": shown})
        return
    say_questions(root, handle.id, questions)


def demand(objective: str) -> None:
    """Refuses an empty objective with ConfigurationError."""
    if not objective.strip():
        msg = "the objective is empty: say what should be built"
        raise ConfigurationError(msg)
