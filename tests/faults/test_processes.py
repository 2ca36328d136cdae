"""Processes of the workspace that misbehave: each ends, is bounded, and the model reads why."""

import asyncio
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from backend_coordinator.errors import WorkspaceError
from backend_coordinator.nodes.workspace import sandbox as sandbox_module
from backend_coordinator.nodes.workspace.environment import Environment, Unit
from backend_coordinator.nodes.workspace.processes import Completed
from backend_coordinator.nodes.workspace.sandbox import BASH, Profile, Sandbox, SandboxLevel, confinement, probe
from tests.support.processes import command_lines

MIB = 1 << 20
QUICK = replace(BASH, seconds=20)


async def _bash(level: SandboxLevel, tree: Path, command: str, profile: Profile = QUICK) -> Completed:
    if level != "none" and (await probe("auto")).level != level:
        pytest.skip(f"{level} does not work on this machine")
    environment = Environment((Unit("", "", None),), Sandbox(level), (), tree)
    return await environment.run(["bash", "-c", command], tree, profile)


@pytest.fixture(params=["bubblewrap", "none"])
def level(request: pytest.FixtureRequest) -> SandboxLevel:
    """The strongest and the weakest confinement."""
    found: SandboxLevel = request.param
    return found


async def _ends(marker: str) -> bool:
    """Whether it is gone; the kernel takes a moment to clear a namespace away, and a daemon would live for minutes."""
    with suppress(TimeoutError):
        async with asyncio.timeout(5):
            while marker in command_lines():
                await asyncio.sleep(0.01)
    return marker not in command_lines()


async def test_f057_a_daemon_is_dead_after_the_call(level: SandboxLevel, tmp_path: Path) -> None:
    marker = f"daemon-of-{tmp_path.name}-{level}"
    code = f"setsid nohup bash -c 'touch up; sleep 100; : {marker}' >/dev/null 2>&1 & until [ -e up ]; do :; done"
    assert (await _bash(level, tmp_path, code)).exit_code == 0
    assert await _ends(marker)


@pytest.mark.parametrize("command", ["cat", "read word", "head -c 1", "read word </dev/tty", "python3 -c 'input()'"])
async def test_f058_who_waits_for_input_gets_its_end_at_once(level: SandboxLevel, command: str, tmp_path: Path) -> None:
    done = await _bash(level, tmp_path, command, replace(BASH, seconds=5))
    assert not done.timed_out


async def test_f058_the_time_limit_ends_children_too(level: SandboxLevel, tmp_path: Path) -> None:
    marker = f"child-of-{tmp_path.name}-{level}"
    command = f"bash -c 'touch up; sleep 100; : {marker}' & wait"
    done = await _bash(level, tmp_path, command, replace(BASH, seconds=1))
    assert done.timed_out
    assert (tmp_path / "up").exists()
    assert await _ends(marker)


async def test_f059_forks_meet_a_bound_that_is_named(level: SandboxLevel, tmp_path: Path) -> None:
    bomb = "for n in $(seq 150); do sleep 100 & done; wait"
    done = await _bash(level, tmp_path, bomb, replace(BASH, seconds=10, processes=60))
    assert "more than 60 processes at once" in done.output or "Resource temporarily unavailable" in done.output


async def test_f060_a_file_that_grows_too_large_is_refused_with_the_limit(level: SandboxLevel, tmp_path: Path) -> None:
    done = await _bash(level, tmp_path, "truncate -s 2G fits && truncate -s 3G large")
    assert done.exit_code != 0
    assert "no file may become larger than 2 GiB here" in done.output
    assert (tmp_path / "fits").stat().st_size == 2 << 30
    assert not (tmp_path / "large").exists() or (tmp_path / "large").stat().st_size == 0


@pytest.mark.parametrize("write", ["fallocate -l 1G one", "for n in $(seq 50); do fallocate -l 20M $n; done"])
async def test_f060_what_is_written_altogether_has_a_quota(level: SandboxLevel, write: str, tmp_path: Path) -> None:
    done = await _bash(level, tmp_path, f"{write}; sleep 100", replace(BASH, seconds=10, disk_bytes=256 * MIB))
    assert (done.exit_code, done.timed_out) == (None, False)
    assert "more than 0.25 GiB written to the disk" in done.output


async def test_f065_without_a_sandbox_nothing_starts_but_by_consent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "launcher.py").write_text("raise SystemExit(126)\n")  # as on a kernel without Landlock
    monkeypatch.setattr(sandbox_module, "_HERE", tmp_path)
    for mode in ("auto", "required"):
        with pytest.raises(WorkspaceError, match="install bubblewrap") as refusal:
            await confinement(mode)
        assert "\n" not in str(refusal.value)
        assert ("--sandbox none" in str(refusal.value)) == (mode == "auto")
    assert (await confinement("none")).level == "none"
    assert (await confinement("auto", trusted=True)).level == "none"
