"""Confinement of every process that may run code of the workspace: bubblewrap, else Landlock, else none."""

import json
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

from backend_coordinator.errors import WorkspaceError
from backend_coordinator.nodes.workspace.bubblewrap import ETC, SYSTEM, bubblewrap, limited
from backend_coordinator.nodes.workspace.processes import Completed, execute
from backend_coordinator.nodes.workspace.watch import Bounds

SandboxLevel = Literal["bubblewrap", "landlock", "none"]
LEVELS: tuple[SandboxLevel, ...] = ("bubblewrap", "landlock", "none")
_HERE = Path(__file__).parent
_GIB = 1 << 30
LARGEST_FILE = 2 * _GIB
_TOO_LARGE = {-signal.SIGXFSZ, 128 + signal.SIGXFSZ}
_ADVICE: Mapping[SandboxLevel, str] = {
    "bubblewrap": "this is the strongest confinement",
    "landlock": "install bubblewrap and allow user namespaces",
    "none": "install bubblewrap and allow user namespaces, or use Linux 5.13 or newer with Landlock enabled",
}


_HOLDS: Mapping[SandboxLevel, str] = {
    "bubblewrap": "files, network and processes outside are closed",
    "landlock": "files, TCP and signals outside are closed; UDP, socket files and the list of processes are open",
    "none": "nothing is closed: runs start only with `--sandbox none`, and each bash command is asked about",
}


@dataclass(frozen=True)
class Profile:
    """What one kind of process may do: `seconds` of wall time, bytes of address space each, `processes` at once.

    `disk_bytes` is how much all of them together may write before they are stopped. One that `reserves` far more
    address space than it uses, as V8 does, is limited in the memory that it can write instead.
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
    disk_bytes: int = 4 * _GIB
    edits: bool = True
    stand_in: tuple[Path, Path] | None = None
    hidden: tuple[Path, ...] = ()
    reserves: bool = False


TESTS = Profile("tests", seconds=900)
STATIC = Profile("static", seconds=120, edits=False)
BASH = Profile("bash", seconds=120)
_QUICK = Profile("probe", seconds=20)
INSTALL = Profile("install", network=True, seconds=600)


@dataclass(frozen=True)
class Sandbox:
    """How processes are confined on this machine; `advice` is one line on how to get a better level."""

    level: SandboxLevel

    @property
    def holds(self) -> str:
        """What is closed at this level, and what is not."""
        return _HOLDS[self.level]

    @property
    def advice(self) -> str:
        """What would make the confinement stronger."""
        return _ADVICE[self.level]

    async def run(
        self,
        argv: Sequence[str],
        *,
        cwd: Path,
        env: Mapping[str, str],
        readable: Iterable[Path] = (),
        profile: Profile,
    ) -> Completed:
        """Run `argv` confined, as `command` says, within the limits of `profile`; the output says which one it met."""
        command = self.command(argv, cwd=cwd, readable=readable, profile=profile)
        folders = (*([cwd] if profile.edits else []), *profile.writable)
        bounds = Bounds(profile.processes, profile.disk_bytes, folders)
        start = partial(execute, cwd=cwd, env=env, seconds=profile.seconds, bounds=bounds)
        if self.level == "bubblewrap":
            with limited({**_limits(profile), "RLIMIT_NPROC": profile.processes}) as (options, handles):
                done = await start([command[0], *options, *command[1:]], handles=handles)
            if done.output.startswith(f"bwrap: execvp {argv[0]}: No such file"):
                done = replace(done, exit_code=127)
        else:
            done = await start(command)
        if done.exit_code in _TOO_LARGE or "File too large" in done.output:
            said = f"{done.output}\n[no file may become larger than {LARGEST_FILE // _GIB} GiB here]\n"
            done = replace(done, output=said)
        return replace(done, argv=tuple(argv))

    def command(
        self,
        argv: Sequence[str],
        *,
        cwd: Path,
        readable: Iterable[Path] = (),
        profile: Profile,
    ) -> list[str]:
        """The command line that runs `argv` confined in its environment; `cwd` is writable when `profile.edits`.

        Under bubblewrap without the limits of `profile`; below it the caller starts it in `cwd` itself.
        """
        paths = dict.fromkeys(_both(readable), False)
        paths |= dict.fromkeys(_both([cwd]), profile.edits)
        paths |= dict.fromkeys(_both(profile.writable), True)
        paths = {path: paths[path] for path in sorted(paths, key=lambda path: len(path.parts))}
        if self.level != "bubblewrap":
            python = Path(sys.base_prefix, "bin", f"python{sys.version_info.major}.{sys.version_info.minor}")
            return [str(python), "-I", "-S", str(_HERE / "launcher.py"), self._options(paths, profile), *argv]
        # By its place: the PATH of the process begins with programs that a dependency brought.
        command = [*bubblewrap(shutil.which("bwrap") or "bwrap", profile.network)]
        place, source = profile.stand_in or (None, None)
        for path, writable in paths.items():
            shown = source if path.resolve() == place else path
            command += ["--bind" if writable else "--ro-bind", str(shown), str(path)]
        for path in _both(profile.hidden):
            # What is hidden can be neither written nor put in its place.
            empty = (
                ["--tmpfs", str(path), "--remount-ro"] if path.is_dir() else ["--ro-bind", str(_HERE / "empty.stub")]
            )
            command += [*empty, str(path)]
        return [*command, "--remount-ro", "/", "--chdir", str(cwd), "--", *argv]

    def _options(self, paths: Mapping[Path, bool], profile: Profile) -> str:
        read = [str(path) for path, writable in paths.items() if not writable]
        options = {
            "limits": _limits(profile),
            "landlock": self.level == "landlock",
            "read": [*SYSTEM, *_etc(), "/proc", str(_HERE), sys.base_prefix, *read],
            "write": [str(path) for path, writable in paths.items() if writable],
            "network": profile.network,
        }
        return json.dumps(options)


Mode = Literal["auto", "required", "none"]
_found: dict[tuple[str | None, Path], SandboxLevel] = {}
"""The strongest level by what it was found with."""


async def probe(mode: Mode = "auto") -> Sandbox:
    """The strongest level that runs a real command here; which one is found out once.

    Raises WorkspaceError when `mode` is "required" and no confinement works.
    """
    if mode == "none":
        return Sandbox("none")
    means = shutil.which("bwrap"), _HERE
    if means not in _found:
        works = [level for level in LEVELS[:2] if await _works(Sandbox(level))]
        _found[means] = works[0] if works else "none"
    if mode == "required" and _found[means] == "none":
        raise WorkspaceError(f"the sandbox is required but none works here: {_ADVICE['none']}")
    return Sandbox(_found[means])


async def confinement(mode: Mode, *, trusted: bool = False) -> Sandbox:
    """What `probe` finds; without a sandbox only code that is `trusted`, or with the user's consent.

    Raises WorkspaceError, which names the consent, where `auto` finds none.
    """
    found = await probe(mode)
    if found.level == "none" and mode == "auto" and not trusted:
        msg = f"no sandbox works here: {_ADVICE['none']}, or consent to none with `--sandbox none`"
        raise WorkspaceError(f'{msg} or the setting sandbox = "none"')
    return found


async def _works(sandbox: Sandbox) -> bool:
    if sandbox.level == "bubblewrap" and shutil.which("bwrap") is None:
        return False
    if not sys.platform.startswith("linux"):
        return False
    with tempfile.TemporaryDirectory() as name:
        env = {"PATH": os.defpath}
        done = await sandbox.run(["/bin/sh", "-c", "exit 7"], cwd=Path(name), env=env, profile=_QUICK)
        return done.exit_code == 7


def _etc() -> Iterator[str]:
    # Landlock answers "permission denied" for what is hidden, where programs expect "no such file".
    yield from (f"/etc/{name}" for name in ETC)
    with os.scandir("/etc") as entries:
        yield from (entry.path for entry in entries if entry.is_file() and entry.stat().st_mode & 0o004)


def _both(paths: Iterable[Path]) -> Iterator[Path]:
    # The name the process uses and the place it stands for: one of them may hold a symlink.
    for path in paths:
        if path.exists():
            yield path.absolute()
            yield path.resolve()


def _limits(profile: Profile) -> dict[str, int]:
    memory = "RLIMIT_DATA" if profile.reserves else "RLIMIT_AS"
    return {memory: profile.memory_bytes, "RLIMIT_CORE": 0, "RLIMIT_FSIZE": LARGEST_FILE}
