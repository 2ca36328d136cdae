"""What one run of a project's tests showed."""

import json
import math
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar, Literal, NamedTuple
from xml.etree import ElementTree

from backend_coordinator.domain.verdict import Evidence, Finding
from backend_coordinator.nodes.gates.evidence import MOST_FINDINGS, digest, one_line
from backend_coordinator.nodes.gates.openapi import Operation

Runner = Literal["pytest", "unittest", "none"]


class FileCoverage(NamedTuple):
    """Numbers of the lines that ran and of those that did not."""

    executed: frozenset[int]
    missing: frozenset[int]


_FIGURE = re.compile(r"[a-z0-9_]+")


class Timing(NamedTuple):
    """How long one request took in the tests' own process, in milliseconds, coverage being measured meanwhile."""

    method: str
    path: str
    ms: float


class Request(NamedTuple):
    """One request a test sent to an application in its own process."""

    method: str
    path: str
    status: int


@dataclass(frozen=True)
class TestRun:
    """Counts, failures and coverage; `problem` says why the run decides nothing, `seconds` is wall time.

    `passing` are test ids, `failing` maps them to messages; `coverage` maps paths from the tree's root;
    `measured` are figures that tests recorded by name; `statements` are ms of statements on SQLite.
    """

    __test__: ClassVar[bool] = False

    runner: Runner
    problem: str | None = None
    exit_code: int | None = None
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    errors: int = 0
    passing: frozenset[str] = frozenset()
    failing: Mapping[str, str] = field(default_factory=dict)
    coverage: Mapping[str, FileCoverage] = field(default_factory=dict)
    requests: frozenset[Request] = frozenset()
    timings: tuple[Timing, ...] = ()
    statements: tuple[float, ...] = ()
    measured: Mapping[str, float] = field(default_factory=dict)
    command: tuple[str, ...] = ()
    version: str = ""
    coverage_version: str = ""
    output: str = ""
    seconds: float = 0.0

    @property
    def green(self) -> bool:
        """At least one test passed, none failed, and the runner says so too."""
        return not self.problem and self.exit_code == 0 and not self.failing and self.passed > 0

    @property
    def summary(self) -> str:
        """One line of counts."""
        counts = f"{self.passed} passed, {self.failed} failed, {self.errors} errors, {self.skipped} skipped"
        return self.problem or f"{self.runner}: {counts}"

    def executed(self, path: str) -> frozenset[int]:
        """The lines of the file at `path` that ran."""
        return self.coverage[path].executed if path in self.coverage else frozenset()

    @property
    def evidence(self) -> Evidence:
        """This run as evidence; failing tests are its findings."""
        findings = tuple(Finding(path=i, message=one_line(text)) for i, text in self.failing.items())
        return Evidence(
            tool=self.runner,
            version=self.version,
            command=self.command,
            exit_code=self.exit_code,
            output_sha256=digest(self.output),
            summary=one_line(self.summary),
            findings=findings[:MOST_FINDINGS],
        )


def together(first: TestRun, second: TestRun) -> TestRun:
    """Two units' runs as one; a problem of either is a problem of both."""
    if "none" in (first.runner, second.runner) and not first.problem and not second.problem:
        return second if first.runner == "none" else first
    summed = ("passed", "failed", "skipped", "errors", "timings", "statements", "output", "seconds")
    return replace(
        first,
        problem=first.problem or second.problem,
        exit_code=first.exit_code or second.exit_code,
        passing=first.passing | second.passing,
        failing={**first.failing, **second.failing},
        coverage={**first.coverage, **second.coverage},
        requests=first.requests | second.requests,
        measured=_largest((*first.measured.items(), *second.measured.items())),
        command=(*first.command, "&&", *second.command),
        **{name: getattr(first, name) + getattr(second, name) for name in summed},
    )


def old_failures(run: TestRun, before: TestRun) -> tuple[str, ...]:
    """What fails in `run` and failed `before` under the same name: a test, or a file that cannot be imported."""
    return tuple(test for test in run.failing if test in before.failing)


def hidden_failures(run: TestRun, before: TestRun, changed: Collection[str]) -> tuple[str, ...]:
    """The tests failing in `run` that nothing compares: their file could not be imported `before` and is as it was."""
    files = [name for name in before.failing if f"{name.replace('.', '/')}.py" not in changed]
    return tuple(test for test in run.failing if test not in before.failing and is_within(test, files))


def is_within(test: str, names: Collection[str]) -> bool:
    """Whether a test is one of `names` or lies in one: a file that cannot be imported fails under its own name."""
    return test in names or any(test.startswith((f"{name}::", f"{name}.")) for name in names)


def operation_of(request: Request, operations: Iterable[Operation]) -> Operation | None:
    """The operation a request meant; of several the one with the fewest parameters, as routers are written."""
    fitting = [o for o in operations if o.method == request.method and _fits(o.path, request.path)]
    return min(fitting, key=lambda operation: operation.path.count("{"), default=None)


def _fits(template: str, path: str) -> bool:
    parts = re.split(r"\{[^}]*\}", template)
    return re.fullmatch("[^/]+".join(map(re.escape, parts)), path) is not None


def with_junit(run: TestRun, path: Path, prefix: str) -> TestRun:
    """`run` with what a JUnit file says, `prefix` before ids; raises OSError or ParseError without a whole file."""
    root = ElementTree.parse(path).getroot()
    suites = [root] if root.tag == "testsuite" else list(root)
    tests, failed, errors, skipped = (
        sum(int(suite.get(name, "0")) for suite in suites) for name in ("tests", "failures", "errors", "skipped")
    )
    cases = [(prefix + _test_id(case), case) for case in root.iter("testcase")]
    failing = {
        test: f"{bad.get('message', '')}\n{bad.text or ''}".strip()
        for test, case in cases
        for bad in (*case.findall("failure"), *case.findall("error"))
    }
    skips = {test for test, case in cases if case.find("skipped") is not None}
    return replace(
        run,
        passed=tests - failed - errors - skipped,
        failed=failed,
        skipped=skipped,
        errors=errors,
        passing=frozenset({test for test, _ in cases} - skips - failing.keys()),
        failing=failing,
        measured=_largest(_figures(root)),
    )


def _figures(root: ElementTree.Element) -> Iterator[tuple[str, float]]:
    """Numbers that tests gave to pytest's `record_property`."""
    for noted in root.iter("property"):
        name, text = noted.get("name", ""), noted.get("value", "")
        try:
            value = float(text)
        except ValueError:
            continue
        if _FIGURE.fullmatch(name) and math.isfinite(value):
            yield name, value


def _largest(figures: Iterable[tuple[str, float]]) -> Mapping[str, float]:
    """One value a name: where several tests give one, the largest stands for them."""
    return dict(sorted(figures))


def _test_id(case: ElementTree.Element) -> str:
    return "::".join(part for part in (case.get("classname"), case.get("name")) if part)


def read_coverage(path: Path, prefix: str) -> Mapping[str, FileCoverage]:
    """Coverage by path, empty where nothing was measured."""
    if not path.exists():
        return {}
    files = json.loads(path.read_text())["files"]
    return {
        f"{prefix}{name}": FileCoverage(frozenset(lines["executed_lines"]), frozenset(lines["missing_lines"]))
        for name, lines in files.items()
    }
