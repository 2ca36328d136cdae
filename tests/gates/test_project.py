"""Running a project's tests and linters, and what may not fool it."""

import json
from pathlib import Path

import pytest

from backend_coordinator.domain.verdict import Outcome
from backend_coordinator.nodes.gates.checks.code_quality import (
    style_follows_configuration,
    tests_pass_and_cover_the_change,
)
from backend_coordinator.nodes.gates.project import SUMMARY_LIMIT, check_project, run_tests
from backend_coordinator.nodes.gates.shared import sharing
from backend_coordinator.nodes.workspace.environment import Environment
from tests.gates.trees import MakeTree, changes, inside

GOOD = "def double(n: int) -> int:\n    return 2 * n\n"
BAD = "def double(n: int) -> int:\n    return 3 * n\n"
TEST = "from calc import double\n\n\ndef test_double() -> None:\n    assert double(2) == 4\n"
UNITTEST = (
    "import unittest\n\nfrom calc import double\n\n\nclass Double(unittest.TestCase):\n"
    "    def test_double(self) -> None:\n        self.assertEqual(double(2), 4)\n"
)


async def test_a_run_counts_and_measures(tree: MakeTree, environment: Environment) -> None:
    head = tree({"calc.py": GOOD, "tests/test_calc.py": TEST})
    run = await run_tests(head.path, inside(environment, head))
    assert (run.runner, run.exit_code, run.passed, run.failed, run.errors) == ("pytest", 0, 1, 0, 0)
    assert run.green
    assert run.coverage["calc.py"].executed == {1, 2}
    assert not run.coverage["calc.py"].missing
    assert "/tmp" not in " ".join(run.command)


async def test_the_tree_under_test_is_left_as_it_was(tree: MakeTree, environment: Environment) -> None:
    wrecker = TEST + "\n\ndef test_write() -> None:\n    open('calc.py', 'w').write('')\n    open('new', 'w')\n"
    head = tree({"calc.py": GOOD, "test_calc.py": wrecker})
    before = {path: path.read_bytes() for path in head.path.rglob("*") if path.is_file()}
    run = await run_tests(head.path, inside(environment, head))
    assert run.passed == 2
    assert {path: path.read_bytes() for path in head.path.rglob("*") if path.is_file()} == before


async def test_failing_tests_come_with_their_message(tree: MakeTree, environment: Environment) -> None:
    head = tree({"calc.py": BAD, "test_calc.py": TEST})
    run = await run_tests(head.path, inside(environment, head))
    assert list(run.failing) == ["test_calc::test_double"]
    assert "assert 6 == 4" in run.failing["test_calc::test_double"]
    assert not run.green


async def test_a_test_file_that_cannot_be_imported_is_an_error(tree: MakeTree, environment: Environment) -> None:
    head = tree({"calc.py": "def double(:\n", "test_calc.py": TEST})
    run = await run_tests(head.path, inside(environment, head))
    assert run.errors == 1
    assert len(run.failing) == 1


async def test_forged_result_files_in_the_tree_are_not_believed(tree: MakeTree, environment: Environment) -> None:
    junit = '<testsuite tests="99" failures="0" errors="0" skipped="0"/>'
    coverage = json.dumps({"files": {"calc.py": {"executed_lines": [1, 2], "missing_lines": []}}})
    rcfile = "[run]\nomit = calc.py\n[report]\nexclude_lines = .*\n"
    forged = {"junit.xml": junit, "coverage.json": coverage, ".coverage": "forged", ".coveragerc": rcfile}
    head = tree({"calc.py": GOOD, "test_other.py": "def test_nothing() -> None:\n    pass\n", **forged})
    run = await run_tests(head.path, inside(environment, head))
    assert run.passed == 1
    assert run.coverage["calc.py"].missing == {1, 2}
    verdict = await tests_pass_and_cover_the_change.run(None, head, changes(None, head), inside(environment, head))
    assert verdict.verdict is Outcome.FAIL
    assert verdict.reason.startswith("calc.py:1: no test runs this line")


async def test_pragmas_do_not_hide_lines(tree: MakeTree, environment: Environment) -> None:
    hidden = "".join(f"def f{n}() -> int:  # pragma: no cover\n    a = {n}\n    return a\n" for n in range(9))
    head = tree({"calc.py": GOOD + hidden, "test_calc.py": TEST})
    verdict = await tests_pass_and_cover_the_change.run(None, head, changes(None, head), inside(environment, head))
    assert verdict.verdict is Outcome.FAIL


async def test_a_module_named_like_a_tool_is_refused(tree: MakeTree, environment: Environment) -> None:
    head = tree({"calc.py": BAD, "test_calc.py": TEST, "coverage.py": "print('all fine')\n"})
    run = await run_tests(head.path, inside(environment, head))
    assert run.problem == "coverage.py would run in place of a tool: rename it"


async def test_a_plain_folder_named_like_a_tool_is_fine(tree: MakeTree, environment: Environment) -> None:
    head = tree({"calc.py": GOOD, "test_calc.py": TEST, "alembic/versions/a.sql": ""})
    assert (await run_tests(head.path, inside(environment, head))).green


async def test_missing_tools_are_unknown_with_the_fix(tree: MakeTree, bare: Environment) -> None:
    head = tree({"calc.py": GOOD, "test_calc.py": TEST})
    verdict = await tests_pass_and_cover_the_change.run(None, head, changes(None, head), inside(bare, head))
    assert verdict.verdict is Outcome.UNKNOWN
    assert "coverage is not installed: declare it" in verdict.reason


async def test_a_script_of_a_shell_is_mentioned_beside_judged_python(tree: MakeTree, environment: Environment) -> None:
    good = {"calc.py": GOOD, "test_calc.py": TEST}
    for script in ({"run.sh": "ls\n"}, {"run": "#!/usr/bin/env bash\nls\n"}, {"run.ps1": "ls\n"}):
        head = tree({**good, **script})
        verdict = await tests_pass_and_cover_the_change.run(None, head, changes(None, head), inside(environment, head))
        assert verdict.verdict is Outcome.PASS, verdict.reason
        assert verdict.reason.endswith(f"; not measured: {next(iter(script))}")


@pytest.mark.parametrize(
    "files",
    [
        {"calc.py": GOOD, "test_calc.py": TEST, "a.ts": "let a = 1"},
        {"calc.py": GOOD, "test_calc.py": TEST, "run": "#!/usr/bin/env node\n"},
        {"test_other.py": "def test_nothing() -> None:\n    pass\n", "run.sh": "ls\n"},
    ],
)
async def test_code_with_tests_of_its_own_or_alone_stays_unknown(
    files: dict[str, str], tree: MakeTree, environment: Environment
) -> None:
    head = tree(files)
    verdict = await tests_pass_and_cover_the_change.run(None, head, changes(None, head), inside(environment, head))
    assert verdict.verdict is Outcome.UNKNOWN, verdict.reason
    assert "is not Python" in verdict.reason


async def test_a_script_excuses_no_untested_python(tree: MakeTree, environment: Environment) -> None:
    head = tree({"calc.py": GOOD, "run.sh": "ls\n"})
    verdict = await tests_pass_and_cover_the_change.run(None, head, changes(None, head), inside(environment, head))
    assert verdict.verdict is Outcome.FAIL, verdict.reason


async def test_unittest_cases_run_where_pytest_is_not_used(tree: MakeTree, environment: Environment) -> None:
    head = tree({"calc.py": BAD, "tests/test_calc.py": UNITTEST})
    run = await run_tests(head.path, inside(environment, head))
    assert list(run.failing) == ["tests.test_calc.Double::test_double"]


async def test_old_failures_are_named_and_not_blamed(tree: MakeTree, environment: Environment) -> None:
    broken = "def test_old() -> None:\n    assert False\n"
    base = tree({"calc.py": GOOD, "test_calc.py": TEST, "test_old.py": broken})
    more = "\n\ndef triple(n: int) -> int:\n    return 3 * n\n"
    test = "from calc import triple\n\n\ndef test_triple() -> None:\n    assert triple(2) == 6\n"
    head = tree({"calc.py": GOOD + more, "test_calc.py": TEST, "test_old.py": broken, "test_more.py": test})
    verdict = await tests_pass_and_cover_the_change.run(base, head, changes(base, head), inside(environment, head))
    assert verdict.verdict is Outcome.PASS, verdict.reason
    assert "failed before too: test_old::test_old" in verdict.reason


async def test_a_new_failure_beside_an_old_one_is_blamed(tree: MakeTree, environment: Environment) -> None:
    broken = "def test_old() -> None:\n    assert False\n"
    base = tree({"calc.py": GOOD, "test_calc.py": TEST, "test_old.py": broken})
    head = tree({"calc.py": BAD, "test_calc.py": TEST, "test_old.py": broken})
    verdict = await tests_pass_and_cover_the_change.run(base, head, changes(base, head), inside(environment, head))
    assert verdict.verdict is Outcome.FAIL
    assert verdict.reason.startswith("test_calc::test_double fails: ")


async def test_changed_code_is_never_not_applicable(tree: MakeTree, environment: Environment) -> None:
    for files in ({"calc.py": GOOD}, {"calc.py": "X = 1\n"}, {"a.ts": "let a = 1"}, {"run": "#!/bin/sh\nls\n"}):
        head = tree(files)
        verdict = await tests_pass_and_cover_the_change.run(None, head, changes(None, head), inside(environment, head))
        assert verdict.verdict in (Outcome.FAIL, Outcome.UNKNOWN), files


async def test_a_deleted_module_is_changed_code(tree: MakeTree, environment: Environment) -> None:
    base, head = tree({"calc.py": GOOD, "README.md": "x"}), tree({"README.md": "x"})
    verdict = await tests_pass_and_cover_the_change.run(base, head, changes(base, head), inside(environment, head))
    assert verdict.verdict is Outcome.UNKNOWN


async def test_documents_alone_need_no_tests(tree: MakeTree, environment: Environment) -> None:
    head = tree({"README.md": "# Shelf\n", "openapi.yaml": "openapi: 3.1.0\n"})
    verdict = await tests_pass_and_cover_the_change.run(None, head, changes(None, head), inside(environment, head))
    assert verdict.verdict is Outcome.NOT_APPLICABLE


async def test_skipping_everything_is_no_pass(tree: MakeTree, environment: Environment) -> None:
    skipped = f"import pytest\n\npytestmark = pytest.mark.skip\n{TEST}"
    head = tree({"calc.py": GOOD, "test_calc.py": skipped})
    verdict = await tests_pass_and_cover_the_change.run(None, head, changes(None, head), inside(environment, head))
    assert verdict.verdict is Outcome.FAIL


async def test_style_that_was_bad_before_is_not_blamed(tree: MakeTree, environment: Environment) -> None:
    settings = {"ruff.toml": "line-length = 100\n"}
    base = tree({**settings, "calc.py": "import os\n"})
    head = tree({**settings, "calc.py": "import os\n\nX = 1\n"})
    verdict = await style_follows_configuration.run(base, head, changes(base, head), inside(environment, head))
    assert verdict.verdict is Outcome.PASS, verdict.reason


async def test_a_configured_linter_that_is_missing_is_unknown(tree: MakeTree, bare: Environment) -> None:
    head = tree({"calc.py": GOOD, "ruff.toml": "line-length = 100\n"})
    verdict = await style_follows_configuration.run(None, head, changes(None, head), inside(bare, head))
    assert verdict.verdict is Outcome.UNKNOWN
    assert "ruff is configured but not installed" in verdict.reason


async def test_formatting_is_checked_where_it_is_configured(tree: MakeTree, environment: Environment) -> None:
    head = tree({"calc.py": "X = {  'a':1 }\n", "ruff.toml": "[format]\nquote-style = 'double'\n"})
    verdict = await style_follows_configuration.run(None, head, changes(None, head), inside(environment, head))
    assert verdict.reason.startswith("calc.py: would be reformatted"), verdict.reason


async def test_a_specialist_reads_the_failures_first(tree: MakeTree, environment: Environment) -> None:
    noise = "".join(f"\n\ndef test_{n}() -> None:\n    assert 'x' * 500 == ''\n" for n in range(40))
    head = tree({"calc.py": "import os\n" + BAD, "test_calc.py": TEST + noise, "ruff.toml": ""})
    done = await check_project(head.path, inside(environment, head))
    assert not done.ok
    assert len(done.text) <= SUMMARY_LIMIT
    assert done.text.startswith("tests: pytest: 0 passed, 41 failed")
    assert "F401" in done.text
    assert "assert 6 == 4" in done.text


async def test_a_clean_project_is_ok(tree: MakeTree, environment: Environment) -> None:
    head = tree({"calc.py": GOOD, "test_calc.py": TEST, "ruff.toml": ""})
    done = await check_project(head.path, inside(environment, head))
    assert done.ok, done.text


async def test_one_inspection_runs_the_tests_once(tree: MakeTree, environment: Environment, tmp_path: Path) -> None:
    head = tree({"calc.py": GOOD, "test_calc.py": TEST})
    async with sharing({}):
        first = await run_tests(head.path, inside(environment, head))
        second = await run_tests(head.path, inside(environment, head))
    assert first is second
