"""Running a project's own tests and linters in its environment."""

import asyncio
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import reduce
from pathlib import Path
from xml.etree.ElementTree import ParseError

from backend_coordinator.nodes.gates.evidence import place
from backend_coordinator.nodes.gates.files import is_test
from backend_coordinator.nodes.gates.linters import PYTEST_SECTIONS, ToolRun, configured, run_linters
from backend_coordinator.nodes.gates.scratch import Scratch, copied, installed, obstacle
from backend_coordinator.nodes.gates.scripts import run_scripts
from backend_coordinator.nodes.gates.shared import once
from backend_coordinator.nodes.gates.testrun import (
    Request,
    Runner,
    TestRun,
    Timing,
    read_coverage,
    together,
    with_junit,
)
from backend_coordinator.nodes.workspace.environment import Environment, Unit

SUMMARY_LIMIT = 6_000
MEASURING = ("coverage>=7",)
"""What a project's environment gets for our measurements besides its own requirements."""

# Ours, so that a project cannot shrink what is measured; `pragma: no cover` has no force here.
_COVERAGE = """\
[run]
source = .
relative_files = true
concurrency = {concurrency}
omit = {omit}
[report]
include_namespace_packages = true
exclude_lines =
    if TYPE_CHECKING:
    if __name__ == .__main__.:
    ^\\s*\\.\\.\\.$
    @(typing\\.)?overload
"""


@dataclass(frozen=True)
class ProjectCheck:
    """What linters, type checker and tests say; `text` has the failures first, at most 6,000 characters."""

    ok: bool
    text: str
    tools: tuple[ToolRun, ...]
    tests: TestRun


async def check_project(directory: Path, environment: Environment) -> ProjectCheck:
    """Run what the project configures and its tests; the messages are the tools' own."""
    tools, tests, scripts = await asyncio.gather(
        run_linters(directory, environment), run_tests(directory, environment), run_scripts(directory, environment)
    )
    bad = [tool for tool in tools if tool.problem or tool.findings]
    parts = [f"tests: {tests.summary}"]
    if tests.measured:
        parts.append("measured: " + ", ".join(f"{name}={round(value, 3)}" for name, value in tests.measured.items()))
    parts += [f"{tool.tool}: {tool.problem or f'{len(tool.findings)} findings'}" for tool in tools]
    parts += [script.told for script in scripts]
    # One line each, so they come before the long messages of tests and still leave room for them.
    parts += [f"{place(f)}: {f.message} ({tool.tool})" for tool in bad for f in tool.findings[:15]]
    parts += [f"FAILED {test}\n{message}" for test, message in tests.failing.items()]
    if not tests.green and not tests.failing:
        parts.append(tests.output)
    ok = not bad and all(script.passed or script.absent for script in scripts)
    ok = ok and (tests.green or (tests.runner == "none" and not tests.problem))
    return ProjectCheck(ok, _cut("\n".join(parts)), tools, tests)


def _cut(text: str) -> str:
    marker = "\n... the rest is left out ..."
    return text if len(text) <= SUMMARY_LIMIT else text[: SUMMARY_LIMIT - len(marker)] + marker


async def run_tests(directory: Path, environment: Environment) -> TestRun:
    """Run the tests of every unit on a copy of `directory`, which itself stays as it is.

    A run that could not happen or cannot be believed comes back with `problem`, never as an error.
    """
    return await once(("tests", directory, environment.digest), lambda: _run_tests(directory, environment))


async def _run_tests(directory: Path, environment: Environment) -> TestRun:
    runs = []
    for unit in environment.units:
        if (directory / unit.root).is_dir():
            async with copied(directory, environment) as scratch:
                runs.append(await _run_unit(scratch, unit))
    return reduce(together, runs, TestRun("none")) if runs else TestRun("none")


async def _run_unit(scratch: Scratch, unit: Unit) -> TestRun:
    root = scratch.tree / unit.root
    inner = [u.root for u in scratch.environment.units if u != unit and Path(u.root).is_relative_to(unit.root)]
    tests = _tests(root, [scratch.tree / other for other in inner])
    if not tests:
        return TestRun("none")
    if problem := obstacle(unit, scratch.tree):
        return TestRun("pytest", problem)
    versions = await installed(scratch, unit.root)
    runner = _runner(root, tests, versions)
    for tool in ("coverage", *(["pytest"] if runner == "pytest" else [])):
        if tool not in versions:
            return TestRun(runner, f"{tool} is not installed: declare it in the project's test dependencies")
    if problem := await scratch.environment.probe_imports(scratch.tree):
        return TestRun(runner, problem=problem)
    return await _measure(scratch, unit, runner, versions, [Path(i).relative_to(unit.root) for i in inner])


async def _measure(
    scratch: Scratch, unit: Unit, runner: Runner, versions: Mapping[str, str], omit: list[Path]
) -> TestRun:
    results = scratch.results
    omitted = [f"{path.as_posix()}/*" for path in omit] or ["nothing"]
    concurrency = "thread,greenlet" if "greenlet" in versions else "thread"
    rcfile = results / "coveragerc"
    rcfile.write_text(_COVERAGE.format(concurrency=concurrency, omit=",".join(omitted)))
    coverage = ["python", "-m", "coverage"]
    data = [f"--rcfile={rcfile}", f"--data-file={results / 'data'}"]
    junit, requests = results / "junit.xml", results / "requests.json"
    script = [scratch.script("run_tests"), runner, str(junit), str(requests)]
    options = _pytest_options(results, versions) if runner == "pytest" else []
    command = [*coverage, "run", *data, *script, *options]
    done = await scratch.run(command, unit.root)
    run = TestRun(
        runner,
        exit_code=done.exit_code,
        command=tuple(scratch.plain(word) for word in command),
        version=versions["pytest"] if runner == "pytest" else sys.version.split()[0],
        coverage_version=versions["coverage"],
        output=scratch.plain(done.output),
        seconds=done.seconds,
    )
    if done.timed_out:
        return replace(run, problem=f"the tests did not end within {done.seconds:.0f} seconds")
    await scratch.run([*coverage, "json", *data, "-q", "-o", str(results / "coverage.json")], unit.root)
    return _read(run, scratch, f"{unit.root}/" if unit.root else "")


def _pytest_options(results: Path, versions: Mapping[str, str]) -> list[str]:
    options = ["--color=no", "--tb=short", "-q", "-o", f"cache_dir={results / 'cache'}"]
    # The older family, since record_property warns under the newer one, and a warning can be an error.
    options += [f"--junitxml={results / 'junit.xml'}", "-o", "junit_family=xunit1"]
    # All of them, also where one file cannot be imported or the project would stop at the first failure.
    options += ["--continue-on-collection-errors", "--maxfail=0"]
    # A second coverage or worker processes inside this one would leave ours without data.
    options += ["--no-cov"] if "pytest-cov" in versions else []
    options += ["-n0"] if "pytest-xdist" in versions else []
    return options


def _read(run: TestRun, scratch: Scratch, prefix: str) -> TestRun:
    try:
        found = with_junit(run, scratch.results / "junit.xml", prefix)
        noted = json.loads((scratch.results / "requests.json").read_text())
        coverage = read_coverage(scratch.results / "coverage.json", prefix)
    except (OSError, ParseError, ValueError) as error:
        return replace(run, problem=f"{run.runner} left no readable results: {type(error).__name__}: {error}")
    return replace(
        found,
        failing={test: scratch.plain(text) for test, text in found.failing.items()},
        coverage=coverage,
        requests=frozenset(Request(*request) for request in noted["requests"]),
        timings=tuple(Timing(*timing) for timing in noted["times"]),
        statements=tuple(noted["statements"]),
    )


def _tests(root: Path, inner: list[Path]) -> list[Path]:
    return [
        path
        for path in sorted(root.rglob("*.py"))
        if is_test(path.relative_to(root).as_posix())
        and path.name not in {"conftest.py", "__init__.py"}
        and not any(path.is_relative_to(other) for other in inner)
    ]


def _runner(root: Path, tests: list[Path], versions: Mapping[str, str]) -> Runner:
    """pytest where it is configured, installed or imported; it runs unittest's cases too."""
    sections = {**PYTEST_SECTIONS, "pytest.ini": "pytest"}.items()
    configures = any(section in configured(root / name) for name, section in sections)
    if "pytest" in versions or configures or (root / "conftest.py").exists():
        return "pytest"
    texts = [path.read_text(errors="replace") for path in tests]
    return "unittest" if any("unittest" in text for text in texts) else "pytest"
