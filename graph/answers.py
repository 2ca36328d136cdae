"""How a node gets an answer: from the decisions table, from another process, or from a parent graph."""

import asyncio
from dataclasses import dataclass

from langgraph.config import get_config
from langgraph.errors import GraphInterrupt
from langgraph.runtime import Runtime
from langgraph.types import Interrupt

from backend_coordinator.domain.question import Answer, Question
from backend_coordinator.graph.bound import ask_bound
from backend_coordinator.graph.conductor import Conductor
from backend_coordinator.nodes.context import RunContext
from backend_coordinator.nodes.points import reach


@dataclass(frozen=True)
class Means:
    """What the nodes of one driven run share; LangGraph hands it to each as `runtime.context`."""

    run: RunContext
    conductor: Conductor


async def answer_to(question: Question, runtime: Runtime[Means], task: str) -> Answer:
    """The answer to a question from the decisions table, where a parent graph's answers come as well.

    Who is bound to the name it is addressed to is asked first. Waits without a slot while anything else can run; only
    then does it interrupt, so that the process may end.
    """
    ledger, conductor = runtime.context.run.ledger, runtime.context.conductor
    known = ledger.ask(question)
    reach("question recorded")
    if known.answer is not None:
        return known.answer
    async with conductor.asking(task) as quiet:
        answered = asyncio.ensure_future(ledger.answered(question.id))
        silence = asyncio.ensure_future(_left_to_people(known, runtime.context, quiet, answered))
        try:
            await asyncio.wait((answered, silence), return_when=asyncio.FIRST_COMPLETED)
            if not answered.done():
                if conductor.aborted:
                    return ledger.close(question.id, _last_word(question))
                raise unanswered(question, runtime.context.run)
            elif (given := answered.result().answer) and given.decision == "abort":
                conductor.abort()  # at once: the way to the task's end goes over a slot
        finally:
            silence.cancel()
            answered.cancel()
        found = answered.result().answer
    reach("answer taken")
    assert found is not None
    return found


def _last_word(question: Question) -> Answer:
    """What a question comes to in an aborted run: the last of its choices, which is the most final."""
    return Answer(decision=question.choices[-1], text="the run was aborted", by="backend-coordinator")


async def _left_to_people(
    question: Question, means: Means, quiet: asyncio.Event, answered: "asyncio.Future[Question]"
) -> None:
    """Ends when only people can answer a question and nothing else can run."""
    if await ask_bound(question, means.run, means.conductor):
        await asyncio.wait((answered,))
    await quiet.wait()


async def answer_now(question: Question, means: Means) -> Answer:
    """The answer to a question while nothing else runs. Raises GraphInterrupt while there is none."""
    run = means.run
    known = run.ledger.ask(question)
    if known.answer is None and await ask_bound(known, run):
        known = run.ledger.question(question.id)
    if known.answer is None:
        raise unanswered(question, run)
    return known.answer


def unanswered(question: Question, run: RunContext) -> GraphInterrupt:
    """What shows a question to a parent graph, which puts the answer to it into the table before the next drive.

    LangGraph's own `interrupt()` would take whatever value is at hand, also one that was meant for another question.
    """
    payload = question.model_dump(mode="json", exclude={"answer"})
    if refused := run.ledger.noted(f"refused {question.id}"):
        payload["refused"] = refused
    shown: Interrupt[object] = Interrupt.from_ns(payload, get_config()["configurable"]["checkpoint_ns"])
    run.ledger.note(f"interrupt {shown.id}", question.id)  # tasks that ask the same show it once each
    run.ledger.note(f"shown {question.id}", shown.id)
    return GraphInterrupt((shown,))
