"""Checks of documentation."""

from collections.abc import Iterable, Iterator, Sequence

from backend_coordinator.domain.verdict import Evidence, Finding, Verdict
from backend_coordinator.nodes.gates.application import Application, application_of
from backend_coordinator.nodes.gates.evidence import (
    fails,
    introduced,
    not_applicable,
    passes,
    read_evidence,
    unknown,
)
from backend_coordinator.nodes.gates.files import is_code, is_test, serves
from backend_coordinator.nodes.gates.openapi import Document, ForeignReference, Operation, contracts
from backend_coordinator.nodes.gates.registry import check
from backend_coordinator.nodes.workspace.environment import Environment
from backend_coordinator.nodes.workspace.trees import Tree


@check("O1")
async def contract_is_valid_and_complete(
    base: Tree | None, head: Tree, changed: frozenset[str], environment: Environment
) -> Verdict:
    """The contract is valid OpenAPI 3 and names every operation the application has.

    Callers build on the contract, so a route it does not name is undocumented; a route that it promises may
    still be to come. Source: Documentation, API documented; API Contract Coordination.
    """
    documents = contracts(head)
    app = await application_of(head, environment)
    if not documents:
        return _without_contract(head, changed, app)
    try:
        findings = list(_invalid(documents))
        known = list(_invalid(contracts(base))) if base and findings else []
    except ForeignReference as error:
        return unknown("O1", f"the contract refers to {error}, and references to other files are not followed")
    evidence = (_validated(findings), *app.evidence)
    if new := introduced(findings, known):
        return fails("O1", new, "correct the contract", *evidence)
    if app.problem:
        return unknown("O1", app.problem, *evidence)
    findings = list(_undocumented(documents, app))
    if findings and base:
        known = list(_undocumented(contracts(base), await application_of(base, environment)))
        findings = list(introduced(findings, known))
    if findings:
        return fails("O1", findings, "add the operation to the contract", *evidence)
    return passes("O1", f"{documents[0].path} is valid and names every operation of the application", *evidence)


@check("O1", stage="acceptance")
async def contract_equals_routes(
    base: Tree | None, head: Tree, changed: frozenset[str], environment: Environment
) -> Verdict:
    """Contract and application agree in operations, parameters (name, place, required) and status codes.

    A client written from the contract must work against the service. Source: Documentation, API documented;
    API Contract Coordination.
    """
    documents = contracts(head)
    if not documents:
        return not_applicable("O1", "there is no contract to compare with")
    app = await application_of(head, environment)
    if app.problem:
        return unknown("O1", app.problem)
    if app.document is None:
        if any(is_code(head, path) and not is_test(path) for path in head.files):
            return unknown("O1", "no FastAPI application was found to compare the contract with")
        return not_applicable("O1", "there is no application yet")
    findings = list(_differences(documents, app.document))
    if findings and base:
        before = await application_of(base, environment)
        known = list(_differences(contracts(base), before.document)) if before.document else []
        findings = list(introduced(findings, known))
    if findings:
        return fails("O1", findings, "make the contract and the routes agree", *app.evidence)
    return passes("O1", "contract and routes agree", *app.evidence)


def _without_contract(head: Tree, changed: frozenset[str], app: Application) -> Verdict:
    if app.problem:
        return unknown("O1", app.problem)
    if app.document and app.served:
        return passes("O1", f"{app.path} serves the OpenAPI document generated from its routes", *app.evidence)
    if app.document:
        finding = Finding(path=app.path, message="the application has routes, no contract and no OpenAPI document")
        return fails("O1", [finding], "add openapi.yaml or serve openapi.json", *app.evidence)
    if not any(is_code(head, path) and not is_test(path) for path in changed & frozenset(head.files)):
        return not_applicable("O1", "there is no contract, and no code changed")
    if serves(head):
        return unknown("O1", "no contract and no FastAPI application were found: look at whether there is an API")
    return not_applicable("O1", "no file uses a web framework")


def _invalid(documents: Sequence[Document]) -> Iterator[Finding]:
    for document in documents:
        yield from (Finding(path=document.path, message=problem) for problem in document.problems())


def _validated(findings: Sequence[Finding]) -> Evidence:
    summary = f"{len(findings)} problems in the contract"
    return read_evidence(findings, summary, tool="openapi-spec-validator")


def _by_key(documents: Iterable[Document]) -> dict[tuple[str, str], tuple[Document, Operation]]:
    return {o.key: (d, o) for d in documents for o in d.operations if o.method not in {"HEAD", "OPTIONS"}}


def _undocumented(documents: Sequence[Document], app: Application) -> Iterator[Finding]:
    named = _by_key(documents)
    for key, (document, operation) in _by_key([app.document] if app.document else []).items():
        if key not in named:
            yield Finding(path=document.path, message=f"{operation} is not in the contract")


def _differences(documents: Sequence[Document], routes: Document) -> Iterator[Finding]:
    promised, built = _by_key(documents), _by_key([routes])
    for key in sorted(promised.keys() | built.keys()):
        document, operation = promised.get(key) or built[key]
        if key not in built:
            yield Finding(path=document.path, message=f"{operation} has no route")
        elif key not in promised:
            yield Finding(path=document.path, message=f"{operation} is not in the contract")
        else:
            for difference in _between(operation, built[key][1]):
                yield Finding(path=document.path, message=f"{operation}: {difference}")


def _between(contract: Operation, route: Operation) -> Iterator[str]:
    wanted = {(p.name, p.place): p.required for p in contract.parameters}
    actual = {(p.name, p.place): p.required for p in route.parameters}
    for name, place in sorted(wanted.keys() | actual.keys()):
        if (name, place) not in actual:
            yield f"the route has no {place} parameter {name}"
        elif (name, place) not in wanted:
            yield f"the contract has no {place} parameter {name}"
        elif wanted[name, place] != actual[name, place]:
            yield f"{place} parameter {name} is required on one side only"
    if missing := sorted(contract.statuses - route.statuses):
        yield f"the route does not declare status {', '.join(missing)}"
    if extra := sorted(route.statuses - contract.statuses):
        yield f"the contract does not declare status {', '.join(extra)}"
