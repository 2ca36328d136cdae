"""The gates on any repository, without a model."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from backend_coordinator.cli.next_steps import command
from backend_coordinator.cli.options import AsJson, Workspace, runs_of
from backend_coordinator.cli.output import columns, say, say_json
from backend_coordinator.errors import ConfigurationError

if TYPE_CHECKING:
    from backend_coordinator.domain.verdict import Verdict

app = typer.Typer(
    help="The 40 items of the quality gates, on any repository and without a model.", no_args_is_help=True
)
HERE = Path()


@app.command(name="list")
def list_(as_json: AsJson = False) -> None:
    """Lists the 40 items."""
    from backend_coordinator.nodes.gates.registry import ITEMS

    if as_json:
        say_json([{"id": item.id, "title": item.title, "category": item.category.value} for item in ITEMS])
    else:
        say(columns([(item.id, item.category.value, item.title) for item in ITEMS]))


@app.command()
def check(
    directory: Annotated[Path, typer.Argument(help="The project to look at.")] = HERE,
    base: Annotated[str | None, typer.Option("--base", help="Blame only what changed since this revision.")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="An unknown verdict counts as a failure.")] = False,
    as_json: AsJson = False,
) -> None:
    """Runs the gates on a folder as it is; exit code 1 when an item fails."""
    import asyncio  # loaded when first used, as all that takes time to load

    from backend_coordinator.domain.verdict import Outcome

    if not directory.is_dir():
        msg = f"{directory} is not a folder"
        raise ConfigurationError(msg)
    verdicts = asyncio.run(_inspect(directory.resolve(), base))
    bad = {Outcome.FAIL, Outcome.UNKNOWN} if strict else {Outcome.FAIL}
    if as_json:
        say_json({"verdicts": [verdict.model_dump(mode="json") for verdict in verdicts]})
    else:
        say(columns([(v.id, v.verdict.value.replace("_", " "), " ".join(v.reason.split())) for v in verdicts]))
    raise typer.Exit(1 if any(verdict.verdict in bad for verdict in verdicts) else 0)


@app.command()
def verify(
    run: Annotated[str, typer.Argument(help="The run's id.")],
    workspace: Workspace = HERE,
    as_json: AsJson = False,
) -> None:
    """Repeats the verdicts of a run's report on a fresh checkout; exit code 1 when anything differs."""
    import asyncio

    from backend_coordinator.nodes.gates.verify import verify as repeat

    here = runs_of(workspace)
    report = here.report(run)
    if report is None or not report.verdicts:
        what = "has no report" if report is None else "ended before its tree was inspected"
        msg = f"run {run} {what}: nothing to verify; see {command(here.workspace, 'show', run)}"
        raise ConfigurationError(msg)
    found = asyncio.run(repeat(report, here.place(run), here.workspace))
    if as_json:
        say_json(found.model_dump(mode="json"))
    else:
        for difference in found.differences:
            say(f"{difference.item}: {difference.what}")
        say(f"{found.confirmed} of {found.verdicts} verdicts confirmed, {found.commands} commands repeated")
    raise typer.Exit(1 if found.differences else 0)


async def _inspect(directory: Path, base: str | None) -> "tuple[Verdict, ...]":
    import asyncio

    from backend_coordinator.nodes.gates.inspection import inspect
    from backend_coordinator.nodes.gates.project import MEASURING
    from backend_coordinator.nodes.workspace.environment import build
    from backend_coordinator.nodes.workspace.sandbox import confinement
    from backend_coordinator.nodes.workspace.trees import tree_of_directory
    from backend_coordinator.settings import cache_folder, load_settings

    settings = load_settings(directory)
    with tempfile.TemporaryDirectory() as scratch:
        before, head, changed = await asyncio.to_thread(tree_of_directory, directory, scratch=Path(scratch), base=base)
        services = tuple(sorted(settings.services.items()))
        sandbox = await confinement(settings.sandbox)
        environment = await build(
            head.path,
            cache=cache_folder(),
            sandbox=sandbox,
            services=services,
            tools=MEASURING,
            postgres=settings.postgres,
        )
        return await inspect(before, head, changed, environment, stage="acceptance")
