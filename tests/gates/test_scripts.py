"""The scripts of a Node project: what they say is told, and no item ever passes for them."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from backend_coordinator.domain.verdict import Outcome
from backend_coordinator.nodes.gates.checks.code_quality import (
    style_follows_configuration,
    tests_pass_and_cover_the_change,
)
from backend_coordinator.nodes.gates.project import SUMMARY_LIMIT, check_project
from backend_coordinator.nodes.workspace.environment import Environment, build
from backend_coordinator.nodes.workspace.sandbox import probe
from backend_coordinator.nodes.workspace.trees import Tree
from tests.gates.trees import MakeTree, changes

CODE = "exports.double = (n) => 2 * n;\n"
BAD = "exports.double = (n) => 3 * n;\n"
TEST = "require('node:assert').equal(require('./calc').double(2), 4);\n"
SCRIPTS = {"lint": "node --check calc.js", "test": "node calc.test.js"}
needs_node = pytest.mark.skipif(not (shutil.which("node") and shutil.which("npm")), reason="needs node and npm")


def _manifest(scripts: object) -> str:
    return json.dumps({"name": "shop", "version": "1.0.0", "scripts": scripts})


def _project(code: str = CODE, scripts: object = SCRIPTS, root: str = "") -> dict[str, str]:
    files = {"package.json": _manifest(scripts), "calc.js": code, "calc.test.js": TEST}
    return {f"{root}{path}": text for path, text in files.items()}


async def _of(head: Tree, cache: Path) -> Environment:
    return await build(head.path, cache=cache, sandbox=await probe("auto"))


@needs_node
async def test_scripts_that_end_well_are_told_and_decide_nothing(tree: MakeTree, tmp_path: Path) -> None:
    head = tree(_project())
    environment = await _of(head, tmp_path)
    result = await check_project(head.path, environment)
    assert result.ok
    assert "npm run lint: passes\nnpm run test: passes" in result.text
    for check, name in ((style_follows_configuration, "lint"), (tests_pass_and_cover_the_change, "test")):
        verdict = await check.run(None, head, changes(None, head), environment)
        assert verdict.verdict is Outcome.UNKNOWN
        assert verdict.reason == f"npm run {name}: passes, but nothing says which lines it looked at"
        assert verdict.evidence[-1].exit_code == 0
        assert verdict.evidence[-1].command == ("npm", "run", "--silent", "--script-shell=/bin/sh", name)
        assert verdict.evidence[-1].version.startswith("v")


@needs_node
async def test_a_test_that_the_change_broke_fails_and_one_broken_before_does_not(
    tree: MakeTree, tmp_path: Path
) -> None:
    base, head = tree(_project()), tree(_project(BAD))
    environment = await _of(head, tmp_path)
    broken = await tests_pass_and_cover_the_change.run(base, head, changes(base, head), environment)
    assert broken.verdict is Outcome.FAIL
    assert "package.json: npm run test exits 1: " in broken.reason
    assert "AssertionError" in broken.evidence[0].findings[0].message
    later = tree(_project(f"{BAD}// more\n"))
    still = await tests_pass_and_cover_the_change.run(head, later, changes(head, later), environment)
    assert (still.verdict, still.reason) == (Outcome.UNKNOWN, "npm run test: fails, as it did before")


@needs_node
async def test_check_says_which_script_fails_its_exit_code_and_the_end_of_its_output(
    tree: MakeTree, tmp_path: Path
) -> None:
    noisy = "node -e \"console.log('x'.repeat(1e6)); console.log('the end'); process.exitCode = 7\""
    head = tree(_project(scripts={**SCRIPTS, "typecheck": noisy}, root="web/"))
    result = await check_project(head.path, await _of(head, tmp_path))
    assert not result.ok
    assert "npm run typecheck (web): exit 7\n" in result.text
    assert "the end" in result.text
    assert "npm run test (web): passes" in result.text
    assert len(result.text) <= SUMMARY_LIMIT


@needs_node
async def test_no_test_script_and_the_placeholder_are_said_to_be_no_test(tree: MakeTree, tmp_path: Path) -> None:
    for scripts in ({}, {"test": 'echo "Error: no test specified" && exit 1'}, None, {"test": 5}):
        head = tree(_project(scripts=scripts))
        environment = await _of(head, tmp_path)
        if scripts != {"test": 5}:
            assert 'no tests: package.json has no script "test"' in (await check_project(head.path, environment)).text
        verdict = await tests_pass_and_cover_the_change.run(None, head, changes(None, head), environment)
        assert verdict.verdict is not Outcome.PASS


@needs_node
async def test_an_npmrc_of_the_tree_cannot_put_another_program_in_a_script_s_place(
    tree: MakeTree, tmp_path: Path
) -> None:
    head = tree({**_project(BAD), ".npmrc": "script-shell=/bin/true\n"})
    result = await check_project(head.path, await _of(head, tmp_path))
    assert "npm run test: exit 1" in result.text


@needs_node
async def test_scripts_of_members_run_where_the_root_has_none(tree: MakeTree, tmp_path: Path) -> None:
    files = {**_project(root="packages/one/"), "package.json": '{"name": "all", "workspaces": ["packages/*"]}'}
    head = tree(files)
    result = await check_project(head.path, await _of(head, tmp_path))
    assert "npm run test: passes" in result.text
    head = tree({**files, "packages/one/calc.js": BAD})
    assert "npm run test: exit 1" in (await check_project(head.path, await _of(head, tmp_path))).text


async def test_without_node_nothing_passes_and_python_is_judged_as_ever(
    tree: MakeTree, tmp_path: Path, bare: Environment
) -> None:
    head = tree({**_project(root="web/"), "app.py": "one = 1\n"})
    (unit,) = (await _of(head, tmp_path)).node
    environment = replace(bare, tree=head.path, node=(replace(unit, problem="web: node is not installed here"),))
    result = await check_project(head.path, environment)
    assert not result.ok
    assert "npm run test (web): the environment cannot be built: web: node is not installed here" in result.text
    for check in (style_follows_configuration, tests_pass_and_cover_the_change):
        verdict = await check.run(None, head, frozenset({"web/calc.js"}), environment)
        assert verdict.verdict is Outcome.UNKNOWN
        assert "node is not installed here" in verdict.reason
        assert "node" not in (await check.run(None, head, frozenset({"app.py"}), environment)).reason
