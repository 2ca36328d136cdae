"""Checks of API design: methods and pagination."""

import ast
import re
from collections.abc import Iterator

from backend_coordinator.domain.verdict import Finding, Verdict
from backend_coordinator.nodes.gates.application import Application, described, undescribed
from backend_coordinator.nodes.gates.calls import Code, Site, code_of
from backend_coordinator.nodes.gates.checks.doubts import undecided
from backend_coordinator.nodes.gates.evidence import fails, introduced, not_applicable, passes, unknown
from backend_coordinator.nodes.gates.openapi import Document, Operation, as_node
from backend_coordinator.nodes.gates.registry import check
from backend_coordinator.nodes.workspace.environment import Environment
from backend_coordinator.nodes.workspace.trees import Tree

_SIZES = frozenset({"limit", "page_size", "per_page", "size", "first", "top", "max_results", "pagesize", "perpage"})
_PLACES = frozenset({"offset", "page", "cursor", "after", "before", "skip", "page_token", "start", "pagetoken"})
# A second word of these makes a noun of the verb: delete-requests can be created and read.
_VERB = re.compile(r"(?:get|fetch|create|insert|update|delete|remove)(?:[A-Z].*)?|(?:list|add|edit|save)[A-Z].*")
_PERHAPS_VERB = re.compile(
    r"(?:get|fetch|create|insert|update|delete|remove)[-_]"
    r"(?!(?:requests?|history|logs?|channels?|events?|jobs?)$).+"
)
_READS = re.compile(r"(?:get|list|read|fetch|find|show)(?:_|-|(?=[A-Z]))")
_DELETES = re.compile(r"(?:delete|remove|destroy)(?:_|-|(?=[A-Z]))")
_CHANGES = re.compile(r"(?:create|update|replace|delete|remove|destroy|insert)(?:_|-|(?=[A-Z]))")
_WRITING_SQL = re.compile(r"(?is)\s*(?:insert\s+into|update|delete\s+from|replace\s+into|truncate)\s+[\"`\[]?(\w+)")
# What a server notes about requests for itself does not make them unsafe.
_NOTES = re.compile(r"(?i)audit|log|visit|view|hit|stat|metric|access|event|cache")
_SESSION = re.compile(r"(?i)(?:^|_)(?:session|db|database)$")


@check("A2")
async def methods_fit_operations(
    base: Tree | None, head: Tree, changed: frozenset[str], environment: Environment
) -> Verdict:
    """GET and HEAD take no body and change nothing, POST neither deletes nor merely reads, no path holds a verb.

    Caches, crawlers and retries rely on what methods promise. GET endpoints that only send a browser on, and
    those that receive it back with `code` and `state`, may store what OAuth 2.0 needs. A name alone proves nothing,
    and HTML pages, which people read and forms post to, are named for people. Source: API design, HTTP methods used
    correctly; RFC 9110, section 9.2.
    """
    app, documents = await described(head, environment)
    findings, doubts = every, _ = await _misused(app, documents, head, environment)
    if (findings or doubts) and base:
        known = await _misused(*await described(base, environment), base, environment)
        findings, doubts = (list(introduced(new, old)) for new, old in zip((findings, doubts), known, strict=True))
    if findings:
        return fails("A2", findings, "use the method that says what the operation does", *app.evidence)
    if app.problem:
        return unknown("A2", app.problem)
    if doubts:
        return undecided("A2", doubts, "look at what it does", *app.evidence)
    if operations := {operation.key for document in documents for operation in document.operations}:
        old = f", but for {len(every)} findings from before this change" if every else ""
        return passes("A2", f"the methods of {len(operations)} operations fit{old}", *app.evidence)
    return undescribed("A2", documents, head, changed) or not_applicable("A2", "there are no operations")


async def _misused(
    app: Application, documents: list[Document], tree: Tree, environment: Environment
) -> tuple[list[Finding], list[Finding]]:
    """What is wrong, and what a name suggests about operations whose handlers were not read."""
    named = [(d.path, o) for d in documents for o in d.operations]
    found = [Finding(path=path, message=f"{o} {wrong}") for path, o in named if (wrong := _wrong(o))]
    code, read = await code_of(tree, environment), set()
    for operation in app.document.operations if app.document else ():
        spots = app.spots(operation)[:1] if operation.method in {"GET", "HEAD"} else ()
        for site in filter(None, (code.at(spot.path, spot.line) for spot in spots)):
            read.add(operation.key)
            if not _sends_a_browser_on(operation, site):
                found += [Finding(path=p, line=n, message=f"{operation} {what}") for p, n, what in _writes(code, site)]
    unread = ((path, o) for path, o in named if o.key not in read)
    return found, [Finding(path=path, message=f"{o} {what}") for path, o in unread if (what := _doubtful(o))]


def _wrong(operation: Operation) -> str | None:
    if operation.method in {"GET", "HEAD"} and operation.body:
        return "takes a request body, which the method gives no meaning"
    return _with_verb(operation, _VERB)


def _with_verb(operation: Operation, verbs: re.Pattern[str]) -> str | None:
    parts = [part for part in operation.path.split("/") if not part.startswith("{")]
    verb = next(filter(verbs.fullmatch, parts), None)
    return f"has the verb {verb} in its path" if verb and not _in_bulk(operation) and not _is_page(operation) else None


def _doubtful(operation: Operation) -> str | None:
    method, name = operation.method, operation.name
    if _is_page(operation):
        return None
    if method in {"GET", "HEAD"} and _CHANGES.match(name):
        return f"is named {name}, but the method promises to change nothing"
    if method == "POST" and _DELETES.match(name) and not _in_bulk(operation):
        return f"is named {name}: deleting has the method DELETE"
    if method == "POST" and _READS.match(name) and not operation.body and not {"201", "202"} & operation.statuses:
        return f"is named {name} and takes no body: reading has the method GET"
    return _with_verb(operation, _PERHAPS_VERB)


def _in_bulk(operation: Operation) -> bool:
    return re.search(r"(?i)bulk|batch", re.sub(r"\{[^}]*\}", "", operation.path) + operation.name) is not None


def _is_page(operation: Operation) -> bool:
    answers = as_node(operation.content.get("responses")).items()
    return any("text/html" in as_node(as_node(a).get("content")) for s, a in answers if str(s).startswith("2"))


def _sends_a_browser_on(operation: Operation, site: Site) -> bool:
    query = {parameter.name for parameter in operation.parameters if parameter.place == "query"}
    redirects = any(status.startswith("3") for status in operation.statuses)
    return {"code", "state"} <= query or redirects or "RedirectResponse" in ast.unparse(site.function)


def _writes(code: Code, handler: Site) -> Iterator[tuple[str, int, str]]:
    """(path, line, what) of the writes in the handler and in the functions that it calls itself."""
    calls = list(code.calls(handler))
    for site in [handler, *(call.target for call in calls if call.target)]:
        for call in code.calls(site):
            match call.node:
                case ast.Call(func=ast.Attribute(attr="execute" | "executemany" | "exec"), args=[first, *_]):
                    table = _written(first)
                case ast.Call(func=ast.Attribute(value=owner, attr="add" | "add_all" | "delete"), args=[first, *_]):
                    stored = _SESSION.search(ast.unparse(owner)) or re.search(
                        r"(?:orm|sqlmodel|asyncio)\.\w*[sS]ession", call.name
                    )
                    table = ast.unparse(first) if stored else None
                case _:
                    continue
            if table and not _NOTES.search(table):
                yield site.path, call.node.lineno, f"writes {table} although GET promises to change nothing"


def _written(statement: ast.expr) -> str | None:
    """The table that a statement changes: SQL text, or an insert, update or delete of SQLAlchemy."""
    for node in ast.walk(statement):
        match node:
            case ast.Constant(value=str(text)) if found := _WRITING_SQL.match(text):
                return found[1]
            case ast.Call(func=ast.Name(id="insert" | "update" | "delete"), args=[ast.Name(id=table)]):
                return table
    return None


@check("A5")
async def list_endpoints_are_paginated(
    base: Tree | None, head: Tree, changed: frozenset[str], environment: Environment
) -> Verdict:
    """Each GET that returns a collection takes a page position and a page size with a maximum.

    Without a bound one request reads a whole table. Source: API design, pagination of list endpoints.
    """
    app, documents = await described(head, environment)
    listings = [(d, o) for d in documents for o in d.operations if o.listing and not o.bounded]
    findings = list(_findings(listings))
    if findings and base:
        findings = list(introduced(findings, await _known(base, environment)))
    if findings:
        return fails("A5", findings, "add limit (with a maximum) and offset or cursor", *app.evidence)
    if app.problem:
        return unknown("A5", app.problem)
    if listings:
        return passes("A5", f"all {len({o.key for _, o in listings})} list endpoints are paginated", *app.evidence)
    return undescribed("A5", documents, head, changed) or not_applicable("A5", "no endpoint returns a list")


async def _known(base: Tree, environment: Environment) -> list[Finding]:
    _, documents = await described(base, environment)
    return list(_findings([(d, o) for d in documents for o in d.operations if o.listing and not o.bounded]))


def _findings(listings: list[tuple[Document, Operation]]) -> Iterator[Finding]:
    for document, operation in listings:
        if missing := _missing(operation):
            yield Finding(path=document.path, message=f"{operation} returns a list without {missing}")


def _missing(operation: Operation) -> str | None:
    query = {p.name.lower(): p for p in operation.parameters if p.place == "query"}
    sizes = [query[name] for name in _SIZES.intersection(query)]
    if not sizes:
        return "a page size parameter such as limit"
    if all(size.maximum is None for size in sizes):
        return f"a maximum for {sizes[0].name}"
    return None if _PLACES.intersection(query) else "a page position such as offset or cursor"
