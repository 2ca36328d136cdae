"""Which context kind a workspace file has: decided by where it lies, never by a model."""

from backend_coordinator.domain.context import ContextKind as Kind
from backend_coordinator.domain.plan import Task
from backend_coordinator.domain.roster import Specialist
from backend_coordinator.nodes.tools.paths import matches

_RULES: tuple[tuple[Kind, tuple[str, ...]], ...] = (
    (
        Kind.API_CONTRACT,
        ("**/openapi*.yaml", "**/openapi*.yml", "**/openapi*.json", "**/*.graphql", "**/*.graphqls", "**/*.proto"),
    ),
    (
        Kind.DATABASE_SCHEMA,
        ("**/migrations/**", "**/alembic/**", "**/*.sql", "**/schema.prisma", "**/docs/schema.md"),
    ),
    (
        Kind.DEVOPS_CONFIGURATION,
        ("**/Dockerfile*", "**/docker-compose*", "**/.github/**", "**/k8s/**", "**/helm/**", "**/*.tf"),
    ),
    (Kind.FRONTEND_MARKUP, ("**/*.html", "**/*.css", "**/*.scss", "**/*.jsx", "**/*.tsx", "**/*.vue")),
    (
        Kind.TECHNOLOGY_STACK,
        ("**/pyproject.toml", "**/requirements*.txt", "**/package.json", "**/pom.xml", "**/build.gradle*",
         "**/setup.cfg", "**/setup.py", "**/.gitignore"),
    ),
    (Kind.DOCUMENTATION, ("**/*.md", "**/*.rst", "**/docs/**")),
)  # fmt: skip

UNIVERSAL = frozenset({Kind.TECHNOLOGY_STACK, Kind.SECURITY_REQUIREMENT})


def kind_of(path: str) -> Kind:
    """The kind of a posix path; code and whatever no rule names is a code pattern."""
    for kind, patterns in _RULES:
        if any(matches(path, pattern) for pattern in patterns):
            return kind
    return Kind.CODE_PATTERN


def rule_for(specialist: Specialist, kind: Kind) -> tuple[bool, str]:
    """Whether a specialist sees a kind, and by which rule: deny beats allow, what no list names is withheld."""
    if kind in specialist.never_sees:
        return False, f"{specialist.name} never sees {kind}"
    if kind in UNIVERSAL:
        return True, f"everybody sees {kind}"
    if kind in specialist.sees:
        return True, f"{specialist.name} sees {kind}"
    return False, f"{kind} is in neither list of {specialist.name}"


def sees_path(specialist: Specialist, task: Task, path: str) -> bool:
    """Whether tools show a path: its kind is seen, or the task itself writes it."""
    return rule_for(specialist, kind_of(path))[0] or any(matches(path, glob) for glob in task.writes)
