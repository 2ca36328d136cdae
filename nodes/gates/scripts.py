"""The scripts that a Node project names for lint, types and tests, run as the project would."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from backend_coordinator.domain.verdict import Finding, Verdict
from backend_coordinator.nodes.gates.evidence import fails, one_line, unknown
from backend_coordinator.nodes.gates.linters import ToolRun
from backend_coordinator.nodes.gates.scratch import QUICK, Scratch, copied
from backend_coordinator.nodes.gates.shared import once
from backend_coordinator.nodes.workspace.environment import Environment
from backend_coordinator.nodes.workspace.manifest import Undeclared
from backend_coordinator.nodes.workspace.node import NodeUnit
from backend_coordinator.nodes.workspace.package_json import read_json
from backend_coordinator.nodes.workspace.trees import Tree

LINTS = ("lint", "typecheck", "type-check")
TESTS = ("test",)
_CODE = (".js", ".mjs", ".cjs", ".jsx", ".ts", ".mts", ".cts", ".tsx", ".vue", ".svelte", "package.json")
_PLACEHOLDER = "no test specified"
"""What `npm init` writes in place of a test."""

_SHOWN = 1_500
"""Characters of a script's output, its end, that are told."""


@dataclass(frozen=True)
class ScriptRun:
    """One `script` of the unit at `root`; `absent` says that it is not there to be run."""

    root: str
    script: str
    run: ToolRun
    absent: bool = False

    @property
    def passed(self) -> bool:
        """It ran and ended well."""
        return not self.run.problem and self.run.exit_code == 0

    @property
    def told(self) -> str:
        """What it came to, with the end of its output where it failed."""
        if self.passed or self.run.problem:
            return f"{self.run.tool}: {self.run.problem or 'passes'}"
        return f"{self.run.tool}: exit {self.run.exit_code}\n{self.run.output[-_SHOWN:].strip()}"


async def run_scripts(directory: Path, environment: Environment) -> tuple[ScriptRun, ...]:
    """Run lint, type check and tests of every Node unit on a copy of `directory`, as package.json names them."""
    return await once(("scripts", directory, environment.digest), lambda: _run_scripts(directory, environment))


async def _run_scripts(directory: Path, environment: Environment) -> tuple[ScriptRun, ...]:
    runs = []
    for unit in environment.node:
        if not (directory / unit.root / "package.json").is_file():
            continue
        scripts = _scripts(directory / unit.root)
        inner = [script for member in unit.members for script in _scripts(directory / unit.root / member)]
        for name in (*LINTS, *TESTS):
            if name in scripts or name in inner:
                async with copied(directory, environment) as scratch:
                    runs.append(await _run(scratch, unit, name, everywhere=name not in scripts))
            elif name in TESTS:
                problem = f'there are no tests: package.json has no script "{name}"'
                runs.append(ScriptRun(unit.root, name, ToolRun(_tool(unit, name), problem), absent=True))
    return tuple(runs)


def _scripts(folder: Path) -> Collection[str]:
    try:
        named = read_json(folder, "package.json").get("scripts")
    except (Undeclared, OSError, ValueError):
        named = None
    return [name for name, text in named.items() if _PLACEHOLDER not in str(text)] if isinstance(named, dict) else []


def _tool(unit: NodeUnit, name: str) -> str:
    return f"npm run {name}" + (f" ({unit.root})" if unit.root else "")


async def _run(scratch: Scratch, unit: NodeUnit, name: str, *, everywhere: bool) -> ScriptRun:
    tool = _tool(unit, name)
    if unit.problem:
        return ScriptRun(unit.root, name, ToolRun(tool, f"the environment cannot be built: {unit.problem}"))
    version = (await scratch.run(["node", "--version"], unit.root, QUICK)).stdout.strip()
    # Named here, so that no .npmrc of the tree puts another program in its place.
    command = ["npm", "run", "--silent", "--script-shell=/bin/sh", name]
    command += ["--workspaces", "--if-present"] if everywhere else []
    done = await scratch.run(command, unit.root)
    problem = f"did not end within {done.seconds:.0f} seconds" if done.timed_out else None
    output = scratch.plain(done.output)
    return ScriptRun(unit.root, name, ToolRun(tool, problem, version, tuple(command), done.exit_code, output))


async def scripts_verdict(
    item: str,
    scripts: Collection[str],
    trees: tuple[Tree | None, Tree],
    changed: Iterable[str],
    environment: Environment,
) -> Verdict | None:
    """What the scripts of the changed Node units say of `trees`, base and head; None where none was changed.

    One that ends well leaves the item unknown, since nothing says what it looked at; one that no longer does fails.
    """
    base, head = trees
    roots = {root for path in changed if path.endswith(_CODE) for root in _roots(path, environment)[:1]}
    if not roots:
        return None
    runs = [run for run in await run_scripts(head.path, environment) if run.root in roots and run.script in scripts]
    evidence = tuple(run.run.evidence for run in runs if run.run.command)
    new = [run for run in runs if not run.passed and not run.run.problem]
    if new and base:
        before = await run_scripts(base.path, environment)
        known = {(run.root, run.script) for run in before if not run.passed and not run.absent}
        new = [run for run in new if (run.root, run.script) not in known]
    if new:
        places = [str(PurePosixPath(run.root, "package.json")) for run in new]
        findings = [Finding(path=path, message=_end(run)) for path, run in zip(places, new, strict=True)]
        return fails(item, findings, "make it pass", *evidence)
    if not runs:
        return unknown(item, f"package.json has no script {' or '.join(scripts)}")
    worst = min(runs, key=lambda run: run.passed)
    reason = "passes, but nothing says which lines it looked at" if worst.passed else "fails, as it did before"
    return unknown(item, f"{worst.run.tool}: {worst.run.problem or reason}", *evidence)


def _roots(path: str, environment: Environment) -> list[str]:
    """The Node units that hold `path`, innermost first."""
    holding = [unit.root for unit in environment.node if not unit.root or PurePosixPath(path).is_relative_to(unit.root)]
    return sorted(holding, key=len, reverse=True)


def _end(run: ScriptRun) -> str:
    return one_line(f"{run.run.tool} exits {run.run.exit_code}: {run.run.output[-_SHOWN:]}", _SHOWN)
