"""What a repository says about itself, found without a model."""

import re

from backend_coordinator.domain.context import ContextKind
from backend_coordinator.domain.objective import RepositoryFacts
from backend_coordinator.domain.roster import Roster
from backend_coordinator.nodes.gates.files import is_test
from backend_coordinator.nodes.kinds import kind_of
from backend_coordinator.nodes.workspace.trees import Tree

_LANGUAGES = {
    ".py": "Python",
    ".js": "JavaScript",
    ".ts": "TypeScript",
    ".java": "Java",
    ".go": "Go",
    ".sql": "SQL",
}
_FRAMEWORKS = ("fastapi", "django", "flask", "express", "nestjs", "spring-boot")
_MANIFESTS = ("pyproject.toml", "requirements.txt", "setup.py", "package.json", "pom.xml", "build.gradle")
_MOST = 20
_APPLICATION = re.compile(r"^[ \t]*(?:return\s+|\w+(?::[^=\n]*)?\s*=\s*)(?:\w+\.)?FastAPI\(", re.MULTILINE)


def repository_facts(tree: Tree, roster: Roster) -> RepositoryFacts:
    """Languages, frameworks, and the files that decide; each list is sorted and at most 20 long."""
    manifests = [path for path in tree.files if path.rsplit("/", 1)[-1] in _MANIFESTS]
    declared = "\n".join((tree.read(path) or "").lower() for path in manifests)
    suffixes = {path[path.rfind(".") :] for path in tree.files if "." in path}
    kinds = {path: kind_of(path) for path in tree.files}
    return RepositoryFacts(
        languages=tuple(sorted({_LANGUAGES[suffix] for suffix in suffixes & _LANGUAGES.keys()})),
        frameworks=tuple(name for name in _FRAMEWORKS if name in declared),
        manifests=tuple(manifests[:_MOST]),
        contracts=tuple(path for path, kind in kinds.items() if kind is ContextKind.API_CONTRACT)[:_MOST],
        migrations=tuple(path for path, kind in kinds.items() if kind is ContextKind.DATABASE_SCHEMA)[:_MOST],
        applications=_applications(tree)[:_MOST],
        test_directories=tuple(sorted({p.split("tests/")[0] + "tests" for p in tree.files if "tests/" in p}))[:_MOST],
        detected=detected(tree, roster),
    )


def detected(tree: Tree, roster: Roster) -> tuple[str, ...]:
    """Specialists whose `detects` rules hold, framework modes (those with a text rule) before language experts."""
    found = [
        (not any(" in " in rule for rule in member.detects), member.name)
        for member in roster.specialists
        if any(_holds(tree, rule) for rule in member.detects)
    ]
    return tuple(name for _, name in sorted(found))


def _applications(tree: Tree) -> tuple[str, ...]:
    found = [p for p in tree.files if p.endswith(".py") and not is_test(p) and _APPLICATION.search(tree.read(p) or "")]
    return tuple(sorted(found, key=lambda path: (path.count("/"), not path.endswith("main.py"), path)))


def _holds(tree: Tree, rule: str) -> bool:
    text, separator, path = rule.rpartition(" in ")
    for name in tree.files:
        if name.rsplit("/", 1)[-1] == path and (not separator or text.lower() in (tree.read(name) or "").lower()):
            return True
    return False
