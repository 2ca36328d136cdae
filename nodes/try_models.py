"""Whether the models of a run can be used: found out before work is handed out, and asked about when one fails."""

import asyncio
import hashlib
from collections.abc import Iterable
from typing import TYPE_CHECKING

from langchain_core.messages import HumanMessage

from backend_coordinator.domain.events import COORDINATOR
from backend_coordinator.domain.question import Question
from backend_coordinator.domain.roster import Roster, Specialist
from backend_coordinator.errors import ModelCallFailed, ModelUnavailable
from backend_coordinator.nodes.context import RunContext, names_in
from backend_coordinator.nodes.ledger import Ledger
from backend_coordinator.nodes.models.call import Request, call_model, place_of
from backend_coordinator.nodes.models.endpoint import endpoint_of
from backend_coordinator.nodes.models.resolve import resolve_model
from backend_coordinator.nodes.models.rules import RuleModel
from backend_coordinator.settings import ModelSettings, Settings

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

WORD = Request([HumanMessage("Answer with one word: ready.")])
_ATTEMPTS, _MOST_SECONDS = 2, 30.0
"""A server that is only slow or overloaded is no reason to stop; the calls that follow wait for it."""


def demand_models(model: "str | BaseChatModel", settings: Settings, roster: Roster) -> None:
    """Raises ModelUnavailable for a model string that cannot be used, ConfigurationError as `names_in` does."""
    resolve_model(model)
    for name in names_in("models", settings.models, roster).values():
        try:
            resolve_model(settings.models[name])
        except ModelUnavailable as error:
            msg = f"models.{name}: {error}"
            raise ModelUnavailable(msg) from error


async def try_models(context: RunContext, specialists: Iterable[str]) -> None:
    """Asks each model that these specialists and the coordinator have one tiny question, all at once.

    Models of rules, and those that answered this process last time, are not asked.
    Raises ModelUnavailable, in one line for all that cannot be used.
    """
    members = [None, *map(context.roster.get, sorted(set(specialists)))]
    having = {place_of(context.model_of(member)): member for member in reversed(members)}
    strange = [
        member
        for place, member in having.items()
        if not (is_rules(context.model_of(member)) or endpoint_of(*place).works)
    ]
    if problems := list(filter(None, await asyncio.gather(*(_problem(context, member) for member in strange)))):
        raise ModelUnavailable("; ".join(problems))


async def _problem(context: RunContext, member: Specialist | None) -> str:
    """Why a member's model cannot be used; nothing where it can, or is only slow or overloaded."""
    model, terms = context.model_of(member), brief(context.settings.model)
    try:
        _, called = await context.meter.call(model, WORD, terms, purpose="try-models", specialist=COORDINATOR)
    except ModelUnavailable as error:
        return context.redact(f"{_origin(context, member)}{error}")
    except ModelCallFailed:
        return ""
    context.ledger.record(called)
    return ""


def _origin(context: RunContext, member: Specialist | None) -> str:
    """What to correct where a member has a model of its own; None is the coordinator."""
    member = member or context.roster.get(COORDINATOR)
    name = names_in("models", context.settings.models, context.roster).get(member.name)
    return f"models.{name}: " if name else f"the file of {member.name}: " if member.model else ""


async def demand_answer(model: "BaseChatModel", terms: ModelSettings) -> str:
    """What there is to say about a model that can be used, without a run.

    Raises ModelUnavailable and ModelCallFailed for one that does not answer.
    """
    if is_rules(model):
        return "works without a server"
    await call_model(model, WORD, brief(terms))
    return "answers"


def brief(terms: ModelSettings) -> ModelSettings:
    """The terms of a call that nothing depends on."""
    return terms.model_copy(update={"attempts": _ATTEMPTS, "seconds": min(terms.seconds, _MOST_SECONDS)})


def is_rules(model: "BaseChatModel") -> bool:
    """Whether a model needs no server."""
    return isinstance(model, RuleModel)


def times_mended(ledger: Ledger) -> int:
    """How often a person said that the models can be used again."""
    return sum(question.answer is not None and "retry" in question.choices for question in ledger.questions())


def question_about(context: RunContext, error: ModelUnavailable, mended: int) -> Question:
    """The question of the whole run what becomes of a model that cannot be used; `mended` as before the failed call.

    All tasks that fail before it is answered ask the same one.
    """
    return Question(
        id=f"q-{hashlib.sha256(f'{context.run}/models/{mended}'.encode()).hexdigest()[:8]}",
        run=context.run,
        asked_by=COORDINATOR,
        to="user",
        text=context.redact(f"{error}\nCorrect it where the run is driven, then answer retry; abort ends the run."),
        choices=("retry", "abort"),
    )
