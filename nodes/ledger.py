"""What a run remembers beside its state: what was asked and answered, what happened, and facts by name."""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

from backend_coordinator.domain.events import EVENT, Answered, Asked, Event, RunEnded, TaskEnded
from backend_coordinator.domain.question import Answer, Question
from backend_coordinator.errors import BadAnswer
from backend_coordinator.nodes.store import Execute, Store


@dataclass(frozen=True)
class Ledger:
    """The tables of one run, shared safely by threads and processes; every write is its own transaction.

    A process that drives the run under a lock that can be lost writes with the `fence` of that lock.
    """

    store: Store
    redact: Callable[[str], str] = str
    """What events and questions go through before they are written."""
    fence: int | None = None
    _written: threading.Condition = field(default_factory=threading.Condition)

    @contextmanager
    def _writing(self) -> Iterator[Execute]:
        with self._written:
            with self.store.writing(self.fence) as execute:
                yield execute
            self._written.notify_all()

    def demand_held(self) -> None:
        """Returns while this process may write for the run. Raises RunTaken since another one took it over."""
        if self.fence is not None:
            with self.store.writing(self.fence):
                pass

    def note(self, name: str, value: str) -> None:
        """Keeps one fact about the run, replacing an earlier one of that name."""
        change = "insert into note values (?, ?, ?) on conflict (run, name) do update set value = excluded.value"
        with self._writing() as execute:
            execute(change, self.store.key, name, value)

    def noted(self, name: str) -> str | None:
        """The fact kept under `name`, if any."""
        with self.store.reading() as execute:
            rows = execute("select value from note where run = ? and name = ?", self.store.key, name).rows
        return str(rows[0][0]) if rows else None

    def record(self, event: Event) -> None:
        """Appends one event."""
        with self._writing() as execute:
            self._append(execute, event)

    def _append(self, execute: Execute, event: Event) -> None:
        body, at = self.redact(EVENT.dump_json(event).decode()), f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S}"
        execute("insert into event (run, at, body) values (?, ?, ?)", self.store.key, at, body)

    def events(self, after: int = 0) -> list[tuple[int, Event]]:
        """Events with a number above `after`, oldest first."""
        query = "select number, body from event where run = ? and number > ? order by number"
        with self.store.reading() as execute:
            rows = execute(query, self.store.key, after).rows
            return [(number, EVENT.validate_json(body)) for number, body in rows]

    def dated_events(self) -> list[tuple[str, Event]]:
        """All events, oldest first, each with the UTC second in which it was recorded."""
        with self.store.reading() as execute:
            rows = execute("select at, body from event where run = ? order by number", self.store.key).rows
            return [(at, EVENT.validate_json(body)) for at, body in rows]

    def wait_for_events(self, seconds: float) -> None:
        """Blocks until this process writes or `seconds` passed."""
        with self._written:
            self._written.wait(seconds)

    def ask(self, question: Question) -> Question:
        """Records a question once and gives back the row, with its answer if it has one."""
        body = self.redact(question.model_dump_json(exclude={"answer"}))
        change = "insert into decision (run, id, body) values (?, ?, ?) on conflict do nothing"
        with self._writing() as execute:
            if execute(change, self.store.key, question.id, body).changed:
                self._append(execute, Asked(question=question))
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
        with self.store.reading() as execute:
            return self._questions(execute)

    def _questions(self, execute: Execute) -> tuple[Question, ...]:
        rows = execute("select body, answer from decision where run = ? order by number", self.store.key).rows
        return tuple(
            Question.model_validate({**json.loads(body), "answer": answer and json.loads(answer)})
            for body, answer in rows
        )

    def freed(self) -> frozenset[str]:
        """The subjects of the approval policy that a person let go ahead for the rest of the run.

        Dependencies never are: names are approved one by one.
        """
        given = [q for q in self.questions() if q.answer and q.answer.decision == "approve_run"]
        return frozenset(subject for question in given for subject in question.subjects) - {"dependencies"}

    def open_questions(self) -> tuple[Question, ...]:
        """Those that still wait."""
        return tuple(q for q in self.questions() if q.answer is None)

    def answer(self, question_id: str, answer: Answer) -> Question:
        """Answers an open question, from any process.

        Raises BadAnswer when it is unknown, answered already, does not take that, or nothing waits for it any more.
        """
        question = self.question(question_id)
        with self._writing() as execute:
            if not self._keep(execute, question_id, answer):
                raise BadAnswer(f"{question_id} was already answered {self._by_whom(execute, question_id)}")
            # Read within the transaction: a second connection for it, asked for by many at once, could come to none.
            if why := self._over(execute, question) or question.misfit(answer):
                raise BadAnswer(f"{question_id} {why}")
        return question.model_copy(update={"answer": answer})

    def close(self, question_id: str, answer: Answer) -> Answer:
        """The answer that stands when nobody is waited for any more: the one given, or else this one."""
        with self._writing() as execute:
            self._keep(execute, question_id, answer)
        return self.question(question_id).answer or answer

    def _keep(self, execute: Execute, question_id: str, answer: Answer) -> bool:
        change = "update decision set answer = ? where run = ? and id = ? and answer is null"
        first = execute(change, self.redact(answer.model_dump_json()), self.store.key, question_id).changed > 0
        if first:
            self._append(execute, Answered(question=question_id, answer=answer))
        return first

    def _over(self, execute: Execute, question: Question) -> str | None:
        for _, event in self._dated(execute, "task_ended", "run_ended"):
            if isinstance(event, RunEnded):
                return f"waits for nothing: run {question.run} has ended"
            if isinstance(event, TaskEnded) and event.task == question.task:
                return f"waits for nothing: {event.task} has ended meanwhile, {event.status.replace('_', ' ')}"
        for other in self._questions(execute):
            if other.id != question.id and other.answer is not None and other.answer.decision == "abort":
                return f"waits for nothing: {other.answer.by} aborted run {question.run} in answer to {other.id}"
        return None

    def _by_whom(self, execute: Execute, question_id: str) -> str:
        for at, event in self._dated(execute, "answered"):
            if isinstance(event, Answered) and event.question == question_id:
                return f"by {event.answer.by} at {at} UTC: {event.answer.decision}"
        return "meanwhile"

    def _dated(self, execute: Execute, *kinds: str) -> list[tuple[str, Event]]:
        """Events, most of them of these kinds, each with its UTC second."""
        like = " or ".join(["body like ?"] * len(kinds))
        query = f"select at, body from event where run = ? and ({like}) order by number"
        rows = execute(query, self.store.key, *(f'%"type":"{kind}"%' for kind in kinds)).rows
        return [(at, EVENT.validate_json(body)) for at, body in rows]

    async def answered(self, question_id: str, poll: float = 0.2) -> Question:
        """Waits until the question has an answer; other processes are noticed within `poll` seconds."""
        while (question := self.question(question_id)).answer is None:
            await asyncio.sleep(poll)
        return question
