"""`show` tells a run's story: attempts, verdicts, who was asked what, what was answered, what changed."""

import json
import re
from pathlib import Path
from typing import get_args

import pytest
from langchain_core.messages import AIMessage

from backend_coordinator import Waiting
from backend_coordinator.cli.story import story_of, told_as_json
from backend_coordinator.cli.telling import told
from backend_coordinator.domain import events as e
from backend_coordinator.domain.failure import Action, Escalation, FailureClass, Level, LevelBudget
from backend_coordinator.domain.objective import Objective
from backend_coordinator.graph.coordinator import Run
from backend_coordinator.testing import calls
from tests.support.department import Told, department, plan, task, write_own_file
from tests.support.runs import cli_here, coordinator
from tests.support.wheelhouse import add_installed

PRICE = "def gross(net: int) -> int:\n    return net {sign} 19\n"
TEST = """import unittest

from price import gross


class Gross(unittest.TestCase):
    def test_tax_is_added(self):
        self.assertEqual(gross(100), 119)
"""
GUIDES = re.compile(r"GUIDANCE from (database-admin|backend-coordinator|lead)")


def work(told: Told) -> AIMessage:
    """Task 1 mends a failing test at Level 1; task 2 needs one answer of each of the other levels."""
    if told.task == "backend-T001":
        return _price(told)
    if told.task == "backend-T003" or "GUIDANCE from lead" in told.text:
        return write_own_file(told)
    return told.calls("submit", summary="nothing", refusal=f"answers so far: {len(GUIDES.findall(told.text))}")


def _price(told: Told) -> AIMessage:
    if told.turn == 1:
        return told.calls("read", path="no-such-file")
    if told.turn == 2:
        return told.calls("submit", summary="gross prices")
    sign = "+" if "GUIDANCE from the gates" in told.text else "-"
    files = {"price.py": PRICE.format(sign=sign), "requirements.txt": "coverage\n", "tests/test_price.py": TEST}
    return calls(*(("write", {"path": path, "content": text}) for path, text in files.items()))


@pytest.fixture
def run(shop: Path, wheels: Path) -> Run:
    """A run that climbs all four levels and waits at the last."""
    add_installed("coverage", wheels)
    made = plan(
        task(1, writes=("price.py", "requirements.txt", "tests/test_price.py"), steps=("write_code", "write_tests")),
        task(2, needs=[1], specialist="database-optimizer"),
        task(3, needs=[2]),
    )
    script = department(
        made,
        work,
        consultation=lambda told: {"can_help": True, "guidance": "restore it from the nightly copy"},
        review=lambda told: {"action": "guide", "text": "write it\nplainly"},
    )
    budget = LevelBudget(peer_consultation=1, coordinator_review=1)
    run = coordinator(shop, script, sandbox="auto", budget=budget, required=("C2", "C5")).start("prices\nand files")
    with pytest.raises(Waiting):
        run.result()
    return run


def show(shop: Path, run: Run, *options: str) -> str:
    """What `show` prints, each moment without its time."""
    said = cli_here("show", run.id, "--workspace", str(shop), *options)
    assert (said.returncode, said.stderr) == (0, "")
    return re.sub(r"^( *)(?:2\S+ )?\d\d:\d\d:\d\d ", r"\1", said.stdout, flags=re.M)


def in_order(text: str, *lines: str) -> None:
    """Each line stands in the text, after the one before."""
    rest = [line.strip() for line in text.splitlines()]
    for line in lines:
        place = next((number for number, found in enumerate(rest) if found.startswith(line)), None)
        assert place is not None, f"{line!r} is not in {rest}"
        rest = rest[place + 1 :]


def test_a_waiting_run_tells_what_it_waits_for_and_what_has_not_begun(shop: Path, run: Run) -> None:
    (question,) = run.questions
    text = show(shop, run)
    in_order(
        text,
        f"run {run.id}: waiting",
        "objective: prices and files",
        "plan: 3 tasks, T001 then T002 then T003",
        "backend-T001 Task 1 (python-pro): merged as ",
        f"backend-T002 Task 2 (database-optimizer, needs backend-T001): waits for {question.id}",
        "backend-T003 Task 3 (python-pro, needs backend-T002): not begun",
        f"then: backend-coordinator resume {run.id}",
    )
    assert " ended: " not in text


def test_every_level_is_told_with_who_was_asked_what_and_what_it_changed(shop: Path, run: Run) -> None:
    (question,) = run.questions
    question.answer("guide", "just write it", by="lead")
    report = run.result()
    text = show(shop, run)
    in_order(
        text,
        f"run {run.id}: accepted",
        "backend-T001 Task 1 (python-pro): merged as ",
        "attempt 1 by python-pro, 2",
        "worked: 3 model calls, 0 tokens; tools: read 1 (1 refused), write 3",
        "delivered: gross prices",
        "files: added price.py, requirements.txt, tests/test_price.py",
        "failed, test_failure: C5: test_price.Gross::test_tax_is_added fails",
        "level 1, self-recovery, test_failure: python-pro: exact finding returned",
        "then retry: attempt 2 by python-pro with the exact finding",
        "attempt 2 by python-pro",
        "merged as ",
    )
    assert re.findall(r"inspected: \d+ passed, (.+)", text) == [
        "C5 failed",
        "none failed",
        "none failed",
        "none failed",
    ]
    in_order(
        text,
        "backend-T002 Task 2 (database-optimizer, needs backend-T001): merged as ",
        "failed, outside_expertise: answers so far: 0",
        "level 2, peer consultation, outside_expertise: database-optimizer asked database-admin: QUESTION from ",
        "database-admin answered: restore it from the nightly copy",
        "then guide: attempt 2 by database-optimizer with this answer",
        "failed, outside_expertise: answers so far: 1",
        "level 3, coordinator review, outside_expertise: database-optimizer asked backend-coordinator: answers so far",
        "backend-coordinator answered: write it plainly",
        "then guide: attempt 3 by database-optimizer with this answer",
        f"question {question.id} to tech-lead-orchestrator (guide, amend, abandon, abort): "
        "TASK backend-T002: Task 2 write",
        "lead answered guide: just write it",
        "level 4, strategic escalation, outside_expertise: backend-coordinator asked tech-lead-orchestrator as above",
        "then guide: attempt 4 by database-optimizer with this answer",
        "files: added f2.txt",
        f"ended: {report.summary}",
    )
    assert any(line.endswith("...") for line in text.splitlines())
    full = show(shop, run, "--full")
    assert "..." not in full
    assert "- level 3, backend-coordinator: write it" in full
    assert "AssertionError: 81 != 119; make it pass" in full


def test_the_story_as_json_holds_attempts_moments_and_outcomes(shop: Path, run: Run) -> None:
    (question,) = run.questions
    question.answer("guide", "just write it", by="lead")
    report = run.result()
    told = json.loads(show(shop, run, "--json"))
    assert (told["run"], told["status"], told["objective"]) == (run.id, "accepted", "prices\nand files")
    first, second, third = told["tasks"]
    assert {key: second[key] for key in ("id", "title", "specialist", "needs", "status", "reason")} == {
        "id": "backend-T002",
        "title": "Task 2",
        "specialist": "database-optimizer",
        "needs": ["backend-T001"],
        "status": "merged",
        "reason": "",
    }
    merged = [event["commit"] for event in told["events"] if event["type"] == "merged"]
    assert [task["commit"] for task in (first, second, third)] == merged
    assert [attempt["number"] for attempt in second["attempts"]] == [1, 2, 3, 4]
    worked, delivered, inspected, failed, escalated = first["attempts"][0]["moments"]
    counts = {"model_calls": 3, "tokens": 0, "tools": {"write": 3, "read": 1}, "refused": {"read": 1}}
    assert {key: worked[key] for key in counts} == counts
    assert delivered["changes"][0] == ["added", "price.py"]
    assert ["C5", "fail"] in inspected["verdicts"]
    assert "AssertionError: 81 != 119" in failed["detail"]
    assert escalated["escalation"] == json.loads(report.escalations[0].model_dump_json())
    assert escalated["then"] == "retry: attempt 2 by python-pro with the exact finding"


AT = "2026-01-01 10:00:00"
PLAN = e.PlanMade(
    tasks=("backend-T001",),
    groups=(("backend-T001",),),
    outline=(e.Outline(task="backend-T001", title="One", specialist="python-pro"),),
)
BEGUN = e.TaskStarted(task="backend-T001", specialist="python-pro", attempt=1, title="One")
HANDED_IN = e.Delivered(task="backend-T001", summary="one", artifacts=1)


def moments(*events: e.Event) -> list[str]:
    (told,) = told_as_json(story_of((AT, event) for event in (PLAN, *events)))
    return [moment["type"] for attempt in told["attempts"] for moment in attempt["moments"]]  # type: ignore[attr-defined]


def test_what_a_killed_process_had_told_already_is_not_told_twice() -> None:
    failed = e.Failed(task="backend-T001", attempt=1, failure=FailureClass.STUCK, summary="stuck")
    again = e.RunResumed(process=1)
    assert moments(BEGUN, HANDED_IN, again, BEGUN, HANDED_IN, failed) == ["delivered", "failed"]
    assert moments(BEGUN, HANDED_IN, HANDED_IN) == ["delivered", "delivered"]


@pytest.mark.parametrize("action", get_args(Action))
def test_every_action_has_words_also_where_nothing_followed_yet(action: Action) -> None:
    step = Escalation(
        task="backend-T001", level=Level.COORDINATOR_REVIEW, failure=FailureClass.STUCK, asked="a", asked_by="b",
        question="c", action=action,
    )  # fmt: skip
    story = story_of((AT, event) for event in (PLAN, BEGUN, e.Escalated(escalation=step)))
    (then,) = [line.strip() for line in told(story, full=False) if "then " in line]
    assert then.startswith(f"then {action.replace('_', ' ')}: ")


def test_a_run_that_stopped_says_how_to_go_on(shop: Path) -> None:
    """Nothing but its beginning is told of a run that was never driven."""
    runs = coordinator(shop, department(plan(task(1)))).runs
    run = runs.create(Objective(text="one file"))
    said = cli_here("show", run, "--workspace", str(shop))
    assert said.stdout.splitlines() == [
        f"run {run}: unfinished",
        "objective: one file",
        "",
        f"if no process drives it: backend-coordinator resume {run} --workspace {shop}",
    ]
