"""Which parts of the database schema concern a task: those of its service, or of the tables that it names."""

import re
from collections.abc import Iterable

from backend_coordinator.domain.context import ContextItem, ContextKind
from backend_coordinator.domain.plan import Task

_WORD = re.compile(r"[a-z][a-z0-9_]*")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_IN_ORDER = re.compile(r"\bin order (?:to|that|for)\b")  # which speaks of no table
_SERVICE = re.compile(r"(?:^|[\s/])(?:services|apps|packages|modules)/([\w-]+)/")
_TABLES = tuple(
    re.compile(pattern, re.IGNORECASE | re.MULTILINE)
    for pattern in (
        r"\b(?:create|alter)\s+(?:(?:global|local|temp|temporary|unlogged|foreign|external)\s+){0,2}table\s+"
        r"(?:if\s+(?:not\s+)?exists\s+)?(?:only\s+)?(?:[\"`\[]?\w+[\"`\]]?\.){0,2}[\"`\[]?(\w+)",
        r"^[ \t#*-]*tables?[: ]+[\"`]?(\w+)",
        r"^[ \t#*-]*[\"`]?(\w+)[\"`]?[ \t]*\(",
    )
)
_NO_TABLES = frozenset(["unique", "check", "key", "index", "values", "references", "constraint", "of", "for", "with"])


def out_of_scope(task: Task, items: Iterable[ContextItem]) -> frozenset[ContextItem]:
    """Schema items of other services and tables than the task's (Context Filtering Rules: relevant to this service).

    Where the task names no table or service of theirs, only those in another service's folder than its own; what
    names nothing itself concerns everybody.
    """
    about = {item: _about(item) for item in items if item.kind is ContextKind.DATABASE_SCHEMA}
    wanted = _named_by(task)
    other = frozenset(item for item, names in about.items() if names and wanted.isdisjoint(names))
    if any(names & wanted for names in about.values()):
        return other
    return frozenset(item for item in other if any(is_of_another_service(task, path) for path in _places(item)))


def service_of(path: str) -> str | None:
    """The service in whose folder a path lies, such as billing for services/billing/schema.sql."""
    found = _SERVICE.search(path)
    return found[1].lower() if found else None


def is_of_another_service(task: Task, path: str) -> bool:
    """Whether a path lies in the folder of a service that is not the task's; never where the task names none."""
    return task.service is not None and service_of(path) not in (None, task.service.lower())


def _about(item: ContextItem) -> frozenset[str]:
    services = {name for name in map(service_of, _places(item)) if name}
    tables = {name.lower() for pattern in _TABLES for name in pattern.findall(item.text)}
    return _forms(services | tables - _NO_TABLES)


def _places(item: ContextItem) -> tuple[str, str]:
    return item.source, item.text.partition("\n")[0]


def _named_by(task: Task) -> frozenset[str]:
    """Its words and each two or three neighbours in one, as in `order items`, OrderItem and order_items."""
    requirements = (line for _, lines in task.requirements for line in lines)
    texts = (task.title, task.objective, *requirements, *task.acceptance_criteria, *task.writes, task.service or "")
    names = {task.service.lower()} if task.service else set[str]()
    for text in texts:
        words = _WORD.findall(_IN_ORDER.sub("", _CAMEL.sub(" ", text).lower()))
        for size in (1, 2, 3):
            names.update("".join(words[i : i + size]) for i in range(len(words) - size + 1))
    return _forms(names)


def _forms(names: Iterable[str]) -> frozenset[str]:
    """Each name without underscores, and what its singular may be: addresse and address for addresses."""
    plain = {re.sub("[_-]", "", name) for name in names}
    return frozenset(
        form
        for name in plain
        for form in (name, name.removesuffix("s"), re.sub("(?<=[sxzho])es$", "", name), re.sub("ies$", "y", name))
    )
