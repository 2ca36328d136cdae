"""Who of the roster writes a package's code, and the fact that says so."""

import re
from collections.abc import Iterator, Mapping

from backend_coordinator.domain.roster import Roster, Specialist
from backend_coordinator.nodes.declared import parser_of
from backend_coordinator.nodes.frameworks import (
    EXPERTS,
    GENERALIST,
    GRAPHQL,
    GRAPHQL_EXPERT,
    INTERFACES,
    MODES,
    REST,
    SERVERS,
    meant,
)
from backend_coordinator.nodes.units import Names, Unit
from backend_coordinator.nodes.workspace.manifest import normal
from backend_coordinator.nodes.workspace.trees import Tree

_OURS = frozenset({*EXPERTS.values(), *MODES.values(), GRAPHQL_EXPERT, GENERALIST})

Choice = tuple[str | None, str]
"""A specialist's name, or None where it is not the backend's work, and the reason."""


def choose(tree: Tree, unit: Unit, roster: Roster) -> Choice:
    """Who writes the unit's code and why: a framework's mode before the language's expert (Backend Specialist Roster).

    A specialist of the user's whose `detects` names a dependency comes before all, one that names a file before the
    language's expert. Where the roster has nobody for it, the reason says so.
    """
    found = (choice for choice in _choices(tree, unit, roster) if choice[0] is None or _writes(roster, choice[0]))
    return next(found, (None, f"nobody in the roster writes {unit.language}"))


def holding(tree: Tree, unit: Unit, member: Specialist) -> Iterator[str]:
    """The member's `detects` rules that hold in the unit; a rule about a manifest means a name declared in it."""
    for rule in member.detects:
        word, separator, name = rule.rpartition(" in ")
        there = [path for path in (*unit.files, *unit.manifests) if path.rpartition("/")[2] == name]
        names = unit.names if member.name in _OURS else unit.all_names
        if there and (not separator or any(_says(tree, names, path, word.lower()) for path in there)):
            yield rule


def _says(tree: Tree, names: Names, path: str, word: str) -> bool:
    if parser_of(path):
        wanted = {word, normal(word)}
        return any(path in where and wanted & {name, name.rpartition(":")[2]} for name, where in names.items())
    return re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", (tree.read(path) or "").lower()) is not None


def _choices(tree: Tree, unit: Unit, roster: Roster) -> Iterator[Choice]:
    """All that could be chosen, the most telling first."""
    rules = [(m.name, rule) for m in roster.specialists if m.name not in _OURS for rule in holding(tree, unit, m)]
    yield from ((name, f"{rule}, as {name} says") for name, rule in rules if " in " in rule)
    servers, graphql = meant(SERVERS, unit.names), meant(GRAPHQL, unit.names)
    for framework in servers:
        if framework in MODES:
            yield MODES[framework], _reason(unit, {framework: servers[framework]})
    if graphql and not meant(REST, unit.names):
        yield GRAPHQL_EXPERT, _reason(unit, graphql)
    if manage := next((path for path in unit.files if path.rpartition("/")[2] == "manage.py"), None):
        yield MODES["django"], manage
    yield from ((name, f"{rule}, as {name} says") for name, rule in rules if " in " not in rule)
    shown = {**servers, **graphql}
    if unit.family == "Node" and not shown and (interface := meant(INTERFACES, unit.names)):
        yield None, f"{_reason(unit, interface)}; the frontend's work"
    told = _reason(unit, shown) if shown else _plain(unit)
    if unit.family in EXPERTS:
        yield EXPERTS[unit.family], told
    yield GENERALIST, f"{told}; the roster has no expert for {unit.language}"


def _reason(unit: Unit, shown: Mapping[str, str]) -> str:
    what, name = next(iter(shown.items()))
    return f"{what if what in name else name} in {unit.names[name][0]}"


def _plain(unit: Unit) -> str:
    if unit.problems:
        return f"{unit.problems[0]}; it is {unit.family}"
    if unit.manifests:
        return f"no framework; {unit.manifests[0]} is {unit.family}"
    return f"no manifest; {unit.code} files of code are {unit.language}"


def _writes(roster: Roster, name: str) -> bool:
    return name in roster and roster.get(name).writes_code
