"""All tools: a new module of tools is named here, and nowhere else."""

import json
from functools import cache

from backend_coordinator.domain.roster import Roster, Specialist
from backend_coordinator.nodes.firewall import estimate_tokens
from backend_coordinator.nodes.permissions.rules import Rules, most_specific, rank
from backend_coordinator.nodes.permissions.urls import deciding
from backend_coordinator.nodes.tools import files, project, protocol, recall, research, todo, web
from backend_coordinator.nodes.tools.paths import matches
from backend_coordinator.nodes.tools.registry import TOOLS, Tool
from backend_coordinator.prompts import specialist_file
from backend_coordinator.prompts.lint import Decides, Finding, lint
from backend_coordinator.prompts.loader import Folder, load_roster, packaged_specialists

MODULES = (files, project, protocol, recall, research, todo, web)


def tools_of(specialist: Specialist) -> dict[str, Tool]:
    """The tools a specialist's file grants, by name."""
    return {name: tool for name, tool in sorted(TOOLS.items()) if name in specialist.granted}


def weight(specialist: Specialist) -> tuple[int, int]:
    """Estimated tokens that each of its turns repeats: of its text, and of its tools' schemas as they are sent."""
    schemas = [tool.schema for tool in tools_of(specialist).values()]
    return estimate_tokens(specialist.prompt), estimate_tokens(json.dumps(schemas, separators=(",", ":")))


def roster_with(*folders: Folder) -> Roster:
    """The packaged roster, extended and overridden by `folders`; its files may switch every tool there is.

    Raises RosterError with file and line.
    """
    return _extended(*folders) if folders else _packaged()


def _extended(*folders: Folder) -> Roster:
    return load_roster(packaged_specialists(), *folders, tools=specialist_file.TOOLS | TOOLS.keys())


@cache  # these files stay as they are, and reading them takes longer than most steps of a run
def _packaged() -> Roster:
    return _extended()


def lint_with(*folders: Folder) -> tuple[Finding, ...]:
    """What is wrong in the packaged roster's files and those of `folders`.

    Raises RosterError for a folder without a specialist's file.
    """
    known = specialist_file.TOOLS | TOOLS.keys()
    return lint(packaged_specialists(), *folders, decides=DECIDES, tools=known)


def _deciding_path(path: str, rules: Rules) -> str | None:
    return max((each for each in rules if matches(path, each)), key=lambda each: rank(each, rules), default=None)


DECIDES: Decides = {
    "bash": lambda text, rules: most_specific(text.split(), rules),
    "read": _deciding_path,
    "edit": _deciding_path,
    "webfetch": lambda text, rules: deciding((text,), rules),
}
