"""Questions: asked once, answered from any process, and never in anybody else's way."""

import json
import threading
from pathlib import Path

import pytest
from langchain_core.messages import AIMessage

from backend_coordinator import Waiting
from backend_coordinator.domain import events as e
from backend_coordinator.errors import BadAnswer
from backend_coordinator.testing import ScriptedModel
from tests.support.department import Told, department, plan, refuse, task, write_own_file
from tests.support.openai_server import serving
from tests.support.runs import cli, cli_here, coordinator, merges, of, statuses


def first_needs_a_lead(told: Told) -> AIMessage:
    """Task 1 refuses until the lead has spoken."""
    if told.task == "backend-T001" and "GUIDANCE from lead" not in told.text:
        return refuse(told)
    return write_own_file(told)


@pytest.mark.slow
def test_an_unanswered_question_leaves_the_process_with_code_3_and_other_processes_answer_and_resume(
    shop: Path,
) -> None:
    made = plan(task(1), task(2), task(3, needs=[1]))
    (shop.parent / "plan.json").write_text(made.model_dump_json())
    where = ("--workspace", str(shop), "--json")
    with serving(ScriptedModel(script=department(made, first_needs_a_lead))) as env:
        model = ("--model", "openai:test-model")
        begun = cli("run", "three files", "--plan", str(shop.parent / "plan.json"), *model, *where, env=env)
        assert begun.returncode == 3, begun.stderr
        told = json.loads(begun.stdout)
        (question,) = told["questions"]
        assert question["task"] == "backend-T001"
        assert "this is not mine to do" in question["text"]
        assert merges(shop, f"backend-coordinator/{told['run']}") == ["backend-T002"]

        again = cli("resume", told["run"], *where, env=env)
        assert again.returncode == 3, again.stderr
        assert json.loads(again.stdout)["questions"] == told["questions"]

        decided = cli("decide", told["run"], question["id"], "guide", "--text", "just write it", "--by", "lead", *where)
        assert decided.returncode == 0, decided.stderr
        twice = cli_here("decide", told["run"], question["id"], "guide", "--text", "or not", *where)
        assert twice.returncode == 2
        assert twice.stderr == f"error: {question['id']} was already answered\n"

        ended = cli("resume", told["run"], *where, env=env)
    assert ended.returncode == 0, ended.stderr
    report = json.loads(ended.stdout)
    assert report["accepted"] is True
    assert merges(shop, report["branch"]) == ["backend-T001", "backend-T002", "backend-T003"]
    shown = json.loads(cli_here("show", told["run"], *where).stdout)
    started = [event["task"] for event in shown["events"] if event["type"] == "task_started"]
    assert sorted(started) == ["backend-T001", "backend-T001", "backend-T002", "backend-T003"]


def test_an_answer_while_other_work_goes_on_is_taken_up_at_once(shop: Path) -> None:
    second_attempt = threading.Event()

    def work(told: Told) -> AIMessage:
        if told.task == "backend-T001" and "GUIDANCE from lead" in told.text:
            second_attempt.set()
        if told.task == "backend-T002":
            assert second_attempt.wait(60), "task 1 went on only after task 2"
        return first_needs_a_lead(told)

    run = coordinator(shop, department(plan(task(1), task(2)), work)).start("two files")
    for event in run.events():
        if isinstance(event, e.Asked):
            (question,) = run.questions
            question.answer("guide", "just write it", by="lead")
    report = run.result()
    assert report.accepted
    assert of(e.RunResumed, run.events()) == []


def test_a_question_holds_no_slot(shop: Path) -> None:
    script = department(plan(task(1, priority="high"), task(2)), first_needs_a_lead)
    run = coordinator(shop, script, slots=1).start("two files")
    with pytest.raises(Waiting):
        run.result()
    assert [event.task for event in of(e.Merged, run.events())] == ["backend-T002"]
    run.questions[0].answer("guide", "just write it", by="lead")
    assert run.result().accepted


def test_one_of_two_answers_lets_its_task_go_on_alone(shop: Path) -> None:
    def work(told: Told) -> AIMessage:
        return write_own_file(told) if "GUIDANCE from lead" in told.text else refuse(told)

    run = coordinator(shop, department(plan(task(1), task(2), task(3, needs=[2])), work)).start("three files")
    with pytest.raises(Waiting):
        run.result()
    first, second = sorted(run.questions, key=lambda question: str(question.question.task))
    second.answer("guide", "just write it", by="lead")
    with pytest.raises(Waiting, match=first.id):
        run.result()
    assert [event.task for event in of(e.Merged, run.events())] == ["backend-T002"]
    (third,) = [question for question in run.questions if question.id != first.id]
    third.answer("guide", "just write it", by="lead")
    first.answer("guide", "just write it", by="lead")
    report = run.result()
    assert statuses(report) == {"001": "merged", "002": "merged", "003": "merged"}
    assert len(of(e.Asked, run.events())) == 3


def test_what_a_question_does_not_take_is_refused_and_leaves_it_open(shop: Path) -> None:
    run = coordinator(shop, department(plan(task(1)), refuse)).start("one file")
    with pytest.raises(Waiting):
        run.result()
    (question,) = run.questions
    with pytest.raises(BadAnswer, match="takes guide, abandon, abort, not waive"):
        question.answer("waive", "let it pass")
    with pytest.raises(BadAnswer, match="guide needs a text"):
        question.answer("guide")
    assert [asked.id for asked in run.questions] == [question.id]
    with pytest.raises(Waiting):
        run.result()
