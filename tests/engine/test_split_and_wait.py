"""Level 3 splits a task, or has it wait for something outside, in whole runs."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from langchain_core.messages import AIMessage

from backend_coordinator.domain import events as e
from backend_coordinator.domain.objective import Objective
from backend_coordinator.domain.question import Answer
from backend_coordinator.domain.report import Report
from backend_coordinator.graph.routing import MOST_ROUNDS
from backend_coordinator.graph.runs import Runs, drive
from backend_coordinator.nodes.models.clock import Clock
from backend_coordinator.testing import Script, ScriptedModel
from tests.support.amending import (
    SPLIT,
    THREE,
    WAIT,
    first_refused,
    killed_at_note,
    run_of,
    script,
)
from tests.support.children import child, die, ending
from tests.support.climbing import ladder
from tests.support.department import Told, plan, task, write_own_file
from tests.support.runs import QUICK, cli_here, coordinator, finished, of, result_of, statuses


def test_only_something_outside_is_waited_for(shop: Path) -> None:
    work = first_refused("performance_issue", go=lambda told: "GUIDANCE from backend-coordinator" in told.text)
    report, _ = finished(run_of(shop, plan(task(1)), WAIT, work))
    assert [action for _, _, action in ladder(report)] == [None, "guide"]


def test_parts_take_the_place_of_what_was_split_and_dependents_need_all_of_them(shop: Path) -> None:
    def work(told: Told) -> AIMessage:
        if told.task == "backend-T005":
            if told.turn == 0:
                return told.calls("write", path="more.txt", content="more\n")
            return told.calls("submit", summary="more")
        if told.task == "backend-T004" and told.turn == 0:
            return told.calls("write", path="f1.txt", content="hello 1\n")
        if told.task == "backend-T004":
            return told.calls("submit", summary="half")
        return first_refused(go=lambda told: False)(told)

    run = run_of(shop, plan(task(1), task(2, needs=[1]), task(3)), SPLIT, work)
    report, events = finished(run)
    assert report.accepted, report.summary
    assert statuses(report) == {"003": "merged", "004": "merged", "005": "merged", "002": "merged"}
    assert [(result.id, result.status) for result in report.split] == [("backend-T001", "split")]
    assert ladder(report) == [(3, "external_block", "split")]
    assert result_of(report, 5).needs == ("backend-T004",)
    assert result_of(report, 2).needs == ("backend-T004", "backend-T005")
    (changed,) = of(e.PlanChanged, events)
    assert (changed.added, changed.replaced) == (("backend-T004", "backend-T005"), ("backend-T001",))
    assert [(c.task, c.field) for c in changed.changes] == [("backend-T002", "needs")]
    started = [event.task for event in of(e.TaskStarted, events)]
    assert started.count("backend-T003") == 1, "what was finished stays"
    ended = [(event.task[-3:], event.status) for event in of(e.TaskEnded, events)]
    assert ended.count(("002", "merged")) == 1
    assert ("002", "skipped") not in ended
    assert cli_here("gates", "verify", run.id, "--workspace", str(shop)).returncode == 0


def test_splitting_again_and_again_ends_with_the_rounds(shop: Path) -> None:
    def work(told: Told) -> AIMessage:
        if told.task == "backend-T002":
            return write_own_file(told)
        return told.calls("submit", summary="nothing", refusal="too large", about="external_block")

    halves = [{"title": f"Half {n}", "objective": f"half {n}", "after": [n - 1] if n > 1 else []} for n in (1, 2)]
    made = plan(task(1), task(2, needs=[1]))
    report, _ = finished(run_of(shop, made, {"action": "split", "text": "halve it", "parts": halves}, work))
    assert not report.accepted
    assert len(report.split) == MOST_ROUNDS
    (given_up,) = [result for result in report.tasks if result.status == "given_up"]
    assert "which is the most" in given_up.reason
    assert statuses(report)["002"] == "skipped"
    assert {result.status for result in report.tasks} == {"given_up", "skipped"}


class Noon(Clock):
    """A clock that stands still but where somebody sleeps."""

    def __init__(self, at: float = 0.0, *, deadly: bool = False) -> None:
        self.passed, self.deadly, self.slept = at, deadly, list[float]()

    def wall(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self.passed)

    async def sleep(self, seconds: float) -> None:
        if self.deadly:
            die()
        self.slept.append(seconds)
        self.passed += seconds


def waited(told: Told) -> bool:
    return "GUIDANCE from backend-coordinator" in told.text


async def driven(shop: Path, clock: Clock, made: Script, run: str | None = None) -> tuple[Report, list[e.Event]]:
    runs = Runs(shop, ScriptedModel(script=made), QUICK, clock=clock)
    run = run or runs.create(Objective(text="files"))
    report = await drive(runs, run)
    return report, [event for _, event in runs.ledger(run).events()]


async def test_a_task_waits_until_its_deadline_and_others_go_on(shop: Path) -> None:
    clock = Noon()
    report, _ = await driven(shop, clock, script(THREE, WAIT, first_refused(go=waited)))
    assert report.accepted
    assert clock.slept == [30 * 60]
    assert ladder(report) == [(3, "external_block", "wait")]


async def test_a_waiting_task_holds_no_slot(shop: Path) -> None:
    """With one slot, the task that waits would never let the others end first."""

    class Long(Noon):
        async def sleep(self, seconds: float) -> None:
            while not self.over():
                await real.sleep(0)
            await super().sleep(seconds)

        over: Callable[[], bool]

    real, clock = Clock(), Long()
    made = script(plan(task(1, priority="high"), task(3)), WAIT, first_refused(go=waited))
    runs = Runs(shop, ScriptedModel(script=made), QUICK.model_copy(update={"slots": 1}), clock=clock)
    run = runs.create(Objective(text="files"))
    ledger = runs.ledger(run)
    clock.over = lambda: any(isinstance(event, e.Merged) for _, event in ledger.events())
    assert (await drive(runs, run)).accepted
    assert [event.task for _, event in ledger.events() if isinstance(event, e.Merged)] == [
        "backend-T003",
        "backend-T001",
    ]


async def test_an_aborted_run_waits_for_nothing(shop: Path) -> None:
    class Never(Noon):
        async def sleep(self, seconds: float) -> None:
            await asyncio.Event().wait()

    def work(told: Told) -> AIMessage:
        about = "external_block" if told.task == "backend-T001" else "timeline"
        return told.calls("submit", summary="nothing", refusal="not now", about=about)

    runs = Runs(shop, ScriptedModel(script=script(plan(task(1), task(3)), WAIT, work)), QUICK, clock=Never())
    run = runs.create(Objective(text="files"))
    driving, ledger = asyncio.create_task(drive(runs, run)), runs.ledger(run)
    while not ledger.open_questions() or ledger.noted("wait backend-T001 1") is None:
        await asyncio.sleep(0)
        assert not driving.done(), "who waits keeps the process from ending"
    ledger.answer(ledger.open_questions()[0].id, Answer(decision="abort", by="lead"))
    report = await driving
    assert statuses(report) == {"001": "abandoned", "003": "abandoned"}


async def test_a_resumed_process_waits_for_the_rest_only(shop: Path) -> None:
    # One task: a git of another that was just forked would hold the run's lock a moment longer than its parent.
    made = script(plan(task(1)), WAIT, first_refused(go=waited))
    runs = Runs(shop, ScriptedModel(script=made), QUICK, clock=Noon(deadly=True))
    run = runs.create(Objective(text="files"))
    assert ending(child(lambda: asyncio.run(drive(runs, run)))) < 0
    clock = Noon(at=20 * 60)
    report, events = await driven(shop, clock, made, run)
    assert report.accepted
    assert clock.slept == [10 * 60]
    assert len([c for c in of(e.ModelCalled, events) if c.purpose.startswith("review-")]) == 1


@pytest.mark.parametrize("name", ["parts backend-T001", "assignment backend-T003"])
def test_a_split_survives_a_kill(shop: Path, name: str) -> None:
    def work(told: Told) -> AIMessage:
        if told.task == "backend-T001":
            return told.calls("submit", summary="nothing", refusal="too much", about="external_block")
        return write_own_file(told)

    halves = [{"title": f"Half {n}", "objective": f"write f{n + 2}.txt", "writes": [f"f{n + 2}.txt"]} for n in (1, 2)]
    made = script(plan(task(1), task(2, needs=[1])), {"action": "split", "text": "halve it", "parts": halves}, work)
    run = killed_at_note(shop, made, name)
    report, events = finished(coordinator(shop, made).resume(run))
    assert report.accepted
    assert statuses(report) == {"003": "merged", "004": "merged", "002": "merged"}
    assert len(of(e.PlanChanged, events)) == 1
