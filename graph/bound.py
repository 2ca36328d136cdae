"""Asking whoever is bound to a name before a person is waited for."""

import asyncio

from backend_coordinator.domain.events import Noticed
from backend_coordinator.domain.question import Question
from backend_coordinator.errors import BadAnswer
from backend_coordinator.graph.conductor import Conductor
from backend_coordinator.nodes.answerers import Bound
from backend_coordinator.nodes.brief import items_from
from backend_coordinator.nodes.context import RunContext
from backend_coordinator.nodes.screen import Screen
from backend_coordinator.nodes.screening import screen_for

_LOOK_UP = 0.5
"""Seconds after which it is noticed that a person answered, or the run was aborted, while somebody's code thinks."""


async def ask_bound(question: Question, run: RunContext, conductor: Conductor | None = None) -> bool:
    """Whether the question has an answer in the table now that who is bound to its name was asked, once.

    A person who answers meanwhile is not kept waiting.
    An answer that does not fit, or code that breaks, is told and leaves the question to a person.
    """
    means, asked = run.answers.get(question.to), f"asked bound {question.id}"
    if means is None or run.ledger.noted(asked):
        return False
    work = asyncio.ensure_future(Bound(question.to, means, run).answer(question, _screen(question, run, conductor)))
    try:
        while not (await asyncio.wait((work,), timeout=_LOOK_UP))[0]:
            if run.ledger.question(question.id).answer is not None:
                return True
            if conductor is not None and conductor.aborted:
                return False
        if (answer := work.result()) is not None:
            run.ledger.answer(question.id, answer)
    except BadAnswer as error:
        _left(question, run, str(error))
    except Exception as error:  # noqa: BLE001 - somebody else's code may raise anything, and a person can answer
        _left(question, run, f"{type(error).__name__}: {error}")
    finally:
        work.cancel()
    run.ledger.note(asked, "yes")
    return run.ledger.question(question.id).answer is not None


def _left(question: Question, run: RunContext, why: str) -> None:
    told = run.redact(f"{question.id}: {question.to} gave no answer that can be used, a person is asked: {why}")
    run.ledger.record(Noticed(text=told[:1000]))


def _screen(question: Question, run: RunContext, conductor: Conductor | None) -> Screen | None:
    """What stands before a persona; None where the question is about no task, which is not for a persona to answer."""
    task = conductor.plan.by_id.get(question.task or "") if conductor and conductor.plan else None
    if conductor is None or conductor.plan is None or task is None or question.to not in run.roster:
        return None
    items = (*conductor.items, *items_from(tuple(conductor.results.values())))
    return screen_for(run, run.roster.get(question.to), task, items=items, plan=conductor.plan)
