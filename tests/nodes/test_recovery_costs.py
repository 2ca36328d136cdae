"""What recovery took and brought, level by level, equals what is counted by hand."""

from backend_coordinator.domain.delivery import Change
from backend_coordinator.domain.events import (
    Asked,
    Delivered,
    Escalated,
    Event,
    Failed,
    Inspected,
    Merged,
    ModelCalled,
    PlanMade,
    TaskEnded,
    TaskStarted,
    ToolCalled,
)
from backend_coordinator.domain.failure import Action, Escalation, FailureClass, Level
from backend_coordinator.domain.question import Question
from backend_coordinator.domain.report import LevelRecovery, Progress
from backend_coordinator.domain.usage import Usage
from backend_coordinator.domain.verdict import Outcome
from backend_coordinator.nodes.progress import in_words, progress_of, unfinished
from backend_coordinator.nodes.recovery import recovery_of, rows, summed, total

ONE, TWO = "backend-T001", "backend-T002"


def started(task: str, attempt: int) -> TaskStarted:
    return TaskStarted(task=task, specialist="python-pro", attempt=attempt, title="a task")


def failed(task: str, attempt: int) -> Failed:
    return Failed(task=task, attempt=attempt, failure=FailureClass.STYLE, summary="a blank")


def rung(task: str, level: int, action: Action | None, answer: str = "so") -> Escalated:
    step = Escalation(
        task=task,
        level=Level(level),
        failure=FailureClass.STYLE,
        asked=f"who is at {level}",
        asked_by="python-pro",
        question="?",
        answer=answer,
        action=action,
    )
    return Escalated(escalation=step)


def model(purpose: str, tokens: int, money: float = 0.0, seconds: float = 0.0) -> ModelCalled:
    used = Usage(model_calls=1, input_tokens=tokens, output_tokens=1, money=money, seconds=seconds)
    return ModelCalled(purpose=purpose, usage=used)


def tool(task: str, name: str, subject: str, seconds: float = 0.0) -> ToolCalled:
    return ToolCalled(task=task, tool=name, subject=subject, ok=True, seconds=seconds)


RUN: tuple[Event, ...] = (
    model("analysis", 1000),
    started(ONE, 1),
    started(TWO, 1),
    model(ONE, 10),
    model(TWO, 20),
    failed(ONE, 1),
    rung(ONE, 1, "retry"),
    started(ONE, 2),
    model(ONE, 100, 0.5, 2.0),
    tool(ONE, "check", "check", 1.5),
    failed(ONE, 2),
    model("consultation-backend-T001-2", 7, 0.25, 1.0),
    rung(ONE, 2, None),
    model("review-backend-T001-1", 8),
    rung(ONE, 3, "guide"),
    started(ONE, 3),
    model(ONE, 200),
    Merged(task=ONE, commit="c"),
    TaskEnded(task=ONE, status="merged"),
    failed(TWO, 1),
    rung(TWO, 1, "retry"),
    started(TWO, 2),
    model(TWO, 40),
    failed(TWO, 2),
    rung(TWO, 1, "retry", "again"),
    started(TWO, 3),
    model(TWO, 80),
    Merged(task=TWO, commit="d"),
    TaskEnded(task=TWO, status="merged"),
)


def test_each_level_has_its_rungs_what_they_recovered_and_what_they_took() -> None:
    one, two, three, four = recovery_of(RUN)
    assert (one.steps, one.ended, one.recovered, one.rate) == (3, 1, 1, 33.333)
    assert one.calls == Usage()
    assert one.attempts == Usage(
        model_calls=3, tool_calls=1, input_tokens=220, output_tokens=3, money=0.5, seconds=2.0, tool_seconds=1.5
    )
    assert (two.steps, two.ended, two.recovered, two.rate) == (1, 0, 0, 0)
    assert two.calls == Usage(model_calls=1, input_tokens=7, output_tokens=1, money=0.25, seconds=1.0)
    assert two.attempts == Usage()
    assert (three.steps, three.ended, three.recovered, three.rate) == (1, 1, 1, 100)
    assert (three.calls.input_tokens, three.attempts.input_tokens) == (8, 200)
    assert four == LevelRecovery(level=Level.STRATEGIC_ESCALATION)
    assert total((one, two, three, four)).input_tokens == 220 + 7 + 8 + 200


def test_where_nothing_failed_nothing_is_measured() -> None:
    levels = recovery_of(RUN[:5])
    assert [each.rate for each in levels] == [None] * 4
    assert list(rows(levels)) == [(str(number), "0", *("not measured",) * 5) for number in (1, 2, 3, 4)]


def test_a_task_that_was_given_up_ended_on_its_last_rung_and_did_not_recover() -> None:
    given_up = (started(ONE, 1), failed(ONE, 1), rung(ONE, 3, "give_up"), TaskEnded(task=ONE, status="given_up"))
    three = recovery_of(given_up)[2]
    assert (three.steps, three.ended, three.recovered, three.rate) == (1, 1, 0, 0)


def test_a_rung_that_a_killed_process_took_twice_is_one() -> None:
    twice = (started(ONE, 1), failed(ONE, 1), rung(ONE, 1, "retry"), rung(ONE, 1, "retry"), started(ONE, 2))
    assert recovery_of(twice)[0].steps == 1
    again = (*twice, failed(ONE, 2), rung(ONE, 1, "retry"))
    assert recovery_of(again)[0].steps == 2


def test_a_plan_that_compiled_after_its_review_recovered() -> None:
    made = PlanMade(tasks=(ONE,), groups=((ONE,),))
    three = recovery_of((model("review-plan", 5), rung("plan", 3, "guide"), made))[2]
    assert (three.steps, three.ended, three.recovered, three.calls.input_tokens) == (1, 1, 1, 5)


def test_several_runs_are_summed_and_their_rate_is_of_the_sums() -> None:
    once = recovery_of((started(ONE, 1), failed(ONE, 1), rung(ONE, 1, "retry"), TaskEnded(task=ONE, status="merged")))
    both = summed((recovery_of(RUN), once))
    assert (both[0].steps, both[0].recovered, both[0].rate) == (4, 2, 50)
    assert both[2] == recovery_of(RUN)[2]


CHANGES: tuple[tuple[Change, str], ...] = (("added", "app.py"),)
ATTEMPT: tuple[Event, ...] = (
    started(ONE, 1),
    tool(ONE, "write", "app.py"),
    tool(ONE, "bash", "pytest -q"),
    Delivered(task=ONE, summary="done", artifacts=1, changes=CHANGES, claimed=1, criteria=2),
    Inspected(task=ONE, tree="t", verdicts=(("C2", Outcome.PASS), ("C5", Outcome.FAIL), ("S1", Outcome.UNKNOWN))),
    failed(ONE, 1),
    rung(ONE, 2, "guide"),
)


def test_a_progress_report_says_what_was_done_what_blocks_what_is_next_and_who_helps() -> None:
    (report,) = progress_of(ATTEMPT)
    assert report == Progress(
        task=ONE,
        attempt=1,
        specialist="python-pro",
        progress="inspected: 1 items passed, C5 failed",
        claimed=1,
        criteria=2,
        completed=("added app.py", "ran pytest -q"),
        blockers=("style: a blank",),
        next="guide, said by who is at 2",
        help_needed=("level 2: who is at 2 was asked",),
    )
    assert in_words(report).splitlines() == [
        "Task: backend-T001, attempt 1 by python-pro",
        "Progress: inspected: 1 items passed, C5 failed; 1 of 2 criteria said to be met",
        "Completed: added app.py; ran pytest -q",
        "Blockers: style: a blank",
        "Help needed: level 2: who is at 2 was asked",
        "Next: guide, said by who is at 2",
    ]


def test_each_attempt_has_one_report_also_where_a_process_took_it_up_again() -> None:
    reports = progress_of((*ATTEMPT[:2], started(ONE, 1), *ATTEMPT[2:], started(ONE, 2), tool(ONE, "edit", "app.py")))
    assert [(each.attempt, each.progress) for each in reports] == [
        (1, "inspected: 1 items passed, C5 failed"),
        (2, "working, nothing handed in"),
    ]
    assert reports[0].completed == ("added app.py", "ran pytest -q")
    assert (reports[1].completed, reports[1].claimed) == (("changed app.py",), None)


def test_a_question_is_help_needed_until_it_is_answered() -> None:
    question = Question(
        id="q-00000001", run="r", task=ONE, asked_by="python-pro", to="user", text="?", choices=("approve",)
    )
    (report,) = progress_of((started(ONE, 1), Asked(question=question)))
    assert report.help_needed == ("an answer of user to q-00000001",)


def test_only_what_is_not_merged_is_unfinished() -> None:
    reports = progress_of(RUN)
    assert [each.attempt for each in reports] == [1, 1, 2, 3, 2, 3]
    assert unfinished(reports) == ()
    (left,) = unfinished(progress_of((*ATTEMPT, TaskEnded(task=ONE, status="given_up"))))
    assert left.progress == "inspected: 1 items passed, C5 failed; given up"
