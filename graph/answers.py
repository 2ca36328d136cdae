"""How a node gets an answer: from the decisions table, from another process, or from a parent graph."""

import asyncio
from dataclasses import dataclass

from langgraph.errors import GraphInterrupt
from langgraph.runtime import Runtime
from langgraph.types import interrupt

from backend_coordinator.domain.events import Noticed
from backend_coordinator.domain.question import Answer, Question
from backend_coordinator.errors import BadAnswer
from backend_coordinator.graph.conductor import Conductor
from backend_coordinator.nodes.context import RunContext
from backend_coordinator.nodes.points import reach


@dataclass(frozen=True)
class Means:
    """What the nodes of one driven run share; LangGraph hands it to each as `runtime.context`."""

    run: RunContext
    conductor: Conductor


async def answer_to(question: Question, runtime: Runtime[Means], task: str) -> Answer:
    """The answer to a question, from the decisions table or from a parent graph.

    Waits without a slot while anything else can run; only then does it interrupt, so that the process may end.
    """
    ledger, conductor = runtime.context.run.ledger, runtime.context.conductor
    known = ledger.ask(question)
    reach("question recorded")
    if known.answer is not None:
        return known.answer
    try:
        return resumed(question, runtime.context.run)
    except GraphInterrupt as stop:
        held = stop
    async with conductor.asking(task) as quiet:
        answered = asyncio.ensure_future(ledger.answered(question.id))
        silence = asyncio.ensure_future(quiet.wait())
        try:
            await asyncio.wait((answered, silence), return_when=asyncio.FIRST_COMPLETED)
            if not answered.done():
                if conductor.aborted:
                    return _last_word(question)
                raise held
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


def resumed(question: Question, run: RunContext) -> Answer:
    """What a parent graph resumed with, recorded once it is valid; an invalid value is asked for again.

    Raises GraphInterrupt while there is none.
    """
    payload = question.model_dump(mode="json", exclude={"answer"})
    while True:
        value = interrupt(payload)
        try:
            answered = run.ledger.answer(question.id, Answer.model_validate(value)).answer
        except (BadAnswer, ValueError) as error:
            payload = {**payload, "refused": str(error)}
            run.ledger.record(Noticed(text=f"{question.id}: answer refused: {error}"))
            continue
        assert answered is not None
        return answered
