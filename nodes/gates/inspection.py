"""Inspecting one tree: every item of the checklist gets a verdict."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError

from backend_coordinator.domain.verdict import Outcome, Verdict
from backend_coordinator.nodes.gates.catalogue import checks_of
from backend_coordinator.nodes.gates.evidence import digest, unknown, version_of
from backend_coordinator.nodes.gates.registry import ITEMS, Check, Item, Stage
from backend_coordinator.nodes.gates.shared import Memory, sharing
from backend_coordinator.nodes.private import write_private
from backend_coordinator.nodes.redaction import Redactor
from backend_coordinator.nodes.workspace.environment import Environment
from backend_coordinator.nodes.workspace.trees import Tree

AT_ONCE = 2
_WEIGHT = (Outcome.NOT_APPLICABLE, Outcome.PASS, Outcome.UNKNOWN, Outcome.FAIL)


@dataclass(frozen=True)
class VerdictCache:
    """Verdicts kept as JSON files in `folder`; safe to share between processes, safe to delete.

    `memory` keeps what checks measured on the newest trees, for this process only.
    """

    folder: Path
    memory: Memory = field(default_factory=dict)
    redact: Redactor = field(default_factory=Redactor)

    def get(self, key: str) -> Verdict | None:
        """The verdict kept under `key`, or None; a damaged file counts as absent."""
        try:
            return Verdict.model_validate_json((self.folder / f"{key}.json").read_text())
        except (OSError, ValidationError, UnicodeDecodeError):
            return None

    def put(self, key: str, verdict: Verdict) -> None:
        """Keep a verdict; an unknown one is not kept, since its cause may pass."""
        if verdict.verdict is Outcome.UNKNOWN:
            return
        write_private(self.folder / f"{key}.json", self.redact.value(verdict).model_dump_json())


async def inspect(
    base: Tree | None,
    head: Tree,
    changed: frozenset[str],
    environment: Environment,
    *,
    stage: Stage,
    cache: VerdictCache | None = None,
) -> tuple[Verdict, ...]:
    """Forty verdicts on `head` in the checklist's order; what `base` already had is not blamed.

    `changed` are the paths that differ (all paths where `base` is None). Checks share one test run.
    """
    checks = checks_of(stage)
    units = [unit.problem for unit in environment.projects]
    place = [environment.digest, units, environment.services]
    slots = asyncio.Semaphore(AT_ONCE)

    async def run(check: Check) -> Verdict:
        named = [head.oid, base.oid if base else "", check.name, place, version_of("backend-coordinator")]
        key = digest(json.dumps(named))
        async with slots:
            if cache and (kept := cache.get(key)):
                return kept
            try:
                verdict = await check.run(base, head, changed, environment)
            except Exception as error:  # noqa: BLE001 - one broken check must not silence the other items
                return unknown(check.item, f"{check.name} broke: {type(error).__name__}: {error}")
            if cache:
                cache.put(key, _bound(verdict, head))
            return verdict

    async with sharing(cache.memory if cache else {}):
        verdicts = await asyncio.gather(*map(run, checks))
    decided = list(zip(checks, verdicts, strict=True))
    return tuple(_bound(_decide(item, decided), head) for item in ITEMS)


def _decide(item: Item, decided: Sequence[tuple[Check, Verdict]]) -> Verdict:
    mine = [(check, verdict) for check, verdict in decided if check.item == item.id]
    deciding = [verdict for check, verdict in mine if not check.supports or verdict.verdict is Outcome.FAIL]
    if not deciding:
        reason = f"no tool decides this yet: look at {item.look_at}"
        return Verdict(id=item.id, verdict=Outcome.UNKNOWN, reason=reason)
    heaviest = max(deciding, key=lambda verdict: _WEIGHT.index(verdict.verdict))
    evidence = tuple(e for _, verdict in mine for e in verdict.evidence)
    return heaviest.model_copy(update={"evidence": evidence})


def _bound(verdict: Verdict, head: Tree) -> Verdict:
    evidence = tuple(e.model_copy(update={"tree": head.oid}) for e in verdict.evidence)
    return verdict.model_copy(update={"evidence": evidence, "tree": head.oid})
