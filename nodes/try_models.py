"""Whether the models of a run can be used: found out before work is handed out, and asked about when one fails."""

import asyncio
import hashlib
from collections.abc import Iterable
from typing import TYPE_CHECKING

from langchain_core.messages import HumanMessage

from backend_coordinator.domain.events import COORDINATOR
from backend_coordinator.domain.question import Question
from backend_coordinator.domain.roster import Roster
from backend_coordinator.errors import ConfigurationError, ModelCallFailed, ModelUnavailable, UnknownSpecialist
from backend_coordinator.nodes.context import RunContext
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
    """Raises ModelUnavailable for a model string that cannot be used, ConfigurationError for one nobody is to have."""
    resolve_model(model)
    for name, own in settings.models.items():
        try:
            roster.get(name)
            resolve_model(own)
        except UnknownSpecialist as error:
            msg = f"models: {error}"
            raise ConfigurationError(msg) from error
        except ModelUnavailable as error:
            msg = f"models.{name}: {error}"
            raise ModelUnavailable(msg) from error


async def try_models(context: RunContext, specialists: Iterable[str]) -> None:
    """Asks each model that these specialists and the coordinator have one tiny question, all at once.

    Models of rules, and those that answered this process last time, are not asked.
    Raises ModelUnavailable, in one line for all that cannot be used.
    """
    members = [None, *map(context.roster.get, sorted(set(specialists)))]
    models = {place_of(model): model for model in map(context.model_of, members)}
    strange = [model for place, model in models.items() if not (is_rules(model) or endpoint_of(*place).works)]
    if problems := list(filter(None, await asyncio.gather(*(_problem(context, model) for model in strange)))):
        raise ModelUnavailable("; ".join(problems))


async def _problem(context: RunContext, model: "BaseChatModel") -> str:
    """Why a model cannot be used; nothing where it can, or is only slow or overloaded."""
    terms = brief(context.settings.model)
    try:
        _, called = await context.meter.call(model, WORD, terms, purpose="try-models", specialist=COORDINATOR)
    except ModelUnavailable as error:
        return context.redact(str(error))
    except ModelCallFailed:
        return ""
    context.ledger.record(called)
    return ""


async def state_of(model: "BaseChatModel", terms: ModelSettings) -> str:
    """What there is to say about a model without a run: that it answers, or why not."""
    if is_rules(model):
        return "works without a server"
    try:
        await call_model(model, WORD, brief(terms))
    except (ModelUnavailable, ModelCallFailed) as error:
        return str(error)
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
