"""Which context kind a workspace file has: decided by where it lies, never by a model."""

import re
from collections.abc import Mapping
from functools import lru_cache
from itertools import takewhile
from types import MappingProxyType

from backend_coordinator.domain.context import ContextKind as Kind
from backend_coordinator.domain.plan import Task
from backend_coordinator.domain.roster import Specialist
from backend_coordinator.nodes.scope import is_of_another_service
from backend_coordinator.nodes.tools.paths import matches

PathRules = Mapping[str, Kind]
"""Globs of the settings and the kinds that they give."""
NO_RULES: PathRules = MappingProxyType({})

_DATA = r"\.(?:ya?ml|json)"
_DEFAULTS: tuple[tuple[Kind, str], ...] = (
    (
        Kind.API_CONTRACT,
        rf"(?:openapi|swagger|asyncapi)[^/]*{_DATA}|(?:openapi|contracts)/(?:.*/)?[^/]+{_DATA}"
        r"|[^/]+\.(?:graphqls?|gql|proto|wsdl|raml|avsc)",
    ),
    (
        Kind.DATABASE_ADMINISTRATION,
        r"(?:pg_hba|postgresql|mongod|redis|pgbouncer)\.(?:conf|ini)|my\.cnf|dba/.*|[^/]*(?:backup|restore)[^/]*\.(?:sql|sh)"
        r"|[^/]+\.dump",
    ),
    (
        # Models of an ORM are the existing schema: who writes the code needs them as much as who designs the tables.
        Kind.DATABASE_SCHEMA,
        r"(?:migrations|alembic|db/migrat(?:e|ion)|db/changelog|liquibase|changelogs)/.*|alembic\.ini"
        r"|[^/]+\.(?:sql|prisma|dbml)|models\.py|models/[^/]+\.py|[^/]+\.entity\.[jt]s|db/schema\.rb|docs/schema\.md",
    ),
    (
        Kind.DEVOPS_CONFIGURATION,
        rf"(?:[^/]*\.)?Dockerfile[^/]*|Containerfile|\.dockerignore|(?:docker-)?compose[^/]*\.ya?ml|docker-compose[^/]*"
        r"|(?:\.github|\.circleci|\.buildkite|k8s|kubernetes|helm|terraform|ansible)/.*|\.gitlab-ci[^/]*\.ya?ml"
        rf"|(?:azure|bitbucket)-pipelines{_DATA}|Jenkinsfile|Procfile|(?:skaffold|kustomization|fly|render)\.(?:ya?ml|toml)"
        r"|[^/]+\.(?:tf|tfvars|hcl|bicep)|nginx[^/]*\.conf|nginx/.*",
    ),
    (
        Kind.TECHNOLOGY_STACK,
        r"pyproject\.toml|[^/]*requirements[^/]*\.txt|requirements/[^/]+\.(?:txt|in)|setup\.(?:cfg|py)|Pipfile|package\.json"
        r"|pnpm-workspace\.yaml|tsconfig[^/]*\.json|pom\.xml|(?:build|settings)\.gradle[^/]*|gradle\.properties"
        r"|libs\.versions\.toml|go\.(?:mod|work)|Cargo\.toml|Gemfile|composer\.json|[^/]+\.(?:csproj|fsproj|sln)"
        r"|\.gitignore|\.(?:python|node|ruby|java)-version|\.nvmrc|\.tool-versions",
    ),
    (
        Kind.FRONTEND_MARKUP,
        r"[^/]+\.(?:html?|css|scss|sass|less|jsx|tsx|vue|svelte|astro|ejs|hbs|pug)"
        r"|frontend/.*\.[cm]?[jt]s|src/main/webapp/.*",
    ),
    (Kind.SYSTEM_DESIGN, r"ARCHITECTURE\.(?:md|rst)|(?:adrs?|decisions|architecture)/[^/]+\.(?:md|rst)"),
    (Kind.OPERATIONS, r"runbooks?/.*|RUNBOOK\.(?:md|rst)"),
    (Kind.DOCUMENTATION, r"[^/]+\.(?:md|mdx|rst|adoc)|docs/.*"),
)
"""By layout, the first that fits; what none names is a code pattern, which only those who write code see."""
_FITTING = tuple((kind, re.compile(rf"(?:.*/)?(?:{rule})", re.IGNORECASE | re.DOTALL)) for kind, rule in _DEFAULTS)

_TESTS = tuple(
    map(
        re.compile,
        (
            r"test_(.+)(\.py)",
            r"(.+)_(?:test|spec)(\.(?:py|go|rb))",
            r"(.+)\.(?:test|spec)(\.[cm]?[jt]sx?)",
            r"(.+?)(?:Tests?|IT|Spec)(\.(?:java|kt|cs|scala|php))",
        ),
    )
)
"""Names of tests: what they test, and its suffix."""
_TEST_FOLDERS = frozenset({"tests", "test", "__tests__", "spec"})
_WILD = re.compile(r"[*?\[]")
_LEVELS = frozenset({"unit", "integration", "e2e", "functional", "api"})
"""Folders in a folder of tests that mirror no folder of the code."""

UNIVERSAL = frozenset({Kind.TECHNOLOGY_STACK, Kind.SECURITY_REQUIREMENT, Kind.PERFORMANCE_REQUIREMENT})


def kind_of(path: str, rules: PathRules = NO_RULES) -> Kind:
    """The kind of a posix path: the most specific of `rules` that fits, whatever their order, else by layout."""
    fitting = [glob for glob in rules if matches(path, glob)]
    return rules[max(fitting, key=_rank)] if fitting else _by_layout(path)


def _rank(glob: str) -> tuple[int, int, str]:
    """What puts globs in order, the most specific last: more letters of their own, fewer wildcards."""
    return len(re.sub(r"[*?]", "", glob)), -len(re.findall(r"[*?]", glob)), glob


@lru_cache(maxsize=100_000)
def _by_layout(path: str) -> Kind:
    return next((kind for kind, rule in _FITTING if rule.fullmatch(path)), Kind.CODE_PATTERN)


def rule_for(specialist: Specialist, kind: Kind) -> tuple[bool, str]:
    """Whether a specialist sees a kind, and by which rule: deny beats allow, what no list names is withheld."""
    if kind in specialist.never_sees:
        return False, f"{specialist.name} never sees {kind}"
    if kind in UNIVERSAL:
        return True, f"everybody sees {kind}"
    if kind in specialist.sees:
        return True, f"{specialist.name} sees {kind}"
    return False, f"{kind} is in neither list of {specialist.name}"


def sees_path(specialist: Specialist, task: Task, path: str, rules: PathRules = NO_RULES) -> bool:
    """Whether tools show a path: its kind is seen, or the task itself writes it or what it tests.

    Of the database schema only what is not in another service's folder than the task's.
    """
    kind = kind_of(path, rules)
    elsewhere = kind is Kind.DATABASE_SCHEMA and is_of_another_service(task, path)
    return (
        (rule_for(specialist, kind)[0] and not elsewhere)
        or any(matches(path, glob) for glob in task.writes)
        or any(_tests(path, glob) for glob in task.writes)
    )


def _tests(path: str, glob: str) -> bool:
    """Whether `path` is by its name and place the test of a file that `glob` names.

    It stands beside the file, or in a folder of tests that mirrors the file's folder or is flat; below a folder with
    wildcards only what mirrors that folder counts, and a test of the folder's own name.
    """
    *folder, name = path.split("/")
    test = next((found for each in _TESTS if (found := each.fullmatch(name))), None)
    *written, last = glob.removeprefix("./").strip("/").split("/")
    plain = list(takewhile(lambda part: not _WILD.search(part), written))
    above, below = _around_tests(folder)
    if test is None or plain[: len(above)] != above:
        return False
    wild = len(plain) < len(written) or _WILD.search(last) is not None
    if below == [[]] and wild and plain[-1:] == [test[1]]:
        return True
    end = len(plain) + (not wild) if below else 0
    starts = [plain[:size] for size in range(len(above), max(end, len(above) + 1))]
    return any(matches("/".join((*s, *rest, test[1] + test[2])), glob) for s in starts for rest in below or [[]])


def _around_tests(folder: list[str]) -> tuple[list[str], list[list[str]]]:
    """What stands above the first folder of tests, and what it may mirror below it; nothing where there is none."""
    place = next((place for place, part in enumerate(folder) if part in _TEST_FOLDERS), None)
    if place is None:
        return folder, []
    rest = folder[place + 1 :]
    return folder[:place], [rest, rest[1:]] if rest[:1] and rest[0] in _LEVELS else [rest]
