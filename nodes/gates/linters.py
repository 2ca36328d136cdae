"""The linters and type checker a project configures, run as the project would."""

import configparser
import json
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from backend_coordinator.domain.verdict import Evidence, Finding
from backend_coordinator.nodes.gates.evidence import MOST_FINDINGS, digest, one_line
from backend_coordinator.nodes.gates.scratch import Scratch, copied, installed, obstacle
from backend_coordinator.nodes.gates.shared import once
from backend_coordinator.nodes.workspace.environment import Environment, Unit
from backend_coordinator.nodes.workspace.processes import Completed
from backend_coordinator.nodes.workspace.sandbox import STATIC

_INI_FILES = ("setup.cfg", "tox.ini", ".flake8", "mypy.ini", ".mypy.ini")
PYTEST_SECTIONS = {"pyproject.toml": "pytest", "tox.ini": "pytest", "setup.cfg": "tool:pytest"}
"""Where pytest is configured in files that configure other tools too."""

_TIDYING = replace(STATIC, name="tidying", edits=True)
_RUNS_OF = ("Makefile", "justfile", "noxfile.py", "tox.ini", ".pre-commit-config.yaml")
_LINE = re.compile(r"^(?P<path>[^:\n]+\.pyi?):(?P<line>\d+):(?:\d+:)? (?:error: )?(?P<message>.+)$", re.MULTILINE)
_REFORMAT = re.compile(r"^(?:would reformat|---) (?P<path>\S+\.\w+)", re.MULTILINE)


@dataclass(frozen=True)
class ToolRun:
    """What one linter said; `problem` is set when it could not run and so said nothing."""

    tool: str
    problem: str | None = None
    version: str = ""
    command: tuple[str, ...] = ()
    exit_code: int | None = None
    output: str = ""
    findings: tuple[Finding, ...] = ()

    @property
    def evidence(self) -> Evidence:
        """This run as evidence."""
        return Evidence(
            tool=self.tool,
            version=self.version,
            command=self.command,
            exit_code=self.exit_code,
            output_sha256=digest(self.output),
            summary=one_line(self.problem or f"{len(self.findings)} findings"),
            findings=self.findings[:MOST_FINDINGS],
        )


@dataclass(frozen=True)
class _Linter:
    command: tuple[str, ...]
    find: Callable[[Completed], tuple[Finding, ...]]
    fix: tuple[str, ...] = ()
    """What makes the tool mend files that are named after it."""

    @property
    def tool(self) -> str:
        return self.command[0]


def _ruff_findings(done: Completed) -> tuple[Finding, ...]:
    return tuple(
        Finding(
            path=entry["filename"],
            line=(entry.get("location") or {}).get("row", 0),
            message=f"{entry.get('code') or 'syntax error'} {entry['message']}",
        )
        for entry in json.loads(done.stdout or "[]")
    )


def _line_findings(done: Completed) -> tuple[Finding, ...]:
    return tuple(
        Finding(path=m["path"], line=int(m["line"]), message=m["message"])
        for m in _LINE.finditer(done.stdout)
        if not m["message"].startswith("note: ")
    )


def _reformat_findings(done: Completed) -> tuple[Finding, ...]:
    found = _REFORMAT.finditer(done.output)
    return tuple(Finding(path=m["path"].strip(), message="would be reformatted") for m in found)


_FIXING = ("ruff", "check", "--fix-only", "--no-cache")
_FORMATTING = ("ruff", "format", "--no-cache")
_RUFF = _Linter(("ruff", "check", "--no-cache", "--output-format=json", "."), _ruff_findings, _FIXING)
_RUFF_FORMAT = _Linter(("ruff", "format", "--diff", "--no-cache", "."), _reformat_findings, _FORMATTING)
_FLAKE8 = _Linter(("flake8", "."), _line_findings)
_BLACK = _Linter(("black", "--check", "."), _reformat_findings, ("black", "--quiet"))
_MYPY = _Linter(("mypy", "--cache-dir=/dev/null", "--no-error-summary"), _line_findings)


async def run_linters(directory: Path, environment: Environment) -> tuple[ToolRun, ...]:
    """Run what each unit of `directory` configures on a copy of it; paths count from `directory`."""
    return await once(("linters", directory), lambda: _run_linters(directory, environment))


async def _run_linters(directory: Path, environment: Environment) -> tuple[ToolRun, ...]:
    runs = []
    for unit in environment.units:
        linters = _configured_linters(directory / unit.root)
        if not linters:
            continue
        async with copied(directory, environment) as scratch:
            versions = await installed(scratch, unit.root)
            runs += [await _run(scratch, unit, linter, versions) for linter in linters]
    return tuple(runs)


async def _run(scratch: Scratch, unit: Unit, linter: _Linter, versions: Mapping[str, str]) -> ToolRun:
    tool = linter.tool
    if problem := obstacle(unit, scratch.tree):
        return ToolRun(tool, problem)
    if tool not in versions:
        return ToolRun(tool, problem=f"{tool} is configured but not installed: add it to the test dependencies")
    command = ["python", "-m", *linter.command]
    if linter is _MYPY and not _names_files(scratch.tree / unit.root):
        command.append(".")
    done = await scratch.run(command, unit.root)
    run = ToolRun(tool, None, versions[tool], tuple(command), done.exit_code, scratch.plain(done.output))
    if done.exit_code not in (0, 1):
        return replace(run, problem=f"{tool} could not run: {run.output[-300:]}")
    findings = tuple(_from_top(finding, scratch, unit) for finding in linter.find(done))
    if done.exit_code == 1 and not findings:
        return replace(run, problem=f"{tool} failed without findings: {run.output[-300:]}")
    return replace(run, findings=findings)


async def tidy(directory: Path, paths: Sequence[str], environment: Environment) -> tuple[str, ...]:
    """Which of `paths` below `directory` the configured formatters and linters mended, in place."""
    before = {path: (directory / path).read_bytes() for path in paths}
    for unit in environment.units:
        inside = [path for path in paths if environment.unit_of((directory / path).parent) == unit]
        if not inside or obstacle(unit, directory):
            continue
        root = directory / unit.root
        names = [Path(path).relative_to(unit.root).as_posix() for path in inside]
        for linter in _configured_linters(root):
            if linter.fix:
                await environment.run(["python", "-m", *linter.fix, "--", *names], root, _TIDYING)
    return tuple(path for path in paths if (directory / path).read_bytes() != before[path])


def _from_top(finding: Finding, scratch: Scratch, unit: Unit) -> Finding:
    path = Path(scratch.plain(finding.path))
    inside = path.is_relative_to(unit.root) and finding.path.startswith("/")
    return finding.model_copy(update={"path": (path if inside else Path(unit.root, path)).as_posix()})


def _configured_linters(root: Path) -> list[_Linter]:
    pyproject = configured(root / "pyproject.toml")
    sections = {section for name in _INI_FILES for section in configured(root / name)}
    linters = []
    if "ruff" in pyproject or any((root / name).exists() for name in ("ruff.toml", ".ruff.toml")):
        linters.append(_RUFF)
        if "format" in _ruff_options(root) or _runs(root, "ruff format", "ruff-format"):
            linters.append(_RUFF_FORMAT)
    linters += [_FLAKE8] if "flake8" in sections else []
    linters += [_BLACK] if "black" in pyproject else []
    linters += [_MYPY] if "mypy" in pyproject or "mypy" in sections else []
    return linters


def _ruff_options(root: Path) -> Mapping[str, object]:
    options = configured(root / "pyproject.toml").get("ruff", {})
    return {**options, **_toml(root / "ruff.toml"), **_toml(root / ".ruff.toml")}


def _runs(root: Path, *commands: str) -> bool:
    workflows = root / ".github" / "workflows"
    files = [*(root / name for name in _RUNS_OF), *workflows.glob("*.y*ml")]
    texts = [path.read_text(errors="replace") for path in files if path.is_file()]
    return any(command in text for text in texts for command in commands)


def _names_files(root: Path) -> bool:
    tables = [configured(root / name).get("mypy", {}) for name in ("pyproject.toml", *_INI_FILES)]
    return any(key in table for table in tables for key in ("files", "packages", "modules"))


def configured(path: Path) -> Mapping[str, Mapping[str, object]]:
    """The tool tables of a pyproject.toml, or the sections of an ini file; empty if absent or broken."""
    if path.suffix == ".toml":
        tables = _toml(path).get("tool", {})
        return {k: v for k, v in tables.items() if isinstance(v, dict)} if isinstance(tables, dict) else {}
    parser = configparser.RawConfigParser(strict=False)
    try:
        parser.read_string(path.read_text() if path.is_file() else "")
    except (configparser.Error, UnicodeDecodeError):
        return {}
    return {section: dict(parser.items(section)) for section in parser.sections()}


def _toml(path: Path) -> Mapping[str, object]:
    try:
        return tomllib.loads(path.read_text()) if path.is_file() else {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError):
        return {}
