"""Checks of API design."""

from collections.abc import Iterator

from backend_coordinator.domain.verdict import Finding, Verdict
from backend_coordinator.nodes.gates.application import application_of
from backend_coordinator.nodes.gates.evidence import fails, introduced, not_applicable, passes, unknown
from backend_coordinator.nodes.gates.files import is_code, serves
from backend_coordinator.nodes.gates.openapi import Document, Operation, contracts
from backend_coordinator.nodes.gates.registry import check
from backend_coordinator.nodes.workspace.environment import Environment
from backend_coordinator.nodes.workspace.trees import Tree

_SIZES = frozenset({"limit", "page_size", "per_page", "size", "first", "top", "max_results", "pagesize", "perpage"})
_PLACES = frozenset({"offset", "page", "cursor", "after", "before", "skip", "page_token", "start", "pagetoken"})


@check("A5")
async def list_endpoints_are_paginated(
    base: Tree | None, head: Tree, changed: frozenset[str], environment: Environment
) -> Verdict:
    """Each GET that returns a collection takes a page position and a page size with a maximum.

    Without a bound one request reads a whole table. Source: API design, pagination of list endpoints.
    """
    documents = list(contracts(head))
    app = await application_of(head, environment)
    documents += [app.document] if app.document else []
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
    if not documents and serves(head) and any(is_code(head, path) for path in changed if path in head.files):
        return unknown("A5", "neither a contract nor a FastAPI application tells which endpoints return lists")
    return not_applicable("A5", "no endpoint returns a list")


async def _known(base: Tree, environment: Environment) -> list[Finding]:
    app = await application_of(base, environment)
    documents = [*contracts(base), *([app.document] if app.document else [])]
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
