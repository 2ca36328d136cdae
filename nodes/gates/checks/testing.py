"""Checks of testing."""

import ast
import re
from collections.abc import Callable, Iterable, Iterator, Sequence

from backend_coordinator.domain.verdict import Finding, Outcome, Verdict
from backend_coordinator.nodes.gates.application import Application, application_of
from backend_coordinator.nodes.gates.evidence import fails, introduced, not_applicable, passes, place, says, unknown
from backend_coordinator.nodes.gates.files import is_code, is_test, product_python, serves
from backend_coordinator.nodes.gates.openapi import Operation, contracts
from backend_coordinator.nodes.gates.project import run_tests
from backend_coordinator.nodes.gates.registry import check
from backend_coordinator.nodes.gates.source import modules_of
from backend_coordinator.nodes.gates.sqlqueries import queries_of
from backend_coordinator.nodes.gates.syntax import Function, assigned, called, last
from backend_coordinator.nodes.gates.testrun import Request, TestRun, operation_of
from backend_coordinator.nodes.workspace.environment import Environment
from backend_coordinator.nodes.workspace.trees import Tree

LEAST_RAISED = 0.80
# What refuses any unreadable body alike needs one test in the application, not one for each resource.
_OF_EVERY_BODY = frozenset({"400", "406", "411", "413", "415"})
_ORM = re.compile(r"(?m)^\s*(?:from|import)\s+(?:sqlalchemy|sqlmodel|peewee|tortoise)\b")
_SET_UP = frozenset({"setUp", "setUpClass", "asyncSetUp", "setup_method", "setup_function", "setup_class"})
_OF_A_DATABASE = re.compile(
    r"(?i)connect|engine|session|database|db\b|sqlite|memory|tmp_path|tmpdir|TestClient|rollback"
)
_OPENS = frozenset({"connect", "create_engine", "create_async_engine"})
_DRIVERS = frozenset({"sqlite3", "aiosqlite", "psycopg", "psycopg2", "asyncpg", "pymysql", "MySQLdb"})
_CLEARS = re.compile(r"\bchdir|\bunlink\(|\bremove\(|\bdrop_all\(")
_FIXED_FILE = re.compile(r"(?:sqlite(?:\+\w+)?:///)?(?:\.{1,2}/)?\w[\w./-]*\.(?:db|sqlite3?)")
_EXPECTED = frozenset({"NotImplementedError", "SystemExit", "AssertionError", "KeyboardInterrupt"})
_PERFORMANCE = re.compile(r"(?i)(?:^|[/._])(?:test_)?\w*(?:load|perf|performance|bench\w*)(?:_test)?(?:[/._:]|$)")


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
    reached = {operation_of(request, operations) for request in requests if counts(request.status)}
    return [operation for operation in operations if operation not in reached]


@check("T3")
async def database_tests_use_fixtures(
    base: Tree | None, head: Tree, changed: frozenset[str], environment: Environment
) -> Verdict:
    """Tests that reach the database get it from a fixture, not from a fixed file or a connection of their module.

    What one test leaves behind must not decide another one. Source: Testing, database tests use fixtures.
    """
    if not any(path in head.files and is_code(head, path) for path in changed):
        return not_applicable("T3", "no code changed")
    paths = product_python(head, frozenset(head.files))
    queries = queries_of(head)
    if not queries and not any(_ORM.search(head.read(path) or "") for path in paths):
        return not_applicable("T3", "the code uses no database that this check knows")
    run = await run_tests(head.path, environment)
    if run.problem:
        return unknown("T3", run.problem, run.evidence)
    if not run.statements and not any(q.line in run.executed(q.path) for q in queries):
        return unknown("T3", "no test was seen to reach the database", run.evidence)
    findings = list(_shared_databases(head))
    if findings and base:
        findings = list(introduced(findings, _shared_databases(base)))
    if findings:
        return fails("T3", findings, "give each test its own database in a fixture", run.evidence)
    fixtures = sorted({path for path, _ in _fixtures(head)})
    if not fixtures:
        return unknown("T3", "no fixture that prepares a database was recognised", run.evidence)
    return passes("T3", f"the database of the tests is prepared by fixtures in {', '.join(fixtures[:5])}", run.evidence)


def _test_modules(tree: Tree) -> dict[str, ast.Module]:
    return modules_of(tree, tuple(path for path in tree.files if path.endswith(".py") and is_test(path)))


def _fixtures(tree: Tree) -> Iterator[tuple[str, str]]:
    """(path, name) of each function of the tests that prepares a database."""
    for path, module in _test_modules(tree).items():
        for node in ast.walk(module):
            if isinstance(node, Function) and _OF_A_DATABASE.search(ast.unparse(node)):
                arguments = {argument.arg for argument in node.args.args}
                prepares = node.name in _SET_UP or any("fixture" in ast.unparse(d) for d in node.decorator_list)
                if prepares or arguments & {"tmp_path", "tmpdir", "monkeypatch"}:
                    yield path, node.name


def _shared_databases(tree: Tree) -> Iterator[Finding]:
    """Databases that several tests share although nothing clears them."""
    for path, module in _test_modules(tree).items():
        for node in ast.walk(module):
            if isinstance(node, ast.Call) and called(node) in _OPENS and not _CLEARS.search(tree.read(path) or ""):
                for file in filter(_FIXED_FILE.fullmatch, _constants(module, node)):
                    yield Finding(path=path, line=node.lineno, message=f"tests share the database file {file}")
        for statement in module.body:
            value = getattr(statement, "value", None)
            function = value.func if isinstance(value, ast.Call) else None
            if isinstance(function, ast.Attribute) and function.attr == "connect" and last(function.value) in _DRIVERS:
                message = "opens one database connection for all tests of the module"
                yield Finding(path=path, line=statement.lineno, message=message)


def _constants(module: ast.Module, call: ast.Call) -> Iterator[str]:
    for argument in call.args:
        sources = list(assigned(module, argument.id)) if isinstance(argument, ast.Name) else [argument]
        yield from (s.value for s in sources if isinstance(s, ast.Constant) and isinstance(s.value, str))


@check("T4")
async def error_scenarios_are_tested(
    base: Tree | None, head: Tree, changed: frozenset[str], environment: Environment
) -> Verdict:
    """Each operation that declares refusals was seen refusing, and the errors the change raises were raised.

    422 does not count as declared: the framework declares it everywhere. What other operations of the same
    resource showed is enough for one status. Source: Testing, error scenarios tested.
    """
    paths = product_python(head, changed)
    if not any(path in head.files and is_code(head, path) for path in changed):
        return not_applicable("T4", "no code changed")
    app = await application_of(head, environment)
    if app.problem:
        return unknown("T4", app.problem)
    declared = _refusals(head, app)
    raised = _raised(head, paths)
    new = introduced(raised, _raised(base, product_python(base, changed))) if base else tuple(raised)
    if not declared and not new:
        return not_applicable("T4", "neither the operations nor the changed code refuse anything")
    run = await run_tests(head.path, environment)
    evidence = (run.evidence, *app.evidence)
    if run.problem:
        return unknown("T4", run.problem, *evidence)
    findings, gaps = _untested(app, declared, run)
    seen = len(declared) - len(findings)
    if (findings or gaps) and base:
        before = await application_of(base, environment)
        known = _untested(before, _refusals(base, before), await run_tests(base.path, environment))
        findings, gaps = list(introduced(findings, known[0])), list(introduced(gaps, known[1]))
    if findings:
        return fails("T4", findings, "add a test that expects the refusal", *evidence)
    missed = [f for f in new if f.line not in run.executed(f.path)]
    if gaps or len(missed) > (1 - LEAST_RAISED) * len(new):
        first = (*gaps, *missed)[0]
        return unknown("T4", f"{place(first)}: {first.message}, and no test saw it", *evidence)
    told = f"{seen} of {len(declared)} operations that can refuse were seen refusing"
    reason = f"{told}, {len(new) - len(missed)} of {len(new)} new raise statements ran"
    return passes("T4", reason, *evidence)


def _refusals(tree: Tree, app: Application) -> dict[Operation, frozenset[str]]:
    """The 4xx each operation of the application declares, there or in the contract."""
    promised = {o.key: o.statuses for document in contracts(tree) for o in document.operations}
    operations = app.document.operations if app.document else ()
    every = {o: o.statuses | promised.get(o.key, frozenset()) for o in operations}
    # Without an id in the path there is nothing not to be found, though routers may declare 404 for all alike.
    idle = {o: {"422"} if "{" in o.path else {"422", "404"} for o in operations}
    refusals = {o: frozenset(s for s in every[o] - idle[o] if s.startswith("4")) for o in operations}
    return {operation: statuses for operation, statuses in refusals.items() if statuses}


def _untested(
    app: Application, declared: dict[Operation, frozenset[str]], run: TestRun
) -> tuple[list[Finding], list[Finding]]:
    """Operations that were never seen refusing, and declared statuses that no operation of the resource showed."""
    operations = app.document.operations if app.document else ()
    seen = {(o, str(r.status)) for r in run.requests if (o := operation_of(r, operations)) and 400 <= r.status < 500}
    refusing = {operation for operation, _ in seen}
    shown = {(_resource(operation), status) for operation, status in seen}
    never = [o for o in declared if o not in refusing]
    told = (f"no test sees {o} refuse ({', '.join(sorted(declared[o]))})" for o in never)
    findings = [Finding(path=app.path, message=message) for message in told]
    shown |= {("", str(r.status)) for r in run.requests if str(r.status) in _OF_EVERY_BODY}
    wanted = {(_resource(o), status) for o, statuses in declared.items() for status in statuses if "X" not in status}
    wanted = {("" if status in _OF_EVERY_BODY else resource, status) for resource, status in wanted}
    gaps = sorted(f"/{resource} declares {status}" for resource, status in wanted - shown)
    return findings, [Finding(path=app.path, message=gap) for gap in gaps]


def _resource(operation: Operation) -> str:
    return operation.path.strip("/").partition("/")[0]


def _raised(tree: Tree, paths: Sequence[str]) -> list[Finding]:
    found = []
    for path, module in modules_of(tree, tuple(paths)).items():
        for node in ast.walk(module):
            if isinstance(node, ast.Raise) and node.exc and last(node.exc) not in _EXPECTED:
                found.append(Finding(path=path, line=node.lineno, message=ast.unparse(node)))
    return found


@check("T5")
async def performance_tests_were_run(
    base: Tree | None, head: Tree, changed: frozenset[str], environment: Environment
) -> Verdict:
    """The test run recorded response times by figures named `<what>_p95_ms`, in milliseconds.

    A load test that nobody ran tells nothing. Whether the figures are good is another item's question; only a
    performance test that fails is a fail. Source: Testing, performance tests run.
    """
    if not any(path in head.files and is_code(head, path) for path in changed):
        return not_applicable("T5", "no code changed")
    run = await run_tests(head.path, environment)
    failing = [test for test in run.failing if _PERFORMANCE.search(test.partition("::")[0])]
    if failing and base:
        before = await run_tests(base.path, environment)
        failing = [test for test in failing if test not in before.failing]
    if failing:
        return says("T5", Outcome.FAIL, f"{failing[0]} fails; make the performance test run to its end", run.evidence)
    figures = {name: value for name, value in run.measured.items() if name.endswith("_p95_ms")}
    if not figures:
        reason = "no test recorded a figure named <what>_p95_ms by record_property"
        return unknown("T5", run.problem or reason, run.evidence)
    told = ", ".join(f"{name.removesuffix('_ms')} {value:g} ms" for name, value in sorted(figures.items()))
    return passes("T5", f"the test run measured {told}", run.evidence)
