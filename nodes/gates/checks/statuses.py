"""Checks of response codes."""

import ast
import re
from collections.abc import Iterator
from http import HTTPStatus
from typing import NamedTuple

from backend_coordinator.domain.verdict import Evidence, Finding, Verdict
from backend_coordinator.nodes.gates.application import Application, described, undescribed
from backend_coordinator.nodes.gates.calls import Code, Site, code_of, executed
from backend_coordinator.nodes.gates.checks.doubts import undecided
from backend_coordinator.nodes.gates.evidence import fails, introduced, not_applicable, passes, unknown
from backend_coordinator.nodes.gates.files import is_code
from backend_coordinator.nodes.gates.openapi import Document, Operation
from backend_coordinator.nodes.gates.project import run_tests
from backend_coordinator.nodes.gates.registry import check
from backend_coordinator.nodes.gates.testrun import TestRun, operation_of
from backend_coordinator.nodes.workspace.environment import Environment
from backend_coordinator.nodes.workspace.trees import Tree

_EMPTY = frozenset({"204", "205", "304"})
_DONE = frozenset({"200", "202", "204"})
_MADE = frozenset({"201", "202"})
# A POST of one of these does something and makes nothing that has an address of its own.
_ACTION = re.compile(
    r"(?i)log_?-?(?:in|out)|sign_?-?(?:in|out)|token|refresh|session|search|query|bulk|batch|import|upsert|graphql"
)
_HTTP_EXCEPTION = re.compile(r"(?:fastapi|starlette)(?:\.exceptions)?\.HTTPException")


@check("A3")
async def statuses_fit_operations(
    base: Tree | None, head: Tree, changed: frozenset[str], environment: Environment
) -> Verdict:
    """Creating answers 201, an empty answer has no content, and every refusal of a handler or guard is declared.

    A client acts on the status before it reads the body. Followed are the handler, its dependencies and what
    they call. FastAPI declares no refusal by itself, so only a written contract is contradicted by one.
    Source: API design, response codes appropriate (2xx, 4xx, 5xx).
    """
    app, documents = await described(head, environment)
    unfit = every = await _unfit(app, documents, head, environment)
    if unfit.told and base:
        unfit = unfit.beyond(await _unfit(*await described(base, environment), base, environment))
    if unfit.told:
        return unfit.verdict("answer and declare the status that says what happened", *app.evidence)
    if app.problem:
        return unknown("A3", app.problem)
    if operations := {operation.key for document in documents for operation in document.operations}:
        old = f", but for {len(every.told)} findings from before this change" if every.told else ""
        return passes("A3", f"the response codes of {len(operations)} operations fit{old}", *app.evidence)
    return undescribed("A3", documents, head, changed) or not_applicable("A3", "there are no operations")


@check("A3")
async def seen_statuses_are_declared(
    base: Tree | None, head: Tree, changed: frozenset[str], environment: Environment
) -> Verdict:
    """Every status that the tests got from an operation is declared for it, but for the 500 of a provoked crash.

    What the service really answers is the proof of its contract. Source: API design, response codes appropriate
    (2xx, 4xx, 5xx); API Contract Coordination.
    """
    app, documents = await described(head, environment)
    if app.document is None or not any(is_code(head, path) for path in changed.intersection(head.files)):
        return not_applicable("A3", "no application changed whose answers tests could see")
    run = await run_tests(head.path, environment)
    evidence = (run.evidence, *app.evidence)
    if run.problem:
        return unknown("A3", run.problem, *evidence)
    unfit = await _seen(app, documents, run, head, environment)
    if unfit.told and base:
        before = await run_tests(base.path, environment)
        unfit = unfit.beyond(await _seen(*await described(base, environment), before, base, environment))
    if unfit.told:
        return unfit.verdict("declare it in the contract and in the route", *evidence)
    if not run.requests:
        return not_applicable("A3", "the tests sent no request that could be seen", *evidence)
    return passes("A3", f"all statuses of {len(run.requests)} kinds of requests are declared", *evidence)


class _Unfit(NamedTuple):
    """What is wrong, and what the generated document leaves out where no written contract speaks of the operation."""

    wrong: tuple[Finding, ...]
    silent: tuple[Finding, ...]

    @property
    def told(self) -> tuple[Finding, ...]:
        return self.wrong + self.silent

    def beyond(self, known: "_Unfit") -> "_Unfit":
        return _Unfit(introduced(self.wrong, known.wrong), introduced(self.silent, known.silent))

    def verdict(self, fix: str, *evidence: Evidence) -> Verdict:
        if self.wrong:
            return fails("A3", self.wrong, fix, *evidence)
        return undecided("A3", self.silent, "no written contract speaks of it", *evidence)


def _sorted_out(found: list[tuple[Operation, Finding]], documents: list[Document], app: Application) -> _Unfit:
    """`found` are statuses without declaration: wrong is only what a written contract could have said."""
    written = {o.key for document in documents if document is not app.document for o in document.operations}
    wrong = [finding for operation, finding in found if operation.key in written]
    silent = [finding for operation, finding in found if operation.key not in written]
    return _Unfit(tuple(wrong), tuple(silent))


async def _seen(
    app: Application, documents: list[Document], run: TestRun, tree: Tree, environment: Environment
) -> _Unfit:
    operations = [operation for document in documents for operation in document.operations]
    code = await code_of(tree, environment)
    found: list[tuple[Operation, Finding]] = []
    for request in sorted(run.requests):
        meant = operation_of(request, operations)
        same = [operation for operation in operations if meant and operation.key == meant.key]
        if not same or any(operation.declares(request.status) for operation in same):
            continue
        if request.status < 500 or _answers(app, same[0], code, request.status):
            message = f"{same[0]} answered {request.status} in a test and does not declare it"
            found.append((same[0], Finding(path=app.path, message=message)))
    return _sorted_out(found, documents, app)


def _answers(app: Application, operation: Operation, code: Code, status: int) -> bool:
    """Whether the handler or what it calls names `status`: a crash answers 5xx without being told to."""
    sites = _sites(app, operation, code)
    every = [*sites, *(call.target for site in sites for call in code.calls(site) if call.target)]
    nodes = (node for site in every for node in executed(site.function))
    return any(isinstance(node, ast.expr) and _status(node) == status for node in nodes)


def _sites(app: Application, operation: Operation, code: Code) -> list[Site]:
    return [site for spot in app.spots(operation) if (site := code.at(spot.path, spot.line))]


async def _unfit(app: Application, documents: list[Document], tree: Tree, environment: Environment) -> _Unfit:
    findings = [
        Finding(path=document.path, message=f"{operation} {wrong}")
        for document in documents
        for operation in document.operations
        for wrong in _wrong(operation, document)
    ]
    every = [operation for document in documents for operation in document.operations]
    code = await code_of(tree, environment)
    refusals: list[tuple[Operation, Finding]] = []
    for operation in app.document.operations if app.document else ():
        same = [other for other in every if other.key == operation.key]
        for handler in _sites(app, operation, code)[:1]:
            message = f"{operation} returns an error with a status of success"
            findings += (Finding(path=handler.path, line=line, message=message) for line in _errors_as_success(handler))
        refusals += ((operation, finding) for finding in _of_handler(app, operation, same, code))
    # Contract and application declare together: that they agree is the affair of O1.
    guarded = {operation.key: (document, operation) for document in documents for operation in document.operations}
    for document, operation in guarded.values():
        same = [other for other in every if other.key == operation.key]
        if any(other.guarded for other in same) and not any(other.declares(401, 403) for other in same):
            message = f"{operation} asks for credentials and declares neither 401 nor 403"
            refusals.append((operation, Finding(path=document.path, message=message)))
    unfit = _sorted_out(refusals, documents, app)
    return unfit._replace(wrong=(*findings, *unfit.wrong))


def _wrong(operation: Operation, document: Document) -> Iterator[str]:
    successes = {status for status in operation.statuses if status.startswith("2")}
    if operation.method == "DELETE" and successes and not successes & {*_DONE, "2XX"}:
        yield f"deletes and answers {', '.join(sorted(successes))} instead of 200, 202 or 204"
    if filled := sorted(operation.filled & _EMPTY):
        yield f"declares content for {filled[0]}, which has none"
    if operation.body and not any(status[0] in "4d" for status in operation.statuses):
        yield "takes a body and declares no answer to a bad one, such as 422"
    if successes and not successes & {*_MADE, "2XX", "303"} and _makes(operation, document):
        yield f"creates and answers {', '.join(sorted(successes))} instead of 201"


def _makes(operation: Operation, document: Document) -> bool:
    """Whether it is a POST to a collection whose items have addresses."""
    item = re.compile(re.escape(operation.path.rstrip("/")) + r"/\{[^}/]*\}")
    if operation.method != "POST" or _ACTION.search(operation.last) or _ACTION.search(operation.name.partition("_")[0]):
        return False
    return any(item.fullmatch(other.path) and other.method == "GET" for other in document.operations)


def _of_handler(app: Application, operation: Operation, same: list[Operation], code: Code) -> Iterator[Finding]:
    told = set()
    open_ = [site for site in _sites(app, operation, code) if not _catches(site)]
    called = [call.target for site in open_ for call in code.calls(site) if call.target]
    for site in [*open_, *(target for target in called if not _catches(target))]:
        for status, line in _raised(code, site):
            if status not in told and not any(other.declares(status) for other in same):
                told.add(status)
                message = f"{operation} raises {status} and does not declare it"
                yield Finding(path=site.path, line=line, message=message)


def _catches(site: Site) -> bool:
    handlers = [node.type for node in executed(site.function) if isinstance(node, ast.ExceptHandler) and node.type]
    return any("HTTPException" in ast.unparse(kind) for kind in handlers)


def _raised(code: Code, site: Site) -> Iterator[tuple[int, int]]:
    """(status, line) of the HTTPExceptions that a function makes."""
    for call in code.calls(site):
        if _HTTP_EXCEPTION.fullmatch(call.name):
            given = [*call.node.args[:1], *(k.value for k in call.node.keywords if k.arg == "status_code")]
            yield from ((status, call.node.lineno) for value in given if (status := _status(value)))


def _status(value: ast.expr) -> int | None:
    match value:
        case ast.Constant(value=int(status)):
            return status
        case ast.Attribute(attr=name) | ast.Name(id=name):
            known = re.match(r"HTTP_(\d{3})_", name)
            return int(known[1]) if known else HTTPStatus.__members__.get(name)
    return None


def _errors_as_success(site: Site) -> Iterator[int]:
    """Lines that return an error in a plain mapping, in a handler that sets no status."""
    if re.search(r"\.status_code = ", ast.unparse(site.function)):
        return
    nodes = list(executed(site.function))
    caught = [node for handler in nodes if isinstance(handler, ast.ExceptHandler) for node in ast.walk(handler)]
    for node in nodes:
        match node:
            case ast.Return(value=ast.Dict() as answer) if _is_error(answer, caught=node in caught):
                yield node.lineno


def _is_error(answer: ast.Dict, *, caught: bool) -> bool:
    """Whether the error is the point of the answer: others may report that of a job or of a part."""
    entries = {k.value: v for k, v in zip(answer.keys, answer.values, strict=True) if isinstance(k, ast.Constant)}
    success, error = entries.get("success"), entries.get("error")
    if isinstance(success, ast.Constant) and success.value is False:
        return True
    if isinstance(error, ast.Constant):
        return bool(error.value)
    return error is not None and (caught or len(answer.keys) == 1)
