"""What a recorded test run says about fixtures, error scenarios and performance."""

import pytest

from backend_coordinator.domain.verdict import Outcome, Verdict
from backend_coordinator.nodes.gates.checks.testing import (
    database_tests_use_fixtures,
    error_scenarios_are_tested,
    performance_tests_were_run,
)
from backend_coordinator.nodes.gates.registry import Check
from backend_coordinator.nodes.workspace.environment import Environment
from tests.gates.trees import FIXTURES, MakeTree, changes, inside, read

GOOD = read(FIXTURES / "error_scenarios_are_tested" / "passing")
BAD = read(FIXTURES / "error_scenarios_are_tested" / "failing")
STORE = read(FIXTURES / "database_tests_use_fixtures" / "passing")
SHARED = read(FIXTURES / "database_tests_use_fixtures" / "failing")
IN_MEMORY = {path: text.replace("books.db", ":memory:") for path, text in SHARED.items()}
LOADED = read(FIXTURES / "performance_tests_were_run" / "failing")


async def judge(check: Check, tree: MakeTree, environment: Environment, *versions: dict[str, str]) -> Verdict:
    """The verdict on the last of `versions`, the one before it being the base."""
    *before, head = map(tree, versions)
    base = before[-1] if before else None
    return await check.run(base, head, changes(base, head), inside(environment, head))


@pytest.mark.slow
async def test_a_refusal_that_no_test_saw_before_is_not_blamed(tree: MakeTree, environment: Environment) -> None:
    remark = {"main.py": BAD["main.py"] + "# A remark.\n"}
    found = await judge(error_scenarios_are_tested, tree, environment, BAD, {**BAD, **remark})
    assert found.verdict is Outcome.PASS
    assert found.reason.startswith("0 of 1 operations that can refuse were seen refusing")
    more = {"main.py": BAD["main.py"].replace("404: {", "409: {}, 404: {")}
    found = await judge(error_scenarios_are_tested, tree, environment, BAD, {**BAD, **more})
    assert found.verdict is Outcome.FAIL
    assert "no test sees GET /books/{book_id} refuse (404, 409)" in found.reason


@pytest.mark.parametrize(
    ("edit", "outcome", "reason"),
    [
        (("responses={404", "responses={409: {}, 404"), Outcome.UNKNOWN, "main.py: /books declares 409"),
        (('"/books/{book_id}"', '"/books"'), Outcome.PASS, "0 of 0 operations"),
        (
            ("    return BOOKS", "    if book_id > 9:\n        raise KeyError\n    return BOOKS"),
            Outcome.UNKNOWN,
            "main.py:14",
        ),
    ],
)
async def test_one_status_or_error_that_was_not_seen_is_unknown(
    edit: tuple[str, str], outcome: Outcome, reason: str, tree: MakeTree, environment: Environment
) -> None:
    tests = GOOD["tests/test_books.py"].replace("/books/", "/books?book_id=" if outcome is Outcome.PASS else "/books/")
    head = {"main.py": GOOD["main.py"].replace(*edit), "tests/test_books.py": tests}
    found = await judge(error_scenarios_are_tested, tree, environment, head)
    assert found.verdict is outcome, found.reason
    assert found.reason.startswith(reason)


@pytest.mark.parametrize(
    ("files", "outcome", "reason"),
    [
        ({**STORE, "tests/test_store.py": "def test_a():\n    import store\n"}, Outcome.UNKNOWN, "no test was seen"),
        (IN_MEMORY, Outcome.FAIL, "tests/test_store.py:5: opens one database connection"),
        ({"a.py": "def f():\n    return 1\n"}, Outcome.NOT_APPLICABLE, "the code uses no database"),
        ({"README.md": "x"}, Outcome.NOT_APPLICABLE, "no code changed"),
    ],
)
async def test_only_tests_that_reach_a_database_need_its_fixtures(
    files: dict[str, str], outcome: Outcome, reason: str, tree: MakeTree, environment: Environment
) -> None:
    found = await judge(database_tests_use_fixtures, tree, environment, files)
    assert found.verdict is outcome, found.reason
    assert found.reason.startswith(reason)


@pytest.mark.slow
async def test_an_old_shared_database_is_not_blamed(tree: MakeTree, environment: Environment) -> None:
    new = {**SHARED, "other.py": "X = 1\n", "tests/test_more.py": STORE["tests/test_store.py"]}
    found = await judge(database_tests_use_fixtures, tree, environment, SHARED, new)
    assert found.verdict is Outcome.PASS, found.reason
    assert found.reason == "the database of the tests is prepared by fixtures in tests/test_more.py"


async def test_without_figures_nothing_is_known_of_performance(tree: MakeTree, environment: Environment) -> None:
    found = await judge(performance_tests_were_run, tree, environment, STORE)
    assert found.verdict is Outcome.UNKNOWN
    assert found.reason.startswith("no test recorded a figure")


@pytest.mark.slow
async def test_an_old_failing_load_test_is_not_blamed(tree: MakeTree, environment: Environment) -> None:
    found = await judge(performance_tests_were_run, tree, environment, LOADED, {**LOADED, "other.py": "X = 1\n"})
    assert found.verdict is Outcome.UNKNOWN, found.reason
