"""Prepares one attempt: a tree to work in and an assignment to work from."""

import json
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from pathlib import Path

from backend_coordinator.domain.context import Assignment, ContextItem, ContextKind, ContextManifest, Message
from backend_coordinator.domain.events import COORDINATOR, Noticed
from backend_coordinator.domain.objective import Analysis, RepositoryFacts
from backend_coordinator.domain.plan import Task
from backend_coordinator.domain.report import TaskResult
from backend_coordinator.domain.roster import Specialist
from backend_coordinator.nodes.context import RunContext
from backend_coordinator.nodes.firewall import estimate_tokens, is_shared, listed, packet, select
from backend_coordinator.nodes.index import index
from backend_coordinator.nodes.kinds import kind_of
from backend_coordinator.nodes.private import write_private
from backend_coordinator.nodes.screen import Screen
from backend_coordinator.nodes.stopping import in_thread
from backend_coordinator.nodes.tools.recall import keep
from backend_coordinator.nodes.window import WINDOW

GATES = "the gates"
"""Who guides in the name of the gates."""
PACKETS_IN_A_WINDOW = 4
"""A packet's items take no more than this part of the window, so that there is room to work."""


async def fresh_tree(context: RunContext, task: Task) -> str:
    """Checks the run's present head out for a task and says which commit that is."""
    head = await in_thread(context.repository.head)
    await in_thread(context.repository.checkout, head, task.id)
    return head


async def kept_tree(context: RunContext, task: Task, base: str, attempt: int) -> Path:
    """The task's checkout; where somebody emptied the cache the attempt begins again from its base."""
    tree = context.repository.trees / task.id
    if not tree.is_dir():
        context.ledger.record(Noticed(text=f"{task.id}: its checkout is gone, attempt {attempt} begins again"))
        context.transcript(f"{task.id}-{attempt}").set_aside()  # first: it must not tell of work that is not there
        await in_thread(context.repository.checkout, base, task.id)
    return tree


def assign(
    context: RunContext,
    task: Task,
    specialist: Specialist,
    *,
    attempt: int,
    items: Sequence[ContextItem],
    guidance: Sequence[Message],
    blocks: Sequence[str],
    screen: Screen,
) -> Assignment:
    """The assignment for one attempt, to be had back by `assigned`; its manifest is kept under `manifests/`."""
    given = [context.redact.value(item) for item in items]
    given = [item if is_shared(item) else screen.value(item) for item in given]  # before anything is cut short
    digest = "recall" in specialist.granted
    told = packet(specialist, task, given, blocks=blocks, budget=_budget(context), digest=digest)
    for name, whole in told.whole.items():
        keep(context, f"{task.id}-{attempt}", name, screen(whole))
    keep_manifest(context, told.manifest, f"{task.id}-{attempt}")
    assignment = Assignment(
        task=task.id,
        specialist=specialist.name,
        attempt=attempt,
        packet=screen(context.redact(told.text)),
        guidance=tuple(said if _is_person(context, said.author) else screen.value(said) for said in guidance),
    )
    context.ledger.note(f"assignment {task.id}", assignment.model_dump_json())
    return assignment


def _is_person(context: RunContext, author: str) -> bool:
    return author not in {COORDINATOR, GATES, *(member.name for member in context.roster.specialists)}


def assigned(context: RunContext, task: str) -> Assignment:
    """The assignment that was made for the task's newest attempt: it would fill every checkpoint of its work."""
    return Assignment.model_validate_json(context.ledger.noted(f"assignment {task}") or "")


def keep_manifest(context: RunContext, manifest: ContextManifest, name: str) -> None:
    """Writes a manifest where `explain-context` finds it; `name` is such as `backend-T001-1`."""
    text = json.dumps(manifest.model_dump(mode="json"), indent=1)
    write_private(context.folder / "manifests" / f"{name}.json", text)


def told_for_call(context: RunContext, purpose: str, items: Collection[ContextItem]) -> str:
    """The items that the coordinator sees in one of its own calls; the manifest is `coordinator-<purpose>`."""
    coordinator, name = context.roster.get(COORDINATOR), f"coordinator-{purpose}"
    found = select(coordinator, [context.redact.value(item) for item in items], budget=_budget(context))
    text = listed(found.told)
    manifest = ContextManifest(
        specialist=coordinator.name, task=name, entries=found.entries, packet=estimate_tokens(text)
    )
    keep_manifest(context, manifest, name)
    return f"\n\nCONTEXT:\n{text}" if text else ""


def told_to_peer(
    context: RunContext, peer: Specialist, task: Task, items: Collection[ContextItem], *, purpose: str
) -> str:
    """A consulted peer's own packet; it has no tools, so nothing in it is to be read on."""
    told = packet(peer, task, [context.redact.value(item) for item in items], budget=_budget(context))
    keep_manifest(context, told.manifest, purpose)
    return told.text


def _budget(context: RunContext) -> int:
    return min(context.settings.packet_tokens, (context.settings.model.window or WINDOW) // PACKETS_IN_A_WINDOW)


def context_items(context: RunContext, analysis: Analysis, facts: RepositoryFacts) -> tuple[ContextItem, ...]:
    """What all tasks of a run may be told: the analysis, the repository's index and what the user gave."""
    tree = context.repository.tree(context.repository.user.base_commit)
    kinds = partial(kind_of, rules=context.settings.paths)
    return (*answers(analysis), *index(tree, facts, kinds), *context.items)


def answers(analysis: Analysis) -> tuple[ContextItem, ...]:
    """The answers to the seven questions as items, each question with its kind."""
    kinds: Mapping[ContextKind, tuple[str, ...]] = {
        ContextKind.API_REQUIREMENT: analysis.endpoints,
        ContextKind.DATA_MODEL: analysis.schema_changes,
        ContextKind.SECURITY_REQUIREMENT: analysis.auth_requirements,
        ContextKind.PERFORMANCE_REQUIREMENT: analysis.performance_requirements,
        ContextKind.SCALABILITY_CONSTRAINT: analysis.scalability_constraints,
        ContextKind.THIRD_PARTY_CONTRACT: analysis.third_party_integrations,
        ContextKind.OPERATIONS: analysis.monitoring_needs,
    }
    return tuple(ContextItem(kind=k, source="analysis", text="\n".join(texts)) for k, texts in kinds.items() if texts)


def items_from(results: Sequence[TaskResult]) -> tuple[ContextItem, ...]:
    """What direct dependencies decided and delivered; files by name, to be read with the tools."""
    decided = [
        ContextItem(kind=decision.kind, source=result.id, text=decision.text)
        for result in results
        for decision in result.decisions
    ]
    delivered = [
        ContextItem(kind=artifact.kind, source=result.id, text=f"{artifact.change} {artifact.path}")
        for result in results
        for artifact in result.artifacts
    ]
    return (*decided, *delivered)
