"""Levels 3 and 4 change the plan while it runs: amended, split and waiting tasks in whole runs."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from langchain_core.messages import AIMessage

from backend_coordinator import Waiting
from backend_coordinator.domain import events as e
from backend_coordinator.domain.failure import LevelBudget
from backend_coordinator.graph.coordinator import Run
from tests.support.amending import (
    AMEND,
    AMENDED,
    PARTS,
    THREE,
    first_refused,
    killed_at_note,
    run_of,
    script,
)
from tests.support.children import killed
from tests.support.climbing import ladder
from tests.support.department import Told, department, plan, task
from tests.support.runs import cli_here, coordinator, finished, of, result_of, statuses


def asked(run: Run) -> None:
    """Drives a run until it waits for a person."""
    with pytest.raises(Waiting):
        run.result()


def test_an_amendment_is_the_next_attempt_s_task_and_the_plan_s(shop: Path) -> None:
    run = run_of(shop, THREE, AMEND)
    report, events = finished(run)
    assert report.accepted
    assert ladder(report) == [(3, "external_block", "amend")]
    (changed,) = of(e.PlanChanged, events)
    assert changed == report.history[0]
    assert (changed.task, changed.by, changed.added, changed.replaced) == (
        "backend-T001", "backend-coordinator", (), (),
    )  # fmt: skip
    assert [(c.field, c.before, c.after) for c in changed.changes] == [("objective", "write f1.txt", AMENDED)]
    line = f"backend-T001 objective: 'write f1.txt' is now '{AMENDED}'"
    where = ("--workspace", str(shop))
    assert line in cli_here("show", run.id, *where).stdout
    assert "## Plan changes" in cli_here("report", run.id, *where).stdout
    assert line in cli_here("report", run.id, *where).stdout
    shown = json.loads(cli_here("show", run.id, *where, "--json").stdout)
    assert "plan_changed" in {m["type"] for t in shown["tasks"] for a in t["attempts"] for m in a["moments"]}
    assert cli_here("gates", "verify", run.id, *where).returncode == 0


def test_every_field_of_a_task_can_be_amended(shop: Path) -> None:
    packets: list[str] = []
    changes = {
        "requirements": {"security": ["no tokens", "no passwords"]},
        "acceptance_criteria": ["it is signed"],
        "expected_output": ["a signed file"],
        "writes": ["f1.txt", "signature.txt"],
        "needs": ["T3"],
    }

    def go(told: Told) -> bool:
        packets.append(told.text)
        return "it is signed" in told.text

    demanded = {"security": ["no tokens"]}
    made = plan(task(1, priority="low", requirements=demanded), task(3, priority="high"))
    answer = {"action": "amend", "text": "sign it", "amendment": changes}
    run = coordinator(shop, script(made, answer, first_refused(go=go)), slots=1).start("files")
    report, events = finished(run)
    assert report.accepted
    (changed,) = of(e.PlanChanged, events)
    assert {c.field for c in changed.changes} == set(changes)
    assert all(text in packets[-1] for text in ("no passwords", "it is signed", "a signed file", "signature.txt"))
    assert result_of(report, 1).needs == ("backend-T003",)


@pytest.mark.parametrize(
    ("amendment", "why"),
    [
        ({"needs": ["backend-T002"]}, "cannot wait for backend-T002, which has not passed"),
        ({"needs": ["backend-T009"]}, "needs backend-T009, which the plan does not have"),
        ({"needs": ["backend-T001"]}, "cannot wait for backend-T001"),
        ({"requirements": {"technical": ["fast"]}}, "drops what is demanded: no tokens; 10 ms"),
        ({"acceptance_criteria": []}, "drops what is demanded: signed"),
    ],
)
def test_an_unsound_amendment_is_refused_and_the_failure_climbs(
    shop: Path, amendment: dict[str, object], why: str
) -> None:
    demanded = {"security": ["no tokens"], "performance": ["10 ms"]}
    made = plan(task(1, requirements=demanded, acceptance_criteria=["signed"]), task(2, needs=[1]), task(3))
    run = run_of(shop, made, {"action": "amend", "text": "otherwise", "amendment": amendment})
    asked(run)
    (question,) = run.questions
    question.answer("abandon", by="lead")
    report = run.result()
    assert ladder(report) == [(3, "external_block", None), (4, "external_block", "abandon")]
    assert why in report.escalations[0].answer
    assert report.history == ()
    assert statuses(report) == {"001": "abandoned", "002": "skipped", "003": "merged"}


@pytest.mark.parametrize(
    ("decision", "notice"),
    [
        ({"action": "amend", "text": "else"}, "the amendment changes nothing"),
        (
            {"action": "amend", "text": "else", "amendment": {"objective": "write f1.txt"}},
            "the amendment changes nothing",
        ),
        (
            {"action": "split", "text": "quick", "parts": [{**each, "steps": ["document"]} for each in PARTS]},
            "no part of backend-T001 has: write_code",
        ),
        ({"action": "split", "text": "in one", "parts": PARTS[:1]}, "would have 1 parts, not 2 or more"),
        (
            {"action": "split", "text": "to a friend", "parts": [{**PARTS[0], "specialist": "a-friend"}, PARTS[1]]},
            "no specialist is called 'a-friend'",
        ),
        ({"action": "split", "text": "in a ring", "parts": [{**PARTS[0], "after": [2]}, PARTS[1]]}, "comes after one"),
        ({"action": "wait", "text": "for ever"}, "nothing outside to wait for"),
    ],
)
def test_an_action_that_cannot_be_carried_out_is_guidance(shop: Path, decision: dict[str, object], notice: str) -> None:
    work = first_refused(go=lambda told: "GUIDANCE from backend-coordinator" in told.text)
    made = plan(task(1, steps=["write_code"]), task(2, needs=[1]), task(3))
    report, events = finished(run_of(shop, made, decision, work))
    assert report.accepted
    assert ladder(report) == [(3, "external_block", "guide")]
    assert any(notice in event.text and "python-pro keeps it" in event.text for event in of(e.Noticed, events))
    assert report.history == ()


def test_the_budget_of_level_3_bounds_amendments_too(shop: Path) -> None:
    numbers = iter(range(9))

    def review(told: Told) -> Mapping[str, object]:
        number = next(numbers)
        return {"action": "amend", "text": f"try {number}", "amendment": {"objective": f"try number {number}"}}

    def work(told: Told) -> AIMessage:
        return told.calls("submit", summary="nothing", refusal=f"no: {told.text[:300]}", about="external_block")

    settings = {"budget": LevelBudget(coordinator_review=2, strategic_escalation=0)}
    report, _ = finished(coordinator(shop, department(plan(task(1)), work, review=review), **settings).start("files"))
    assert ladder(report) == [(3, "external_block", "amend")] * 2
    assert result_of(report, 1).status == "given_up"


def test_a_person_s_amendment_is_part_of_the_objective(shop: Path) -> None:
    packets: list[str] = []

    def go(told: Told) -> bool:
        packets.append(told.text)
        return "Amended by lead: in English" in told.text

    run = run_of(shop, THREE, {"action": "escalate", "text": "a person knows"}, first_refused("timeline", go=go))
    asked(run)
    (question,) = run.questions
    assert question.choices == ("guide", "amend", "abandon", "abort")
    question.answer("amend", "in English", by="lead")
    report = run.result()
    assert report.accepted
    assert ladder(report) == [(4, "timeline", "amend")]
    (changed,) = report.history
    assert (changed.by, changed.changes[0].after) == ("lead", "write f1.txt\n\nAmended by lead: in English")


@pytest.mark.parametrize("how", ["noted", "next attempt"])
def test_an_amendment_survives_a_kill_and_is_told_once(shop: Path, how: str) -> None:
    made = script(plan(task(1), task(2, needs=[1])), AMEND)
    if how == "noted":
        run = killed_at_note(shop, made, "amended tasks")
    else:
        run = killed(shop, made, "checkout made", after=1)
    report, events = finished(coordinator(shop, made).resume(run))
    assert report.accepted
    assert len(of(e.PlanChanged, events)) == len(report.history) == 1
    assert len([c for c in of(e.ModelCalled, events) if c.purpose.startswith("review-")]) == 1
