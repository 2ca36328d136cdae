"""Checks of API versioning."""

import ast
import re
from collections.abc import Iterator
from operator import attrgetter

from backend_coordinator.domain.verdict import Finding, Verdict
from backend_coordinator.errors import ConfigurationError
from backend_coordinator.nodes.gates.application import Application, described, undescribed
from backend_coordinator.nodes.gates.breaking_graphql import graphql_breaks
from backend_coordinator.nodes.gates.contract_diff import contract_changes
from backend_coordinator.nodes.gates.evidence import fails, introduced, not_applicable, passes, unknown
from backend_coordinator.nodes.gates.openapi import Document
from backend_coordinator.nodes.gates.registry import check
from backend_coordinator.nodes.gates.source import parse
from backend_coordinator.nodes.gates.swagger import swagger_contracts
from backend_coordinator.nodes.gates.syntax import called
from backend_coordinator.nodes.stopping import in_thread
from backend_coordinator.nodes.workspace.environment import Environment
from backend_coordinator.nodes.workspace.trees import Tree

# Two or three numbers, or a date as some large APIs have it.
_VERSION = re.compile(r"v?(\d+)(?:[.-](\d+))?(?:[.-](\d+))?(?:[-+][\w.+-]+)?")
_DEFAULT = "0.1.0"
_FIRST_YEAR = 1900


@check("A7")
async def versions_tell_breaking_changes(
    base: Tree | None, head: Tree, changed: frozenset[str], environment: Environment
) -> Verdict:
    """The API has a version, shows how an incompatible one is reached, and steps it when callers can break.

    A break is an operation, a field or a kind of value that is gone, or something newly required. It takes a new
    major version, before 1.0.0 a new minor one. Source: API design, versioning strategy clear; Semantic Versioning
    2.0.0, rules 4 and 8.
    """
    app, documents = await _described(head, environment)
    findings, unclear = list(_unversioned(documents, app, head)), []
    if base:
        was, before = await _described(base, environment)
        if was.problem and not before:
            return unknown("A7", f"what the API was cannot be told: {was.problem}")
        findings = list(introduced(findings, list(_unversioned(before, was, base))))
        try:
            findings += await in_thread(_silent_breaks, *_compared(before, was, documents, app))
        except ConfigurationError as error:
            unclear.append(str(error))
        # A GraphQL schema has no version to step: it grows, and what goes was deprecated and unused first.
        graphql = await in_thread(graphql_breaks, base, head)
        findings += [Finding(path=path, message=message) for path, message in graphql.changes]
        unclear += [": ".join(each) for each in graphql.unclear]
    if findings:
        fix = "keep what callers use, or step the version: major, before 1.0.0 minor"
        return fails("A7", findings, fix, *app.evidence)
    if unclear:
        return unknown("A7", unclear[0], *app.evidence)
    if documents:
        return _strategy(documents, app, head)
    if app.problem:
        return unknown("A7", app.problem)
    return undescribed("A7", documents, head, changed) or not_applicable("A7", "there is no API that has a version")


async def broken_between(base: Tree, head: Tree, environment: Environment) -> tuple[str, ...]:
    """What callers of `base` can trip over in `head`, whatever its version says, one line each.

    A contract that went without another in its place counts; so does an API that cannot be told on one of the sides.
    """
    (was, before), (app, after) = await _described(base, environment), await _described(head, environment)
    unclear = [f"what the API is cannot be told: {each.problem}" for each in (was, app) if each.path and each.problem]
    old, new = _compared(before, was, after, app)
    pairs = list(_pairs(old, new))
    paired = {id(document) for document, _ in pairs}
    gone = [f"{each.path} is gone" for each in old if id(each) not in paired and each is not was.document]
    broken = await in_thread(lambda: [f"{now.path}: {what}" for was, now in pairs for what in trips(was, now)])
    graphql = await in_thread(graphql_breaks, base, head)
    broken += [f"{path}: {what}" for path, what in (*graphql.changes, *graphql.unclear)]
    return tuple(dict.fromkeys((*broken, *gone, *unclear)))


async def _described(tree: Tree, environment: Environment) -> tuple[Application, list[Document]]:
    app, documents = await described(tree, environment)
    return app, [*await in_thread(swagger_contracts, tree), *documents]


def trips(before: Document, after: Document) -> tuple[str, ...]:
    """What callers of `before` can trip over in `after`, one line each, or the one reason why that cannot be told."""
    try:
        return tuple(str(change) for change in contract_changes(before, after) if change.breaking)
    except ConfigurationError as error:
        return (str(error),)


def _compared(
    before: list[Document], was: Application, after: list[Document], app: Application
) -> tuple[list[Document], list[Document]]:
    """The written contracts if both sides have one, since callers go by them, else everything."""
    old = [document for document in before if document is not was.document]
    new = [document for document in after if document is not app.document]
    return (old, new) if old and new else (before, after)


def _strategy(documents: list[Document], app: Application, head: Tree) -> Verdict:
    if unset := next(_unversioned(documents, app, head), None):
        return unknown("A7", f"{unset.path}: {unset.message}, as before this change", *app.evidence)
    way = next((way for document in documents if (way := _way(document))), None)
    version = str(documents[0].info.get("version"))
    if way:
        return passes("A7", f"version {version}, told {way}; nothing breaks without a step", *app.evidence)
    if all(_numbers(document)[0] == 0 for document in documents):
        reason = f"version {version} promises no stability yet; nothing breaks without a step"
        return passes("A7", reason, *app.evidence)
    reason = f"{documents[0].path}: version {version} promises stability, and neither paths, headers, media types nor"
    return unknown("A7", f"{reason} info.description say how an incompatible version would be reached", *app.evidence)


def _way(document: Document) -> str | None:
    """How callers choose a version."""
    if any(re.search(r"/v\d+(?:\.\d+)?(?:/|$)", operation.path) for operation in document.operations):
        return "by the path"
    headers = [p.name for o in document.operations for p in o.parameters if p.place in {"header", "query"}]
    if name := next((name for name in headers if re.search(r"(?i)(?:^|[-_])version$", name)), None):
        return f"by {name}"
    if re.search(r"application/vnd\.[\w.-]*v\d|;\s*version=", str(document.content.get("paths"))):
        return "by the media type"
    if re.search(r"(?i)\bversion(?:s|ing|ed)?\b", str(document.info.get("description") or "")):
        return "in info.description"
    return None


def _unversioned(documents: list[Document], app: Application, tree: Tree) -> Iterator[Finding]:
    for document in documents:
        version = str(document.info.get("version"))
        generated = document is app.document and version == _DEFAULT and not _sets_version(tree, app.path)
        if generated and len(documents) == 1 and not _way(document):
            yield Finding(path=document.path, message="the application is given no version")
        elif not _VERSION.fullmatch(version):
            yield Finding(path=document.path, message=f"info.version {version!r} is no version such as 1.0.0")


def _sets_version(tree: Tree, path: str) -> bool:
    """Whether the application is made with a version of its own, or with options that may hold one."""
    calls = [node for node in ast.walk(parse(tree.read(path) or "")) if isinstance(node, ast.Call)]
    made = [call for call in calls if called(call) == "FastAPI"]
    return not made or any(keyword.arg in {"version", None} for call in made for keyword in call.keywords)


def _silent_breaks(before: list[Document], after: list[Document]) -> list[Finding]:
    found = []
    for old, new in _pairs(before, after):
        was, now = _numbers(old), _numbers(new)
        # A date has no major part: any later one is a step.
        steps = 3 if was[0] >= _FIRST_YEAR else 1 if was[0] else 2
        if now[:steps] <= was[:steps]:
            version = new.info.get("version")
            for broken in filter(attrgetter("breaking"), contract_changes(old, new)):
                found.append(Finding(path=new.path, message=f"{broken}, while the version is still {version}"))
    return found


def _pairs(before: list[Document], after: list[Document]) -> Iterator[tuple[Document, Document]]:
    """Documents of the same API: those of one file, else the only ones there are."""
    old, new = ({document.path: document for document in documents} for documents in (before, after))
    same = [path for path in old if path in new]
    if not same and len(old) == len(new) == 1:
        yield before[0], after[0]
    yield from ((old[path], new[path]) for path in same)


def _numbers(document: Document) -> tuple[int, ...]:
    found = _VERSION.fullmatch(str(document.info.get("version")))
    return tuple(int(part or 0) for part in found.groups()) if found else (0, 0, 0)
