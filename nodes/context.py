"""What every verb of one run works with."""

import asyncio
import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from backend_coordinator.domain.context import ContextItem
from backend_coordinator.domain.objective import Objective
from backend_coordinator.domain.question import Answerer
from backend_coordinator.domain.roster import Roster, Specialist
from backend_coordinator.errors import ConfigurationError, UnknownSpecialist
from backend_coordinator.nodes.gates.inspection import VerdictCache
from backend_coordinator.nodes.gates.project import MEASURING
from backend_coordinator.nodes.journal import Transcript
from backend_coordinator.nodes.ledger import Ledger
from backend_coordinator.nodes.meter import RUN, Meter
from backend_coordinator.nodes.models.clock import CLOCK, Clock
from backend_coordinator.nodes.models.resolve import resolve_model
from backend_coordinator.nodes.redaction import Redactor
from backend_coordinator.nodes.stopping import Steps
from backend_coordinator.nodes.tools.fetching import FETCHER, Fetcher
from backend_coordinator.nodes.workspace.environment import Environment, Place, build
from backend_coordinator.nodes.workspace.repository import RunRepository
from backend_coordinator.nodes.workspace.sandbox import Sandbox
from backend_coordinator.settings import Settings

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel


@dataclass(frozen=True)
class RunContext:
    """One run's means: its folder, repository, ledger, people and rules. Never persisted."""

    run: str
    folder: Path
    cache: Path
    settings: Settings
    roster: Roster
    model: "str | BaseChatModel"
    repository: RunRepository
    ledger: Ledger
    sandbox: Sandbox
    redact: Redactor
    merging: asyncio.Lock
    """Held by whoever merges: one delivery at a time."""
    verdicts: VerdictCache
    """Verdicts on trees already looked at."""
    clock: Clock = CLOCK
    steps: Steps = field(default_factory=Steps)
    """What is under way, and whether more may begin."""
    fetcher: Fetcher = FETCHER
    answers: Mapping[str, Answerer] = field(default_factory=dict)
    """Who is bound to answer questions, by the name that they are addressed to."""

    def model_of(self, specialist: Specialist | None = None) -> "BaseChatModel":
        """The model that settings name for the specialist, else its file, else the run's; None is the coordinator."""
        named = own_model(specialist or self.roster.get("coordinator"), self.roster, self.settings)
        temperature = specialist.temperature if specialist else None
        return resolve_model(named or self.model, self.settings.model, temperature=temperature)

    @cached_property
    def meter(self) -> Meter:
        """What the run has used, and whether its limits let it go on."""
        limits = self.settings.limits
        by_name = {self.roster.resolve(name): bounds for name, bounds in limits.specialists.items()}
        meter = Meter({RUN: limits.run, **by_name}, limits.task, self.ledger, self.clock)
        meter.redact, meter.step = self.redact, self.steps.step
        return meter

    @cached_property
    def items(self) -> tuple[ContextItem, ...]:
        """What the user gave this run's specialists to know."""
        noted = self.ledger.noted("objective_json")
        return Objective.model_validate_json(noted).context if noted else ()

    @property
    def overdue(self) -> bool:
        """Whether the objective's deadline has passed."""
        noted = self.ledger.noted("objective_json")
        return noted is not None and Objective.model_validate_json(noted).overdue(self.clock.wall())

    def transcript(self, name: str) -> Transcript:
        """The journal called `name`, such as `backend-T001-1` or `analysis`."""
        return Transcript(self.folder / "transcripts" / f"{name}.jsonl", self.redact, self.ledger.demand_held)

    async def environment(self, tree: Path, also: Collection[Place] = ()) -> Environment:
        """The environment that the tree's own manifests ask for, with the optional groups adopted or in `also`."""
        services = tuple(sorted(self.settings.services.items()))
        groups = {*adopted_groups(self.ledger), *also}
        return await build(
            tree,
            cache=self.cache,
            sandbox=self.sandbox,
            services=services,
            tools=MEASURING,
            also=groups,
            postgres=self.settings.postgres,
        )

    def adopt(self, group: Place) -> None:
        """From now on every tree of the run that declares this optional group gets it installed."""
        self.ledger.note("adopted groups", json.dumps(sorted({*adopted_groups(self.ledger), group})))


def own_model(member: Specialist, roster: Roster, settings: Settings) -> str | None:
    """The model string that settings have for a member under any of its names, else its file's; None is the run's."""
    name = names_in("models", settings.models, roster).get(member.name)
    return settings.models[name] if name else member.model


def own_models(roster: Roster, settings: Settings) -> dict[str, str]:
    """Model strings by member, of those that do not have the run's."""
    return {each.name: own for each in roster.specialists if (own := own_model(each, roster, settings))}


def ours(model: "str | BaseChatModel", roster: Roster, settings: Settings) -> bool:
    """Whether only the offline model works here, whose every line comes with this program."""
    return {model, *own_models(roster, settings).values()} == {"offline"} if isinstance(model, str) else False


def names_in(table: str, names: Iterable[str], roster: Roster) -> dict[str, str]:
    """The names that a table of the settings has for members, by member.

    Raises ConfigurationError for a name of nobody, and for two of one member.
    """
    found: dict[str, str] = {}
    for name in names:
        try:
            member = roster.resolve(name)
        except UnknownSpecialist as error:
            msg = f"{table}: {error}"
            raise ConfigurationError(msg) from error
        if found.setdefault(member, name) != name:
            msg = f"{table}: {found[member]!r} and {name!r} are both {member}: keep one of them"
            raise ConfigurationError(msg)
    return found


def adopted_groups(ledger: Ledger) -> frozenset[Place]:
    """Optional groups that a run's work turned out to need."""
    groups = json.loads(ledger.noted("adopted groups") or "[]")
    return frozenset((root, where) for root, where in groups)
