"""The commands on plans: make one, explain it, write it to a file, check one that was edited."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from backend_coordinator.cli.options import AsJson, Base, Context, Init, Model, Workspace, runs_of
from backend_coordinator.cli.output import columns, say, say_json, tell
from backend_coordinator.cli.work import coordinator_for, demand
from backend_coordinator.errors import ConfigurationError

if TYPE_CHECKING:
    from backend_coordinator.domain.plan import Finding
    from backend_coordinator.graph.planning import Planned

HERE = Path()
CHECK = "check"
REFUSED = 1


class _Plan(TyperGroup):
    """What follows `plan` is the objective, unless it is the word that names a command."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # whose class depends on the version of typer
        at = _place_of_check(args)
        if at is not None:
            ctx.allow_interspersed_args = False  # its options, wherever they stand, are the command's
            args = ["", CHECK, *args[:at], *args[at + 1 :]]
        return super().parse_args(ctx, args)


def _place_of_check(args: list[str]) -> int | None:
    """Where the word stands, first or behind nothing but options that it has too; None where it is the objective's."""
    at = 0
    while at < len(args) and args[at] != CHECK:
        word = args[at]
        if word in ("-w", "--workspace"):
            at += 2
        elif word == "--json" or word.startswith(("--workspace=", "-w")):
            at += 1
        else:
            return None
    return at if at < len(args) else None


app = typer.Typer(cls=_Plan, context_settings={"allow_interspersed_args": True})


@app.callback(invoke_without_command=True)
def plan(
    ctx: typer.Context,
    objective: Annotated[str, typer.Argument(help="What to build.")],
    workspace: Workspace = HERE,
    init: Init = False,
    model: Model = None,
    base: Base = None,
    context: Context = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Say why: analysis, stacks, specialists, findings.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option("--out", help="Write it to a file to edit: JSON for .json, else YAML.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Shows the plan for an objective and starts nothing."""
    if ctx.invoked_subcommand:
        return
    demand(objective)
    from backend_coordinator.domain.objective import Objective
    from backend_coordinator.graph.loop import in_loop
    from backend_coordinator.graph.planning import plan_only
    from backend_coordinator.nodes.items import items_of

    runs = coordinator_for(workspace, model, init=init, base=base).runs
    made = in_loop(plan_only(runs, Objective(text=objective, context=items_of(context or ())))).result()
    if out:
        _write(out, made)
        tell(f"written to {out}")
    if as_json:
        say_json({**_shown(made), **(_explained(made) if explain else {})})
    else:
        say("\n".join(_lines(made, explain=explain)))


@app.command(name=CHECK)
def check(
    file: Annotated[Path, typer.Argument(help="A plan in YAML or JSON, as `plan --out` writes it.")],
    workspace: Workspace = HERE,
    as_json: AsJson = False,
) -> None:
    """Says what is wrong with a plan in a file, and what a run would mend; exit code 1 where a run would refuse it."""
    from backend_coordinator.graph.planning import check_file

    given, found = check_file(runs_of(workspace), file)
    sound = not found.refused
    if as_json:
        rows = [{**each.model_dump(mode="json"), "line": given.line(each.task)} for each in found.findings]
        say_json({"sound": sound, "findings": rows})
    else:
        for each in found.findings:
            line = given.line(each.task)
            say(f"{file}:{line}: {_finding(each)}" if line else f"{file}: {_finding(each)}")
        say(f"{len(found.tasks)} tasks, {'sound' if sound else 'refused'}, {len(found.findings) or 'nothing'} found")
    raise typer.Exit(0 if sound else REFUSED)


def _write(out: Path, made: "Planned") -> None:
    from backend_coordinator.nodes.plan_file import written

    text = written(made.compiled.plan, roster=made.roster, analysis=made.analysis, as_json=out.suffix == ".json")
    try:
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        msg = f"{out} cannot be written: {error.strerror}"
        raise ConfigurationError(msg) from error


def _finding(each: "Finding") -> str:
    kind = "remark" if each.remark else "mended" if each.repair else "refused"
    return f"{each.rule}: {kind}: {each}"


def _shown(made: "Planned") -> dict[str, object]:
    made_plan = made.compiled.plan
    shown = {"groups": made_plan.groups, "critical_path": made_plan.critical_path}
    return {**made_plan.model_dump(mode="json"), **shown}


def _explained(made: "Planned") -> dict[str, object]:
    from backend_coordinator.nodes.plan_compiler import reasons

    return {
        "answers": made.analysis.answers,
        "stacks": [stack.model_dump(mode="json", exclude_defaults=True) for stack in made.facts.stacks],
        "reasons": reasons(made.compiled.plan, made.roster, made.facts),
        "findings": [each.model_dump(mode="json") for each in made.compiled.findings],
        "covered": _covered(made),
    }


def _covered(made: "Planned") -> dict[str, list[str]]:
    tasks = made.compiled.plan.tasks
    return {name: [task.id for task in tasks if name in task.covers] for name in made.analysis.answers}


def _lines(made: "Planned", *, explain: bool) -> Iterator[str]:
    tasks = made.compiled.plan.tasks
    yield columns([(t.id, t.specialist, t.title, f"needs {', '.join(t.needs)}" if t.needs else "") for t in tasks])
    yield f"groups: {' | '.join(', '.join(group) for group in made.compiled.plan.groups)}"
    yield f"critical path: {' -> '.join(made.compiled.plan.critical_path)}"
    if explain:
        yield from _explanation(made)


def _explanation(made: "Planned") -> Iterator[str]:
    from backend_coordinator.nodes.plan_compiler import reasons

    covered = _covered(made)
    stacks = [
        f"{stack.root or 'top'}: {', '.join((stack.language, *stack.frameworks))}: {stack.specialist}, {stack.reason}"
        for stack in made.facts.stacks
    ]
    why = reasons(made.compiled.plan, made.roster, made.facts)
    sections = {
        "answers": [f"{n}: {text} ({', '.join(covered[n])})" for n, text in made.analysis.answers.items()],
        "stacks": stacks,
        "specialists": [f"{task.id} {task.specialist}: {why[task.id]}" for task in made.compiled.plan.tasks],
        "findings": [_finding(each) for each in made.compiled.findings],
    }
    for title, rows in sections.items():
        yield f"{title}:"
        yield "\n".join(f"  {' '.join(row.split())}" for row in rows) or "  none"
