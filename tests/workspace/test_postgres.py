"""A real PostgreSQL beside real processes of a workspace, at each level of confinement."""

import asyncio
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from backend_coordinator.domain.verdict import Outcome
from backend_coordinator.nodes.gates.checks.code_quality import tests_pass_and_cover_the_change as c5
from backend_coordinator.nodes.workspace import postgres
from backend_coordinator.nodes.workspace.environment import Environment, Unit, build
from backend_coordinator.nodes.workspace.installer import InstallError
from backend_coordinator.nodes.workspace.processes import Completed
from backend_coordinator.nodes.workspace.sandbox import BASH, STATIC, TESTS, Sandbox, SandboxLevel, probe
from backend_coordinator.nodes.workspace.trees import tree_of_directory
from backend_coordinator.settings import cache_folder
from tests.workspace.conftest import sandbox_of

LEVELS: tuple[SandboxLevel, ...] = ("bubblewrap", "landlock", "none")
SQL = 'psql "$DATABASE_URL" -v ON_ERROR_STOP=1 -Atc'


@pytest.fixture(params=LEVELS)
async def environment(request: pytest.FixtureRequest, tree: Path) -> Environment:
    """A tree whose processes have a PostgreSQL."""
    return await _served(tree, await sandbox_of(request.param))


async def _served(tree: Path, sandbox: Sandbox) -> Environment:
    try:
        await postgres.prepare("DATABASE_URL", cache_folder(), sandbox)
    except InstallError as error:
        pytest.skip(str(error))
    return await build(tree, cache=cache_folder(), sandbox=sandbox, postgres="DATABASE_URL")


async def _sh(environment: Environment, command: str) -> Completed:
    return await environment.run(["sh", "-c", command], environment.tree, TESTS)


async def test_a_table_lives_as_long_as_the_process(environment: Environment) -> None:
    create = f"{SQL} 'create table t (a int); insert into t values (41)'; {SQL} 'select a + 1 from t'; exit 3"
    first = await _sh(environment, create)
    assert (first.exit_code, first.stdout.splitlines()[-1], first.argv[:2]) == (3, "42", ("sh", "-c"))
    again = await _sh(environment, f"{SQL} 'select a from t'")
    assert again.exit_code == 1
    assert 'relation "t" does not exist' in again.output


@pytest.mark.slow
async def test_c5_passes_with_tests_that_need_it(tree: Path, tmp_path: Path) -> None:
    (tree / "app.py").write_text(
        "import os, subprocess\n\n\ndef add(one, two):\n"
        "    command = ['psql', os.environ['DATABASE_URL'], '-Atc', f'select {one} + {two}']\n"
        "    return int(subprocess.check_output(command))\n"
    )
    (tree / "test_app.py").write_text("from app import add\n\n\ndef test_add(): assert add(1, 2) == 3\n")
    _, head, changed = await asyncio.to_thread(tree_of_directory, tree, scratch=tmp_path / "scratch")
    environment = replace(await _served(tree, await probe()), units=(Unit("", "", Path(sys.executable)),))
    verdict = await c5.run(None, head, changed, environment)
    assert verdict.verdict is Outcome.PASS, verdict.reason


async def test_two_at_once_do_not_disturb_each_other(environment: Environment) -> None:
    command = f"{SQL} 'create table t (a int)' && echo $$ && {SQL} 'select count(*) from t'"
    both = await asyncio.gather(*(_sh(environment, command) for _ in range(2)))
    assert [(done.exit_code, done.stdout.splitlines()[-1]) for done in both] == [(0, "0")] * 2


async def test_the_server_listens_to_nobody_else_and_leaves_nothing(environment: Environment) -> None:
    done = await _sh(environment, f"{SQL} \"select current_setting('listen_addresses') = ''\"; echo $PGHOST")
    *_, quiet, place = done.stdout.splitlines()
    assert quiet == "t"
    assert not await asyncio.to_thread(os.path.lexists, place)
    assert os.listdir(environment.tree) == []


async def test_bash_has_one_and_what_only_reads_the_tree_has_none(environment: Environment) -> None:
    command = ["sh", "-c", "echo ${DATABASE_URL-none}"]
    assert (await environment.run(command, environment.tree, BASH)).output.startswith(
        "postgresql://postgres@/postgres?"
    )
    assert (await environment.run(command, environment.tree, STATIC)).output == "none\n"


async def test_a_program_that_sql_starts_is_as_confined_as_the_process(environment: Environment) -> None:
    outside = environment.tree.parent / "outside"
    command = f"""{SQL} "copy (select 1) to program 'cat >{environment.tree}/in; cat >{outside}'" """
    done = await _sh(environment, command)
    assert (environment.tree / "in").read_text() == "1\n"
    assert outside.exists() == (environment.sandbox.level == "none"), done.output


def _missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "git").symlink_to(str(shutil.which("git")))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(postgres, "_DEBIAN", tmp_path)


def _broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _missing(tmp_path, monkeypatch)
    for name in ("initdb", "postgres"):
        (tmp_path / name).write_text("#!/bin/sh\necho cannot be run as root\nexit 1\n")
        (tmp_path / name).chmod(0o755)


@pytest.mark.parametrize(
    ("how", "said"),
    [(_missing, "install it (Debian: postgresql)"), (_broken, "none: cannot be run as root (install bubblewrap")],
)
async def test_without_a_postgresql_nothing_passes(
    how: Callable[[Path, pytest.MonkeyPatch], None],
    said: str,
    tree: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tree / "app.py").write_text("one = 1\n")
    (tree / "test_app.py").write_text("from app import one\n\ndef test_one():\n    assert one == 1\n")
    how(tmp_path, monkeypatch)
    _, head, changed = await asyncio.to_thread(tree_of_directory, tree, scratch=tmp_path / "scratch")
    environment = await build(tree, cache=tmp_path / "cache", sandbox=Sandbox("none"), postgres="DATABASE_URL")
    assert said in str(environment.problem)
    assert "\n" not in str(environment.problem)
    assert environment.units[0].blocked
    assert (await environment.run(["python", "-c", "print(1)"], tree, TESTS)).exit_code is None
    verdict = await c5.run(None, head, changed, environment)
    assert verdict.verdict is Outcome.UNKNOWN
    assert said in verdict.reason


async def test_where_the_server_does_not_start_the_process_does_not_run(environment: Environment) -> None:
    assert environment.postgres
    broken = replace(environment, postgres=replace(environment.postgres, template=environment.tree))
    done = await _sh(broken, "echo ran")
    assert (done.exit_code, done.stdout) == (126, "")
    assert "PostgreSQL did not start" in done.output
