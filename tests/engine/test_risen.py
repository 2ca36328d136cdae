"""What the gates found and its author could not mend reaches whom its evidence calls for, in whole runs."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from langchain_core.messages import AIMessage

from backend_coordinator import Waiting
from backend_coordinator.errors import ConfigurationError
from tests.support.climbing import CODING, author, ladder, run_of
from tests.support.department import Told, department, plan, refuse, task
from tests.support.runs import coordinator, finished

TABLES = """CREATE TABLE users (id INTEGER PRIMARY KEY);
CREATE TABLE orders (id INTEGER PRIMARY KEY, user_id INTEGER NOT NULL REFERENCES users (id));
"""
TOLD = {"docs/schema.md": "users: id. orders: id, user_id of its user.\n"}
UNSOUND = {"schema.sql": TABLES, **TOLD}
SOUND = {"schema.sql": f"{TABLES}CREATE INDEX orders_user ON orders (user_id);\n", **TOLD}


def test_level_2_is_asked_in_a_typed_question_about_what_survived_level_1(shop: Path) -> None:
    asked: list[str] = []

    def consultation(told: Told) -> Mapping[str, object]:
        asked.append(told.text)
        return {"can_help": True, "guidance": "give the reference an index"}

    packets: list[str] = []
    work = author(UNSOUND, {**UNSOUND, "notes.md": "as good as it gets\n"}, SOUND, told=packets)
    report, _ = finished(run_of(shop, work, CODING, judgements={"consultation": consultation}))
    assert ladder(report) == [(1, "gate_failure", "retry"), (2, "database_design", "guide")]
    assert (report.escalations[1].asked, report.accepted) == ("database-optimizer", True)
    (question,) = asked
    assert "QUESTION: database_design: D2: schema.sql: foreign key orders (user_id)" in question
    assert "TRIED: attempt 1 by python-pro: gate_failure: D2: " in question
    assert "NEED: which schema, constraint or migration is sound here" in question
    assert "GUIDANCE from database-optimizer:\ngive the reference an index" in packets[-1]


def test_after_the_peer_the_coordinator_reviews(shop: Path) -> None:
    work = author(UNSOUND, {**UNSOUND, "notes.md": "no\n"})
    judgements = {"review": lambda told: {"action": "give_up", "text": "it stays as it was"}}
    report, _ = finished(run_of(shop, work, CODING, judgements=judgements))
    assert ladder(report) == [
        (1, "gate_failure", "retry"),
        (2, "database_design", None),
        (3, "database_design", "give_up"),
    ]


def test_a_failure_after_the_deadline_is_asked_about_once(shop: Path) -> None:
    def work(told: Told) -> AIMessage:
        return told.calls("submit", summary="nothing", refusal=f"not mine, time {told.text.count('GUIDANCE from')}")

    answers = {"review": lambda told: {"action": "give_up", "text": "nobody can"}}
    run = coordinator(shop, department(plan(task(1)), work, **answers)).start("one file", deadline="2000-01-31")
    with pytest.raises(Waiting):
        run.result()
    (question,) = run.questions
    assert "FAILURE: timeline: not mine, time 0" in question.text
    question.answer("guide", "go on, a day later is fine", by="lead")
    assert ladder(run.result()) == [
        (4, "timeline", "guide"),
        (2, "outside_expertise", None),
        (3, "outside_expertise", "give_up"),
    ]


@pytest.mark.parametrize("deadline", ["2999-12-31", "2999-12-31T17:00+01:00", None])
def test_before_the_deadline_failures_climb_as_ever(shop: Path, deadline: str | None) -> None:
    answers = {"review": lambda told: {"action": "give_up", "text": "nobody can"}}
    run = coordinator(shop, department(plan(task(1)), refuse, **answers)).start("one file", deadline=deadline)
    assert [level for level, _, _ in ladder(run.result())] == [2, 3]


def test_a_deadline_that_is_no_time_is_refused_before_anything_begins(shop: Path) -> None:
    with pytest.raises(ConfigurationError, match="'soon' is no day or time such as 2026-12-31"):
        coordinator(shop, department(plan(task(1)))).start("one file", deadline="soon")
