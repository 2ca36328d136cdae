"""Whether a run's limits can be kept, found out before it is created."""

from typing import TYPE_CHECKING

from backend_coordinator.domain.roster import Roster
from backend_coordinator.domain.usage import Limits, Usage
from backend_coordinator.errors import ConfigurationError
from backend_coordinator.nodes.context import names_in, own_model
from backend_coordinator.nodes.models.call import place_of
from backend_coordinator.nodes.models.prices import money_of
from backend_coordinator.nodes.models.resolve import resolve_model
from backend_coordinator.nodes.models.rules import RuleModel
from backend_coordinator.settings import Settings

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel


def demand_limits(model: "str | BaseChatModel", settings: Settings, roster: Roster) -> None:
    """Raises ConfigurationError for limits of nobody, two of one member, and money on a model of unknown price."""
    limits = settings.limits
    names = names_in("limits.specialists", limits.specialists, roster)
    own = {member: limits.specialists[name] for member, name in names.items()}
    for member in roster.specialists:
        if limits.run.money or limits.task.money or own.get(member.name, Limits()).money:
            chat = resolve_model(own_model(member, roster, settings) or model, settings.model)
            if not _is_priced(chat, settings):
                name = place_of(chat)[1]
                msg = f'the price of {name} is unknown: set [model.prices."{name}"], or remove the limit of money'
                raise ConfigurationError(msg)


def _is_priced(model: "BaseChatModel", settings: Settings) -> bool:
    sample = Usage(input_tokens=1, output_tokens=1)
    return isinstance(model, RuleModel) or money_of(*place_of(model), sample, settings.model.prices) is not None
