"""Runs a project's tests, writes JUnit XML, and notes requests to its ASGI applications and SQLite statements."""

import functools
import json
import re
import sys
import time
import unittest
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

_STATEMENT = re.compile(r"\s*(?:select|insert|update|delete|replace|with)\b", re.IGNORECASE)
_TIMED = "backend_coordinator.timed"


def note_requests(seen: set[tuple[str, str, int]], times: list[tuple[str, str, float]]) -> None:
    """Add (method, path, status) of each request any Starlette or FastAPI application answers, and its ms.

    The time runs to the last byte of the answer; what a mounted application does counts once.
    """
    try:
        from starlette.applications import Starlette
    except ImportError:
        return
    answer, clock = Starlette.__call__, time.perf_counter  # a local name: tests may freeze the module's clock

    async def noting(self: Any, scope: Any, receive: Any, send: Any) -> None:
        statuses, ends = [500], []
        inner, begun = _TIMED in scope, clock()
        scope[_TIMED] = True

        async def forward(message: Any) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])
            await send(message)
            if message["type"] == "http.response.body" and not message.get("more_body"):
                ends.append(clock())

        try:
            await answer(self, scope, receive, forward)
        finally:
            if scope["type"] == "http":
                seen.add((scope["method"], scope["path"], statuses[-1]))
                if not inner:
                    ms = round(((ends or [clock()])[0] - begun) * 1000, 3)
                    times.append((scope["method"], scope["path"], ms))

    Starlette.__call__ = noting  # type: ignore[method-assign]


def timed(execute: Any, times: list[float]) -> Any:
    """`execute` of a cursor, which adds its ms to `times` where it reads or changes rows."""
    clock = time.perf_counter

    @functools.wraps(execute)
    def noting(self: Any, sql: str, *arguments: Any) -> Any:
        begun = clock()
        try:
            return execute(self, sql, *arguments)
        finally:
            if isinstance(sql, str) and _STATEMENT.match(sql):
                times.append(round((clock() - begun) * 1000, 3))

    return noting


def note_statements(times: list[float]) -> None:
    """Add the ms of each SELECT, INSERT, UPDATE and DELETE on SQLite, to its first row.

    A connection for which the project names a class of its own stays as it is.
    """
    try:
        import sqlite3
    except ImportError:
        return

    class Cursor(sqlite3.Cursor):
        execute = timed(sqlite3.Cursor.execute, times)
        executemany = timed(sqlite3.Cursor.executemany, times)

    class Connection(sqlite3.Connection):
        def cursor(self, factory: Any = Cursor) -> Any:
            return super().cursor(factory)

        def execute(self, *arguments: Any) -> Any:
            return self.cursor().execute(*arguments)

        def executemany(self, *arguments: Any) -> Any:
            return self.cursor().executemany(*arguments)

    for ours in (Cursor, Connection):  # filters of warnings go by the name they print
        ours.__module__, ours.__qualname__ = "sqlite3", ours.__name__
    connect = sqlite3.connect

    @functools.wraps(connect)
    def connecting(*arguments: Any, **options: Any) -> Any:
        if len(arguments) < 6:  # the sixth is the class
            options.setdefault("factory", Connection)
        return connect(*arguments, **options)

    sqlite3.connect = sqlite3.dbapi2.connect = connecting


def run_pytest(options: list[str], begin: Callable[[], None]) -> int:
    """pytest's exit code; `begin` is called when pytest has imported its plugins, which it wants to do first."""
    import pytest

    class Plugin:
        def pytest_configure(self) -> None:
            begin()

    return int(pytest.main(options, plugins=[Plugin()]))


class Noting(unittest.TextTestResult):
    """Remembers what passed, too."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.passed: list[unittest.TestCase] = []

    def addSuccess(self, test: unittest.TestCase) -> None:
        """Called by unittest."""
        super().addSuccess(test)
        self.passed.append(test)


def write_case(root: ElementTree.Element, test: unittest.TestCase) -> ElementTree.Element:
    """A test case named as pytest would name it."""
    dotted, space, rest = test.id().partition(" ")
    classname, _, name = dotted.rpartition(".")
    return ElementTree.SubElement(root, "testcase", classname=classname, name=name + space + rest)


def run_unittest(junit: str) -> int:
    """Discovers from here, and from a tests folder that is no package; 0 if all passed, 5 if there are none."""
    starts = [".", *(["tests"] if Path("tests").is_dir() and not Path("tests/__init__.py").exists() else [])]
    suite = unittest.TestSuite(unittest.TestLoader().discover(start) for start in starts)
    result = unittest.TextTestRunner(stream=sys.stdout, resultclass=Noting).run(suite)
    assert isinstance(result, Noting)
    counts = {
        "tests": result.testsRun,
        "failures": len(result.failures) + len(result.unexpectedSuccesses),
        "errors": len(result.errors),
        "skipped": len(result.skipped),
    }
    root = ElementTree.Element("testsuite", {name: str(count) for name, count in counts.items()})
    broken = [*result.failures, *result.errors, *((t, "unexpected success") for t in result.unexpectedSuccesses)]
    for test, text in broken:
        ElementTree.SubElement(write_case(root, test), "failure", message="").text = text
    for test in result.passed:
        write_case(root, test)
    ElementTree.ElementTree(root).write(junit)
    return 5 if not result.testsRun else int(not result.wasSuccessful())


def main(runner: str, junit: str, requests: str, *options: str) -> int:
    """Called by coverage with this process's arguments."""
    # coverage puts this script's folder first; `python -m pytest` would put the project there.
    sys.path[0] = str(Path.cwd())
    seen: set[tuple[str, str, int]] = set()
    times: list[tuple[str, str, float]] = []
    statements: list[float] = []
    note_statements(statements)
    begin = functools.partial(note_requests, seen, times)
    try:
        if runner == "pytest":
            return run_pytest([*options], begin)
        begin()
        return run_unittest(junit)
    finally:
        noted = {"requests": sorted(seen), "times": times, "statements": statements}
        Path(requests).write_text(json.dumps(noted))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
