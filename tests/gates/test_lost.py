"""Tests may not vanish so that what is left passes."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from backend_coordinator.domain.verdict import Outcome, Verdict
from backend_coordinator.nodes.gates.checks.code_quality import tests_pass_and_cover_the_change
from backend_coordinator.nodes.gates.inside import run_tests as inside_script
from backend_coordinator.nodes.gates.lost import Lost, lost_tests, may_lose_tests
from backend_coordinator.nodes.gates.shared import Memory, sharing
from backend_coordinator.nodes.gates.testrun import TestRun, with_junit
from backend_coordinator.nodes.workspace.environment import Environment
from tests.gates.trees import MakeTree, changes, inside

GOOD = "def double(n: int) -> int:\n    return 2 * n\n"
BAD = "def double(n: int) -> int:\n    return 3 * n\n"
TEST = "from calc import double\n\n\ndef test_double() -> None:\n    assert double(2) == 4\n"
IDLE = "from calc import double\n\n\ndef test_runs() -> None:\n    double(2)\n"
BASE = {"calc.py": GOOD, "test_calc.py": TEST}
ADDOPTS = "addopts = '--deselect=test_calc.py::test_double'\n"


async def judge(
    before: Mapping[str, str], after: Mapping[str, str], tree: MakeTree, environment: Environment
) -> Verdict:
    base, head = tree(before), tree(after)
    return await tests_pass_and_cover_the_change.run(base, head, changes(base, head), inside(environment, head))


@pytest.mark.parametrize(
    "after",
    [
        {"calc.py": BAD, "test_calc.py": IDLE},
        {"calc.py": BAD, "test_idle.py": IDLE},
        pytest.param({"calc.py": GOOD}, marks=pytest.mark.slow),
        {"calc.py": BAD, "test_calc.py": f"import pytest\n\npytestmark = pytest.mark.skip\n{TEST}", "test_i.py": IDLE},
        pytest.param(
            {**BASE, "calc.py": BAD, "pyproject.toml": f"[tool.pytest.ini_options]\n{ADDOPTS}", "test_i.py": IDLE},
            marks=pytest.mark.slow,
        ),
        {**BASE, "calc.py": BAD, "conftest.py": "collect_ignore = ['test_calc.py']\n", "test_i.py": IDLE},
    ],
    ids=["removed", "file deleted", "all deleted", "skipped", "deselected", "ignored"],
)
async def test_a_test_that_passed_and_vanished_fails_the_item_by_name(
    after: dict[str, str], tree: MakeTree, environment: Environment
) -> None:
    verdict = await judge(BASE, after, tree, environment)
    assert verdict.verdict is Outcome.FAIL
    assert verdict.reason.startswith("no longer run, but passed before the change: test_calc::test_double;")


async def test_at_most_five_vanished_tests_are_named(tree: MakeTree, environment: Environment) -> None:
    many = "".join(f"\n\ndef test_{n}() -> None:\n    assert True\n" for n in range(7))
    verdict = await judge({**BASE, "test_calc.py": TEST + many}, BASE, tree, environment)
    assert verdict.verdict is Outcome.FAIL
    assert "test_calc::test_4 and 2 more;" in verdict.reason
    assert "test_5" not in verdict.reason


@pytest.mark.parametrize(
    "after",
    [
        {"calc.py": GOOD, "test_renamed.py": TEST},
        {"other.py": GOOD, "test_other.py": TEST.replace("calc", "other").replace("test_double", "test_other")},
    ],
    ids=["file renamed", "deleted with its code"],
)
@pytest.mark.slow
async def test_tests_that_moved_or_went_with_their_code_are_unknown_by_name(
    after: dict[str, str], tree: MakeTree, environment: Environment
) -> None:
    verdict = await judge(BASE, after, tree, environment)
    assert verdict.verdict is Outcome.UNKNOWN, verdict.reason
    assert "moved or deleted with their code: test_calc::test_double" in verdict.reason


async def test_a_moved_test_does_not_hide_untested_code(tree: MakeTree, environment: Environment) -> None:
    more = "\n\ndef triple(n: int) -> int:\n    m = 3\n    return m * n\n"
    verdict = await judge(BASE, {"calc.py": GOOD + more, "test_renamed.py": TEST}, tree, environment)
    assert verdict.reason.startswith("calc.py:"), verdict.reason
    assert verdict.verdict is Outcome.FAIL


async def test_tests_of_before_that_cannot_be_run_leave_it_unknown(tree: MakeTree, environment: Environment) -> None:
    verdict = await judge({**BASE, "coverage.py": ""}, {**BASE, "test_calc.py": TEST + "\n"}, tree, environment)
    assert verdict.verdict is Outcome.UNKNOWN
    assert "coverage.py would run in place of a tool" in verdict.reason


@pytest.mark.slow
async def test_edited_tests_that_still_pass_are_kept(tree: MakeTree, environment: Environment) -> None:
    edited = TEST.replace("double(2) == 4", "double(3) == 6")
    verdict = await judge(BASE, {**BASE, "test_calc.py": edited}, tree, environment)
    assert verdict.verdict is Outcome.PASS, verdict.reason


@pytest.mark.parametrize(("more", "runs"), [({"test_more.py": IDLE}, 1), ({"test_calc.py": TEST + "\n"}, 2)])
@pytest.mark.slow
async def test_added_tests_cost_no_run_of_the_base(
    more: dict[str, str], runs: int, tree: MakeTree, environment: Environment
) -> None:
    memory: Memory = {}
    async with sharing(memory):
        verdict = await judge(BASE, {**BASE, **more}, tree, environment)
    assert verdict.verdict is Outcome.PASS, verdict.reason
    assert len(memory) == runs


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({}, {"test_new.py": TEST, "sub/conftest.py": ""}, False),
        ({}, {"calc.py": BAD, "pyproject.toml": "[project]\nname = 'x'\n"}, False),
        ({}, {"test_calc.py": IDLE}, True),
        ({}, {"conftest.py": ""}, True),
        ({}, {"pytest.ini": ""}, True),
        ({}, {"tox.ini": "[pytest]\naddopts = -k x\n"}, True),
        ({"conftest.py": ""}, {"conftest.py": "x = 1\n"}, True),
        ({"setup.cfg": "[metadata]\nname = x\n"}, {"setup.cfg": "[metadata]\nname = y\n"}, False),
        ({"setup.cfg": "[metadata]\nname = x\n"}, {"setup.cfg": "[tool:pytest]\naddopts = -k x\n"}, True),
        ({"tests/data.json": "[1]"}, {"tests/data.json": "[]"}, True),
    ],
)
def test_the_base_is_asked_only_when_its_tests_or_their_configuration_changed(
    before: dict[str, str], after: dict[str, str], expected: bool, tree: MakeTree
) -> None:
    base, head = tree({**BASE, **before}), tree({**BASE, **before, **after})
    assert may_lose_tests(base, head, changes(base, head)) is expected


def test_a_base_without_tests_is_never_asked(tree: MakeTree) -> None:
    base, head = tree({"calc.py": GOOD}), tree({**BASE, "conftest.py": "", "pytest.ini": ""})
    assert not may_lose_tests(base, head, changes(base, head))


@pytest.mark.parametrize(
    ("before", "after", "removed"),
    [
        ({"t::a[1-2]", "t::a[1-3]"}, {"t::a[1-2]", "t::a[1-4]"}, ()),
        ({"t::a[1-2]", "t::a[1-3]"}, {"t::a[1-4]"}, ("t::a[1-3]",)),
        ({"t::a"}, {"t::a[1]"}, ()),
        ({"t::a", "t::b"}, {"t::b"}, ("t::a",)),
    ],
)
def test_an_edited_parameter_is_no_lost_test(
    before: set[str], after: set[str], removed: tuple[str, ...], tree: MakeTree
) -> None:
    same = tree(BASE)
    runs = [TestRun("pytest", passing=frozenset(passing)) for passing in (before, after)]
    assert lost_tests(same, same, runs[0], runs[1]) == Lost(removed)


def test_cases_of_unittest_are_named_as_pytest_names_them(tmp_path: Path) -> None:
    text = (
        "import unittest\n\n\nclass A(unittest.TestCase):\n    def test_good(self): pass\n"
        "    def test_bad(self): self.fail()\n    @unittest.skip('x')\n    def test_skip(self): pass\n"
        "    def test_sub(self):\n        with self.subTest(x=1.5): self.fail()\n"
    )
    (tmp_path / "test_a.py").write_text(text)
    junit = tmp_path / "junit.xml"
    command = [sys.executable, inside_script.__file__, "unittest", str(junit), str(tmp_path / "requests.json")]
    subprocess.run(command, cwd=tmp_path, check=False, capture_output=True)
    found = with_junit(TestRun("unittest"), junit, "svc/")
    assert found.passing == {"svc/test_a.A::test_good"}
    assert set(found.failing) == {"svc/test_a.A::test_bad", "svc/test_a.A::test_sub (x=1.5)"}


@pytest.mark.parametrize(
    ("body", "outcome", "said"),
    [
        (
            "# assert double(2) == 4\n    double(2)",
            Outcome.FAIL,
            "no longer asserts anything: test_calc.py::test_double;",
        ),
        ("double(2)\n    assert True", Outcome.FAIL, "no longer asserts anything: test_calc.py::test_double;"),
        ("assert double(2) == 4", Outcome.PASS, "; fewer assertions than before: test_calc.py::test_double"),
    ],
)
async def test_assertions_that_were_taken_out_are_told(
    body: str, outcome: Outcome, said: str, tree: MakeTree, environment: Environment
) -> None:
    two = {**BASE, "test_calc.py": f"{TEST}    assert double(3) == 6\n"}
    after = {**BASE, "test_calc.py": f"from calc import double\n\n\ndef test_double() -> None:\n    {body}\n"}
    verdict = await judge(two, after, tree, environment)
    assert verdict.verdict is outcome
    assert said in verdict.reason
