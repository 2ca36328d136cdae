"""The command that says what a specialist, a consulted peer or the coordinator was told, and what was withheld."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from backend_coordinator.cli.options import AsJson, Workspace, runs_of
from backend_coordinator.cli.output import columns, say, say_json
from backend_coordinator.errors import ConfigurationError, DamagedRun

if TYPE_CHECKING:
    from backend_coordinator.domain.context import ContextManifest, ManifestEntry

HERE = Path()


def add_to(app: typer.Typer) -> None:
    """Adds this command to the command line."""
    app.command("explain-context")(explain_context)


def explain_context(
    run: Annotated[str, typer.Argument(help="The run's id.")],
    task: Annotated[str, typer.Argument(help="A task's id, or a call such as coordinator-analysis.")],
    attempt: Annotated[int | None, typer.Option("--attempt", min=1, help="Default: the newest attempt.")] = None,
    workspace: Workspace = HERE,
    as_json: AsJson = False,
) -> None:
    """Says which items a task's specialist was told and which not, by which rule, and how many tokens they took."""
    from backend_coordinator.settings import Settings

    here = runs_of(workspace)
    place = here.place(run)
    name, manifest = _manifest(place, run, task, attempt)
    paths = Settings.model_validate_json(here.ledger(run).noted("settings") or "{}").paths
    if as_json:
        rules = {glob: kind.value for glob, kind in paths.items()}
        say_json(
            {"run": run, "name": name, **manifest.model_dump(mode="json"), "tokens": manifest.tokens, "paths": rules}
        )
        return
    say(f"{name}: told to {manifest.specialist}")
    rows = [(_fate(entry), entry.kind, entry.source, str(entry.tokens), entry.rule) for entry in manifest.entries]
    say(columns([("item", "kind", "source", "tokens", "rule"), *rows]) if rows else "no items")
    fates = [_fate(entry) for entry in manifest.entries]
    counts = ", ".join(f"{fates.count(fate)} {fate}" for fate in ("included", "digest", "withheld"))
    say(f"{counts}; {manifest.tokens} tokens of items" + (f", {manifest.packet} of the packet" * bool(manifest.packet)))
    for glob, kind in paths.items():
        say(f"[paths] {glob} is {kind}")


def _fate(entry: "ManifestEntry") -> str:
    return "digest" if entry.digest else "included" if entry.included else "withheld"


def _manifest(place: Path, run: str, task: str, attempt: int | None) -> tuple[str, "ContextManifest"]:
    """The manifest of that name, of the attempt or the newest one.

    Raises ConfigurationError where there is none, DamagedRun for one that cannot be read.
    """
    there = sorted((path.stem for path in (place / "manifests").glob("*.json")), key=_in_order)
    attempts = [name for name in there if re.fullmatch(re.escape(task) + r"-\d+", name)]
    wanted = f"{task}-{attempt}" if attempt else attempts[-1] if attempts else task
    if wanted not in there:
        msg = f"run {run} has no manifest of {wanted}; it has: {', '.join(there) or 'none yet'}"
        raise ConfigurationError(msg)
    from backend_coordinator.domain.context import ContextManifest

    path = place / "manifests" / f"{wanted}.json"
    try:
        return wanted, ContextManifest.model_validate_json(path.read_bytes())
    except ValueError as error:
        msg = f"{path} is damaged: restore it from a backup"
        raise DamagedRun(msg) from error


def _in_order(name: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]
