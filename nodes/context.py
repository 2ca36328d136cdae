"""What every verb of one run works with."""

import asyncio
import json
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from backend_coordinator.domain.roster import Roster, Specialist
from backend_coordinator.nodes.gates.inspection import VerdictCache
from backend_coordinator.nodes.gates.project import MEASURING
from backend_coordinator.nodes.journal import Transcript
from backend_coordinator.nodes.ledger import Ledger
from backend_coordinator.nodes.models.clock import CLOCK, Clock
from backend_coordinator.nodes.models.resolve import resolve_model
from backend_coordinator.nodes.redaction import Redactor
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

    def model_of(self, specialist: Specialist | None = None) -> "BaseChatModel":
        """The model that settings name for the specialist, else its file, else the run's; None is the coordinator."""
        settings = self.settings
        if specialist is None:
            return resolve_model(settings.models.get("coordinator", self.model), settings.model)
        named = settings.models.get(specialist.name) or specialist.model or self.model
        return resolve_model(named, settings.model, temperature=specialist.temperature)

    def transcript(self, name: str) -> Transcript:
        """The journal called `name`, such as `backend-T001-1` or `analysis`."""
        return Transcript(self.folder / "transcripts" / f"{name}.jsonl", self.redact)

    async def environment(self, tree: Path, also: Collection[Place] = ()) -> Environment:
        """The environment that the tree's own manifests ask for, with the optional groups adopted or in `also`."""
        services = tuple(sorted(self.settings.services.items()))
        groups = {*adopted_groups(self.ledger), *also}
        return await build(
            tree, cache=self.cache, sandbox=self.sandbox, services=services, tools=MEASURING, also=groups
        )

    def adopt(self, group: Place) -> None:
        """From now on every tree of the run that declares this optional group gets it installed."""
        self.ledger.note("adopted groups", json.dumps(sorted({*adopted_groups(self.ledger), group})))


def adopted_groups(ledger: Ledger) -> frozenset[Place]:
    """Optional groups that a run's work turned out to need."""
    groups = json.loads(ledger.noted("adopted groups") or "[]")
    return frozenset((root, where) for root, where in groups)
