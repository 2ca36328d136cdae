"""What a repository says about itself, found without a model."""

import re
from pathlib import PurePosixPath

from backend_coordinator.domain.context import ContextKind
from backend_coordinator.domain.objective import RepositoryFacts, Stack
from backend_coordinator.domain.roster import Roster
from backend_coordinator.nodes.choice import holding
from backend_coordinator.nodes.frameworks import FAMILIES, GENERALIST
from backend_coordinator.nodes.kinds import kind_of
from backend_coordinator.nodes.stack import MOST, stacks
from backend_coordinator.nodes.units import Unit, applications, manifest_family, units
from backend_coordinator.nodes.workspace.trees import Tree

_LANGUAGES = {suffix: name for family in FAMILIES.values() for suffix, name in family.items()} | {".sql": "SQL"}
_MIGRATION = re.compile(r"(?:.*/)?(?:migrations?|migrate|alembic|changelogs?|liquibase)/.*|.*\.sql")
_TESTS = re.compile(r"((?:.*?/)??tests)/")


def repository_facts(tree: Tree, roster: Roster) -> RepositoryFacts:
    """Languages, frameworks, and the files that decide; each list is at most 20 long."""
    found = units(tree)
    known = stacks(tree, roster, found)
    suffixes = {PurePosixPath(path).suffix for path in tree.files}
    kinds = {path: kind_of(path) for path in tree.files}
    schema = (path for path, kind in kinds.items() if kind is ContextKind.DATABASE_SCHEMA)
    return RepositoryFacts(
        languages=tuple(sorted({_LANGUAGES[suffix] for suffix in suffixes & _LANGUAGES.keys()})),
        frameworks=tuple(dict.fromkeys(name for stack in known for name in stack.frameworks))[:MOST],
        manifests=tuple(path for path in tree.files if manifest_family(path))[:MOST],
        contracts=tuple(path for path, kind in kinds.items() if kind is ContextKind.API_CONTRACT)[:MOST],
        migrations=tuple(path for path in schema if _MIGRATION.fullmatch(path))[:MOST],
        applications=applications(tree, tree.files)[:MOST],
        test_directories=tuple(sorted({each[1] for each in map(_TESTS.match, tree.files) if each}))[:MOST],
        detected=_detected(tree, roster, found, known),
        stacks=known,
    )


def _detected(tree: Tree, roster: Roster, found: tuple[Unit, ...], known: tuple[Stack, ...]) -> tuple[str, ...]:
    """Who the stacks name, then those whose `detects` rules hold in a unit, rules about a dependency first."""
    named = [stack.specialist for stack in known if stack.specialist and stack.specialist != GENERALIST]
    rules = [(m.name, rule) for m in roster.specialists for unit in found for rule in holding(tree, unit, m)]
    rules.sort(key=lambda each: (" in " not in each[1], each[0]))
    return tuple(dict.fromkeys([*named, *(name for name, _ in rules)]))
