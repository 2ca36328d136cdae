"""Runs a project's tests, writes JUnit XML, and notes the requests that reach its ASGI applications."""

import json
import sys
import unittest
from pathlib import Path
from typing import Any
from xml.etree import ElementTree


def note_requests(seen: set[tuple[str, str, int]]) -> None:
    """Add (method, path, status) of each request any Starlette or FastAPI application answers."""
    try:
        from starlette.applications import Starlette
    except ImportError:
        return
    answer = Starlette.__call__

    async def noting(self: Any, scope: Any, receive: Any, send: Any) -> None:
        statuses = [500]

        async def forward(message: Any) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])
            await send(message)

        try:
            await answer(self, scope, receive, forward)
        finally:
            if scope["type"] == "http":
                seen.add((scope["method"], scope["path"], statuses[-1]))

    Starlette.__call__ = noting  # type: ignore[method-assign]


def run_pytest(options: list[str]) -> int:
    """pytest's exit code."""
    import pytest

    return int(pytest.main(options))


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
    note_requests(seen)
    try:
        return run_unittest(junit) if runner == "unittest" else run_pytest([*options])
    finally:
        Path(requests).write_text(json.dumps(sorted(seen)))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
