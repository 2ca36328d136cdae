"""The commands on the roster: who there is, what each one may do, and what is wrong in their files."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from backend_coordinator.cli.options import AsJson, Workspace
from backend_coordinator.cli.output import columns, say, say_json

if TYPE_CHECKING:
    from backend_coordinator.domain.roster import Roster, Specialist
    from backend_coordinator.prompts.importer import Imported

app = typer.Typer(help="The specialists: the packaged ones and the workspace's own.", no_args_is_help=True)
HERE = Path()
ROLES = ("specialist", "consultant", "external")
Row = tuple[str, ...]


@app.command(name="list")
def list_(workspace: Workspace = HERE, as_json: AsJson = False) -> None:
    """Lists everybody who works, answers questions or stands outside the department."""
    members = sorted(roster_of(workspace).specialists, key=lambda member: ROLES.index(member.role))
    if as_json:
        say_json([m.model_dump(mode="json", include={"name", "role", "aliases", "description"}) for m in members])
    else:
        say(columns([(m.name, m.role, m.description, ", ".join(m.aliases)) for m in members]))


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="A name or alias, also spelled @python-pro or 'Python Pro'.")],
    prompt: Annotated[bool, typer.Option("--prompt", help="With the text it is given.")] = False,
    workspace: Workspace = HERE,
    as_json: AsJson = False,
) -> None:
    """Shows one member: what it sees, what it may do, whom it asks."""
    roster = roster_of(workspace)
    member = _with_model(roster.get(name), roster, workspace)
    if as_json:
        say_json(_json_of(member, prompt=prompt))
        return
    say(f"{member.name} ({member.role}): {member.description}")
    for title, rows in _sections(roster, member):
        if rows:
            say(f"{title}:")
            say("\n".join(f"  {line}" for line in columns(rows).splitlines()))
    if prompt:
        say(f"prompt:\n{member.prompt}")


@app.command()
def lint(
    folder: Annotated[
        Path | None, typer.Argument(help="A folder that is to extend the roster, beside those of the settings.")
    ] = None,
    workspace: Workspace = HERE,
    as_json: AsJson = False,
) -> None:
    """Looks for mistakes in the specialists' files; exit code 1 where it finds one."""
    from backend_coordinator.nodes.tools.catalogue import lint_with
    from backend_coordinator.prompts.loader import packaged_specialists, read_documents

    packaged = packaged_specialists()
    given = [*_folders(workspace), *([folder.resolve()] if folder else [])]
    folders = [each for each in dict.fromkeys(given) if each != Path(str(packaged)).resolve()]
    findings = lint_with(*folders)
    files = sum(len(read_documents(each)) for each in (packaged, *folders))
    if as_json:
        say_json({"files": files, "findings": [finding._asdict() for finding in findings]})
    else:
        for found in findings:
            say(f"{found.file}:{found.line}: {found.rule}: {found.message}")
        say(f"{len(findings) or 'nothing'} found in {files} files")
    raise typer.Exit(1 if findings else 0)


@app.command(name="import")
def import_(
    folder: Annotated[Path, typer.Argument(help="A folder with agents for Claude Code or opencode, at any depth.")],
    to: Annotated[Path, typer.Option("--to", help="The workspace's folder to write them to.")] = Path("specialists"),
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell; write nothing.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace files that are there.")] = False,
    workspace: Workspace = HERE,
    as_json: AsJson = False,
) -> None:
    """Makes specialists of your own agents and tells what became of each field; exit code 1 where none came."""
    from backend_coordinator.nodes.workspace.user_repository import root_of
    from backend_coordinator.prompts.importer import import_agents, write_agents

    root = root_of(workspace)
    place = (root / to).resolve()
    found = import_agents(folder.resolve(), place, force=force)
    if not dry_run:
        write_agents(found, place)
    if as_json:
        say_json([asdict(one) for one in found])
    else:
        say("\n".join(_told_imports(found)))
        if place not in _folders(workspace):
            say(f'to use them: roster = ["{to.as_posix()}"] in backend-coordinator.toml; then `roster lint`')
    raise typer.Exit(0 if any(one.outcome in {"imported", "the same"} for one in found) else 1)


def _told_imports(found: "tuple[Imported, ...]") -> Iterator[str]:
    for one in found:
        yield f"{one.file}: " + (
            f"imported as {one.name}" if one.outcome == "imported" else f"{one.outcome}, {one.reason}"
        )
        yield from (f"  {each.key}: {each.fate}: {each.text}" for each in one.fields)
        yield from (f"  remark: {remark}" for remark in one.remarks)
    counted = Counter(one.outcome for one in found)
    yield ", ".join(f"{number} {outcome}" for outcome, number in counted.items())


def _folders(workspace: Path) -> list[Path]:
    from backend_coordinator.nodes.workspace.user_repository import root_of
    from backend_coordinator.settings import load_settings

    root = root_of(workspace)
    return [(root / folder).resolve() for folder in load_settings(root).roster]


def roster_of(workspace: Path) -> "Roster":
    """The packaged roster with the workspace's own folders."""
    from backend_coordinator.nodes.tools.catalogue import roster_with

    return roster_with(*_folders(workspace))


def _with_model(member: "Specialist", roster: "Roster", workspace: Path) -> "Specialist":
    """The member with the model that the workspace's settings give it."""
    from backend_coordinator.nodes.context import own_model
    from backend_coordinator.nodes.workspace.user_repository import root_of
    from backend_coordinator.settings import load_settings

    own = own_model(member, roster, load_settings(root_of(workspace)))
    return member.model_copy(update={"model": own})


def _tools(member: "Specialist") -> tuple[list[str], list[str]]:
    """The tools it can call, and those its file grants although there are none."""
    from backend_coordinator.nodes.tools.catalogue import tools_of

    own = tools_of(member)
    return list(own), sorted(member.granted - own.keys())


def _json_of(member: "Specialist", *, prompt: bool) -> dict[str, object]:
    own, missing = _tools(member)
    said = member.model_dump(mode="json", by_alias=True, exclude=set() if prompt else {"prompt"})
    permission = {tool: dict(rules) for tool, rules in member.permission}
    collaborates = dict(member.collaborates_with)
    return {**said, "tools": own, "missing_tools": missing, "permission": permission, "collaborates_with": collaborates}


def _sections(roster: "Roster", member: "Specialist") -> Iterator[tuple[str, list[Row]]]:
    from backend_coordinator.nodes.ladder import rule_of
    from backend_coordinator.nodes.tools.catalogue import weight

    own, missing = _tools(member)
    facts = {
        "aliases": member.aliases,
        "expertise": member.expertise,
        "detected by": member.detects,
        "sees": member.sees,
        "never sees": member.never_sees,
        "tools": own,
        "tools not there": missing,
        "tokens a turn": [f"text {text}, tools {tools}" for text, tools in [weight(member)] if own],
        "model": [member.model or (f"the run's, not {member.model_hint}" if member.model_hint else "the run's")],
        "reports to": [member.reports_to] if member.reports_to else [],
        "notes": member.notes,
    }
    yield "facts", [(title, ", ".join(values)) for title, values in facts.items() if values]
    for tool, rules in member.permission:
        yield f"permission for {tool}", list(rules)
    routes: list[Row] = [
        (f"level {rule_of(r.failure).level:d}", r.failure, " or ".join(_known(roster, to) for to in r.to), r.when)
        for r in member.escalates_to
    ]
    yield "escalates", routes
    yield "collaborates with", [(_known(roster, name), about) for name, about in member.collaborates_with]
    yield "accepts from", [(_known(roster, rule.from_), rule.when) for rule in member.accepts_from]


def _known(roster: "Roster", name: str) -> str:
    """A name as its file has it, with the member behind it where that is another."""
    found = roster.resolve(name) if name in roster else "nobody"
    return name if found == name else f"{name} ({found})"
