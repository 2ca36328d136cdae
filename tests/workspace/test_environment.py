"""Environments are built once per manifest, shared, and lead every process to the right interpreter."""

import asyncio
import os
from dataclasses import replace
from pathlib import Path

import pytest

from backend_coordinator.nodes.workspace.environment import Environment, build
from backend_coordinator.nodes.workspace.sandbox import BASH, STATIC, TESTS, Sandbox, SandboxLevel
from backend_coordinator.nodes.workspace.trees import EXPORT_PREFIX
from tests.support.wheelhouse import add_wheel
from tests.workspace.conftest import sandbox_of

ALL: tuple[SandboxLevel, ...] = ("bubblewrap", "landlock", "none")
NONE = Sandbox("none")


async def _build(tree: Path, sandbox: Sandbox = NONE, **options: object) -> Environment:
    return await build(tree, cache=tree.parent.parent / "cache", sandbox=sandbox, **options)  # type: ignore[arg-type]


def _empty(folder: Path) -> None:
    for file in folder.iterdir():
        file.unlink()


def _exported(tree: Path) -> Path:
    (tree / "app.py").write_text("one = 1\n")
    (tree / "app.py").chmod(0o444)
    return tree.rename(tree.parent / f"{EXPORT_PREFIX}abc")


@pytest.mark.parametrize("level", ALL)
async def test_declared_packages_and_their_scripts_are_there_and_work(
    level: SandboxLevel, tree: Path, index: Path
) -> None:
    add_wheel(index, "demo", "1.0")
    (tree / "requirements.txt").write_text("demo\n")
    environment = await _build(tree, await sandbox_of(level))
    assert environment.problem is None
    assert (await environment.run(["python", "-c", "import demo; print(demo.version)"], tree, BASH)).output == "1.0\n"
    assert (await environment.run(["demo-says"], tree, BASH)).output == "script 1.0\n"


async def test_an_environment_cannot_be_changed_by_what_runs_in_it(
    tree: Path, index: Path, bubblewrap: Sandbox
) -> None:
    add_wheel(index, "demo", "1.0")
    (tree / "requirements.txt").write_text("demo\n")
    environment = await _build(tree, bubblewrap)
    done = await environment.run(["python", "-c", "import demo; open(demo.__file__, 'w')"], tree, TESTS)
    assert "Read-only file system" in done.output


async def test_two_builders_at_once_share_one_environment(tree: Path, index: Path) -> None:
    add_wheel(index, "demo", "1.0")
    (tree / "requirements.txt").write_text("demo\n")
    first, second = await asyncio.gather(_build(tree), _build(tree))
    assert first.units == second.units
    assert first.problem is None
    built = [path for path in (tree.parent.parent / "cache" / "environments").iterdir() if path.is_dir()]
    assert len(built) == 1


async def test_a_second_build_needs_no_index(tree: Path, index: Path) -> None:
    add_wheel(index, "demo", "1.0")
    (tree / "requirements.txt").write_text("demo\n")
    first = await _build(tree)
    _empty(index)
    assert (await _build(tree)).units == first.units


async def test_a_changed_manifest_selects_another_environment_and_leaves_the_first(tree: Path, index: Path) -> None:
    add_wheel(index, "demo", "1.0")
    (tree / "requirements.txt").write_text("demo\n")
    before = await _build(tree)
    (tree / "requirements.lock").write_text("demo==1.0\n")
    after = await _build(tree)
    assert before.digest != after.digest
    assert before.units[0].python != after.units[0].python
    assert (await before.run(["python", "-c", "import demo"], tree, BASH)).exit_code == 0


async def test_a_half_built_environment_is_built_anew(tree: Path, index: Path) -> None:
    add_wheel(index, "demo", "1.0")
    (tree / "requirements.txt").write_text("demo\n")
    python = (await _build(tree)).units[0].python
    assert python is not None
    (python.parent.parent / "complete").unlink()
    next(python.parent.parent.glob("lib/*/site-packages/demo.py")).write_text("syntax error")
    environment = await _build(tree)
    assert (await environment.run(["demo-says"], tree, BASH)).output == "script 1.0\n"


async def test_a_cancelled_build_leaves_nothing_that_counts_as_built(tree: Path, index: Path) -> None:
    add_wheel(index, "demo", "1.0")
    (tree / "requirements.txt").write_text("demo\n")
    task = asyncio.create_task(_build(tree))
    cache = tree.parent.parent / "cache"
    while not list(cache.glob("environments/*/requirements.txt")):
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not list(cache.glob("environments/*/complete"))
    assert (await _build(tree)).problem is None


async def test_a_package_nobody_has_is_a_problem_and_no_crash(tree: Path, index: Path) -> None:
    (tree / "requirements.txt").write_text("nobody-has-this==1.0\n")
    environment = await _build(tree)
    assert "nobody-has-this" in str(environment.problem)
    assert await environment.probe_imports(tree) == environment.problem
    done = await environment.run(["python", "-c", "1"], tree, BASH)
    assert (done.exit_code, done.output) == (None, environment.problem)


async def test_a_source_distribution_is_never_built(tree: Path, index: Path) -> None:
    (index / "demo-1.0.tar.gz").write_bytes(b"whatever")
    (tree / "requirements.txt").write_text("demo\n")
    assert "demo" in str((await _build(tree)).problem)


async def test_a_refused_line_is_the_problem_of_its_unit_only(tree: Path) -> None:
    for name, line in (("a", "-e ./x"), ("b", "")):
        (tree / name).mkdir()
        (tree / name / "requirements.txt").write_text(line)
    environment = await _build(tree)
    assert [unit.problem is None for unit in environment.units] == [False, True]
    assert (await environment.run(["python", "-c", "print(1)"], tree / "b", BASH)).output == "1\n"


async def test_tools_come_with_every_unit(tree: Path, index: Path) -> None:
    add_wheel(index, "checker", "2.0")
    (tree / "requirements.txt").write_text("")
    environment = await _build(tree, tools=("checker",))
    assert (await environment.run(["checker-says"], tree, BASH)).output == "script 2.0\n"


async def test_without_a_unit_there_is_a_bare_interpreter(tree: Path) -> None:
    environment = await _build(tree)
    assert [unit.root for unit in environment.units] == [""]
    done = await environment.run(["python", "-c", "import sys, pytest"], tree, BASH)
    assert "No module named 'pytest'" in done.output


async def test_each_unit_imports_its_own_code(tree: Path) -> None:
    for name in ("a", "b"):
        (tree / name / "src").mkdir(parents=True)
        (tree / name / "requirements.txt").write_text("")
        (tree / name / "src" / "service.py").write_text(f"name = {name!r}\n")
        (tree / name / "top.py").write_text("")
    environment = await _build(tree)
    for name in ("a", "b"):
        done = await environment.run(["python", "-c", "import service, top; print(service.name)"], tree / name, BASH)
        assert done.output == f"{name}\n"


async def test_services_reach_the_process(tree: Path) -> None:
    environment = await _build(tree, services=(("DATABASE_URL", "sqlite://"),))
    code = "import os; print(os.environ['DATABASE_URL'])"
    assert (await environment.run(["python", "-c", code], tree, BASH)).output == "sqlite://\n"


@pytest.mark.parametrize("level", ALL)
async def test_imports_that_resolve_inside_the_tree_are_proved(level: SandboxLevel, tree: Path) -> None:
    (tree / "app").mkdir()
    (tree / "app" / "__init__.py").write_text("raise SystemExit('never run')\n")
    (tree / "src" / "lib").mkdir(parents=True)
    (tree / "src" / "lib" / "__init__.py").write_text("")
    environment = await _build(tree, await sandbox_of(level))
    assert await environment.probe_imports(tree) is None


async def test_a_module_that_is_imported_from_elsewhere_is_caught(tree: Path, index: Path) -> None:
    add_wheel(index, "hook", "1.0")
    (tree / "requirements.txt").write_text("hook\n")
    (tree / "app.py").write_text("")
    environment = await _build(tree)
    python = environment.units[0].python
    assert python is not None
    site = next(python.parent.parent.glob("lib/*/site-packages"))
    elsewhere = tree.parent.parent / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "app.py").write_text("")
    (site / "editable.pth").write_text(f"import sys; sys.path.insert(0, {str(elsewhere)!r})\n")
    assert f"app is imported from {elsewhere}" in str(await environment.probe_imports(tree))


@pytest.mark.parametrize("level", ALL)
async def test_an_exported_tree_is_not_changed_by_its_tests(level: SandboxLevel, tree: Path) -> None:
    exported = _exported(tree)
    environment = await _build(exported, await sandbox_of(level))
    code = f"import os; open('made', 'w'); open({str(exported / 'app.py')!r}, 'w').write('2'); print(os.listdir())"
    done = await environment.run(["python", "-c", code], exported, TESTS)
    assert done.exit_code == 0, done.output
    assert "made" in done.output
    assert sorted(os.listdir(exported)) == ["app.py"]
    assert (exported / "app.py").read_text() == "one = 1\n"


async def test_a_tree_beside_the_first_uses_the_same_environment(tree: Path, bubblewrap: Sandbox) -> None:
    other = tree.parent / "other"
    other.mkdir()
    (other / "app.py").write_text("here = __file__\n")
    environment = await _build(tree, bubblewrap)
    done = await environment.run(["python", "-c", "import app; print(app.here)"], other, STATIC)
    assert done.output == f"{other}/app.py\n"


async def test_the_time_limit_of_the_profile_holds(tree: Path) -> None:
    environment = await _build(tree)
    done = await environment.run(["python", "-c", "import time; time.sleep(100)"], tree, replace(BASH, seconds=0.5))
    assert done.timed_out
    assert done.argv[0] == "python"


@pytest.mark.slow
async def test_a_usual_web_project_can_be_installed(tree: Path) -> None:
    (tree / "requirements.txt").write_text("fastapi\nuvicorn\npytest\ncoverage\nhttpx\n")
    assert (await _build(tree)).problem is None
