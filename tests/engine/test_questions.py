"""Questions: asked once, answered from any process, and never in anybody else's way."""

import json
import re
import threading
from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.messages import AIMessage

from backend_coordinator import Waiting
from backend_coordinator.domain import events as e
from backend_coordinator.domain.objective import Objective
from backend_coordinator.domain.question import Answer, Question
from backend_coordinator.errors import BadAnswer
from backend_coordinator.graph.runs import Runs
from backend_coordinator.nodes import records
from backend_coordinator.testing import ScriptedModel
from tests.support.department import Told, department, plan, refuse, task, write_own_file
from tests.support.openai_server import serving
from tests.support.runs import QUICK, cli, cli_here, coordinator, merges, of, statuses


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
        assert re.fullmatch(f"error: {question['id']} was already answered by lead at .* UTC: guide\n", twice.stderr)

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
    with pytest.raises(BadAnswer, match="takes guide, amend, abandon, abort, not waive"):
        question.answer("waive", "let it pass")
    with pytest.raises(BadAnswer, match="guide needs a text"):
        question.answer("guide")
    assert [asked.id for asked in run.questions] == [question.id]
    with pytest.raises(Waiting):
        run.result()


TODAY = date.today()
CHOICES = ("guide", "waive", "amend", "abandon", "abort")


def asked(name: str, **changes: object) -> Question:
    """A question about task 1."""
    about = {"run": "r", "task": "backend-T001", "asked_by": "python-pro", "text": "?", "choices": CHOICES}
    return Question.model_validate({"id": name, **about, "items": ("C2", "C5"), **changes})


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ({"decision": "approve"}, "takes guide, waive, amend, abandon, abort, not approve"),
        ({"decision": "waive", "text": " "}, "waive needs a text"),
        ({"decision": "abandon", "by": " "}, "needs to know who decides"),
        ({"decision": "waive", "text": "ok", "items": ("S1",)}, "is not about S1; its items: C2, C5"),
        ({"decision": "guide", "text": "do", "items": ("C2",)}, "items and a last day with waive, not with guide"),
        ({"decision": "abandon", "expires": TODAY}, "items and a last day with waive, not with abandon"),
        ({"decision": "waive", "text": "ok", "expires": TODAY - timedelta(1)}, "takes no waiver that ran out on"),
    ],
)
def test_each_answer_is_held_against_its_question(tmp_path: Path, answer: dict[str, object], why: str) -> None:
    ledger = records.create(tmp_path)
    ledger.ask(asked("q-00000001"))
    with pytest.raises(BadAnswer, match=f"^q-00000001 .*{why}"):
        ledger.answer("q-00000001", Answer.model_validate(answer))
    assert [event for _, event in ledger.events() if isinstance(event, e.Answered)] == []
    last_day = Answer(decision="waive", text="ok", items=("C2",), expires=TODAY)
    assert ledger.answer("q-00000001", last_day).answer == last_day


@pytest.mark.parametrize(
    ("event", "why"),
    [
        (e.TaskEnded(task="backend-T001", status="given_up"), "backend-T001 has ended meanwhile, given up"),
        (e.RunEnded(accepted=False, summary="over"), "run r has ended"),
    ],
)
def test_what_comes_too_late_is_refused_and_not_kept(tmp_path: Path, event: e.Event, why: str) -> None:
    ledger = records.create(tmp_path)
    ledger.ask(asked("q-00000001"))
    ledger.record(e.TaskEnded(task="backend-T002", status="merged"))
    ledger.record(event)
    with pytest.raises(BadAnswer, match=f"q-00000001 waits for nothing: {why}"):
        ledger.answer("q-00000001", Answer(decision="guide", text="do"))
    assert ledger.question("q-00000001").answer is None


def test_an_abort_leaves_no_other_question_open(shop: Path) -> None:
    run = coordinator(shop, department(plan(task(1), task(2)), refuse)).start("two files")
    with pytest.raises(Waiting):
        run.result()
    first, second = run.questions
    first.answer("abort", by="lead")
    with pytest.raises(BadAnswer, match=f"{second.id} waits for nothing: lead aborted run {run.id} in answer to"):
        second.answer("guide", "do", by="peer")
    report = run.result()
    assert run.questions == ()
    given = {question.id: question.answer and question.answer.by for question in report.questions}
    assert given == {first.id: "lead", second.id: "backend-coordinator"}


def test_a_question_of_another_run_is_named_with_its_run(shop: Path) -> None:
    runs = Runs(shop, "offline", QUICK)
    one, other = (runs.create(Objective(text="files")) for _ in range(2))
    runs.ledger(other).ask(asked("q-00000001", run=other))
    for name, why in (("q-00000001", f"is a question of run {other}, not of {one}"), ("q-00000002", "open: none")):
        said = cli_here("decide", one, name, "guide", "--text", "do", "--workspace", str(shop))
        assert said.returncode == 2
        assert why in said.stderr


ANSWERS = st.builds(
    Answer,
    decision=st.sampled_from(["guide", "waive", "abandon", "approve", "retry"]),
    text=st.sampled_from(["", " ", "do it"]),
    by=st.sampled_from(["", "lead", "peer"]),
    items=st.lists(st.sampled_from(["C2", "C5", "S1"]), max_size=2, unique=True).map(tuple),
    expires=st.sampled_from([None, None, TODAY + timedelta(1), TODAY - timedelta(1)]),
)


@settings(deadline=None, max_examples=25)
@given(
    numbers=st.sets(st.integers(1, 5), min_size=1),
    given_=st.lists(st.tuples(st.integers(1, 6), ANSWERS), max_size=12),
)
def test_each_question_ends_with_its_first_fitting_answer(numbers: set[int], given_: list[tuple[int, Answer]]) -> None:
    expected: dict[str, Answer] = {}
    with TemporaryDirectory() as folder:
        first, second = records.create(Path(folder)), records.load(Path(folder))
        for number in numbers:
            first.ask(asked(f"q-{number:08x}"))
        for turn, (number, answer) in enumerate(given_):
            name, ledger = f"q-{number:08x}", (first, second)[turn % 2]
            if number in numbers and name not in expected and fits(answer):
                ledger.answer(name, answer)
                expected[name] = answer
            else:
                with pytest.raises(BadAnswer):
                    ledger.answer(name, answer)
        assert {question.id: question.answer for question in second.questions() if question.answer} == expected
        told = [event for _, event in first.events() if isinstance(event, e.Answered)]
        assert {event.question: event.answer for event in told} == expected
        assert len(told) == len(expected)


def fits(answer: Answer) -> bool:
    """The rules in other words."""
    if not answer.by.strip() or answer.decision in ("approve", "retry"):
        return False
    if answer.decision == "abandon":
        return answer.items == () and answer.expires is None
    if answer.decision == "guide":
        return answer.text == "do it" and answer.items == () and answer.expires is None
    return answer.text == "do it" and "S1" not in answer.items and answer.expires in (None, TODAY + timedelta(1))
