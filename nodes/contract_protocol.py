"""API Contract Coordination: a contract is put to those who will use it before anything is built on it."""

import hashlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from backend_coordinator.domain.context import ContextKind
from backend_coordinator.domain.delivery import Decision, Delivery
from backend_coordinator.domain.failure import Failure, FailureClass
from backend_coordinator.domain.plan import StepKind, Task
from backend_coordinator.domain.protocol import ProtocolStep
from backend_coordinator.domain.question import Answer, Question
from backend_coordinator.nodes.context import RunContext
from backend_coordinator.nodes.gates.breaking_graphql import graphql_breaks
from backend_coordinator.nodes.gates.checks.versioning import trips
from backend_coordinator.nodes.gates.openapi import Document, Operation, as_list, as_node, contracts
from backend_coordinator.nodes.gates.swagger import swagger_contracts
from backend_coordinator.nodes.kinds import kind_of
from backend_coordinator.nodes.private import write_private
from backend_coordinator.nodes.protocols import keep_steps
from backend_coordinator.nodes.stopping import in_thread
from backend_coordinator.nodes.workspace.trees import Tree

FRONTEND = "frontend-coordinator"
_CONTRACTS = frozenset({ContextKind.API_CONTRACT, ContextKind.THIRD_PARTY_CONTRACT})
_STEPS: tuple[StepKind, ...] = ("share_contract", "validate_contract")
_MOST_LINES = 200
_TO_VALIDATE = """VALIDATE from the caller's side:
- formats: media types, dates, numbers, pagination
- errors: which statuses, and what their bodies tell
- types: fields, nullability, what is required
- secure transport: https, and how credentials travel"""


class Shared(NamedTuple):
    """A published contract: its files, below the run's folder, with their digests, and what is to be said of it."""

    files: tuple[tuple[str, str], ...]
    lines: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()
    """What of it is no text that could be shown: a link, or too large."""

    @property
    def digest(self) -> str:
        """What tells this contract from any other."""
        told = "\n".join(f"{path.split('/', 2)[-1]} {sha256}" for path, sha256 in self.files)
        return hashlib.sha256(told.encode()).hexdigest()

    def __str__(self) -> str:
        return ", ".join(f"{path} (sha256 {sha256[:12]})" for path, sha256 in self.files)


def has_validator(context: RunContext) -> bool:
    """Whether somebody speaks for the frontend in this run."""
    return FRONTEND in context.answers or context.settings.frontend == "person"


def is_due(context: RunContext, task: Task, delivery: Delivery) -> bool:
    """Whether a delivery's contract is to be validated: its task says so, or it changes one that was shared before."""
    if "validate_contract" in task.steps:
        return True
    keep_steps(context.ledger, task.id, "api_contract", ())  # what an earlier attempt changed
    place = context.folder / "contracts"
    changed = [artifact.path for artifact in delivery.artifacts if artifact.kind in _CONTRACTS]
    shared = tuple(place.iterdir()) if place.is_dir() else ()
    return has_validator(context) and any((each / path).is_file() for path in changed for each in shared)


async def share(context: RunContext, task: Task, delivery: Delivery) -> Shared:
    """Publishes the contracts that a delivery changes, or where it changes none those of its tree.

    Copies go to `contracts/<task>-<attempt>/` in the run's folder; doing it twice leaves the same.
    """
    touched = [artifact for artifact in delivery.artifacts if artifact.kind in _CONTRACTS]
    changed = tuple(artifact.path for artifact in touched if artifact.change != "deleted")
    shared = await in_thread(_share, context, delivery, changed, f"contracts/{task.id}-{delivery.attempt}")
    removed = (f"REMOVES {artifact.path}" for artifact in touched if artifact.change == "deleted")
    return shared._replace(lines=(*removed, *shared.lines))


def _share(context: RunContext, delivery: Delivery, changed: Sequence[str], place: str) -> Shared:
    repository, rules = context.repository, context.settings.paths
    head = repository.tree(delivery.commit or repository.head())
    paths = changed or [path for path in head.files if kind_of(path, rules) in _CONTRACTS]
    files, unread = [], []
    for path in paths:
        text = head.read(path)
        if text is None:
            unread.append(path)
            continue
        copy = context.folder / place / path
        copy.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_private(copy, context.redact(text))
        files.append((f"{place}/{path}", hashlib.sha256(text.encode()).hexdigest()))
    base = repository.tree(repository.user.base_commit)
    return Shared(tuple(files), tuple(_lines(base, head, paths)), tuple(unread) if changed else ())


def _lines(base: Tree, head: Tree, paths: Sequence[str]) -> Iterator[str]:
    """The operations of the contracts, and what callers of the base can trip over."""
    before = {document.path: document for document in (*contracts(base), *swagger_contracts(base))}
    for document in (*contracts(head), *swagger_contracts(head)):
        if document.path not in paths:
            continue
        servers = [str(as_node(each).get("url")) for each in as_list(document.content.get("servers"))]
        yield f"OPERATIONS of {document.path}, servers: {', '.join(servers) or 'none named'}"
        yield from (f"- {_told(document, operation)}" for operation in document.operations)
        broken = trips(before[document.path], document) if document.path in before else ()
        yield from (f"BREAKS CALLERS of the base branch, {document.path}: {what}" for what in broken)
    graphql = graphql_breaks(base, head)
    for path, what in (*graphql.changes, *graphql.unclear):
        if path in paths or path not in head.files:
            yield f"BREAKS CALLERS of the base branch, {path}: {what}"


def _told(document: Document, operation: Operation) -> str:
    takes = [f"{p.name} ({p.place}{', required' if p.required else ''})" for p in operation.parameters]
    body = as_node(document.resolve(operation.content.get("requestBody")).get("content"))
    answers = as_node(operation.content.get("responses"))
    media = {kind for each in answers.values() for kind in as_node(document.resolve(each).get("content"))}
    parts = (
        f"takes {', '.join(takes)}" if takes else "",
        f"body {', '.join(body)}" if body else "",
        f"answers {', '.join(sorted(operation.statuses))} as {', '.join(sorted(media)) or 'no content'}",
        "with credentials" if operation.guarded else "without credentials",
    )
    return f"{operation}: {'; '.join(filter(None, parts))}"


def question_about(context: RunContext, task: Task, author: str, shared: Shared) -> Question:
    """What the frontend is asked about a contract; the same contract is asked about once."""
    seed = f"{context.run}/{task.id}/contract/{shared.digest}"
    more = [f"... and {len(shared.lines) - _MOST_LINES} lines more"] if len(shared.lines) > _MOST_LINES else []
    head = f"{author} shares the contract of {task.id} ({task.title}): {shared}"
    text = "\n".join((head, _TO_VALIDATE, *shared.lines[:_MOST_LINES], *more))
    return Question(
        id=f"q-{hashlib.sha256(seed.encode()).hexdigest()[:8]}",
        run=context.run,
        task=task.id,
        asked_by=author,
        to=FRONTEND,
        text=context.redact(text),
        choices=("approve", "reject"),
        validates=tuple(path for path, _ in shared.files),
    )


def not_validated(context: RunContext, task: Task, author: str, shared: Shared) -> None:
    """Records that a contract was put to nobody, and why; what needs it goes on."""
    why = f"no frontend takes part; published as {shared}" if shared.files else "there is no contract file to share"
    _record(context, task, author, ("not_done", why), ("not_done", why))


def missing(context: RunContext, task: Task, author: str, shared: Shared) -> Failure | None:
    """Why there is nothing, or not all, that could be put to who validates; None where there is."""
    if shared.files and not shared.unread:
        return None
    unread = f": {', '.join(shared.unread)} cannot be read as text of at most 1 MB" if shared.unread else ""
    why = f"no contract file to share{unread}"
    _record(context, task, author, ("not_done", why), ("not_done", why))
    return Failure(kind=FailureClass.GATE_FAILURE, summary=why)


def accepted(context: RunContext, task: Task, delivery: Delivery, shared: Shared, answer: Answer) -> Delivery:
    """The delivery with the decision that its contract holds, which those who build on it are told."""
    told = f"{answer.by}: {answer.text}" if answer.text else answer.by
    _record(context, task, delivery.specialist, ("done", str(shared)), ("done", f"accepted by {told}"))
    text = f"{FRONTEND} accepted the contract {', '.join(path.split('/', 2)[-1] for path, _ in shared.files)}"
    said = f"{text}, sha256 {shared.digest[:12]}" + (f": {answer.text}" if answer.text else "")
    decided = Decision(kind=ContextKind.API_CONTRACT, text=context.redact(said))
    return delivery.model_copy(update={"decisions": (*delivery.decisions, decided)})


def rejected(context: RunContext, task: Task, author: str, shared: Shared, answer: Answer) -> Failure:
    """The remarks, as a failure whose Level 2 is answered already."""
    why = f"rejected by {answer.by}: {answer.text}"
    _record(context, task, author, ("done", str(shared)), ("not_done", why))
    first = answer.text.strip().splitlines()[0][:200] if answer.text.strip() else "no reason given"
    return Failure(
        kind=FailureClass.API_DESIGN_CONFLICT,
        summary=f"{FRONTEND} rejects the contract: {first}",
        detail=answer.text,
        by=FRONTEND,
    )


def _record(context: RunContext, task: Task, author: str, *outcomes: tuple[str, str]) -> None:
    steps = tuple(
        ProtocolStep.model_validate(
            {
                "task": task.id,
                "protocol": "api_contract",
                "step": step,
                "status": status,
                "by": author if step == "share_contract" else FRONTEND,
                "evidence": evidence,
            }
        )
        for step, (status, evidence) in zip(_STEPS, outcomes, strict=True)
    )
    keep_steps(context.ledger, task.id, "api_contract", steps)
