"""Where code of the workspace runs: an interpreter per unit, confined: `Environment.run` is the door."""

import asyncio
import hashlib
import os
import shutil
import tempfile
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from backend_coordinator.nodes.workspace.bubblewrap import HOME
from backend_coordinator.nodes.workspace.installer import InstallError, digest_of, install
from backend_coordinator.nodes.workspace.manifest import Manifest, Undeclared, checked, find_manifests
from backend_coordinator.nodes.workspace.node import NodeUnit, node_unit
from backend_coordinator.nodes.workspace.package_json import find_packages
from backend_coordinator.nodes.workspace.postgres import Postgres, prepare
from backend_coordinator.nodes.workspace.processes import Completed
from backend_coordinator.nodes.workspace.sandbox import BASH, STATIC, TESTS, Profile, Sandbox
from backend_coordinator.nodes.workspace.trees import EXPORT_PREFIX

Place = tuple[str, str]
"""A unit's root and where in it an optional group is declared."""

_SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin"
_NPM = {"npm_config_offline": "true", "npm_config_update_notifier": "false"}
_NOT_MODULES = frozenset({"setup", "conftest", "noxfile", "fabfile", "tasks", "docs", "node_modules"})
_PROBE = """
import importlib.util, os, sys
tree = os.path.realpath(sys.argv[1])
for name in sys.argv[2:]:
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError) as error:
        sys.exit(f"{name} cannot be found: {error}")
    if spec is None:
        sys.exit(f"{name} cannot be found")
    place = spec.origin if spec.has_location else next(iter(spec.submodule_search_locations or [spec.origin]))
    if not os.path.realpath(place).startswith(tree + os.sep):
        sys.exit(f"{name} is imported from {place}, outside the tree under test")
"""


@dataclass(frozen=True)
class Unit:
    """One Python project of the tree at `root` ("" is the top); without `python` the `problem` says why.

    `blocked` means that the index did not answer: nobody's manifest is at fault.
    """

    root: str
    manifest_digest: str
    python: Path | None
    problem: str | None = None
    blocked: bool = False


@dataclass(frozen=True)
class Environment:
    """The units of `tree`, and of trees with the same manifests beside it; `services` are extra variables.

    `node` are its Node projects, of which one may lie where a Python project lies. `postgres` runs beside each
    process with the profile of tests or of bash.
    """

    units: tuple[Unit, ...]
    sandbox: Sandbox
    services: tuple[tuple[str, str], ...]
    tree: Path
    node: tuple[NodeUnit, ...] = ()
    postgres: Postgres | None = None

    @property
    def projects(self) -> tuple[Unit | NodeUnit, ...]:
        """The units of every language."""
        return (*self.units, *self.node)

    @property
    def digest(self) -> str:
        """What a result depends on besides the tree."""
        parts = (*(f"{unit.root}={unit.manifest_digest}" for unit in self.projects), self.sandbox.level)
        parts += (self.postgres.variable,) if self.postgres else ()
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]

    @property
    def problem(self) -> str | None:
        """Why a unit has no interpreter, or None when all have one."""
        return next((unit.problem for unit in self.units if unit.problem), None)

    def unit_of(self, cwd: Path) -> Unit:
        """The innermost unit whose root holds `cwd`, else the outermost one."""
        inside = cwd.resolve().relative_to(self.root_of(cwd))
        return next(iter(_holding(self.units, inside)), self.units[0])

    def node_of(self, cwd: Path) -> NodeUnit | None:
        """The innermost Node unit whose root holds `cwd`."""
        return next(iter(_holding(self.node, cwd.resolve().relative_to(self.root_of(cwd)))), None)

    def root_of(self, cwd: Path) -> Path:
        """The top of the tree that holds `cwd`: ours, one beside ours, or `cwd` itself."""
        tree, cwd = self.tree.resolve(), cwd.resolve()
        if cwd.is_relative_to(tree):
            return tree
        if cwd.is_relative_to(tree.parent) and cwd != tree.parent:
            return tree.parent / cwd.relative_to(tree.parent).parts[0]
        return cwd

    async def run(self, argv: Sequence[str], cwd: Path, profile: Profile) -> Completed:
        """Run `argv` confined in `cwd`, the unit's interpreter first in PATH and the tree's code importable.

        An exported tree stays as it is: a profile that edits gets a copy, which is dropped afterwards. The
        exit code is None when the unit has no interpreter, 127 when the program does not exist.
        """
        call = self._call(argv, cwd)
        if call.unit.python is None and os.path.basename(argv[0]).startswith(("python", "pip")):
            return Completed(call.argv, None, call.unit.problem or "this unit has no interpreter")
        with tempfile.TemporaryDirectory(prefix="backend-coordinator-", ignore_cleanup_errors=True) as scratch:
            return await self._enter(call, profile, Path(scratch))

    async def probe_imports(self, tree: Path) -> str | None:
        """None when every unit's top-level modules are imported from inside `tree`, otherwise the reason."""
        if self.problem:
            return self.problem
        environment = replace(self, tree=tree)
        for folder, names in await asyncio.to_thread(environment._importable):
            done = await environment.run(["python", "-P", "-c", _PROBE, str(tree), *names], folder, STATIC)
            if done.exit_code != 0:
                return (done.output.strip().splitlines() or ["the import probe could not run"])[-1]
        return None

    def _call(self, argv: Sequence[str], cwd: Path) -> "_Call":
        return _Call(tuple(argv), cwd.resolve(), self.root_of(cwd), self.unit_of(cwd))

    def _importable(self) -> list[tuple[Path, list[str]]]:
        folders = [self.tree / unit.root for unit in self.units]
        found = [(folder, sorted(_modules(folder))) for folder in folders if folder.is_dir()]
        return [(folder, names) for folder, names in found if names]

    async def _enter(self, call: "_Call", profile: Profile, scratch: Path) -> Completed:
        boxed = self.sandbox.level == "bubblewrap"
        if profile.edits and call.root.name.startswith(EXPORT_PREFIX):
            copy = scratch / "tree"
            await asyncio.to_thread(shutil.copytree, call.root, copy, symlinks=True, copy_function=_copy)
            if boxed:
                profile = replace(profile, stand_in=(call.root, copy))
            else:
                call = call.moved(copy)
        if profile.edits:
            for unit in self.node:
                await asyncio.to_thread(unit.show, (profile.stand_in or (None, call.root))[1])
            profile = replace(profile, writable=(*profile.writable, call.root), reserves=bool(self.node))
        if not boxed:
            profile = replace(profile, writable=(*profile.writable, *_private(scratch)))
        env = self._variables(call, None if boxed else scratch)
        readable = [call.root, *([call.unit.python.parent.parent] if call.unit.python else [])]
        readable += [path for unit in self.node for path in unit.readable]
        argv = call.argv
        if self.postgres and profile.name in (TESTS.name, BASH.name):
            argv, readable = self.postgres.around(argv), [*readable, *self.postgres.readable]
        done = await self.sandbox.run(argv, cwd=call.cwd, env=env, readable=readable, profile=profile)
        return replace(done, argv=call.argv)

    def _variables(self, call: "_Call", scratch: Path | None) -> dict[str, str]:
        folder = call.root / call.unit.root
        roots = [str(path) for path in (folder, folder / "src") if path.is_dir()]
        node = self.node_of(call.cwd)
        binaries = [*([call.unit.python.parent] if call.unit.python else []), *(node.path if node else ())]
        return {
            "PATH": os.pathsep.join((*map(str, binaries), _SYSTEM_PATH)),
            "HOME": f"{scratch}/home" if scratch else HOME,
            "LANG": "C.UTF-8",
            "USER": "worker",
            "PYTHONPATH": os.pathsep.join(roots),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONHASHSEED": "0",
            "PYTHONNOUSERSITE": "1",
            "GIT_CEILING_DIRECTORIES": str(call.root.parent),
            **(_NPM if node else {}),
            **({"TMPDIR": f"{scratch}/tmp"} if scratch else {}),
            **dict(self.services),
        }


@dataclass(frozen=True)
class _Call:
    argv: tuple[str, ...]
    cwd: Path
    root: Path
    unit: Unit

    def moved(self, root: Path) -> "_Call":
        argv = tuple(word.replace(str(self.root), str(root)) for word in self.argv)
        return _Call(argv, root / self.cwd.relative_to(self.root), root, self.unit)


async def build(
    tree: Path,
    *,
    cache: Path,
    sandbox: Sandbox,
    services: Sequence[tuple[str, str]] = (),
    tools: Sequence[str] = (),
    also: Collection[Place] = (),
    postgres: str | None = None,
) -> Environment:
    """The environment of `tree`: its units' declared dependencies, each set installed once below `cache`.

    `tools` are requirement lines that every unit with a manifest gets besides its own, `also` names optional groups
    that are installed where the tree declares them. `postgres` is the variable that names a PostgreSQL to them. What
    cannot be had becomes the unit's problem, never an exception.
    """
    tree, cache = await asyncio.to_thread(lambda: (tree.resolve(), cache.resolve()))
    manifests = await asyncio.to_thread(find_manifests, tree)
    units = [await _unit(_with(manifest, also), tuple(tools), cache, sandbox) for manifest in manifests]
    units = units or [await _unit(Manifest(""), (), cache, sandbox)]
    packages = await asyncio.to_thread(find_packages, tree)
    node = tuple([await node_unit(each, cache, sandbox) for each in packages])
    environment = Environment(tuple(units), sandbox, tuple(services), tree, node)
    try:
        return replace(environment, postgres=await prepare(postgres, cache, sandbox)) if postgres else environment
    except InstallError as error:
        missing = str(error)
        bad = [unit if unit.problem else replace(unit, python=None, problem=missing, blocked=True) for unit in units]
        others = [each if each.problem else replace(each, problem=missing, blocked=True) for each in node]
        return replace(environment, units=tuple(bad), node=tuple(others))


_Any = TypeVar("_Any", Unit, NodeUnit)


def _holding(units: Sequence[_Any], inside: Path) -> list[_Any]:
    """The units whose root holds `inside`, innermost first."""
    holding = [unit for unit in units if not unit.root or inside.is_relative_to(unit.root)]
    return sorted(holding, key=lambda unit: -len(unit.root))


def _with(manifest: Manifest, also: Collection[Place]) -> Manifest:
    more = [line for group in manifest.optional if (manifest.root, group.where) in also for line in group.lines]
    return replace(manifest, requirements=(*manifest.requirements, *more))


async def _unit(manifest: Manifest, tools: tuple[str, ...], cache: Path, sandbox: Sandbox) -> Unit:
    if manifest.problem:
        return Unit(manifest.root, digest_of(manifest), None, manifest.problem)
    try:
        lines = (*manifest.requirements, *(checked(tool, "tools") for tool in tools))
        manifest = replace(manifest, requirements=tuple(dict.fromkeys(lines)))
        return Unit(manifest.root, digest_of(manifest), await install(manifest, cache, sandbox))
    except (InstallError, Undeclared) as error:
        blocked = isinstance(error, InstallError) and error.unreachable
        return Unit(manifest.root, digest_of(manifest), None, f"{manifest.root or 'the project'}: {error}", blocked)


def _private(scratch: Path) -> Iterator[Path]:
    for name in ("home", "tmp"):
        (scratch / name).mkdir()
        yield scratch / name


def _copy(source: str, target: str) -> str:
    shutil.copyfile(source, target, follow_symlinks=False)
    if not os.path.islink(target):
        os.chmod(target, os.stat(source).st_mode | 0o200)
    return target


def _modules(folder: Path) -> set[str]:
    names = set()
    for root in (folder, folder / "src"):
        for child in root.iterdir() if root.is_dir() else ():
            package = child.is_dir() and (child / "__init__.py").is_file()
            if (package or child.suffix == ".py") and child.stem.isidentifier() and child.stem not in _NOT_MODULES:
                names.add(child.stem)
    return names
