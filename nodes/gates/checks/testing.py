"""Checks of testing."""

import re
from collections.abc import Callable, Iterable

from backend_coordinator.domain.verdict import Finding, Verdict
from backend_coordinator.nodes.gates.application import Application, application_of
from backend_coordinator.nodes.gates.evidence import fails, not_applicable, passes, unknown
from backend_coordinator.nodes.gates.files import is_code, is_test, serves
from backend_coordinator.nodes.gates.openapi import Operation
from backend_coordinator.nodes.gates.project import run_tests
from backend_coordinator.nodes.gates.registry import check
from backend_coordinator.nodes.gates.testrun import Request
from backend_coordinator.nodes.workspace.environment import Environment
from backend_coordinator.nodes.workspace.trees import Tree


@check("T2")
async def tests_reach_every_route(
    base: Tree | None, head: Tree, changed: frozenset[str], environment: Environment
) -> Verdict:
    """During the test run each route of the application was sent a request that it answered with success.

    Routes no test reached before the change are not blamed on it. Source: Testing, integration tests for API
    endpoints.
    """
    code = [path for path in changed if path in head.files and is_code(head, path)]
    app = await application_of(head, environment)
    if app.problem:
        return unknown("T2", app.problem)
    if app.document is None:
        if serves(head) and any(not is_test(path) for path in code):
            return unknown("T2", "no FastAPI application was found: look at whether the code has endpoints")
        return not_applicable("T2", "there is no application")
    if not code:
        return not_applicable("T2", "no code changed")
    run = await run_tests(head.path, environment)
    evidence = (run.evidence, *app.evidence)
    if run.problem:
        return unknown("T2", run.problem, *evidence)
    if run.passed and not run.requests:
        return unknown("T2", "the tests sent no request that could be seen: do they start a server?", *evidence)
    missed = _missed(app, run.requests, lambda status: True)
    refused = _missed(app, run.requests, lambda status: status < 400)
    if (missed or refused) and base:
        known = await _missed_before(base, environment)
        missed, refused = ([o for o in found if o.key not in known] for found in (missed, refused))
    if missed:
        findings = [Finding(path=app.path, message=f"no test sends {operation}") for operation in missed]
        return fails("T2", findings, "add a test that calls it", *evidence)
    if refused:
        return unknown("T2", f"tests of {refused[0]} see only errors: add one that succeeds", *evidence)
    return passes("T2", f"tests reach the routes of {app.path}", *evidence)


async def _missed_before(base: Tree, environment: Environment) -> frozenset[tuple[str, str]]:
    app = await application_of(base, environment)
    run = await run_tests(base.path, environment)
    return frozenset(operation.key for operation in _missed(app, run.requests, lambda status: status < 400))


def _missed(app: Application, requests: Iterable[Request], counts: Callable[[int], bool]) -> list[Operation]:
    operations = app.document.operations if app.document else ()
    reached = {_match(request, operations) for request in requests if counts(request.status)}
    return [operation for operation in operations if operation not in reached]


def _match(request: Request, operations: Iterable[Operation]) -> Operation | None:
    """The operation a request meant; of several the one with the fewest parameters, as routers are written."""
    fitting = [o for o in operations if o.method == request.method and _fits(o.path, request.path)]
    return min(fitting, key=lambda operation: operation.path.count("{"), default=None)


def _fits(template: str, path: str) -> bool:
    parts = re.split(r"\{[^}]*\}", template)
    return re.fullmatch("[^/]+".join(map(re.escape, parts)), path) is not None
