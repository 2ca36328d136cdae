"""What failed before a change is named, not blamed on it."""

from collections.abc import Mapping

import pytest

from backend_coordinator.domain.verdict import Outcome, Verdict
from backend_coordinator.nodes.gates.checks.code_quality import tests_pass_and_cover_the_change
from backend_coordinator.nodes.gates.checks.testing import tests_reach_every_route
from backend_coordinator.nodes.gates.inspection import inspect
from backend_coordinator.nodes.gates.policy import accepted
from backend_coordinator.nodes.gates.registry import Check
from backend_coordinator.nodes.workspace.environment import Environment
from tests.gates.trees import FIXTURES, MakeTree, changes, inside, read

CALC = "def double(n: int) -> int:\n    return 2 * n\n"
TEST = "from calc import double\n\n\ndef test_double() -> None:\n    assert double(2) == 4\n"
MORE = CALC + "\n\ndef triple(n: int) -> int:\n    return 3 * n\n"
TEST_MORE = "from calc import triple\n\n\ndef test_triple() -> None:\n    assert triple(2) == 6\n"
FAILS = "from calc import double\n\n\ndef test_old() -> None:\n    assert double(1) == 3\n"
BROKEN = "import gone\n\n\ndef test_hidden() -> None:\n    assert gone.two == 3\n"
BASE = {"calc.py": CALC, "test_calc.py": TEST}
HEAD = {"calc.py": MORE, "test_calc.py": TEST, "test_more.py": TEST_MORE}


async def judge(
    before: Mapping[str, str],
    after: Mapping[str, str],
    tree: MakeTree,
    environment: Environment,
    check: Check = tests_pass_and_cover_the_change,
) -> Verdict:
    base, head = tree(before), tree(after)
    return await check.run(base, head, changes(base, head), inside(environment, head))


@pytest.mark.parametrize(
    ("old", "name"),
    [
        ({"test_old.py": FAILS}, "test_old::test_old"),
        ({"test_old.py": BROKEN}, "test_old"),
        pytest.param({"tests/test_old.py": BROKEN}, "tests.test_old", marks=pytest.mark.slow),
        pytest.param(
            {"test_old.py": FAILS, "pytest.ini": "[pytest]\naddopts = -x\n"},
            "test_old::test_old",
            marks=pytest.mark.slow,
        ),
    ],
    ids=["a test", "a file that cannot be imported", "in a folder", "where the first failure would stop the run"],
)
async def test_an_old_failure_is_named_beside_a_pass(
    old: dict[str, str], name: str, tree: MakeTree, environment: Environment
) -> None:
    verdict = await judge({**BASE, **old}, {**HEAD, **old}, tree, environment)
    assert verdict.verdict is Outcome.PASS, verdict.reason
    assert verdict.reason.endswith(f"2 tests pass and cover 100% of 2 introduced lines; failed before too: {name}")
    assert [finding.path for finding in verdict.evidence[0].findings] == [name]
    assert verdict.evidence[0].exit_code == 1


@pytest.mark.slow
async def test_a_new_failure_is_blamed_without_the_old_ones(tree: MakeTree, environment: Environment) -> None:
    wrong = HEAD | {"calc.py": MORE.replace("3 * n", "4 * n")}
    for old in (FAILS, BROKEN):
        verdict = await judge({**BASE, "test_old.py": old}, {**wrong, "test_old.py": old}, tree, environment)
        assert verdict.verdict is Outcome.FAIL
        assert verdict.reason.startswith("test_more::test_triple fails: ")
        assert [finding.path for finding in verdict.evidence[0].findings] == ["test_more::test_triple"]


async def test_what_the_change_mends_is_named_where_both_were_run(tree: MakeTree, environment: Environment) -> None:
    both = {"test_old.py": FAILS, "test_older.py": FAILS}
    one = {"test_old.py": FAILS, "test_older.py": FAILS.replace("== 3", "== 2")}
    verdict = await judge({**BASE, **both}, {**HEAD, **one}, tree, environment)
    assert verdict.verdict is Outcome.PASS, verdict.reason
    assert verdict.reason.endswith("; failed before too: test_old::test_old; mended: test_older::test_old")


@pytest.mark.parametrize("place", ["test_old.py", pytest.param("tests/test_old.py", marks=pytest.mark.slow)])
async def test_what_an_unimportable_file_hid_is_unknown_until_the_change_touches_it(
    place: str, tree: MakeTree, environment: Environment
) -> None:
    hidden = BROKEN + "\n\ndef test_fine() -> None:\n    assert gone.two == 2\n"
    name = f"{place.removesuffix('.py').replace('/', '.')}::test_hidden"
    before, after = {**BASE, place: hidden}, {**HEAD, place: hidden, "gone.py": "two = 2\n"}
    verdict = await judge(before, after, tree, environment)
    assert verdict.verdict is Outcome.UNKNOWN, verdict.reason
    assert verdict.reason == f"fails, and could not be imported before the change to compare: {name}; make it pass"
    touched = await judge(before, {**after, place: hidden + "\n\nlast = 1\n"}, tree, environment)
    assert touched.verdict is Outcome.FAIL, touched.reason
    assert touched.reason.startswith(f"{name} fails: ")


@pytest.mark.slow
async def test_a_mended_suite_passes(tree: MakeTree, environment: Environment) -> None:
    for old, new in ((FAILS, FAILS.replace("== 3", "== 2")), (BROKEN, "def test_hidden() -> None:\n    pass\n")):
        verdict = await judge({**BASE, "test_old.py": old}, {**HEAD, "test_old.py": new}, tree, environment)
        assert verdict.verdict is Outcome.PASS, verdict.reason
        assert "; mended: test_old" in verdict.reason
        assert "failed before too" not in verdict.reason


async def test_failures_without_a_run_to_compare_with_are_unknown(tree: MakeTree, environment: Environment) -> None:
    old = {"test_old.py": FAILS}
    verdict = await judge({**BASE, **old, "conftest.py": "import gone\n"}, {**HEAD, **old}, tree, environment)
    assert verdict.verdict is Outcome.UNKNOWN
    assert verdict.reason.startswith("test_old::test_old fails, and the tests of before cannot be run to compare: ")


async def test_a_run_that_breaks_off_is_no_pass_beside_an_old_failure(tree: MakeTree, environment: Environment) -> None:
    leaves = TEST_MORE + "\n\ndef test_leaves() -> None:\n    import pytest\n\n    pytest.exit('enough')\n"
    old = {"test_a_old.py": FAILS}
    verdict = await judge({**BASE, **old}, {**HEAD, **old, "test_more.py": leaves}, tree, environment)
    assert verdict.verdict is Outcome.FAIL
    assert "ended with exit code 2" in verdict.reason


async def test_unittest_names_an_old_file_that_cannot_be_imported(tree: MakeTree, environment: Environment) -> None:
    case = "import unittest\n\nimport {}\n\n\nclass A(unittest.TestCase):\n    def test_a(self) -> None:\n        {}\n"
    good, bad = case.format("calc", "assert calc.double(2) == 4"), case.format("gone", "pass")
    base = {"calc.py": CALC, "tests/test_calc.py": good, "tests/test_old.py": bad}
    verdict = await judge(base, {**base, "calc.py": "# twice\n" + CALC}, tree, environment)
    assert verdict.verdict is Outcome.PASS, verdict.reason
    assert verdict.reason.endswith("; failed before too: tests.test_old")


@pytest.mark.slow
@pytest.mark.parametrize("old", [FAILS.replace("from calc import double\n", "double = int\n"), BROKEN])
async def test_a_service_with_an_old_failure_is_accepted(old: str, tree: MakeTree, environment: Environment) -> None:
    files = read(FIXTURES / "tests_reach_every_route" / "passing")
    contract = read(FIXTURES / "contract_equals_routes" / "passing")["openapi.yaml"]
    before = {"README.md": "# Shelf\n", "tests/test_old.py": old}
    reached = await judge(before, {**files, **before}, tree, environment, tests_reach_every_route)
    assert reached.verdict is Outcome.PASS, reached.reason
    base, head = tree(before), tree({**files, **before, "openapi.yaml": contract})
    found = await inspect(base, head, changes(base, head), inside(environment, head), stage="acceptance")
    assert accepted(found), [verdict for verdict in found if verdict.verdict is Outcome.FAIL]
