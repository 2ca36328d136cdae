"""Prepares one attempt: a tree to work in and an assignment to work from."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from backend_coordinator.domain.context import Assignment, ContextItem, ContextKind, ContextManifest, Message
from backend_coordinator.domain.events import Noticed
from backend_coordinator.domain.objective import Analysis, RepositoryFacts
from backend_coordinator.domain.plan import Task
from backend_coordinator.domain.report import TaskResult
from backend_coordinator.domain.roster import Specialist
from backend_coordinator.nodes.context import RunContext
from backend_coordinator.nodes.firewall import packet
from backend_coordinator.nodes.private import write_private
from backend_coordinator.nodes.stopping import in_thread
from backend_coordinator.nodes.window import WINDOW

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
) -> Assignment:
    """The assignment for one attempt, to be had back by `assigned`; its manifest is kept under `manifests/`."""
    terms = context.settings.model
    budget = min(context.settings.packet_tokens, (terms.window or WINDOW) // PACKETS_IN_A_WINDOW)
    text, manifest = packet(specialist, task, items, blocks=blocks, budget=budget)
    keep_manifest(context, manifest, attempt)
    assignment = Assignment(
        task=task.id,
        specialist=specialist.name,
        attempt=attempt,
        packet=context.redact(text),
        guidance=tuple(guidance),
    )
    context.ledger.note(f"assignment {task.id}", assignment.model_dump_json())
    return assignment


def assigned(context: RunContext, task: str) -> Assignment:
    """The assignment that was made for the task's newest attempt: it would fill every checkpoint of its work."""
    return Assignment.model_validate_json(context.ledger.noted(f"assignment {task}") or "")


def keep_manifest(context: RunContext, manifest: ContextManifest, attempt: int) -> None:
    """Writes a manifest where `explain-context` finds it."""
    text = json.dumps(manifest.model_dump(mode="json"), indent=1)
    write_private(context.folder / "manifests" / f"{manifest.task}-{attempt}.json", text)


def context_items(analysis: Analysis, facts: RepositoryFacts) -> tuple[ContextItem, ...]:
    """The analysis and the repository's facts as items, each with its kind."""
    answers: Mapping[ContextKind, tuple[str, ...]] = {
        ContextKind.API_REQUIREMENT: analysis.endpoints,
        ContextKind.DATA_MODEL: analysis.schema_changes,
        ContextKind.SECURITY_REQUIREMENT: analysis.auth_requirements,
        ContextKind.PERFORMANCE_REQUIREMENT: analysis.performance_requirements,
        ContextKind.SCALABILITY_CONSTRAINT: analysis.scalability_constraints,
        ContextKind.THIRD_PARTY_CONTRACT: analysis.third_party_integrations,
        ContextKind.OPERATIONS: analysis.monitoring_needs,
    }
    stack = {name: value for name, value in facts.model_dump().items() if value}
    found = "; ".join(f"{name}: {', '.join(value)}" for name, value in stack.items()) or "an empty repository"
    return (
        ContextItem(kind=ContextKind.TECHNOLOGY_STACK, source="repository", text=found),
        *(ContextItem(kind=k, source="analysis", text="\n".join(texts)) for k, texts in answers.items() if texts),
    )


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
