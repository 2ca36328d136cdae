"""What an author recovers from: missing dependencies, syntax errors, failing tests, each with its evidence."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from backend_coordinator import Waiting
from backend_coordinator.domain import events as e
from backend_coordinator.domain.delivery import Delivery
from backend_coordinator.domain.objective import Objective
from backend_coordinator.graph.runs import Runs
from backend_coordinator.nodes.dependencies import admitted
from tests.support.climbing import Files, author, ladder, run_of
from tests.support.runs import QUICK, finished, git, of, result_of
from tests.support.wheelhouse import add_installed, add_wheel

MANIFEST = """[project]
name = "shop"
version = "1"
[project.optional-dependencies]
test = ["coverage"]
auth = ["acme-tokens>=1"]
"""
CODE: Files = {"app.py": "import tokens\n\n\ndef version() -> str:\n    return tokens.version\n"}
TEST: Files = {
    "tests/test_app.py": "import unittest\n\nimport app\n\n\nclass Version(unittest.TestCase):\n"
    "    def test_it_has_one(self):\n        self.assertTrue(app.version())\n"
}
PLAIN: Files = {"app.py": "def version() -> str:\n    return '1'\n", **TEST}
USING: Files = {**CODE, **TEST}
UNDECLARED = MANIFEST.replace('auth = ["acme-tokens>=1"]\n', "")
WITH_PYTEST = UNDECLARED.replace('"coverage"', '"coverage", "pytest"')
DECLARING = UNDECLARED.replace('"coverage"]', '"coverage", "acme-tokens"]')


@pytest.fixture
def shop(shop: Path, request: pytest.FixtureRequest) -> Path:
    """The repository with a manifest: the default one, or the one that the test names."""
    manifest = getattr(request, "param", MANIFEST)
    (shop / "pyproject.toml").write_text(manifest)
    git(shop, "add", "pyproject.toml")
    git(shop, "commit", "--quiet", "-m", "manifest", "--", "pyproject.toml")
    return shop


@pytest.fixture
def wheels(wheels: Path) -> Path:
    """Coverage, and a distribution whose module has another name."""
    add_installed("coverage", wheels)
    add_wheel(wheels, "acme_tokens", "1.2", module="tokens")
    return wheels


def test_a_declared_dependency_that_is_missing_is_installed_and_the_same_work_inspected_again(
    shop: Path, wheels: Path
) -> None:
    report, events = finished(run_of(shop, author(USING)))
    (step,) = report.escalations
    assert ladder(report) == [(1, "missing_dependency", "install")]
    assert step.question.startswith("no module named tokens; C5: ")
    assert step.answer == "installed acme_tokens 1.2 for tokens (pyproject.toml, extra auth)"
    assert len(of(e.TaskStarted, events)) == 1
    assert report.accepted
    assert "new dependencies" not in str(result_of(report, 1).decisions)


def test_what_a_delivery_declares_is_simply_there(shop: Path, wheels: Path) -> None:
    add_wheel(wheels, "other", "2.0")
    declared = MANIFEST.replace('"coverage"]', '"coverage", "other==2.0"]')
    files = {**PLAIN, "app.py": "import other\n\n\ndef version() -> str:\n    return other.version\n"}
    report, _ = finished(run_of(shop, author({**files, "pyproject.toml": declared})))
    assert ladder(report) == []
    assert [decision.text for decision in result_of(report, 1).decisions] == ["new dependencies: other==2.0"]
    assert report.accepted


def test_a_declared_line_that_cannot_be_installed_goes_back_with_the_installer_s_words(
    shop: Path, wheels: Path
) -> None:
    told: list[str] = []
    broken = MANIFEST.replace('"coverage"]', '"coverage", "nobody-has-this==9"]')
    work = author({**PLAIN, "pyproject.toml": broken}, {"pyproject.toml": MANIFEST}, told=told)
    report, _ = finished(run_of(shop, work))
    assert ladder(report) == [(1, "missing_dependency", "retry")]
    assert "No matching distribution found for nobody-has-this==9" in told[1]
    assert report.accepted


@pytest.mark.slow
def test_an_index_that_does_not_answer_blocks_and_the_same_work_passes_once_it_does(
    shop: Path, wheels: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_RETRIES", "0")
    add_wheel(wheels, "late", "1.0", module="tardy")
    files = {**PLAIN, "app.py": "import tardy\n\n\ndef version() -> str:\n    return tardy.version\n"}
    files["pyproject.toml"] = MANIFEST.replace('"coverage"]', '"coverage", "late"]')
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_FIND_LINKS", "/nonexistent")

    def review(told: object) -> dict[str, object]:
        monkeypatch.setenv("PIP_NO_INDEX", "1")
        monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))
        return {"action": "guide", "text": "the index is back"}

    report, _ = finished(run_of(shop, author(files), judgements={"review": review}))
    assert ladder(report) == [(3, "external_block", "guide")]
    (attempt,) = result_of(report, 1).failures
    assert "could not be installed: Could not fetch URL http://127.0.0.1:9/simple/" in attempt.failure.detail
    assert report.accepted


@pytest.mark.slow
def test_an_optional_dependency_that_cannot_be_fetched_is_a_block_and_no_mistake_of_the_author_s(
    shop: Path, wheels: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    finished(run_of(shop, author(PLAIN)))  # what is always installed is in the cache
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_FIND_LINKS", "/nonexistent")
    monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
    add = MANIFEST.replace("acme-tokens>=1", "acme-tokens>=1.1")
    give_up = {"review": lambda told: {"action": "give_up", "text": "no index"}}
    report, _ = finished(run_of(shop, author({**USING, "pyproject.toml": add}), judgements=give_up))
    assert ladder(report) == [(1, "missing_dependency", None), (3, "external_block", "give_up")]
    assert report.escalations[0].answer.startswith(
        "pyproject.toml, extra auth: the project: the dependencies could not"
    )
    assert not report.accepted


@pytest.mark.parametrize("shop", [UNDECLARED], indirect=True, ids=["undeclared"])
def test_an_undeclared_dependency_has_to_be_declared_and_is_then_named(shop: Path, wheels: Path) -> None:
    told: list[str] = []
    report, events = finished(run_of(shop, author(USING, {"pyproject.toml": DECLARING}, told=told)))
    assert ladder(report) == [(1, "missing_dependency", "retry")]
    assert "tokens: no module of the tree, of Python or of a declared distribution." in told[1]
    assert "declare the distribution that brings it in pyproject.toml" in told[1]
    assert "ModuleNotFoundError: No module named 'tokens'" in told[1]
    notes = [note.text for note in of(e.Noticed, events)]
    assert "backend-T001: new dependencies: acme-tokens" in notes
    assert [decision.text for decision in result_of(report, 1).decisions] == ["new dependencies: acme-tokens"]
    assert report.accepted


async def test_a_new_dependency_is_noted_once_in_a_run_and_a_decision_of_each_delivery_that_adds_it(shop: Path) -> None:
    runs = Runs(shop, "offline", QUICK)
    context = await runs.context(runs.create(Objective(text="two files")))
    for name, added in (("backend-T001", ("a>=1", "b")), ("backend-T002", ("b", "c")), ("backend-T003", ("a>=1",))):
        delivery = Delivery(task=name, attempt=1, specialist="python-pro", summary="the work")
        (decision,) = admitted(context, delivery, dict(zip(added, added, strict=True))).decisions
        assert decision.text == f"new dependencies: {', '.join(added)}"
    notes = [note.text for note in of(e.Noticed, [event for _, event in context.ledger.events()])]
    assert notes == ["backend-T001: new dependencies: a>=1, b", "backend-T002: new dependencies: c"]


@pytest.mark.parametrize("shop", [UNDECLARED], indirect=True, ids=["undeclared"])
@pytest.mark.slow
def test_a_person_who_approves_an_undeclared_module_is_not_asked_about_its_distribution(
    shop: Path, wheels: Path
) -> None:
    work = author(USING, {"pyproject.toml": DECLARING})
    run = run_of(shop, work, approval="ask")
    with pytest.raises(Waiting):
        run.result()
    (question,) = run.questions
    assert (question.choices, question.question.items) == (("approve", "reject"), ("tokens",))
    assert question.text.startswith("backend-T001 (Versions) needs a new dependency: tokens. Why: python-pro's work")
    assert "No module named 'tokens'" in question.text
    question.answer("approve", by="lead")
    report = run.result()
    assert ladder(report) == [(1, "missing_dependency", "retry")]
    assert len(report.questions) == 1
    assert report.accepted


@pytest.mark.parametrize("shop", [UNDECLARED], indirect=True, ids=["undeclared"])
@pytest.mark.parametrize("policy", ["ask", "deny"])
def test_a_refused_dependency_is_done_without(shop: Path, wheels: Path, policy: str) -> None:
    told: list[str] = []
    run = run_of(shop, author(USING, PLAIN, told=told), approval=policy)
    if policy == "ask":
        with pytest.raises(Waiting):
            run.result()
        run.questions[0].answer("reject", "too young", by="lead")
    report = run.result()
    why = {"ask": "lead said no. too young", "deny": "approval.dependencies is deny"}[policy]
    assert f"A new dependency is refused ({why}): do without it." in told[1]
    assert ladder(report) == [(1, "missing_dependency", "retry")]
    assert report.accepted


@pytest.mark.parametrize("shop", [UNDECLARED], indirect=True, ids=["undeclared"])
@pytest.mark.parametrize(
    ("policy", "answer"), [("ask", "approve"), pytest.param("ask", "reject", marks=pytest.mark.slow), ("deny", None)]
)
def test_what_a_delivery_adds_to_a_manifest_goes_by_the_policy(
    shop: Path, wheels: Path, policy: str, answer: str | None
) -> None:
    told: list[str] = []
    work = author({**USING, "pyproject.toml": DECLARING}, {**PLAIN, "pyproject.toml": UNDECLARED}, told=told)
    run = run_of(shop, work, approval=policy)
    if answer:
        with pytest.raises(Waiting):
            run.result()
        (question,) = run.questions
        assert question.question.items == ("acme-tokens",)
        question.answer(answer, by="lead")  # type: ignore[arg-type]
    report = run.result()
    if answer == "approve":
        assert ladder(report) == []
    else:
        assert ladder(report) == [(1, "gate_failure", "retry")]
        assert ": acme-tokens\nRemove them and do without." in told[1]
        assert "acme-tokens" not in git(shop, "show", f"{report.branch}:pyproject.toml")
    assert report.accepted


SYNTAX = {**TEST, "app.py": "def version() -> str\n    return '1'\n"}
RED = {**TEST, "app.py": "def version() -> str:\n    return ''\n"}


@pytest.mark.parametrize(
    ("files", "kind", "exact"),
    [
        (SYNTAX, "syntax_error", ('app.py", line 1', "def version() -> str", "SyntaxError: expected ':'")),
        (RED, "test_failure", ("tests/test_app.py", "line 8", "AssertionError: '' is not true")),
    ],
)
def test_file_line_and_message_reach_the_author_s_next_packet(
    shop: Path, wheels: Path, files: Files, kind: str, exact: Sequence[str]
) -> None:
    told: list[str] = []
    report, _ = finished(run_of(shop, author(files, PLAIN, told=told)))
    assert ladder(report) == [(1, kind, "retry")]
    guidance = told[1].partition("GUIDANCE from the gates")[2]
    assert [part for part in exact if part not in guidance] == []
    assert report.accepted


@pytest.mark.parametrize(
    ("first", "kind", "exact"),
    [
        pytest.param(USING, "missing_dependency", "No module named 'tokens'", id="module", marks=pytest.mark.slow),
        pytest.param(
            {**PLAIN, "tests/conftest.py": "import tokens\n"},
            "missing_dependency",
            "No module named 'tokens'",
            id="conftest",
        ),
        pytest.param(
            {**PLAIN, "tests/conftest.py": "def broken(\n"},
            "syntax_error",
            "SyntaxError: '(' was never closed",
            id="syntax",
            marks=pytest.mark.slow,
        ),
    ],
)
@pytest.mark.parametrize("shop", [WITH_PYTEST], indirect=True, ids=["pytest"])
def test_a_test_run_that_cannot_even_collect_is_a_failure_with_its_cause(
    shop: Path, wheels: Path, first: Files, kind: str, exact: str
) -> None:
    for name in ("pytest", "pluggy", "iniconfig", "packaging", "pygments"):
        add_installed(name, wheels)
    told: list[str] = []
    report, _ = finished(run_of(shop, author(first, {**PLAIN, "tests/conftest.py": ""}, told=told)))
    assert ladder(report) == [(1, kind, "retry")]
    assert exact in told[1].partition("GUIDANCE from the gates")[2]
    assert report.accepted


@pytest.mark.slow
def test_the_same_finding_twice_goes_to_the_coordinator_since_saying_it_again_is_nothing_new(
    shop: Path, wheels: Path
) -> None:
    second = {"notes.md": "another tree, the same finding\n"}
    report, events = finished(
        run_of(
            shop,
            author(RED, second, PLAIN),
            judgements={"review": lambda told: {"action": "guide", "text": "return '1'"}},
        )
    )
    assert ladder(report) == [(1, "test_failure", "retry"), (3, "retries_exhausted", "guide")]
    assert len(of(e.TaskStarted, events)) == 3
    assert report.accepted
