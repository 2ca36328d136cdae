"""A small world around a workspace, and which attempts to get out of the workspace reach it."""

import asyncio
import ctypes
import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import tty
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from backend_coordinator.nodes.workspace.environment import Environment, Unit
from backend_coordinator.nodes.workspace.installer import InstallError
from backend_coordinator.nodes.workspace.postgres import binaries, prepare
from backend_coordinator.nodes.workspace.sandbox import BASH, STATIC, TESTS, Profile, Sandbox, SandboxLevel
from tests.support.processes import command_lines

SCRIPT = Path(__file__).with_name("breakout_attempts.py")
NAMES = [name for name in re.findall(r"^def ([a-z]\w+)\(\) -> None:", SCRIPT.read_text(), re.M) if name != "go"]
LEVELS: tuple[SandboxLevel, ...] = ("bubblewrap", "landlock", "none")
RUN = "import runpy; runpy.run_path('attempts.py', run_name='__main__')\n"
APP = """
import http.server, subprocess, sys, threading, urllib.request
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        said = subprocess.run([sys.executable, "attempts.py"], capture_output=True).stdout
        self.send_response(200); self.end_headers(); self.wfile.write(said)
server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
print(urllib.request.urlopen(f"http://127.0.0.1:{server.server_port}/").read().decode("latin-1"))
"""
SQL = """psql "$DATABASE_URL" -c "copy (select 1) to program 'cd $PWD && python3 attempts.py >said 2>&1'"; cat said"""


@dataclass(frozen=True)
class Entry:
    """One way for code of the workspace to run: the files it needs besides, the command, the profile."""

    files: dict[str, str]
    argv: tuple[str, ...]
    profile: Profile = TESTS
    sql: bool = False


PACKAGE = json.dumps({"name": "a", "version": "1.0.0", "scripts": {"test": "python3 attempts.py"}})
ENTRIES = {
    "bash": Entry({}, ("bash", "-c", "python3 attempts.py"), BASH),
    "conftest.py": Entry(
        {"conftest.py": RUN, "test_a.py": "def test_a(): pass"}, ("python3", "-m", "pytest", "-sqp", "no:cacheprovider")
    ),
    "a migration script": Entry(
        {"migrations/env.py": RUN}, ("python3", "-c", "import runpy; runpy.run_path('migrations/env.py')")
    ),
    "the started app": Entry({"serve.py": APP}, ("python3", "serve.py")),
    "setup.py": Entry({"setup.py": RUN}, ("python3", "setup.py", "install"), BASH),
    "a package script": Entry({"package.json": PACKAGE}, ("npm", "test", "--silent"), BASH),
    "SQL": Entry({}, ("sh", "-c", SQL), sql=True),
    "a linter's plugin": Entry(
        {"mypy.ini": "[mypy]\nplugins = plugin.py\n", "plugin.py": RUN, "a.py": ""},
        ("python3", "-m", "mypy", "--cache-dir=/dev/null", "a.py"),
        STATIC,
    ),
}


class World:
    """What must not be reached: `secret` stands in all that must not be read."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.outside, self.tree = folder / "outside", folder / "trees" / "work"
        self.secret, self.daemon = secrets.token_hex(12), f"daemon-{secrets.token_hex(8)}"
        for name in ("home/.netrc", "repo/.env", "other/app.py", "repo/.git/HEAD", "repo/.git/hooks/sample"):
            (self.outside / name).parent.mkdir(parents=True, exist_ok=True)
            (self.outside / name).write_text(self.secret)
        self.tcp = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        self.tcp.settimeout(0)
        kinds = ((socket.AF_INET, ("127.0.0.1", 0)), (socket.AF_UNIX, str(self.outside / "socket")))
        kinds += ((socket.AF_UNIX, f"\0{secrets.token_hex(8)}"), kinds[0])
        self.received = [self._bound(stack, *kind) for kind in kinds]
        self.terminal = os.openpty()
        tty.setraw(self.terminal[1])
        for end in self.terminal:
            stack.callback(os.close, end)
            os.set_blocking(end, False)
        self.victim = subprocess.Popen(["sleep", "100"], env={"SECRET": self.secret})
        stack.callback(lambda: (self.victim.kill(), self.victim.wait()))
        self.inherited = os.open(self.outside / "repo/.env", os.O_RDONLY)
        os.set_inheritable(self.inherited, True)
        stack.callback(os.close, self.inherited)
        key = ctypes.CDLL(None).syscall(248, b"user", self.daemon.encode(), self.secret.encode(), len(self.secret), -3)
        stack.callback(lambda: ctypes.CDLL(None).syscall(250, 3, key))  # KEYCTL_REVOKE
        self._lay_out()

    def _bound(self, stack: ExitStack, family: socket.AddressFamily, address: object) -> socket.socket:
        made = stack.enter_context(socket.socket(family, socket.SOCK_DGRAM))
        made.bind(address)
        made.settimeout(0)
        return made

    def _lay_out(self) -> None:
        self.tree.mkdir(parents=True)
        target = {
            "outside": str(self.outside), "victim": self.victim.pid, "key": self.daemon, "daemon": self.daemon,
            "tcp": self.tcp.getsockname()[1], "udp": self.received[0].getsockname()[1],
            "names": self.received[3].getsockname()[1], "terminal": os.ttyname(self.terminal[1]),
            "abstract": self.received[2].getsockname()[1:].decode(),
        }  # fmt: skip
        (self.tree / "target.json").write_text(json.dumps(target))
        shutil.copy(SCRIPT, self.tree / "attempts.py")

    def reached(self, output: str) -> set[str]:
        """Which attempts got out, by what is outside now and by what was said inside."""
        there, self_said = self.outside, dict(re.findall(r"--- (\w+)\n(.*?)(?=--- )", output, re.S))
        got = {name for name, said in self_said.items() if self.secret in said or f"GOT {name}" in said}
        canaries = {
            "write_a_file_outside": (there / "made").exists(),
            "write_through_a_link": (there / "linked").exists(),
            "write_a_git_hook": any(there.rglob("pre-commit")),
            "replace_the_repository_by_rename": not (there / "repo/.git").exists(),
            "kill_a_process_outside": self.victim.poll() is not None,
            "connect_by_tcp": self._connected(),
        }
        sent = ("send_by_udp", "connect_to_a_socket_file", "connect_to_an_abstract_socket", "ask_a_name_server")
        for name, channel in zip(sent, self.received, strict=True):
            with suppress(BlockingIOError):
                canaries[name] = bool(channel.recv(100))
        for name, end in zip(("write_to_a_terminal", "type_into_a_terminal"), self.terminal, strict=True):
            with suppress(BlockingIOError):
                canaries[name] = bool(os.read(end, 100))
        for name, marker in (("leave_a_daemon", self.daemon), ("leave_a_daemon_of_the_shell", f"{self.daemon}-2")):
            canaries[name] = _stays(marker)
        return got | {name for name, hit in canaries.items() if hit}

    def _connected(self) -> bool:
        with suppress(BlockingIOError):
            self.tcp.accept()[0].close()
            return True
        return False


def _stays(marker: str) -> bool:
    # The kernel takes a moment to clear a namespace away; the daemon itself would stay for a minute.
    last = time.monotonic() + 5
    while any(marker == line or f": {marker}" in line for line in _arguments()):
        if time.monotonic() > last:
            return True
        time.sleep(0.01)
    return False


def _arguments() -> list[str]:
    return [word.removeprefix("\n") for word in command_lines().split("\0")]


@contextmanager
def world() -> Iterator[World]:
    """A world of its own, gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="breakouts-") as name, ExitStack() as stack:
        yield World(Path(name), stack)


async def attempted(level: SandboxLevel, entry: Entry) -> tuple[set[str], str]:
    """Which attempts get out at `level` when they run by `entry`, and what was said."""
    with world() as around:
        for name, text in entry.files.items():
            (around.tree / name).parent.mkdir(exist_ok=True)
            (around.tree / name).write_text(text)
        unit, profile, services = Unit("", "", Path(sys.executable)), entry.profile, {}
        if sys.prefix == sys.base_prefix:  # another user's Python: pytest and mypy lie elsewhere, and are not theirs
            packages = Path(pytest.__file__).parents[1]
            profile = replace(profile, writable=(packages,))
            services = {"PYTHONPATH": f"{around.tree}:{packages}"}
        environment = Environment((unit,), Sandbox(level), tuple(services.items()), around.tree)
        if entry.sql:
            server = await prepare("DATABASE_URL", around.outside.parent / "cache", environment.sandbox)
            environment = replace(environment, postgres=server)
        done = await environment.run(entry.argv, around.tree, profile)
        if "--- all tried" not in done.output:
            msg = f"the attempts did not run to their end: {done.output[-2000:]}"
            raise AssertionError(msg)
        return around.reached(done.output), done.output


def has_server() -> bool:
    """Whether this machine has PostgreSQL."""
    with suppress(InstallError):
        return bool(binaries())
    return False


def table(found: dict[str, set[str]]) -> str:
    """The attempts that get out, by level, as Markdown."""
    rows = ["| attempt | " + " | ".join(found) + " |", "|---|" + "---|" * len(found)]
    for name in NAMES:
        cells = ["**gets out**" if name in got else "stopped" for got in found.values()]
        rows.append(f"| {name.replace('_', ' ')} | {' | '.join(cells)} |")
    return "\n".join(rows)


async def measured(levels: Sequence[SandboxLevel], entries: Sequence[str]) -> dict[str, dict[str, list[str]]]:
    """Attempts that get out, by level and entry."""
    return {level: {name: sorted((await attempted(level, ENTRIES[name]))[0]) for name in entries} for level in levels}


if __name__ == "__main__":
    chosen: list[SandboxLevel] = [level for level in LEVELS if level in sys.argv]
    sys.stdout.write(json.dumps(asyncio.run(measured(chosen, [name for name in ENTRIES if name in sys.argv]))))
