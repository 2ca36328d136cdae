"""The run's own tables: what was asked and answered, what happened, and who drives."""

import asyncio
import json
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from backend_coordinator.domain.events import EVENT, Answered, Asked, Event
from backend_coordinator.domain.question import Answer, Question
from backend_coordinator.errors import BadAnswer, ConfigurationError, NewerDatabase

SCHEMA_VERSION = 1
_SCHEMA = """
create table if not exists note (name text primary key, value text not null);
create table if not exists event (number integer primary key, at text not null, body text not null);
create table if not exists decision (id text primary key, body text not null, answer text);
"""


@dataclass(frozen=True)
class Ledger:
    """One SQLite file per run, shared safely by threads and processes; every write is its own transaction."""

    path: Path
    redact: Callable[[str], str] = str
    """What events and questions go through before they are written."""
    _written: threading.Condition = field(default_factory=threading.Condition)

    @classmethod
    def create(cls, path: Path) -> "Ledger":
        """A new ledger readable by its owner alone, or the one that is there."""
        path.touch(mode=0o600, exist_ok=True)
        ledger = cls(path)
        with ledger._open() as db:
            ledger._check_version(db)
            db.executescript("pragma journal_mode=wal;" + _SCHEMA + f"pragma user_version={SCHEMA_VERSION};")
        return ledger

    @classmethod
    def load(cls, path: Path) -> "Ledger":
        """The ledger at `path`.

        Raises NewerDatabase when a newer version wrote it, ConfigurationError when it is no ledger.
        """
        ledger = cls(path)
        with ledger._open() as db:
            version = ledger._check_version(db)
        if version == 0:
            msg = f"{path} holds no run: it was lost or emptied; start a new run"
            raise ConfigurationError(msg)
        return ledger

    def _check_version(self, db: sqlite3.Connection) -> int:
        try:
            version = int(db.execute("pragma user_version").fetchone()[0])
        except sqlite3.DatabaseError as error:
            msg = f"{self.path} is damaged ({error}); restore it from a backup or start a new run"
            raise ConfigurationError(msg) from error
        if version > SCHEMA_VERSION:
            msg = f"{self.path} has version {version}, this program knows {SCHEMA_VERSION}: upgrade backend-coordinator"
            raise NewerDatabase(msg)
        return version

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        db = sqlite3.connect(self.path, timeout=30, isolation_level="IMMEDIATE")
        try:
            with db:
                yield db
        finally:
            db.close()

    def note(self, name: str, value: str) -> None:
        """Keeps one fact about the run, replacing an earlier one of that name."""
        with self._open() as db:
            db.execute("insert or replace into note values (?, ?)", (name, value))

    def noted(self, name: str) -> str | None:
        """The fact kept under `name`, if any."""
        with self._open() as db:
            row = db.execute("select value from note where name = ?", (name,)).fetchone()
        return None if row is None else str(row[0])

    def record(self, event: Event) -> None:
        """Appends one event."""
        with self._written:
            with self._open() as db:
                self._append(db, event)
            self._written.notify_all()

    def _append(self, db: sqlite3.Connection, event: Event) -> None:
        body = self.redact(EVENT.dump_json(event).decode())
        db.execute("insert into event (at, body) values (datetime('now'), ?)", (body,))

    def events(self, after: int = 0) -> list[tuple[int, Event]]:
        """Events with a number above `after`, oldest first."""
        with self._open() as db:
            rows = db.execute("select number, body from event where number > ? order by number", (after,)).fetchall()
        return [(number, EVENT.validate_json(body)) for number, body in rows]

    def dated_events(self) -> list[tuple[str, Event]]:
        """All events, oldest first, each with the UTC second in which it was recorded."""
        with self._open() as db:
            rows = db.execute("select at, body from event order by number").fetchall()
        return [(at, EVENT.validate_json(body)) for at, body in rows]

    def wait_for_events(self, seconds: float) -> None:
        """Blocks until this process writes or `seconds` passed."""
        with self._written:
            self._written.wait(seconds)

    def ask(self, question: Question) -> Question:
        """Records a question once and gives back the row, with its answer if it has one."""
        with self._written:
            with self._open() as db:
                body = self.redact(question.model_dump_json(exclude={"answer"}))
                added = db.execute("insert or ignore into decision values (?, ?, null)", (question.id, body)).rowcount
                if added:
                    self._append(db, Asked(question=question))
            self._written.notify_all()
        return self.question(question.id)

    def question(self, question_id: str) -> Question:
        """The question of that id.

        Raises BadAnswer when there is none.
        """
        for question in self.questions():
            if question.id == question_id:
                return question
        msg = f"no question {question_id}; open: {', '.join(q.id for q in self.open_questions()) or 'none'}"
        raise BadAnswer(msg)

    def questions(self) -> tuple[Question, ...]:
        """All questions in the order they were asked."""
        with self._open() as db:
            rows = db.execute("select body, answer from decision order by rowid").fetchall()
        return tuple(
            Question.model_validate({**json.loads(body), "answer": answer and json.loads(answer)})
            for body, answer in rows
        )

    def open_questions(self) -> tuple[Question, ...]:
        """Those that still wait."""
        return tuple(q for q in self.questions() if q.answer is None)

    def answer(self, question_id: str, answer: Answer) -> Question:
        """Answers an open question, from any process.

        Raises BadAnswer when it is unknown, already answered, or the answer is not among its choices.
        """
        question = self.question(question_id)
        if answer.decision not in question.choices:
            msg = f"{question_id} takes {', '.join(question.choices)}, not {answer.decision}"
            raise BadAnswer(msg)
        if answer.decision in ("guide", "waive") and not answer.text.strip():
            msg = f"{answer.decision} needs a text: what to do, or why it may pass"
            raise BadAnswer(msg)
        if strangers := sorted(set(answer.items) - set(question.items)):
            msg = f"{question_id} is not about {', '.join(strangers)}; its items: {', '.join(question.items) or 'none'}"
            raise BadAnswer(msg)
        with self._written:
            with self._open() as db:
                taken = db.execute(
                    "update decision set answer = ? where id = ? and answer is null",
                    (self.redact(answer.model_dump_json()), question_id),
                ).rowcount
                if taken:
                    self._append(db, Answered(question=question_id, answer=answer))
            self._written.notify_all()
        if not taken:
            msg = f"{question_id} was already answered"
            raise BadAnswer(msg)
        return question.model_copy(update={"answer": answer})

    async def answered(self, question_id: str, poll: float = 0.2) -> Question:
        """Waits until the question has an answer; other processes are noticed within `poll` seconds."""
        while (question := self.question(question_id)).answer is None:
            await asyncio.sleep(poll)
        return question
