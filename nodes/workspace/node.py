"""Node's part of an environment: packages installed once per lock, and shown to a tree as links."""

import asyncio
import hashlib
import json
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from backend_coordinator.nodes.workspace.installer import InstallError, build_once
from backend_coordinator.nodes.workspace.package_json import Packages
from backend_coordinator.nodes.workspace.sandbox import INSTALL, Sandbox
from backend_coordinator.nodes.workspace.trees import remove

_COMMANDS: Mapping[str, tuple[str, ...]] = {
    "npm": ("ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier", "--no-global",
            "--fetch-retry-mintimeout=1000", "--fetch-retry-maxtimeout=5000"),
    "pnpm": ("install", "--frozen-lockfile", "--ignore-scripts", "--ignore-pnpmfile",
             "--config.manage-package-manager-versions=false"),
}  # fmt: skip
_PASSED = re.compile(r"(npm_config_|NODE_EXTRA_CA_CERTS$|SSL_CERT_|(HTTPS?|ALL|NO)_PROXY$)", re.IGNORECASE)
_SECRET = re.compile(r"(?m)^[^#;\n]*(?:_auth|_authToken|_password)\s*=\s*\"?([^\s\"]+)")
_UNREACHABLE = re.compile(r"\b(ECONN\w+|ENOTFOUND|ETIMEDOUT|EAI_AGAIN|ERR_SOCKET_TIMEOUT|E401|E5\d\d)\b")
"""What npm and pnpm say of a registry that did not answer, or not to this user."""


@dataclass(frozen=True)
class NodeUnit:
    """One Node project of the tree at `root`: its packages lie in `place` where it has any, its Node in `bin`.

    `members` are the folders of its workspaces. `problem` says why its scripts cannot run; `blocked` means that the
    registry did not answer.
    """

    root: str
    manifest_digest: str
    members: tuple[str, ...] = ()
    place: Path | None = None
    bin: Path | None = None
    problem: str | None = None
    blocked: bool = False

    @property
    def readable(self) -> tuple[Path, ...]:
        """What its processes have to read besides the tree and the system."""
        # A Node of the user's own stands below one folder with the programs and libraries that came with it.
        own = () if self.bin is None or self.bin.is_relative_to("/usr") else (self.bin.parent,)
        return (*own, *((self.place,) if self.place else ()))

    @property
    def path(self) -> tuple[Path, ...]:
        """Folders of its programs."""
        return (*((self.place / "node_modules/.bin",) if self.place else ()), *((self.bin,) if self.bin else ()))

    def show(self, tree: Path) -> None:
        """Make the packages visible in a tree that has the unit; a node_modules of the tree's own stays.

        They are links in a folder that may be written to and that git ignores.
        """
        for member in ("", *self.members) if self.place else ():
            source, folder = Path(str(self.place), member, "node_modules"), tree / self.root / member
            with suppress(PermissionError):  # closed by the tree's own code, which then finds no packages
                # A link on the way would have us write outside of the tree.
                if source.is_dir() and folder.is_dir() and folder.resolve() == tree.resolve() / self.root / member:
                    _show(source, folder / "node_modules")


def _show(source: Path, place: Path) -> None:
    mark, text = place / ".gitignore", f"# {source}\n*\n"
    if os.path.lexists(place):
        ours = not place.is_symlink() and mark.is_file() and not mark.is_symlink()
        told = mark.read_text(encoding="utf-8", errors="replace") if ours else ""
        if not re.fullmatch(r"# .*\n\*\n", told):
            return
        if told != text:
            remove(place)
    place.mkdir(exist_ok=True)
    mark.write_text(text, encoding="utf-8")
    _link(source, place)


def _link(source: Path, place: Path) -> None:
    if place.is_symlink() or not place.is_dir():
        place.unlink(missing_ok=True)  # the tree's code put it there, to have us write elsewhere
    place.mkdir(exist_ok=True)
    for entry in os.scandir(source):
        inner = place / entry.name
        if entry.is_symlink():
            # Programs, and members of the workspace: from here the same link leads into the tree.
            target = os.readlink(entry)
        elif entry.name == ".bin" or entry.name.startswith("@"):
            _link(Path(entry), inner)
            continue
        else:
            target = entry.path
        with suppress(FileExistsError):
            inner.symlink_to(target)


async def node_unit(packages: Packages, cache: Path, sandbox: Sandbox) -> NodeUnit:
    """The unit of `packages`, installed below `cache`; what cannot be had becomes its problem."""
    unit = await asyncio.to_thread(_unit, packages)
    if unit.problem or not packages.files:
        return unit
    place = cache / "node" / unit.manifest_digest
    try:
        await build_once(place, lambda: _fill(unit, packages, place, sandbox), "package.json")
    except InstallError as error:
        problem = f"{packages.root or 'the project'}: {error}"
        return replace(unit, problem=problem, blocked=error.unreachable)
    return replace(unit, place=place)


def _unit(packages: Packages) -> NodeUnit:
    where, program = packages.root or "the project", shutil.which("node")
    node = Path(program).resolve() if program else None
    unit = NodeUnit(packages.root, _digest(packages, node), packages.members, bin=node.parent if node else None)
    missing = next((name for name in ("node", "npm", packages.installer) if not shutil.which(name)), None)
    if packages.problem:
        return replace(unit, problem=packages.problem)
    if missing or node is None:
        return replace(unit, problem=f"{where}: {missing} is not installed here: install it")
    if Path.home().is_relative_to(node.parent.parent):
        return replace(unit, problem=f"{where}: {node} cannot be used without showing your home: install it elsewhere")
    return unit


def _digest(packages: Packages, node: Path | None) -> str:
    stat = node.stat() if node else None
    program = (str(node), stat.st_size, stat.st_mtime_ns) if stat else ()
    parts = (packages.installer, packages.members, sorted(packages.files.items()), program, sys.platform)
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


async def _fill(unit: NodeUnit, packages: Packages, place: Path, sandbox: Sandbox) -> None:
    # Beside the environments: what was downloaded once serves them all.
    downloads = place.parent.parent / packages.installer
    with tempfile.TemporaryDirectory(prefix="backend-coordinator-") as scratch:
        await asyncio.to_thread(_prepare, place, packages, downloads)
        settings = await asyncio.to_thread(_settings)
        store = f"--cache={downloads}" if packages.installer == "npm" else f"--store-dir={downloads}"
        program = await asyncio.to_thread(_program, packages.installer)
        argv = [f"{unit.bin}/node", str(program), *_COMMANDS[packages.installer], store]
        env = settings.variables | {"HOME": scratch, "TMPDIR": scratch, "LANG": "C.UTF-8"}
        env["PATH"] = os.pathsep.join((str(unit.bin), os.defpath))
        profile = replace(INSTALL, writable=(downloads, Path(scratch)), reserves=True)
        readable = [*unit.readable, *settings.files, _package_of(program)]
        done = await sandbox.run(argv, cwd=place, env=env, readable=readable, profile=profile)
    if done.exit_code != 0:
        why = f"stopped after {profile.seconds:g} s" if done.timed_out else _told(done.output, settings.secrets)
        silent = done.timed_out or _UNREACHABLE.search(done.output) is not None
        raise InstallError(f"the dependencies could not be installed: {why}", unreachable=silent)


class _Settings(NamedTuple):
    """The user's own settings of npm, as the installer alone gets them."""

    variables: dict[str, str]
    files: tuple[Path, ...]
    secrets: tuple[str, ...]


def _settings() -> _Settings:
    file = Path(os.environ.get("NPM_CONFIG_USERCONFIG", Path.home() / ".npmrc"))
    text = file.read_text(encoding="utf-8", errors="replace") if file.is_file() else ""
    named = set(re.findall(r"\$\{(\w+)", text))
    variables = {key: value for key, value in os.environ.items() if _PASSED.match(key) or key in named}
    secret = [value for key, value in variables.items() if key in named or re.search("(?i)auth|password", key)]
    files = re.findall(r"(?m)^\s*(?:ca|cert|key)file\s*=\s*(\S+)", text)
    files += [variables[name] for name in ("NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE") if name in variables]
    variables["NPM_CONFIG_USERCONFIG"] = str(file)
    return _Settings(variables, (file, *map(Path, files)), (*_SECRET.findall(text), *filter(None, secret)))


def _program(name: str) -> Path:
    return Path(shutil.which(name) or name).resolve()


def _package_of(program: Path) -> Path:
    """The folder with all of a JavaScript program."""
    return next((above for above in program.parents if (above / "package.json").is_file()), program)


def _prepare(place: Path, packages: Packages, downloads: Path) -> None:
    remove(place)
    downloads.mkdir(exist_ok=True)
    for path, text in packages.files.items():
        (place / path).parent.mkdir(parents=True, exist_ok=True)
        (place / path).write_text(text, encoding="utf-8")


def _told(output: str, secrets: Iterable[str]) -> str:
    lines = [re.sub(r"^npm (error|ERR!) ?", "", line).strip() for line in output.splitlines()]
    lines = [line for line in lines if line and "complete log of this run" not in line and not line.startswith("npm ")]
    text = " ".join(line for line in lines if not line.startswith("/"))
    for secret in secrets:
        text = text.replace(secret, "***")
    return re.sub(r"//[^/\s@]+@", "//***@", text)[:500]
