"""Questions, answers and events as rows."""

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from backend_coordinator.domain.events import Answered, Asked, Noticed
from backend_coordinator.domain.question import Answer, Question
from backend_coordinator.errors import BadAnswer, ConfigurationError, NewerDatabase
from backend_coordinator.nodes import records
from backend_coordinator.nodes.ledger import Ledger
from backend_coordinator.nodes.store import SqliteStore

QUESTION = Question(id="q-0123abcd", run="r", asked_by="a", text="what now?", choices=("guide", "abandon"))


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return records.create(tmp_path)


def test_a_question_is_recorded_once_and_answered_once(ledger: Ledger) -> None:
    assert ledger.ask(QUESTION).answer is None
    assert ledger.ask(QUESTION).answer is None
    ledger.answer(QUESTION.id, Answer(decision="guide", text="do this", by="lead"))
    assert ledger.ask(QUESTION).answer == Answer(decision="guide", text="do this", by="lead")
    assert [type(event) for _, event in ledger.events()] == [Asked, Answered]
    with pytest.raises(BadAnswer, match="already answered"):
        ledger.answer(QUESTION.id, Answer(decision="abandon"))
    assert ledger.open_questions() == ()


@pytest.mark.parametrize(
    ("question", "answer", "why"),
    [
        ("q-ffffffff", Answer(decision="abandon"), "no question q-ffffffff; open: q-0123abcd"),
        (QUESTION.id, Answer(decision="waive", text="x"), "takes guide, abandon, not waive"),
        (QUESTION.id, Answer(decision="guide", text="  "), "guide needs a text"),
    ],
)
def test_answers_that_do_not_fit_are_refused_and_change_nothing(
    ledger: Ledger, question: str, answer: Answer, why: str
) -> None:
    ledger.ask(QUESTION)
    with pytest.raises(BadAnswer, match=why):
        ledger.answer(question, answer)
    assert ledger.open_questions() == (QUESTION,)


def test_another_process_answers(ledger: Ledger, tmp_path: Path) -> None:
    ledger.ask(QUESTION)
    code = (
        "import sys; from pathlib import Path\n"
        "from backend_coordinator.nodes import records\n"
        "from backend_coordinator.domain.question import Answer\n"
        "records.load(Path(sys.argv[1])).answer('q-0123abcd', Answer(decision='abandon', by='other'))"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
    answered = ledger.question(QUESTION.id).answer
    assert answered is not None
    assert answered.by == "other"


def test_the_file_is_its_owners_alone(ledger: Ledger, tmp_path: Path) -> None:
    assert (tmp_path / records.FILE).stat().st_mode & 0o777 == 0o600


def test_events_come_back_typed_and_in_order(ledger: Ledger) -> None:
    for text in ("one", "two"):
        ledger.record(Noticed(text=text))
    assert ledger.events() == [(1, Noticed(text="one")), (2, Noticed(text="two"))]
    assert ledger.events(after=1) == [(2, Noticed(text="two"))]


def test_newer_emptied_and_damaged_files_are_told_apart(ledger: Ledger, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / records.FILE) as db:
        db.execute("pragma user_version=99")
    with pytest.raises(NewerDatabase, match="upgrade"):
        records.load(tmp_path)
    (tmp_path / "empty.sqlite").touch()
    with pytest.raises(ConfigurationError, match="lost or emptied"):
        SqliteStore.load(tmp_path / "empty.sqlite")
    (tmp_path / "text.sqlite").write_text("no database at all" * 100)
    with pytest.raises(ConfigurationError, match="damaged"):
        SqliteStore.load(tmp_path / "text.sqlite")
