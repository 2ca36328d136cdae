"""Who answers a run's questions in a person's place: a callable, a graph, or a model that speaks for an external."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Future
from contextvars import Context
from dataclasses import dataclass
from threading import Thread
from typing import Literal, cast

from pydantic import ValidationError

from backend_coordinator.domain.base import Value
from backend_coordinator.domain.question import Answer, Answerer, Asked, Choice, Question
from backend_coordinator.domain.roster import Roster
from backend_coordinator.errors import BadAnswer, ConfigurationError
from backend_coordinator.nodes.ask import Inquiry, ask
from backend_coordinator.nodes.context import RunContext, names_in
from backend_coordinator.nodes.screen import Screen
from backend_coordinator.prompts.loader import coordinator_prompt

PERSONA, PERSON, LATER = "persona", "user", "later"
_MOST_TOLD = 60_000
"""Characters of a contract's files that a persona is shown; of more, it would judge a part."""


class Said(Value):
    """What a persona may say; `later` leaves the question to a person."""

    decision: Literal["guide", "abandon", "approve", "reject", "later"]
    text: str = ""


def bound(answers: Mapping[str, Answerer], roster: Roster) -> dict[str, Answerer]:
    """The answerers by the names that questions are addressed to: those of externals, and `user`.

    Raises ConfigurationError for a name of nobody or of somebody who works here, and for what cannot answer.
    """
    given = names_in("answers", (name for name in answers if name != PERSON), roster)
    for member, name in given.items():
        if roster.get(member).role != "external":
            msg = f"answers: {name!r} works in this department: only externals and {PERSON!r} are asked"
            raise ConfigurationError(msg)
    for name, each in answers.items():
        if (each == PERSONA and name == PERSON) or not (each == PERSONA or isinstance(each, Asked) or callable(each)):
            msg = f"answers: {name!r} cannot be answered by {each!r}: bind a callable or a graph"
            raise ConfigurationError(f"{msg}, or {PERSONA!r} to an external")
    user: dict[str, Answerer] = {PERSON: answers[PERSON]} if PERSON in answers else {}
    return user | {member: answers[name] for member, name in given.items()}


@dataclass(frozen=True)
class Bound:
    """One who answers in a run: `means` under the name that questions are addressed to."""

    name: str
    means: Answerer
    context: RunContext

    async def answer(self, question: Question, screen: Screen | None) -> Answer | None:
        """The answer; None leaves it to a person. Raises BadAnswer for one that the question does not take.

        `screen` stands before a persona; without one it is not asked. Whatever the bound code raises is told as
        BadAnswer: no loop or future carries StopIteration, SystemExit or a cancellation of its own to who waits.
        """
        reply: object
        if self.means == PERSONA:
            reply = await self._persona(question, screen) if screen else None
        elif isinstance(self.means, Asked):
            reply = await _invoked(self.means, question)
        else:
            reply = await _called(cast("Callable[[Question], object]", self.means), question)
        answer = self._read(reply)
        if answer is not None and (why := question.misfit(answer)):
            raise BadAnswer(f"{question.id} {why}")
        return answer

    def _read(self, reply: object) -> Answer | None:
        if reply is None or reply == LATER or isinstance(reply, Answer):
            return reply if isinstance(reply, Answer) else None
        values = {"decision": reply} if isinstance(reply, str) else reply
        try:
            return Answer.model_validate({"by": self.name, **values} if isinstance(values, Mapping) else values)
        except ValidationError as error:
            msg = f'{self.name} must answer {{"decision": ..., "text": ...}}, not {reply!r:.80}'
            raise BadAnswer(msg) from error

    async def _persona(self, question: Question, screen: Screen) -> Answer | None:
        """A model in the role of an external; it never waives, aborts, or approves what is a person's to approve."""
        takes = open_to_personas(question)
        if not takes:
            return None
        member, context = self.context.roster.get(self.name), self.context
        files = "\n\n".join(f"FILE {path}\n{_text(context, path)}" for path in question.validates)
        if len(files) > _MOST_TOLD:
            raise BadAnswer(f"{PERSONA} is not asked what it cannot be shown whole, {len(files):,} characters")
        told = f"{question.text}\n\n{files}\n\nDECISIONS YOU CAN TAKE: {', '.join(takes)}, {LATER}"
        system = f"{member.prompt}\n\n{coordinator_prompt('persona')}"
        inquiry = Inquiry(f"persona-{question.id}", system, screen(context.redact(told)), member)
        said, _ = await ask(context, inquiry, Said)
        if said.decision == LATER:
            return None
        if said.decision not in takes:
            raise BadAnswer(f"{question.id} takes {', '.join(takes)} from a persona, not {said.decision}")
        return Answer(decision=said.decision, text=said.text, by=f"{self.name} ({PERSONA})")


def open_to_personas(question: Question) -> tuple[Choice, ...]:
    """The decisions of a question that a persona may take."""
    may = {"guide", "abandon", *(("approve", "reject") if question.validates else ())}
    return tuple(choice for choice in question.choices if choice in may)


def _text(context: RunContext, path: str) -> str:
    file = context.folder / path
    return file.read_text(encoding="utf-8", errors="replace") if file.is_file() else "(gone)"


async def _invoked(graph: Asked, question: Question) -> object:
    """A graph's answer; its thread is the question's, so that a graph with a checkpointer of its own can remember."""
    given: dict[str, object] = {"question": question.model_dump(mode="json", exclude={"answer"})}
    config: dict[str, object] = {"configurable": {"thread_id": f"{question.run}/{question.id}"}}
    found = await _outside(graph.ainvoke(given, config))
    return found.get("answer") if isinstance(found, Mapping) else getattr(found, "answer", found)


async def _called(function: Callable[[Question], object], question: Question) -> object:
    """A callable's answer; it runs in a thread of its own, which keeps no process from ending."""
    done: Future[object] = Future()

    def work() -> None:
        done.set_running_or_notify_cancel()
        try:
            done.set_result(function(question))
        except BaseException as error:  # noqa: BLE001 - it is told where the answer is awaited
            done.set_exception(_broken(error))

    Thread(target=work, daemon=True, name=f"answer-{question.id}").start()
    found = await asyncio.wrap_future(done)
    return await _outside(found) if inspect.isawaitable(found) else found


async def _outside(work: Awaitable[object]) -> object:
    """The outcome of somebody's code that must not find itself within our graph, whose checkpointer it would take."""

    async def awaited() -> object:
        try:
            return await work
        except BaseException as error:
            if (ours := asyncio.current_task()) and ours.cancelling():
                raise
            raise _broken(error) from error

    return await asyncio.get_running_loop().create_task(awaited(), context=Context())


def _broken(error: BaseException) -> BadAnswer:
    return BadAnswer(f"{type(error).__name__}: {error}")
