"""Runs from objective to branch."""

import threading
from pathlib import Path

import pytest
from langchain_core.messages import AIMessage

from backend_coordinator import Plan, Settings
from backend_coordinator.domain import events as e
from backend_coordinator.domain.plan import Task
from backend_coordinator.errors import InvalidPlan
from backend_coordinator.settings import AllLimits
from backend_coordinator.testing import calls
from tests.support.department import Told, department, plan, refuse, task, write_own_file
from tests.support.runs import coordinator, finished, git, merges, of, result_of, statuses
from tests.support.wheelhouse import add_installed

PRICE = "def gross(net: int) -> int:\n    return net {sign} 19\n"
TEST = """import unittest

from price import gross


class Gross(unittest.TestCase):
    def test_tax_is_added(self):
        self.assertEqual(gross(100), 119)
"""


def test_a_run_merges_every_task_once_and_reports_it(shop: Path) -> None:
    made = plan(task(1), task(2), task(3, needs=[1, 2]))
    report, events = finished(coordinator(shop, department(made)).start("three files"))
    assert report.accepted
    assert merges(shop, report.branch) == ["backend-T001", "backend-T002", "backend-T003"]
    assert git(shop, "show", f"{report.branch}:f3.txt") == "hello 3"
    assert git(shop, "rev-parse", report.branch) == report.commit
    assert [event.task for event in of(e.TaskStarted, events)][2] == "backend-T003"
    assert isinstance(events[0], e.RunStarted)
    assert isinstance(events[-1], e.RunEnded)


def test_two_independent_tasks_work_at_the_same_time(shop: Path) -> None:
    both = threading.Barrier(2, timeout=60)

    def work(told: Told) -> AIMessage:
        if told.turn == 0:
            both.wait()
        return write_own_file(told)

    report, events = finished(coordinator(shop, department(plan(task(1), task(2)), work)).start("two files"))
    assert report.accepted
    told = [type(event) for event in events if isinstance(event, e.TaskStarted | e.TaskEnded)]
    assert told == [e.TaskStarted, e.TaskStarted, e.TaskEnded, e.TaskEnded]


def test_with_one_slot_no_two_tasks_work_at_the_same_time(shop: Path) -> None:
    script = department(plan(task(1), task(2), task(3)))
    report, events = finished(coordinator(shop, script, slots=1).start("three files"))
    assert report.accepted
    told = [type(event) for event in events if isinstance(event, e.TaskStarted | e.TaskEnded)]
    assert told == [e.TaskStarted, e.TaskEnded] * 3


def test_a_failing_test_goes_back_to_its_author_word_for_word_and_is_mended(shop: Path, wheels: Path) -> None:
    add_installed("coverage", wheels)
    files = {"requirements.txt": "coverage\n", "tests/test_price.py": TEST}
    code = task(1, writes=("price.py", *files), steps=("write_code", "write_tests"))
    prompts: dict[int, str] = {}

    def work(told: Told) -> AIMessage:
        attempt = told.text.count("GUIDANCE from the gates") + 1
        prompts[attempt] = told.text
        wanted = {"price.py": PRICE.format(sign="-+"[attempt - 1]), **files}
        if told.turn == 0:
            return calls(*(("write", {"path": path, "content": text}) for path, text in wanted.items()))
        return told.calls("submit", summary="gross prices")

    script = department(plan(code), work)
    run = coordinator(shop, script, sandbox="auto", required=("C2", "C5")).start("gross prices")
    report, events = finished(run)
    (failed,) = of(e.Failed, events)
    assert failed.failure == "test_failure"
    assert "AssertionError: 81 != 119" not in prompts[1]
    assert "AssertionError: 81 != 119" in prompts[2]
    assert [(step.level, step.action) for step in report.escalations] == [(1, "retry")]
    assert report.accepted
    assert result_of(report, 1).attempts == 2
    assert {verdict.id: verdict.verdict for verdict in report.verdicts}["C5"] == "pass"


def test_what_a_task_needs_failing_skips_it_with_the_reason(shop: Path) -> None:
    def work(told: Told) -> AIMessage:
        return refuse(told) if told.task == "backend-T001" else write_own_file(told)

    script = department(
        plan(task(1), task(2, needs=[1]), task(3, needs=[2]), task(4)),
        work,
        review=lambda told: {"action": "give_up", "text": "nobody can"},
    )
    report, _ = finished(coordinator(shop, script).start("four files"))
    assert statuses(report) == {"001": "given_up", "002": "skipped", "003": "skipped", "004": "merged"}
    assert result_of(report, 2).reason == "needs backend-T001, which did not pass"
    assert not report.accepted
    assert "this is not mine to do" in report.summary
    assert merges(shop, report.branch) == ["backend-T004"]


def test_two_tasks_that_change_one_line_end_with_both_changes(shop: Path) -> None:
    both = threading.Barrier(2, timeout=60)

    def work(told: Told) -> AIMessage:
        number = int(told.task[-3:])
        again = "GUIDANCE from the gates" in told.text
        if told.turn == 0 and not again:
            both.wait()
        match told.turn:
            case 0:
                return told.calls("read", path="shared.txt") if again else told.calls("glob", pattern="**")
            case 1:
                kept = [line.partition("\t")[2] for line in told.results[0].splitlines()] if again else []
                return told.calls("write", path="shared.txt", content="\n".join([*kept, f"line {number}\n"]))
        return told.calls("submit", summary="one line")

    made = plan(task(1, writes=("shared.txt",)), task(2, writes=("shared.txt",)))
    report, events = finished(coordinator(shop, department(made, work)).start("one file"))
    assert [failed.failure for failed in of(e.Failed, events)] == ["merge_conflict"]
    assert report.accepted
    assert sorted(git(shop, "show", f"{report.branch}:shared.txt").splitlines()) == ["line 1", "line 2"]


def test_a_reported_need_becomes_a_task_of_whom_the_coordinator_names_by_any_of_its_names(shop: Path) -> None:
    def work(told: Told) -> AIMessage:
        if told.task == "backend-T001" and told.turn == 0:
            return told.calls("report_need", what="a second file", why="the first one names it", who="python-pro")
        if told.task == "backend-T001" and told.turn == 1:
            return told.calls("write", path="f1.txt", content="hello\n")
        return write_own_file(told)

    added = {**task(2, needs=[1]).model_dump(mode="json"), "specialist": "@Python Pro"}
    asked: list[str] = []

    def needs(told: Told) -> dict[str, object]:
        asked.append(told.text)
        return {"tasks": [added]}

    script = department(plan(task(1)), work, needs=needs)
    report, _ = finished(coordinator(shop, script).start("one file"))
    assert statuses(report) == {"001": "merged", "002": "merged"}
    assert result_of(report, 2).specialist == "python-pro"
    assert report.accepted
    assert len(asked) == 1, "a need is judged once"
    assert "a second file" in asked[0]


def test_a_plan_that_is_handed_over_is_followed_under_the_roster_s_own_names(shop: Path) -> None:
    def without_plan(told: Told) -> dict[str, object]:
        raise AssertionError("a given plan is not made again")

    script = department(plan(task(1)), decomposition=without_plan, analysis=without_plan)
    report, _ = finished(coordinator(shop, script).start(plan(task(1, specialist="@Python Pro"))))
    assert report.accepted
    assert result_of(report, 1).specialist == "python-pro"


def test_a_plan_that_names_a_stranger_is_refused_before_anything_starts(shop: Path) -> None:
    with pytest.raises(InvalidPlan, match="no specialist is called 'a-stranger'"):
        coordinator(shop, department(plan(task(1)))).start(plan(task(1, specialist="a-stranger")))
    assert not (shop / ".backend-coordinator" / "runs").exists()


def test_planning_alone_starts_nothing(shop: Path) -> None:
    made = plan(task(1), task(2, needs=[1]))
    found = coordinator(shop, department(made)).plan("two files")
    assert isinstance(found, Plan)
    assert found.groups == (("backend-T001",), ("backend-T002",))
    assert not (shop / ".backend-coordinator" / "runs").exists()
    assert git(shop, "branch", "--list", "backend-coordinator/*") == ""


async def test_a_run_can_be_awaited_and_its_events_read_with_async_for(shop: Path) -> None:
    run = coordinator(shop, department(plan(task(1)))).start("one file")
    events = [event async for event in run.events()]
    report = await run
    assert report.accepted
    assert isinstance(events[-1], e.RunEnded)


def test_a_model_that_stays_malformed_ends_the_run_with_a_report(shop: Path) -> None:
    script = department(plan(task(1)), decomposition=lambda told: {"tasks": "many"})
    report, _ = finished(coordinator(shop, script).start("one file"))
    assert not report.accepted
    assert "decomposition: decomposition: the model's answer stayed malformed" in report.summary


def test_an_exhausted_budget_is_a_failure_with_a_dossier(shop: Path) -> None:
    def work(told: Told) -> AIMessage:
        return told.calls("glob", pattern=f"**/{told.turn}")

    settings = Settings(sandbox="none")
    limits = AllLimits(task=settings.limits.task.model_copy(update={"model_calls": 3}))
    script = department(plan(task(1)), work, review=lambda told: {"action": "give_up", "text": "too much"})
    report, _ = finished(coordinator(shop, script, limits=limits).start("one file"))
    (attempt,) = result_of(report, 1).failures
    assert attempt.failure.kind == "budget_exhausted"
    assert attempt.failure.summary.endswith("model calls: 3 of 3 used")
    assert statuses(report) == {"001": "given_up"}


def test_an_unsound_draft_goes_back_once_with_the_findings(shop: Path) -> None:
    wrong = Task.model_validate({**task(1).model_dump(), "specialist": "a-stranger"})
    sound = plan(task(1))

    def decomposition(told: Told) -> dict[str, object]:
        chosen = sound.tasks[0] if "WHAT IS WRONG WITH IT" in told.text else wrong
        return {"tasks": [chosen.model_dump(mode="json")]}

    report, _ = finished(coordinator(shop, department(sound, decomposition=decomposition)).start("one file"))
    assert report.accepted
