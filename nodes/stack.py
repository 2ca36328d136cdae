"""Which packages and services a repository has, and who of the roster writes their code."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence

import yaml

from backend_coordinator.domain.context import ContextKind
from backend_coordinator.domain.objective import RepositoryFacts, Stack
from backend_coordinator.domain.roster import Roster
from backend_coordinator.nodes import frameworks as known
from backend_coordinator.nodes.choice import choose
from backend_coordinator.nodes.declared import table
from backend_coordinator.nodes.gates.files import is_test
from backend_coordinator.nodes.kinds import kind_of
from backend_coordinator.nodes.units import Unit, family_of, units
from backend_coordinator.nodes.workspace.trees import Tree

MOST = 20
"""Stacks of one repository."""
_MOST_NAMED = 10
"""Contract files that one of them names."""
_SIGNS = {
    "prisma": re.compile(r"(?:^|/)schema\.prisma$"),
    "alembic": re.compile(r"(?:^|/)alembic\.ini$"),
    "flyway": re.compile(r"(?:^|/)db/migration/V[\w.]+__\w+\.sql$"),
    "liquibase": re.compile(r"(?:^|/)db/changelog/"),
    "activerecord": re.compile(r"(?:^|/)db/migrate/\d+_\w+\.rb$"),
    "golang-migrate": re.compile(r"(?:^|/)migrations?/\d+_[\w-]+\.up\.sql$"),
}
_BUILT_IN = {"Go": "go test", "Rust": "cargo test"}
_PROVIDER = re.compile(r"\bdatasource\s+\w+\s*\{[^}]*?\bprovider\s*=\s*\"(\w+)\"")
_COMPOSE = re.compile(r"(?:docker-)?compose(?:\.[\w.-]+)?\.ya?ml")
_IMAGES = {
    "postgres": "postgresql", "postgresql": "postgresql", "postgis": "postgresql", "mysql": "mysql",
    "mariadb": "mariadb", "mongo": "mongodb",
}  # fmt: skip


def stacks(tree: Tree, roster: Roster, found: Sequence[Unit] | None = None) -> tuple[Stack, ...]:
    """Every package or service of the repository, the shallowest first and at most 20.

    A folder with a manifest and code in its language is one; a manifest that only lists members or tools is none.
    `found` are its units where they are known.
    """
    return tuple(_stack(tree, unit, roster) for unit in (units(tree) if found is None else found)[:MOST])


def expert_for(facts: RepositoryFacts, writes: Sequence[str] = ()) -> Stack | None:
    """The stack in which most of `writes` lie, the deepest root first; without any the first that has a specialist."""
    places = Counter(place for glob in writes if (place := _place(facts.stacks, glob)) is not None)
    if places:
        return max(places, key=lambda stack: (places[stack], len(stack.root)))
    return next((stack for stack in facts.stacks if stack.specialist), next(iter(facts.stacks), None))


def _place(found: Sequence[Stack], glob: str) -> Stack | None:
    """The deepest stack that holds `glob`, of two in one folder that of its language."""
    path = glob.removeprefix("./").strip("/")
    around = [stack for stack in found if not stack.root or f"{path}/".startswith(f"{stack.root}/")]
    deepest = [stack for stack in around if len(stack.root) == max(len(each.root) for each in around)]
    family = family_of(path)
    fitting = (stack for stack in deepest if stack.language in known.FAMILIES.get(family or "", {}).values())
    return next(fitting, next(iter(deepest), None))


def _stack(tree: Tree, unit: Unit, roster: Roster) -> Stack:
    specialist, reason = choose(tree, unit, roster)
    declared = known.meant(known.MIGRATIONS, unit.names) or known.meant(known.MIGRATIONS, unit.all_names)
    migration = next(iter(declared), None) or _by_files(unit)
    contracts = (path for path in unit.files if kind_of(path) is ContextKind.API_CONTRACT)
    return Stack(
        root=unit.root,
        language=unit.language,
        frameworks=tuple(known.meant({**known.SERVERS, **known.GRAPHQL, **known.INTERFACES}, unit.names)),
        package_manager=unit.manager,
        test_runner=_runner(unit),
        databases=_databases(tree, unit, migration),
        migration_tool=migration,
        contracts=tuple(sorted(contracts)[:_MOST_NAMED]),
        specialist=specialist,
        reason=reason,
    )


def _by_files(unit: Unit) -> str | None:
    """The migration tool that leaves such files."""
    return next((tool for tool, sign in _SIGNS.items() if any(sign.search(path) for path in unit.files)), None)


def _runner(unit: Unit) -> str | None:
    declared = known.meant(known.RUNNERS, unit.all_names) or known.meant(known.RUNNERS, unit.around)
    if declared or unit.family in _BUILT_IN:
        return next(iter(declared), _BUILT_IN.get(unit.family))
    names = [path.rpartition("/")[2] for path in unit.files if is_test(path) and path.endswith(".py")]
    if any(name in {"pytest.ini", "conftest.py"} for name in names):
        return "pytest"
    if names:
        return "django" if "django" in known.meant(known.SERVERS, unit.names) else "unittest"
    return None


def _databases(tree: Tree, unit: Unit, migration: str | None) -> tuple[str, ...]:
    """What the drivers and the Prisma schema name; where only an ORM is declared, the images that are composed."""
    found = set(known.meant(known.DATABASES, unit.names))
    for path in (path for path in unit.files if path.endswith(".prisma")):
        found.update(_PROVIDER.findall(re.sub(r"//.*", "", tree.read(path) or "")))
    if not found - {"redis"} and migration:
        found |= set(_images(tree, unit))
    return tuple(sorted(found))


def _images(tree: Tree, unit: Unit) -> Iterator[str]:
    for path in tree.files:
        folder, _, name = path.rpartition("/")
        if folder in {"", unit.root} and _COMPOSE.fullmatch(name):
            try:
                services = table(yaml.safe_load(tree.read(path) or ""), "services")
            except (yaml.YAMLError, RecursionError, ValueError):
                continue
            images = (str(table(service).get("image", "")).partition(":")[0] for service in services.values())
            yield from (what for image in images if (what := _IMAGES.get(image.rpartition("/")[2])))
