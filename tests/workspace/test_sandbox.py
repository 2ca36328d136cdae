"""What a confined process can and cannot do, tried out level by level."""

import asyncio
import json
import os
import signal
import socket
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from backend_coordinator.errors import WorkspaceError
from backend_coordinator.nodes.workspace import sandbox as sandbox_module
from backend_coordinator.nodes.workspace.bubblewrap import limited
from backend_coordinator.nodes.workspace.environment import Environment, Unit
from backend_coordinator.nodes.workspace.processes import Completed, execute
from backend_coordinator.nodes.workspace.sandbox import BASH, INSTALL, STATIC, Profile, SandboxLevel, probe
from tests.support.processes import command_lines
from tests.workspace.conftest import sandbox_of

CONFINED: tuple[SandboxLevel, ...] = ("bubblewrap", "landlock")
ALL: tuple[SandboxLevel, ...] = (*CONFINED, "none")


async def _run(level: SandboxLevel, tree: Path, code: str, profile: Profile = BASH) -> Completed:
    python = Path(sys.base_prefix, "bin", "python3")
    environment = Environment((Unit("", "", python),), await sandbox_of(level), (), tree)
    return await environment.run(["python3", "-c", code], tree, profile)


@pytest.mark.parametrize("level", ALL)
async def test_the_tree_can_be_written_and_the_result_is_there_afterwards(level: SandboxLevel, tree: Path) -> None:
    done = await _run(level, tree, "open('made', 'w').write('x'); print('ok')")
    assert (done.exit_code, done.output) == (0, "ok\n")
    assert (tree / "made").read_text() == "x"


@pytest.mark.parametrize("level", CONFINED)
async def test_a_profile_that_does_not_edit_cannot_write_the_tree(level: SandboxLevel, tree: Path) -> None:
    done = await _run(level, tree, "open('made', 'w')", STATIC)
    assert done.exit_code == 1
    assert not (tree / "made").exists()


@pytest.mark.parametrize("level", CONFINED)
async def test_nothing_outside_the_tree_can_be_written(level: SandboxLevel, tree: Path) -> None:
    outside = tree.parent / "outside"
    outside.mkdir()
    done = await _run(level, tree, f"open({str(outside / 'made')!r}, 'w')")
    assert done.exit_code == 1
    assert list(outside.iterdir()) == []


@pytest.mark.parametrize("level", CONFINED)
async def test_the_home_of_the_user_cannot_be_read(level: SandboxLevel, tree: Path, settings_of_a_user: Path) -> None:
    done = await _run(level, tree, f"print(open({str(settings_of_a_user / '.gitconfig')!r}).read())")
    assert done.exit_code == 1
    assert "Ann" not in done.output


@pytest.mark.parametrize("level", CONFINED)
async def test_no_connection_leaves_the_sandbox(level: SandboxLevel, tree: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        code = f"import socket; socket.create_connection(('127.0.0.1', {server.getsockname()[1]}), 5)"
        done = await _run(level, tree, code)
    assert done.exit_code == 1
    assert "Error" in done.output


@pytest.mark.parametrize("level", CONFINED)
async def test_an_installation_may_connect(level: SandboxLevel, tree: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        code = f"import socket; socket.create_connection(('127.0.0.1', {server.getsockname()[1]}), 5)"
        assert (await _run(level, tree, code, INSTALL)).exit_code == 0


@pytest.mark.parametrize("level", CONFINED)
async def test_a_process_outside_cannot_be_killed(level: SandboxLevel, tree: Path) -> None:
    outside = await asyncio.create_subprocess_exec(
        "sh", "-c", "read line", f"outside-{tree.parent.parent.name}", stdin=asyncio.subprocess.PIPE
    )
    try:
        done = await _run(level, tree, f"import os; os.kill({outside.pid}, {int(signal.SIGKILL)})")
        assert done.exit_code == 1
        assert f"outside-{tree.parent.parent.name}" in command_lines()
    finally:
        outside.kill()
        await outside.wait()


@pytest.mark.parametrize("level", ALL)
async def test_a_daemon_that_left_its_session_ends_with_the_command(level: SandboxLevel, tree: Path) -> None:
    daemon = "import os, time; os.setsid(); open('started', 'w').close(); time.sleep(1000)"
    code = f"""
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", {daemon!r}, "marker-{tree.parent.parent.name}"])
while not os.path.exists("started"): time.sleep(0.01)
"""
    assert (await _run(level, tree, code)).exit_code == 0
    assert f"marker-{tree.parent.parent.name}" not in command_lines()


@pytest.mark.parametrize("level", ALL)
async def test_a_killed_coordinator_takes_its_processes_along(level: SandboxLevel, tree: Path) -> None:
    await sandbox_of(level)
    marker = f"orphan-{tree.parent.parent.name}"
    script = f"""
import asyncio
from pathlib import Path
from backend_coordinator.nodes.workspace.environment import Environment, Unit
from backend_coordinator.nodes.workspace.sandbox import BASH, Sandbox
tree = Path({str(tree)!r})
environment = Environment((Unit("", "", None),), Sandbox({level!r}), (), tree)
command = "touch started; sleep 1000; # {marker}"
asyncio.run(environment.run(["setsid", "--wait", "sh", "-c", command], tree, BASH))
"""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "TMPDIR": str(tree.parent)}
    coordinator = await asyncio.create_subprocess_exec(sys.executable, "-c", script, env=env)
    async with asyncio.timeout(20):
        while "started" not in os.listdir(tree) and coordinator.returncode is None:
            await asyncio.sleep(0.01)
    assert marker in command_lines()
    coordinator.kill()
    await coordinator.wait()
    async with asyncio.timeout(20):
        while marker in command_lines():
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("level", ALL)
async def test_no_process_keeps_the_rights_of_root(level: SandboxLevel, tree: Path) -> None:
    code = "import os; print(os.getuid(), [l for l in open('/proc/self/status') if l[:6] in ('CapEff', 'NoNewP')])"
    done = await _run(level, tree, code)
    assert done.exit_code == 0, done.output
    assert not done.output.startswith("0 ")
    assert "CapEff:\\t0000000000000000" in done.output
    assert "NoNewPrivs:\\t1" in done.output


@pytest.mark.parametrize("level", ALL)
async def test_the_environment_is_built_from_scratch(
    level: SandboxLevel, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "leak")
    done = await _run(level, tree, "import json, os; print(json.dumps(dict(os.environ)))")
    env = json.loads(done.stdout)
    assert "AWS_SECRET_ACCESS_KEY" not in env
    assert env["PYTHONHASHSEED"] == "0"
    assert env["GIT_CEILING_DIRECTORIES"] == str(tree.parent)
    assert env["HOME"] != os.environ["HOME"]


@pytest.mark.parametrize("level", ALL)
async def test_home_and_temporary_folder_can_be_used(level: SandboxLevel, tree: Path) -> None:
    code = "import os, tempfile; open(os.path.expanduser('~/x'), 'w'); tempfile.NamedTemporaryFile(); print('ok')"
    assert (await _run(level, tree, code)).output == "ok\n"


@pytest.mark.parametrize("level", ALL)
async def test_more_memory_than_the_profile_gives_is_refused(level: SandboxLevel, tree: Path) -> None:
    done = await _run(level, tree, "x = bytearray(900_000_000)", replace(BASH, memory_bytes=500_000_000))
    assert "MemoryError" in done.output


async def test_no_process_under_bubblewrap_starts_without_its_limits(tree: Path) -> None:
    code = "import resource as r; print([r.getrlimit(n)[1] for n in (r.RLIMIT_AS, r.RLIMIT_NPROC, r.RLIMIT_CORE)])"
    code += "; print(open('/proc/self/oom_score_adj').read())"
    done = await _run("bubblewrap", tree, code, replace(BASH, processes=50))
    assert done.output == f"[{BASH.memory_bytes}, 50, 0]\n1000\n\n"


async def test_what_cannot_be_limited_does_not_run(tree: Path) -> None:
    with limited({"RLIMIT_NOFILE": -2}) as (options, handles):
        command = (await sandbox_of("bubblewrap")).command(["touch", "made"], cwd=tree, profile=BASH)
        command[1:1] = options
        done = await execute(command, cwd=tree, env={"PATH": os.defpath}, seconds=20, handles=handles)
    assert done.exit_code == 128 + signal.SIGKILL
    assert not (tree / "made").exists()


@pytest.mark.skipif(os.getuid() == 0, reason="the kernel does not count processes of root")
async def test_a_fork_bomb_meets_its_limit_under_bubblewrap(tree: Path) -> None:
    code = """
import os, time
n = 0
try:
    while n < 200:
        if os.fork() == 0: time.sleep(100)
        n += 1
except BlockingIOError:
    print("refused")
"""
    assert "refused" in (await _run("bubblewrap", tree, code, replace(BASH, processes=50))).output


async def test_bubblewrap_shows_neither_the_machine_nor_its_processes(tree: Path) -> None:
    code = "import os, pwd; print([p for p in os.listdir('/proc') if p.isdigit()], os.listdir('/tmp'))"
    done = await _run("bubblewrap", tree, code + "; print(pwd.getpwuid(os.getuid()).pw_name, os.listdir('/etc'))")
    assert done.exit_code == 0, done.output
    assert f" '{os.getpid()}'" not in done.output
    assert "worker" in done.output
    assert "shadow" not in done.output


async def test_hidden_files_and_folders_appear_empty_and_stay_as_they_are(tree: Path) -> None:
    (tree / "secret.sql").write_text("create table")
    (tree / "web").mkdir()
    (tree / "web" / "page.html").write_text("<p>")
    profile = replace(BASH, hidden=(tree / "secret.sql", tree / "web", tree / "none"))
    code = "import os; print(repr(open('secret.sql').read()), os.listdir('web'), os.path.exists('none'))"
    assert (await _run("bubblewrap", tree, code, profile)).output == "'' [] False\n"
    assert (tree / "web" / "page.html").read_text() == "<p>"
    assert not (tree / "none").exists()


@pytest.mark.parametrize("level", ALL)
async def test_a_missing_program_is_exit_code_127(level: SandboxLevel, tree: Path) -> None:
    environment = Environment((Unit("", "", None),), await sandbox_of(level), (), tree)
    assert (await environment.run(["no-such-program"], tree, BASH)).exit_code == 127


async def test_required_refuses_when_nothing_works(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    # The launcher of an older kernel: it cannot restrict itself.
    (tmp_path / "launcher.py").write_text("raise SystemExit(126)\n")
    monkeypatch.setattr(sandbox_module, "_HERE", tmp_path)
    with pytest.raises(WorkspaceError, match="install bubblewrap"):
        await probe("required")
    assert (await probe("auto")).level == "none"


async def test_none_is_taken_when_asked_for_and_says_how_to_get_better() -> None:
    sandbox = await probe("none")
    assert sandbox.level == "none"
    assert "bubblewrap" in sandbox.advice


async def test_bubblewrap_itself_is_not_looked_up_in_the_path_of_the_process(tree: Path) -> None:
    sandbox = await sandbox_of("bubblewrap")
    fake = tree / "bwrap"
    fake.write_text("#!/bin/sh\necho fake\n")
    fake.chmod(0o755)
    env = {"PATH": f"{tree}:{os.defpath}"}
    command = sandbox.command(["echo", "real"], cwd=tree, profile=BASH)
    assert (await execute(command, cwd=tree, env=env, seconds=20)).output == "real\n"


async def test_the_command_line_of_bubblewrap_runs_by_itself(tree: Path) -> None:
    sandbox = await sandbox_of("bubblewrap")
    command = sandbox.command(["/bin/pwd"], cwd=tree, profile=BASH)
    assert (await execute(command, cwd=Path("/"), env={"PATH": os.defpath}, seconds=20)).stdout == f"{tree}\n"
