"""Code of the workspace that tries to get out, by every way in which it runs."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from backend_coordinator.nodes.workspace.launcher import abi
from backend_coordinator.nodes.workspace.sandbox import SandboxLevel, probe
from tests.support.breakouts import ENTRIES, LEVELS, NAMES, attempted, has_server, table

ROOT = Path(__file__).parents[2]


async def _possible(level: SandboxLevel, entry: str = "bash") -> None:
    if level == "bubblewrap" and (await probe("auto")).level != "bubblewrap":
        pytest.skip("bubblewrap does not work on this machine")
    if level == "landlock" and abi() < 6:
        pytest.skip("the Landlock of this kernel is absent or older than its sixth version")
    if entry not in _entries():
        pytest.skip(f"the program for {entry} is not installed")


def _entries() -> list[str]:
    """The ways for which this machine has the programs."""
    needed = {"a package script": shutil.which("npm"), "SQL": shutil.which("psql") and has_server()}
    return [name for name in ENTRIES if needed.get(name, True)]


@pytest.mark.parametrize("entry", ENTRIES)
async def test_nothing_gets_out_of_bubblewrap(entry: str) -> None:
    await _possible("bubblewrap", entry)
    got, said = await attempted("bubblewrap", ENTRIES[entry])
    assert got == set(), said
    assert [name for name in NAMES if f"--- {name}\n" not in said] == []


def _python_for_all() -> list[str]:
    """A command of another user whose interpreter has what the tests need; none where there is no such."""
    command = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    command += ["sh", "-c", 'exec "$0" "$@"']  # by itself it starts the program with root's right to read it
    for python in (sys.executable, "/usr/bin/python3"):
        tried = subprocess.run(
            [*command, python, "-c", "import tests.support.breakouts"], env=_theirs(), cwd="/", capture_output=True
        )
        if tried.returncode == 0:
            return [*command, python]
    return []


def _theirs() -> dict[str, str]:
    places = [str(ROOT), *(path for path in sys.path if path.endswith("site-packages"))]
    return {"PYTHONPATH": os.pathsep.join(places), "PATH": os.defpath, "PYTHONDONTWRITEBYTECODE": "1"}


def _as_another(level: str, entries: Sequence[str]) -> dict[str, list[str]]:
    if os.getuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("only root can become another user")
    if not (command := _python_for_all()):
        pytest.skip("another user can read no Python that has our dependencies")
    command += ["-m", "tests.support.breakouts", level, *entries]
    done = subprocess.run(command, env=_theirs(), cwd="/", capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    found: dict[str, list[str]] = json.loads(done.stdout)[level]
    return found


@pytest.mark.slow
async def test_nothing_gets_out_of_bubblewrap_as_another_user() -> None:
    await _possible("bubblewrap")
    entries = _entries()
    assert _as_another("bubblewrap", entries) == {name: [] for name in entries}


async def test_what_the_attempts_need_is_there_without_a_sandbox() -> None:
    """Else none of them would get out anywhere, and nothing would be known."""
    got, _ = await attempted("none", ENTRIES["bash"])
    never = {"leave_a_daemon", "leave_a_daemon_of_the_shell", "read_an_inherited_descriptor", "read_a_kernel_key"}
    never |= {"run_a_program_of_root", "type_into_a_terminal"}
    rights = {"become_root", "open_a_raw_socket", "trace_a_process_outside", "read_the_environment_of_others"}
    rights |= {"schedule_a_job", "mount_a_file_system"}
    assert set(NAMES) - got - rights == never


@pytest.mark.skipif(not (ROOT / "SECURITY.md").is_file(), reason="the page stands in the sources only")
async def test_the_table_of_what_each_level_stops_is_what_is_measured() -> None:
    """By an ordinary user; root gives its rights up, so that less gets out at level none."""
    for level in LEVELS:
        await _possible(level)
    if os.getuid() == 0:
        found = {level: set(_as_another(level, ["bash"])["bash"]) for level in LEVELS}
    else:
        found = {level: (await attempted(level, ENTRIES["bash"]))[0] for level in LEVELS}
    text = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    assert table(found) in text
