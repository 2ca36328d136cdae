"""Failures that climb Levels 1 to 4, in whole runs."""

import threading
from pathlib import Path

import pytest
from langchain_core.messages import AIMessage

from backend_coordinator import Waiting
from backend_coordinator.domain import events as e
from backend_coordinator.domain.failure import LevelBudget
from backend_coordinator.domain.question import Answer
from backend_coordinator.domain.report import Report
from backend_coordinator.domain.verdict import Outcome, Verdict, Waiver
from backend_coordinator.errors import BadAnswer
from backend_coordinator.nodes.accept import under_waiver
from backend_coordinator.testing import Script
from tests.support.department import Told, department, plan, refuse, task, write_own_file
from tests.support.runs import coordinator, finished, git, merges, of, result_of, statuses

SECRET = 'aws_secret_access_key = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYzQ7aLkP2vT"\n'


def helpless(told: Told) -> AIMessage:
    """Refuses until somebody gives guidance."""
    return write_own_file(told) if "GUIDANCE from" in told.text else refuse(told)


def answered(shop: Path, script: Script, *decisions: str, **settings: object) -> Report:
    """A run whose every question gets the next of `decisions`."""
    run = coordinator(shop, script, **settings).start("files")
    for decision in decisions:
        with pytest.raises(Waiting):
            run.result()
        (question,) = run.questions
        question.answer(decision, "as I say", by="lead")  # type: ignore[arg-type]
    return run.result()


def test_level_2_consults_the_peer_of_the_author_s_table_and_its_answer_guides_the_next_attempt(shop: Path) -> None:
    prompts: list[str] = []

    def work(told: Told) -> AIMessage:
        prompts.append(told.text)
        return helpless(told)

    asked: list[str] = []

    def consultation(told: Told) -> dict[str, object]:
        asked.append(told.text)
        return {"can_help": True, "guidance": "restore it from the nightly copy"}

    made = plan(task(1, specialist="database-optimizer"))
    report, events = finished(coordinator(shop, department(made, work, consultation=consultation)).start("one file"))
    (step,) = report.escalations
    assert (step.level, step.asked_by, step.asked, step.action) == (2, "database-optimizer", "database-admin", "guide")
    assert "GUIDANCE from database-admin:\nrestore it from the nightly copy" in prompts[-1]
    assert asked[0].startswith("QUESTION from database-optimizer about backend-T001")
    assert "this is not mine to do" in asked[0]
    assert [event.specialist for event in of(e.TaskStarted, events)] == ["database-optimizer"] * 2
    assert report.accepted


def test_level_3_guides_when_no_peer_can_help(shop: Path) -> None:
    prompts: list[str] = []

    def work(told: Told) -> AIMessage:
        prompts.append(told.text)
        return helpless(told)

    script = department(plan(task(1)), work, review=lambda told: {"action": "guide", "text": "write it plainly"})
    report, _ = finished(coordinator(shop, script).start("one file"))
    assert [(step.level, step.action) for step in report.escalations] == [(2, None), (3, "guide")]
    assert "GUIDANCE from backend-coordinator:\nwrite it plainly" in prompts[-1]
    assert report.accepted


def test_level_3_reassigns_the_task_to_the_specialist_it_names(shop: Path) -> None:
    def work(told: Told) -> AIMessage:
        return write_own_file(told) if told.specialist == "nodejs-expert" else refuse(told)

    review = {"action": "reassign", "to": "@Nodejs Expert", "text": "theirs"}
    script = department(plan(task(1)), work, review=lambda told: review)
    report, events = finished(coordinator(shop, script).start("one file"))
    assert [event.specialist for event in of(e.TaskStarted, events)] == ["python-pro", "nodejs-expert"]
    assert result_of(report, 1).specialist == "nodejs-expert"
    assert report.escalations[-1].action == "reassign"
    assert report.accepted


@pytest.mark.parametrize("to", ["a-stranger", "python-pro", "librarian", None])
def test_a_task_nobody_else_can_take_stays_with_its_author(shop: Path, to: str | None) -> None:
    review = {"action": "reassign", "to": to, "text": "try again"}
    script = department(plan(task(1)), helpless, review=lambda told: review)
    report, events = finished(coordinator(shop, script).start("one file"))
    assert result_of(report, 1).specialist == "python-pro"
    assert [f"{to!r} cannot take the task" in note.text for note in of(e.Noticed, events)] == [True]
    assert report.accepted


def test_when_every_level_s_budget_is_spent_the_task_is_given_up_and_its_dependants_are_skipped(shop: Path) -> None:
    def work(told: Told) -> AIMessage:
        if told.task != "backend-T001":
            return write_own_file(told)
        number = told.text.count("GUIDANCE from")
        return told.calls("submit", summary="nothing", refusal=f"still not mine, time {number}")

    script = department(
        plan(task(1), task(2, needs=[1]), task(3)),
        work,
        consultation=lambda told: {"can_help": True, "guidance": "try harder"},
        review=lambda told: {"action": "guide", "text": "try again"},
    )
    budget = LevelBudget(peer_consultation=1, coordinator_review=1, strategic_escalation=1)
    report = answered(shop, script, "guide", budget=budget)
    assert [(step.level, step.action) for step in report.escalations] == [(2, "guide"), (3, "guide"), (4, "guide")]
    assert statuses(report) == {"001": "given_up", "002": "skipped", "003": "merged"}
    assert not report.accepted
    assert merges(shop, report.branch) == ["backend-T003"]


def test_an_attempt_that_delivers_the_same_again_goes_to_the_coordinator_at_once(shop: Path) -> None:
    def work(told: Told) -> AIMessage:
        guided = "GUIDANCE from backend-coordinator" in told.text
        return write_own_file(told) if guided else told.calls("submit", summary="nothing yet")

    script = department(plan(task(1)), work, review=lambda told: {"action": "guide", "text": "write the file"})
    report, events = finished(coordinator(shop, script).start("one file"))
    assert [failed.failure for failed in of(e.Failed, events)] == ["gate_failure", "stuck"]
    assert [step.level for step in report.escalations] == [1, 3]
    assert report.accepted


def write_secret(told: Told) -> AIMessage:
    """Keeps a secret in its file, whoever says what, each time with another text around it."""
    if told.turn == 0:
        said = told.text.count("GUIDANCE from")
        return told.calls("write", path="f1.txt", content=f"# attempt {said}\n{SECRET}")
    return told.calls("submit", summary="one file")


def test_a_waived_gate_is_shown_as_waived_and_never_as_passed(shop: Path) -> None:
    script = department(plan(task(1)), write_secret)
    report = answered(shop, script, "waive", required=("C2",))
    assert [(step.level, step.action) for step in report.escalations][-1] == (4, "waive")
    assert statuses(report) == {"001": "merged"}
    assert [(w.item, w.by, w.reason) for w in result_of(report, 1).waived] == [("C2", "lead", "as I say")]
    (verdict,) = [verdict for verdict in report.verdicts if verdict.id == "C2"]
    assert verdict.verdict is Outcome.WAIVED
    assert verdict.reason.startswith("waived by lead (as I say; until revoked): ")
    assert report.accepted
    assert "1 waived: C2" in report.summary
    told = (shop / ".backend-coordinator" / "runs" / report.run / "report.md").read_text()
    assert "- waived by a person: C2" in told
    assert "| waived |" in next(line for line in told.splitlines() if line.startswith("| C2 "))
    assert "lead: as I say" in told


def test_a_question_about_no_gate_cannot_be_waived(shop: Path) -> None:
    run = coordinator(shop, department(plan(task(1)), refuse)).start("one file")
    with pytest.raises(Waiting):
        run.result()
    assert run.questions[0].choices == ("guide", "amend", "abandon", "abort")


def test_an_abandoned_task_ends_and_unrelated_work_is_kept(shop: Path) -> None:
    def work(told: Told) -> AIMessage:
        return refuse(told) if told.task == "backend-T001" else write_own_file(told)

    report = answered(shop, department(plan(task(1), task(2, needs=[1]), task(3)), work), "abandon")
    assert statuses(report) == {"001": "abandoned", "002": "skipped", "003": "merged"}
    assert not report.accepted
    assert git(shop, "show", f"{report.branch}:f3.txt") == "hello 3"


def test_aborting_ends_the_run_without_starting_anything_else(shop: Path) -> None:
    def work(told: Told) -> AIMessage:
        return refuse(told) if told.task in ("backend-T001", "backend-T002") else write_own_file(told)

    made = plan(task(1), task(2), task(3, needs=[1]))
    run = coordinator(shop, department(made, work)).start("three files")
    with pytest.raises(Waiting):
        run.result()
    first, second = sorted(run.questions, key=lambda question: str(question.question.task))
    first.answer("abort", by="lead")
    report = run.result()
    assert report.summary == "not accepted: aborted by the answer to a question"
    assert "merged" not in statuses(report).values()
    assert second.question.task == "backend-T002"
    assert sorted(event.task for event in of(e.TaskStarted, run.events())) == ["backend-T001", "backend-T002"]


def test_a_tool_call_no_rule_allows_waits_for_a_person_and_then_goes_on(shop: Path) -> None:
    from backend_coordinator.settings import Approval

    def work(told: Told) -> AIMessage:
        if told.turn == 0:
            return told.calls("bash", command="echo hello > f1.txt")
        return told.calls("submit", summary="echoed")

    run = coordinator(shop, department(plan(task(1)), work), approval=Approval(tools="ask")).start("one file")
    with pytest.raises(Waiting):
        run.result()
    (question,) = run.questions
    assert "echo hello > f1.txt" in question.text
    assert question.choices == ("approve", "approve_run", "reject")
    question.answer("approve", by="lead")
    report = run.result()
    assert report.accepted
    assert git(shop, "show", f"{report.branch}:f1.txt") == "hello"


def test_a_rejected_plan_ends_the_run_before_any_work(shop: Path) -> None:
    from backend_coordinator.settings import Approval

    script = department(plan(task(1)))
    report = answered(shop, script, "reject", approval=Approval(plan="ask"))
    assert report.summary == "not accepted: the plan was rejected by lead. as I say"
    assert report.tasks == ()


def test_a_waiver_can_name_one_of_two_items_and_the_other_is_asked_about_again(shop: Path) -> None:
    def work(told: Told) -> AIMessage:
        if told.turn == 0:
            return told.calls("write", path="f1.py", content=f"{SECRET}N = {told.text.count('GUIDANCE')}\n")
        return told.calls("submit", summary="done")

    script = department(plan(task(1, writes=("f1.py",))), work)
    run = coordinator(shop, script, budget=LevelBudget(coordinator_review=0)).start("files")
    with pytest.raises(Waiting):
        run.result()
    (question,) = run.questions
    assert question.question.items == ("C2", "C5", "S7")
    with pytest.raises(BadAnswer, match="is not about S1; its items: C2, C5, S7"):
        question.ledger.answer(question.id, Answer(decision="waive", text="why", items=("S1",)))
    question.ledger.answer(question.id, Answer(decision="waive", text="test data", by="lead", items=("C2", "S7")))
    with pytest.raises(Waiting):
        run.result()
    (question,) = run.questions
    assert question.question.items == ("C5",)
    question.answer("waive", "no tests here", by="lead")
    report = run.result()
    assert [(waiver.item, waiver.reason) for waiver in result_of(report, 1).waived] == [
        ("C2", "test data"),
        ("S7", "test data"),
        ("C5", "no tests here"),
    ]


def test_a_waiver_that_has_run_out_no_longer_holds() -> None:
    verdict = Verdict(id="C2", verdict=Outcome.FAIL, reason="a key")
    waiver = Waiver(item="C2", by="lead", reason="test data", expires="2020-01-01")
    assert under_waiver(verdict, waiver) == verdict
    assert under_waiver(verdict, waiver.model_copy(update={"expires": "2999-01-01"})).verdict is Outcome.WAIVED


def test_an_abort_waits_for_no_slot(shop: Path) -> None:
    answered = threading.Event()

    def work(told: Told) -> AIMessage:
        if told.task == "backend-T001":
            return refuse(told)
        assert answered.wait(30)
        return write_own_file(told)

    waits = [task(number, effort="large") for number in range(2, 6)]
    run = coordinator(shop, department(plan(task(1, effort="quick", priority="high"), *waits), work), slots=2).start(
        "f"
    )
    for event in run.events():
        if isinstance(event, e.Asked):
            run.questions[0].answer("abort", by="lead")
        if isinstance(event, e.TaskEnded) and event.status == "skipped":
            answered.set()  # others are skipped while two still work
    report = run.result()
    assert report.summary == "not accepted: aborted by the answer to a question"
    assert len([status for status in statuses(report).values() if status == "skipped"]) >= 2
    assert statuses(report)["001"] == "abandoned"


def test_an_aborted_run_stops_work_that_is_going_on(shop: Path) -> None:
    turns: list[int] = []
    asked = threading.Event()

    def work(told: Told) -> AIMessage:
        if told.task == "backend-T001":
            return refuse(told)
        turns.append(told.turn)
        if told.turn > 0:
            assert asked.wait(30)
        return told.calls("glob", pattern=f"{told.turn}")

    run = coordinator(shop, department(plan(task(1), task(2)), work)).start("files")
    for event in run.events():
        if isinstance(event, e.Asked):
            run.questions[0].answer("abort", by="lead")
        if isinstance(event, e.TaskEnded) and event.task == "backend-T001":
            asked.set()
    report = run.result()
    assert statuses(report) == {"001": "abandoned", "002": "abandoned"}
    assert len(turns) <= 3
