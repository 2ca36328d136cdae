"""The ladder in whole runs: every class of failure, every way up, and a process killed on every rung.

Beside each failing task stand one that needs it and one that has nothing to do with it.
"""

import asyncio
import signal
import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from langchain_core.messages import AIMessage

from backend_coordinator import Waiting
from backend_coordinator.domain import events as e
from backend_coordinator.domain.failure import FailureClass, LevelBudget
from backend_coordinator.domain.objective import Objective
from backend_coordinator.domain.usage import Limits
from backend_coordinator.graph.runs import Runs, drive
from backend_coordinator.nodes import points
from backend_coordinator.nodes.points import Point
from backend_coordinator.settings import AllLimits
from backend_coordinator.testing import Script, ScriptedModel
from tests.support.children import child, die, ending
from tests.support.climbing import Files, Judgements, author, ladder
from tests.support.department import Told, Work, department, plan, refuse, task, write_own_file
from tests.support.runs import QUICK, coordinator, git, of, result_of, statuses
from tests.support.wheelhouse import add_installed, add_wheel

pytestmark = pytest.mark.slow
MANIFEST = '[project]\nname = "shop"\nversion = "1"\n[project.optional-dependencies]\ntest = ["coverage", "flake8"]\n'
LINTER = """
import pathlib, sys
if __name__ == "__main__":
    found = [path for path in pathlib.Path(".").rglob("*.py") if path.read_text().startswith("import os")]
    print(*(f"{path}:1:1: F401 os is never used" for path in found), sep="\\n")
    sys.exit(bool(found))
"""
TEST: Files = {
    "tests/test_app.py": "import unittest\n\nimport app\n\n\nclass Version(unittest.TestCase):\n"
    "    def test_it_has_one(self):\n        self.assertTrue(app.version())\n"
}
GOOD: Files = {"app.py": "def version() -> str:\n    return '1'\n", **TEST}
EMPTY: Files = {"app.py": "def version() -> str:\n    return ''\n", **TEST}
BLANK: Files = {"app.py": "def version() -> str:\n    return str()\n", **TEST}
BROKEN: Files = {"app.py": "def version( -> str:\n    return '1'\n", **TEST}
LACKING: Files = {"app.py": "import tokens\n\n\ndef version() -> str:\n    return tokens.version\n", **TEST}
UNGOOD: Files = {"app.py": "import os\n\n\ndef version() -> str:\n    return '1'\n", **TEST}
KEY = 'aws_secret_access_key = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYzQ7aLkP2vT"\n'
LEAKING: Files = {**GOOD, "app.py": KEY + GOOD["app.py"]}
Step = tuple[int, str, str | None]
HELPING: Judgements = {"consultation": lambda told: {"can_help": True, "guidance": "do it plainly"}}
GUIDING: Judgements = {"review": lambda told: {"action": "guide", "text": "write it plainly"}}
ANSWER = "write f1.txt in plain English"
MOST_ALIKE = 2
CLIMBING = LevelBudget(self_recovery=1, peer_consultation=1, coordinator_review=1, strategic_escalation=1)


@dataclass(frozen=True)
class Scenario:
    """What its author does, what others say to that, how it has to climb, and how the task has to end."""

    name: str
    work: Work
    climb: tuple[Step, ...]
    judgements: Judgements = field(default_factory=dict)
    answers: tuple[str, ...] = ()
    ends: str = "merged"
    settings: Mapping[str, object] = field(default_factory=dict)
    made: Mapping[str, object] = field(default_factory=dict)


def about(topic: str, *, until: str = "GUIDANCE from") -> Work:
    """Hands the task back for a topic until it is guided."""

    def work(told: Told) -> AIMessage:
        if until in told.text:
            return write_own_file(told)
        number = told.text.count("GUIDANCE from")
        return told.calls("submit", summary="nothing", refusal=f"this is about {topic}, time {number}", about=topic)

    return work


def mishap(message: AIMessage, times: int) -> Work:
    """Answers so often with a message that brings nothing, then does the work."""
    left = iter(range(times))

    def work(told: Told) -> AIMessage:
        return message.model_copy() if next(left, None) is not None else write_own_file(told)

    return work


def ended(reason: str) -> AIMessage:
    return AIMessage("I would" if reason == "length" else "", response_metadata={"finish_reason": reason})


def busy(told: Told) -> AIMessage:
    """Looks around until it is guided."""
    return write_own_file(told) if "GUIDANCE from" in told.text else told.calls("glob", pattern=f"{told.turn}*")


def idle(told: Told) -> AIMessage:
    """Delivers nothing until the coordinator speaks."""
    if "GUIDANCE from backend-coordinator" in told.text:
        return write_own_file(told)
    return told.calls("submit", summary="nothing yet")


def refusing(told: Told) -> AIMessage:
    """Hands the task back without saying what it is about until it is guided."""
    return write_own_file(told) if "GUIDANCE from" in told.text else refuse(told)


def never(topic: str) -> Work:
    """Hands the task back for ever, each time with other words."""
    return about(topic, until="never")


def leaking(told: Told) -> AIMessage:
    """Keeps a secret in its file, whoever says what, each time with another text around it."""
    if told.turn == 0:
        return told.calls("write", path="f1.py", content=f"# time {told.text.count('GUIDANCE from')}\n{KEY}")
    return told.calls("submit", summary="one file")


def by_another(told: Told) -> AIMessage:
    """Only the expert for Node can do it."""
    return write_own_file(told) if told.specialist == "nodejs-expert" else refuse(told)


def as_amended(told: Told) -> AIMessage:
    """Cannot do the task before it is another one."""
    if "in plain English" in told.text:
        return write_own_file(told)
    return told.calls("submit", summary="nothing", refusal="in which language?", about="external_block")


LEVEL_2 = (
    "performance_issue",
    "database_design",
    "api_contract_mismatch",
    "api_design_conflict",
    "architectural_question",
)
LEVEL_4 = (
    "architecture_mismatch", "security_concern", "performance_unachievable", "breaking_change",
    "cross_service_conflict", "database_conflict", "stability_threat", "api_security_infeasible", "timeline",
)  # fmt: skip
CODE = {"writes": ("**",), "steps": ("write_code", "write_tests")}


def wanting(topic: str, level: int, action: str) -> Scenario:
    """A specialist hands its task back for a topic, which starts at its level and ends there."""
    others: dict[int, Judgements] = {2: HELPING, 3: GUIDING}
    answers = ("guide",) if level == 4 else ()
    return Scenario(topic, about(topic), ((level, topic, action),), others.get(level, {}), answers)


CLASSES = (
    Scenario("missing dependency", author(LACKING, GOOD), ((1, "missing_dependency", "retry"),), made=CODE),
    Scenario("syntax error", author(BROKEN, GOOD), ((1, "syntax_error", "retry"),), made=CODE),
    Scenario("test failure", author(EMPTY, GOOD), ((1, "test_failure", "retry"),), made=CODE),
    Scenario("style", author(UNGOOD, GOOD), ((1, "style", "retry"),), made=CODE),
    Scenario("gate failure", author(LEAKING, GOOD), ((1, "gate_failure", "retry"),), made=CODE),
    Scenario("empty answer", mishap(ended("stop"), 3), ((1, "empty_answer", "retry"),)),
    Scenario("cut off", mishap(ended("length"), 3), ((1, "cut_off", "retry"),)),
    *(wanting(topic, 2, "guide") for topic in LEVEL_2),
    Scenario("outside expertise", refusing, ((2, "outside_expertise", "guide"),), HELPING,
             made={"specialist": "database-optimizer"}),
    Scenario("retries exhausted", author(EMPTY, BLANK, GOOD),
             ((1, "test_failure", "retry"), (3, "retries_exhausted", "guide")), GUIDING, made=CODE),
    wanting("integration_issue", 3, "guide"),
    wanting("external_block", 3, "guide"),
    Scenario("budget exhausted", busy, ((3, "budget_exhausted", None), (4, "budget_exhausted", "guide")),
             answers=("guide",), settings={"limits": AllLimits(task=Limits(turns=4))}),
    Scenario("stuck", idle, ((1, "gate_failure", "retry"), (3, "stuck", "guide")), GUIDING),
    Scenario("refusal", mishap(ended("refusal"), 1), ((3, "refusal", "guide"),), GUIDING),
    Scenario("content filter", mishap(ended("content_filter"), 1), ((3, "content_filter", "guide"),), GUIDING),
    Scenario("context overflow", mishap(ended("model_context_window_exceeded"), 1),
             ((3, "context_overflow", "guide"),), GUIDING),
    *(wanting(topic, 4, "guide") for topic in LEVEL_4),
)  # fmt: skip


def said(**review: object) -> Judgements:
    return {"review": lambda told: {"text": "as I say", **review}}


PEER, SENT_ON, STILL = (
    (2, "performance_issue", "guide"),
    (2, "performance_issue", None),
    (3, "performance_issue", "guide"),
)
WAYS = (
    Scenario("Level 1 to 4: a secret that stays", leaking,
             ((1, "gate_failure", "retry"), (4, "security_concern", "waive")), answers=("waive",), made=CODE,
             settings={"budget": CLIMBING}),
    Scenario("Level 2 to 3: the peer cannot help", about("performance_issue"), (SENT_ON, STILL), GUIDING),
    Scenario("Level 2 to 3: the peer's advice was not enough",
             about("performance_issue", until="GUIDANCE from backend-coordinator"), (PEER, STILL),
             {**HELPING, **GUIDING}),
    Scenario("Level 2 to 3: nobody is left to ask", about("api_design_conflict"),
             ((2, "api_design_conflict", None), (3, "api_design_conflict", "guide")), GUIDING,
             made={"specialist": "api-architect"}),
    Scenario("Level 3 to 4: the coordinator sends it up", about("external_block"),
             ((3, "external_block", None), (4, "external_block", "guide")), answers=("guide",)),
    Scenario("Level 3 to 4: guidance that was given before", never("external_block"),
             ((3, "external_block", "guide"), (3, "external_block", None), (4, "external_block", "abandon")), GUIDING,
             ("abandon",), "abandoned"),
    Scenario("Level 2 to 4 and the end: nothing helps", never("performance_issue"),
             (PEER, STILL, (4, "performance_issue", "guide")), {**HELPING, **GUIDING}, ("guide",),
             "given_up", {"budget": CLIMBING}),
    Scenario("Level 3 reassigns", by_another, ((2, "outside_expertise", None), (3, "outside_expertise", "reassign")),
             said(action="reassign", to="nodejs-expert")),
    Scenario("Level 3 amends", as_amended, ((3, "external_block", "amend"),),
             said(action="amend", amendment={"objective": "write f1.txt in plain English"})),
    Scenario("Level 3 gives up", about("external_block"), ((3, "external_block", "give_up"),), said(action="give_up"),
             ends="given_up"),
    Scenario("Level 4 guides", about("security_concern"), ((4, "security_concern", "guide"),), answers=("guide",)),
    Scenario("Level 4 amends", as_amended, ((3, "external_block", None), (4, "external_block", "amend")),
             answers=("amend",)),
    Scenario("Level 4 abandons", about("security_concern"), ((4, "security_concern", "abandon"),),
             answers=("abandon",), ends="abandoned"),
    Scenario("no budget at Level 1", author(LEAKING, GOOD), ((4, "security_concern", "guide"),), {}, ("guide",),
             made=CODE, settings={"budget": LevelBudget(self_recovery=0)}),
    Scenario("no budget at Level 2", about("performance_issue"), (STILL,), GUIDING,
             settings={"budget": LevelBudget(peer_consultation=0)}),
    Scenario("no budget at Level 3", about("external_block"), ((4, "external_block", "guide"),), answers=("guide",),
             settings={"budget": LevelBudget(coordinator_review=0)}),
    Scenario("no budget at Level 4", about("security_concern"), (), ends="given_up",
             settings={"budget": LevelBudget(strategic_escalation=0)}),
    Scenario("no budget anywhere", never("performance_issue"), (), ends="given_up",
             settings={"budget": LevelBudget(self_recovery=0, peer_consultation=0, coordinator_review=0,
                                             strategic_escalation=0)}),
)  # fmt: skip


@pytest.fixture
def shop(shop: Path) -> Path:
    """The repository with a manifest of its own."""
    (shop / "pyproject.toml").write_text(MANIFEST)
    (shop / ".flake8").write_text("[flake8]\n")
    git(shop, "add", "pyproject.toml", ".flake8")
    git(shop, "commit", "--quiet", "-m", "manifest", "--", "pyproject.toml", ".flake8")
    return shop


@pytest.fixture
def wheels(wheels: Path) -> Path:
    """What measures tests, and a linter."""
    add_installed("coverage", wheels)
    add_wheel(wheels, "flake8", "1.0", LINTER)
    return wheels


@pytest.mark.parametrize("scene", [*CLASSES, *WAYS], ids=lambda scene: scene.name)
def test_a_failure_climbs_as_the_ladder_says_and_holds_up_nobody_else(
    shop: Path, wheels: Path, scene: Scenario
) -> None:
    def work(told: Told) -> AIMessage:
        return scene.work(told) if told.task == "backend-T001" else write_own_file(told)

    script = department(plan(task(1, **scene.made), task(2, needs=[1]), task(3)), work, **scene.judgements)
    run = coordinator(shop, script, **{"required": ("C2",), **scene.settings}).start("files")
    for decision in scene.answers:
        with pytest.raises(Waiting):
            run.result()
        assert "backend-T003" in {event.task for event in of(e.Merged, run.events())}, "others went on meanwhile"
        (question,) = run.questions
        question.answer(decision, ANSWER, by="lead")  # type: ignore[arg-type]
    report = run.result()
    assert ladder(report) == list(scene.climb)
    dependant = "merged" if scene.ends == "merged" else "skipped"
    assert statuses(report) == {"001": scene.ends, "002": dependant, "003": "merged"}
    used = Counter(step.level for step in report.escalations)
    budget = LevelBudget.model_validate(scene.settings.get("budget", LevelBudget()))
    assert all(used[level] <= budget.of(level) for level in used)
    digests = [attempt.delivery_digest for attempt in result_of(report, 1).failures if attempt.delivery_digest]
    assert all(digests.count(each) <= MOST_ALIKE for each in digests), "nobody delivers the same a third time"


def test_every_class_of_failure_has_a_scenario() -> None:
    assert {step[1] for scene in CLASSES for step in scene.climb} >= set(FailureClass) - {"merge_conflict"}


def test_a_conflict_goes_back_to_its_author_on_top_of_what_was_merged(shop: Path) -> None:
    other_merged = threading.Event()

    def work(told: Told) -> AIMessage:
        if told.task == "backend-T001" and told.turn == 0:
            assert other_merged.wait(60)
        if told.turn == 0:
            return told.calls("write", path="shared.txt", content=f"by {told.task}, {told.text.count('GUIDANCE')}\n")
        return told.calls("submit", summary="wrote it")

    made = [task(number, writes=("shared.txt",)) for number in (1, 2)]
    run = coordinator(shop, department(plan(*made), work)).start("files")
    for event in run.events():
        if isinstance(event, e.Merged) and event.task == "backend-T002":
            other_merged.set()
    report = run.result()
    assert ladder(report) == [(1, "merge_conflict", "retry")]
    assert statuses(report) == {"001": "merged", "002": "merged"}


def test_two_questions_of_level_4_stand_side_by_side_and_take_their_answers_in_any_order(shop: Path) -> None:
    def work(told: Told) -> AIMessage:
        return write_own_file(told) if told.task == "backend-T003" else about("security_concern")(told)

    run = coordinator(shop, department(plan(task(1), task(2), task(3)), work)).start("files")
    with pytest.raises(Waiting):
        run.result()
    by_task = {str(question.question.task): question for question in run.questions}
    assert sorted(by_task) == ["backend-T001", "backend-T002"]
    by_task["backend-T002"].answer("guide", "go on", by="lead")
    with pytest.raises(Waiting):
        run.result()
    assert [question.question.task for question in run.questions] == ["backend-T001"]
    run.questions[0].answer("abandon", by="lead")
    assert statuses(run.result()) == {"001": "abandoned", "002": "merged", "003": "merged"}


def test_aborting_at_level_4_ends_the_run(shop: Path) -> None:
    run = coordinator(shop, department(plan(task(1), task(2, needs=[1])), about("security_concern"))).start("files")
    with pytest.raises(Waiting):
        run.result()
    run.questions[0].answer("abort", by="lead")
    report = run.result()
    assert [question.answer and question.answer.decision for question in report.questions] == ["abort"]
    assert "merged" not in statuses(report).values()


RUNGS: Mapping[str, tuple[Work, Judgements, tuple[Step, ...]]] = {
    "level_1": (author(LEAKING, GOOD), {}, ((1, "gate_failure", "retry"),)),
    "level_2": (about("performance_issue"), HELPING, (PEER,)),
    "level_3": (about("external_block"), GUIDING, ((3, "external_block", "guide"),)),
    "level_4": (about("security_concern"), {}, ((4, "security_concern", "guide"),)),
}


def dies(shop: Path, run: str, script: Script, at: Point | None = None, *, after: int = 0) -> None:
    """A process that drives the run and is killed at a point, or by its own script."""
    runs = Runs(shop, ScriptedModel(script=script), QUICK.model_copy(update={"required": ("C2",)}))
    seen: list[Point] = []

    def work() -> None:
        points.reached.append(lambda point: die() if point == at and seen.count(point) >= after else seen.append(point))
        asyncio.run(drive(runs, run))

    assert ending(child(work)) == -signal.SIGKILL


def dying(told: Told) -> Mapping[str, object]:
    die()
    return {}


@pytest.mark.parametrize("rung", RUNGS)
@pytest.mark.parametrize("moment", ["on it", "after it"])
def test_a_process_killed_on_a_rung_takes_it_once(shop: Path, wheels: Path, rung: str, moment: str) -> None:
    work, judgements, climb = RUNGS[rung]
    script = department(plan(task(1)), work, **judgements)
    started = coordinator(shop, script, required=("C2",))
    run = Runs(shop, ScriptedModel(script=script), QUICK).create(Objective(text="files"))
    on_it: dict[str, Point] = {"level_1": "delivery inspected", "level_4": "question recorded"}
    if moment == "on it":
        killing = department(plan(task(1)), work, **dict.fromkeys(judgements, dying))
        dies(shop, run, killing, on_it.get(rung))
    elif rung == "level_4":
        asking = started.resume(run)
        with pytest.raises(Waiting):
            asking.result()
        asking.questions[0].answer("guide", "go on", by="lead")
        dies(shop, run, script, "checkout made")
    else:
        dies(shop, run, script, "checkout made", after=1)
    going = started.resume(run)
    if rung == "level_4" and moment == "on it":
        with pytest.raises(Waiting):
            going.result()
        going.questions[0].answer("guide", "go on", by="lead")
    report = going.result()
    assert ladder(report) == list(climb)
    told = [event.escalation for event in of(e.Escalated, going.events())]
    assert [(int(step.level), step.failure, step.action) for step in told] == list(climb)
    assert report.accepted
