"""A throw-away copy of a tree to run things in, with a folder beside it for their results."""

import asyncio
import json
import shutil
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from backend_coordinator.domain.verdict import Evidence
from backend_coordinator.nodes.gates import inside
from backend_coordinator.nodes.gates.evidence import digest, one_line
from backend_coordinator.nodes.workspace.environment import Environment, Unit
from backend_coordinator.nodes.workspace.processes import Completed
from backend_coordinator.nodes.workspace.sandbox import TESTS, Profile
from backend_coordinator.nodes.workspace.trees import opened

QUICK = 120.0
_LEFT_OUT = shutil.ignore_patterns(".git", ".venv", "node_modules", "__pycache__", ".coverage*", ".*_cache")
# A module of the tree with one of these names would run in place of the tool that judges the tree.
_TOOLS = frozenset({
    "coverage", "pytest", "_pytest", "pluggy", "unittest", "xml", "json", "sitecustomize",
    "usercustomize", "starlette", "fastapi", "alembic", "sqlite3", "ruff", "mypy", "flake8", "black",
})  # fmt: skip

_VERSIONS = (
    "import json; from importlib.metadata import distributions; "
    "print(json.dumps({d.metadata['Name'].lower().replace('_', '-'): d.version for d in distributions()}))"
)


@dataclass(frozen=True)
class Scratch:
    """`tree` may be written to by what runs there; `results` lies outside of it."""

    tree: Path
    results: Path
    environment: Environment

    async def run(self, argv: Sequence[str], root: str = "", seconds: float = TESTS.seconds) -> Completed:
        """Run in the unit at `root` with the profile of tests, for at most `seconds`."""
        profile: Profile = replace(TESTS, writable=(*TESTS.writable, self.results), seconds=seconds)
        done = await self.environment.run(argv, self.tree / root, profile)
        for path in list(opened(self.results)):
            if path.is_symlink() or not (path.is_file() or path.is_dir()):
                path.unlink()  # it would lead us elsewhere, or never end
        return done

    def script(self, name: str) -> str:
        """The path of a script of `inside` where the confined process can read it."""
        source = Path(inside.__file__).parent / f"{name}.py"
        return str(shutil.copy(source, str(self.results)))

    def plain(self, text: str) -> str:
        """`text` without the paths of this copy, so that it reads the same on every run."""
        return text.replace(f"{self.tree}/", "").replace(f"{self.results}/", "")

    def last_line(self, done: Completed) -> str:
        """The last line that `done` wrote, at most 200 characters: of a traceback the error."""
        return one_line((self.plain(done.output).strip().splitlines() or ["no message"])[-1], 200)

    def evidence(self, tool: str, version: str, done: Completed, summary: str) -> Evidence:
        """`done`, which ran here, as evidence without findings."""
        return Evidence(
            tool=tool,
            version=version,
            command=tuple(map(self.plain, done.argv)),
            exit_code=done.exit_code,
            output_sha256=digest(self.plain(done.output)),
            summary=one_line(summary),
        )


@asynccontextmanager
async def copied(directory: Path, environment: Environment) -> AsyncIterator[Scratch]:
    """A copy of `directory` that vanishes afterwards."""
    with tempfile.TemporaryDirectory(prefix="gates-", ignore_cleanup_errors=True) as folder:
        tree, results = Path(folder, "tree"), Path(folder, "results")
        await asyncio.to_thread(_copy, directory, tree)
        await asyncio.to_thread(results.mkdir)
        yield Scratch(tree, results, replace(environment, tree=tree))


def _copy(directory: Path, tree: Path) -> None:
    shutil.copytree(directory, tree, symlinks=True, ignore=_left_out)
    for path in (tree, *tree.rglob("*")):
        if not path.is_symlink():
            path.chmod(path.stat().st_mode | (0o700 if path.is_dir() else 0o600))


def _left_out(folder: str, names: list[str]) -> set[str]:
    places = {name: Path(folder, name) for name in names}
    special = {name for name, at in places.items() if not (at.is_symlink() or at.is_file() or at.is_dir())}
    return _LEFT_OUT(folder, names) | special


def shadowed(root: Path) -> str | None:
    """The path of a module in `root` or its `src` that would stand in for a tool, or None."""
    for folder in (root, root / "src"):
        for path in sorted(folder.iterdir()) if folder.is_dir() else ():
            # A folder without __init__ gives way to an installed package of its name.
            module = any(path.glob("__init__.*")) or path.suffix in {".py", ".pyc", ".so"}
            if module and path.name.partition(".")[0] in _TOOLS:
                return path.relative_to(root).as_posix()
    return None


def obstacle(unit: Unit, tree: Path) -> str | None:
    """Why nothing that runs in the unit of `tree` could be believed, or None."""
    if unit.problem:
        return f"the environment cannot be built: {unit.problem}"
    intruder = shadowed(tree / unit.root)
    return f"{intruder} would run in place of a tool: rename it" if intruder else None


async def installed(scratch: Scratch, root: str) -> Mapping[str, str]:
    """Versions by distribution name in the environment of the unit at `root`; empty if it cannot tell."""
    done = await scratch.run(["python", "-I", "-c", _VERSIONS], root, QUICK)
    if done.exit_code != 0:
        return {}
    versions: dict[str, str] = json.loads(done.stdout.strip().splitlines()[-1])
    return versions
