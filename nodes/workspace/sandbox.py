"""Confinement of every process that may run code of the workspace: bubblewrap, else Landlock, else none."""

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from backend_coordinator.errors import WorkspaceError
from backend_coordinator.nodes.workspace.processes import execute

SandboxLevel = Literal["bubblewrap", "landlock", "none"]
HOME = "/tmp/home"
_HERE = Path(__file__).parent
_GIB = 1 << 30
_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix/store", "/gnu/store")
_ETC = (
    "alternatives", "ca-certificates", "crypto-policies", "host.conf", "hosts", "ld.so.cache", "ld.so.conf",
    "ld.so.conf.d", "localtime", "mime.types", "nsswitch.conf", "pki/ca-trust/extracted", "pki/tls/cert.pem",
    "pki/tls/certs", "pki/tls/openssl.cnf", "protocols", "resolv.conf", "services", "ssl/cert.pem", "ssl/certs",
    "ssl/openssl.cnf",
)  # fmt: skip
_ADVICE: Mapping[SandboxLevel, str] = {
    "bubblewrap": "this is the strongest confinement",
    "landlock": "install bubblewrap and allow user namespaces: Landlock leaves UDP and process names open",
    "none": "install bubblewrap and allow user namespaces, or use Linux 5.13 or newer with Landlock enabled",
}


@dataclass(frozen=True)
class Profile:
    """What one kind of process may do: `seconds` of wall time, bytes of address space, `processes` at once.

    `writable` names paths outside the tree; `edits` says whether the tree itself may be written. `stand_in`
    is (place, source): under bubblewrap the folder `source` appears at `place`, and `hidden` files and folders
    appear empty.
    """

    name: str
    network: bool = False
    seconds: float = 600
    writable: tuple[Path, ...] = ()
    memory_bytes: int = 4 * _GIB
    processes: int = 1024
    edits: bool = True
    stand_in: tuple[Path, Path] | None = None
    hidden: tuple[Path, ...] = ()


TESTS = Profile("tests", seconds=900)
STATIC = Profile("static", seconds=120, edits=False)
BASH = Profile("bash", seconds=120)
INSTALL = Profile("install", network=True, seconds=600)


@dataclass(frozen=True)
class Sandbox:
    """How processes are confined on this machine; `advice` is one line on how to get a better level."""

    level: SandboxLevel

    @property
    def advice(self) -> str:
        """What would make the confinement stronger."""
        return _ADVICE[self.level]

    def command(
        self,
        argv: Sequence[str],
        *,
        cwd: Path,
        env: Mapping[str, str],
        readable: Iterable[Path] = (),
        profile: Profile,
    ) -> list[str]:
        """The command line that runs `argv` confined; `cwd` is writable when `profile.edits`.

        Below bubblewrap the caller starts it with `env` and in `cwd` itself.
        """
        paths = dict.fromkeys(_both(readable), False)
        paths |= dict.fromkeys(_both([cwd]), profile.edits)
        paths |= dict.fromkeys(_both(profile.writable), True)
        paths = {path: paths[path] for path in sorted(paths, key=lambda path: len(path.parts))}
        python = Path(sys.base_prefix, "bin", f"python{sys.version_info.major}.{sys.version_info.minor}")
        launch = [str(python), "-I", "-S", str(_HERE / "launcher.py"), self._options(paths, profile), *argv]
        if self.level != "bubblewrap":
            return launch
        command = _bubblewrap(profile.network)
        place, source = profile.stand_in or (None, None)
        for path, writable in paths.items():
            shown = source if path.resolve() == place else path
            command += ["--bind" if writable else "--ro-bind", str(shown), str(path)]
        for path in _both(profile.hidden):
            command += ["--tmpfs", str(path)] if path.is_dir() else ["--ro-bind", str(_HERE / "empty.stub"), str(path)]
        variables = [word for name, value in env.items() for word in ("--setenv", name, value)]
        return [*command, "--remount-ro", "/", "--clearenv", *variables, "--chdir", str(cwd), "--", *launch]

    def _options(self, paths: Mapping[Path, bool], profile: Profile) -> str:
        limits = {"RLIMIT_AS": profile.memory_bytes, "RLIMIT_CORE": 0, "RLIMIT_FSIZE": 2 * _GIB}
        if self.level == "bubblewrap":
            # Elsewhere the number would count all the user's processes, not only those of the sandbox.
            limits["RLIMIT_NPROC"] = profile.processes
        read = [str(path) for path, writable in paths.items() if not writable]
        options = {
            "limits": limits,
            "landlock": self.level == "landlock",
            "read": [*_SYSTEM, *_etc(), "/proc", str(_HERE), sys.base_prefix, *read],
            "write": [str(path) for path, writable in paths.items() if writable],
            "network": profile.network,
            "supervise": self.level != "bubblewrap",
        }
        return json.dumps(options)


async def probe(mode: Literal["auto", "required", "none"] = "auto") -> Sandbox:
    """The strongest level that runs a real command here.

    Raises WorkspaceError when `mode` is "required" and no confinement works.
    """
    levels: tuple[SandboxLevel, ...] = ("bubblewrap", "landlock") if mode != "none" else ()
    for level in levels:
        if await _works(Sandbox(level)):
            return Sandbox(level)
    if mode == "required":
        raise WorkspaceError(f"the sandbox is required but none works here: {_ADVICE['none']}")
    return Sandbox("none")


async def _works(sandbox: Sandbox) -> bool:
    if sandbox.level == "bubblewrap" and shutil.which("bwrap") is None:
        return False
    if not sys.platform.startswith("linux"):
        return False
    with tempfile.TemporaryDirectory() as name:
        env = {"PATH": os.defpath}
        command = sandbox.command(["/bin/sh", "-c", "exit 7"], cwd=Path(name), env=env, profile=BASH)
        return (await execute(command, cwd=Path(name), env=env, seconds=20)).exit_code == 7


def _etc() -> Iterator[str]:
    # Landlock answers "permission denied" for what is hidden, where programs expect "no such file".
    yield from (f"/etc/{name}" for name in _ETC)
    with os.scandir("/etc") as entries:
        yield from (entry.path for entry in entries if entry.is_file() and entry.stat().st_mode & 0o004)


def _both(paths: Iterable[Path]) -> Iterator[Path]:
    # The name the process uses and the place it stands for: one of them may hold a symlink.
    for path in paths:
        if path.exists():
            yield path.absolute()
            yield path.resolve()


def _bubblewrap(network: bool) -> list[str]:
    # By its place: the PATH of the process begins with programs that a dependency brought.
    command = [shutil.which("bwrap") or "bwrap", "--unshare-all", "--unshare-user", "--uid", "1000", "--gid", "1000"]
    command += ["--share-net"] if network else []
    command += ["--die-with-parent", "--new-session", "--hostname", "sandbox"]
    for name in _SYSTEM:
        if os.path.islink(name):
            command += ["--symlink", os.readlink(name), name]
        elif os.path.isdir(name):
            command += ["--ro-bind", name, name]
    for name in _ETC:
        command += ["--ro-bind-try", f"/etc/{name}", f"/etc/{name}"]
    for name in ("passwd", "group"):
        command += ["--ro-bind", str(_HERE / f"{name}.stub"), f"/etc/{name}"]
    command += ["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "--dir", HOME, "--dir", "/var/tmp"]
    for path in (Path(sys.base_prefix), _HERE / "launcher.py"):
        command += ["--ro-bind", str(path), str(path)]
    return command
