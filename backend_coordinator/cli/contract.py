"""API contracts: what changed between two of them, and whether it breaks those who call the API."""

from pathlib import Path
from typing import Annotated

import typer

from backend_coordinator.cli.options import AsJson
from backend_coordinator.cli.output import say, say_json
from backend_coordinator.errors import ConfigurationError

app = typer.Typer(help="API contracts: OpenAPI 3, Swagger 2.0 and GraphQL type definitions.", no_args_is_help=True)
FORMAT = "backend-coordinator/contract-diff/1"


@app.callback()
def contracts() -> None:
    """Keeps `diff` a command of its own while it is the only one."""


@app.command()
def diff(
    old: Annotated[str, typer.Argument(help="A file, or REVISION:PATH as git knows it.")],
    new: Annotated[str | None, typer.Argument(help="The same; with --base it may be left out.")] = None,
    base: Annotated[str | None, typer.Option("--base", help="Take OLD from this revision.")] = None,
    as_json: AsJson = False,
) -> None:
    """Lists what changed between two contracts; exit code 1 when callers break, 2 when one cannot be read."""
    from backend_coordinator.nodes.gates.contract_diff import contract_changes, read_contract

    if new is None and base is None:
        msg = "give OLD and NEW, or one file and --base REVISION to compare it with what it was"
        raise ConfigurationError(msg)
    first, second = (f"{base}:{old}" if base else old), new or old
    found = contract_changes(*(read_contract(name, _text(name)) for name in (first, second)))
    breaking = any(change.breaking for change in found)
    if as_json:
        listed = [
            {"rule": change.rule, "where": change.where, "message": change.message, "breaking": change.breaking}
            for change in found
        ]
        say_json({"format": FORMAT, "breaking": breaking, "changes": listed})
    else:
        for change in found:
            say(f"{'breaking' if change.breaking else 'info'}  {change.rule}  {change}")
        say(f"{sum(change.breaking for change in found)} breaking changes of {len(found)}")
    raise typer.Exit(1 if breaking else 0)


def _text(name: str) -> str:
    """A file's text, from the disk or from a revision; paths of a revision count from the current folder."""
    if Path(name).exists() or ":" not in name:
        try:
            return Path(name).read_text(encoding="utf-8")
        except (OSError, UnicodeError) as error:
            msg = f"{name} cannot be read: {getattr(error, 'strerror', None) or error}"
            raise ConfigurationError(msg) from error
    from backend_coordinator.nodes.workspace.git import run_git

    revision, _, path = name.partition(":")
    inside = path if path.startswith("/") else f"./{path}"
    shown = run_git("cat-file", "blob", "--end-of-options", f"{revision}:{inside}", cwd=Path())
    if shown.returncode:
        msg = f"{name} cannot be read: git finds no such file at that revision"
        raise ConfigurationError(msg)
    return shown.stdout
