"""The verb after work: what was really delivered, and what the gates say about it."""

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

from pydantic import TypeAdapter

from backend_coordinator.domain.delivery import Artifact, Change, Delivery
from backend_coordinator.domain.events import Delivered, Inspected
from backend_coordinator.domain.failure import Attempt, Failure, FailureClass
from backend_coordinator.domain.plan import Task
from backend_coordinator.domain.verdict import Outcome, Verdict
from backend_coordinator.errors import ProcessRefused
from backend_coordinator.nodes.classify import classify
from backend_coordinator.nodes.context import RunContext
from backend_coordinator.nodes.dependencies import own_modules, unbuildable
from backend_coordinator.nodes.gates.inspection import inspect
from backend_coordinator.nodes.gates.project import run_tests
from backend_coordinator.nodes.gates.registry import Stage
from backend_coordinator.nodes.gates.shared import sharing
from backend_coordinator.nodes.kinds import kind_of
from backend_coordinator.nodes.points import reach
from backend_coordinator.nodes.stopping import in_thread
from backend_coordinator.nodes.tools.protocol import Submission
from backend_coordinator.nodes.workspace.git import GitError
from backend_coordinator.nodes.workspace.trees import Tree

_MAY_WRITE_NOTHING = frozenset(
    {"security_review", "performance_test", "share_contract", "validate_contract", "deployment_handover", "monitoring"}
)
"""Steps whose outcome can be a word instead of a file."""
_VERDICTS = TypeAdapter(tuple[Verdict, ...])


class Inspection(NamedTuple):
    """A delivery with its decided verdicts, and the failure if it did not pass."""

    delivery: Delivery
    verdicts: tuple[Verdict, ...] = ()
    failure: Failure | None = None


async def inspect_delivery(
    context: RunContext,
    task: Task,
    submission: Submission,
    *,
    specialist: str,
    base: str,
    attempt: int,
    earlier: Sequence[Attempt],
    waived: frozenset[str] = frozenset(),
) -> Inspection:
    """Commits the task's tree, computes its artifacts from the diff and runs the delivery's gates on it."""
    delivery, failure = await _deliver(context, task, submission, specialist=specialist, base=base, attempt=attempt)
    changes = tuple((artifact.change, artifact.path) for artifact in delivery.artifacts)
    told = Delivered(
        task=task.id,
        summary=delivery.summary,
        artifacts=len(changes),
        changes=changes,
        claimed=sum(claim.met for claim in delivery.claims),
        criteria=len(task.acceptance_criteria),
        decisions=delivery.decisions,
    )
    context.ledger.record(told)
    reach("delivery committed")
    failure = failure or _obvious(task, delivery, earlier)
    if failure or not delivery.artifacts:
        return Inspection(delivery, (), failure)
    trees = await _trees(context, base, delivery.commit)
    if failure := await unbuildable(context, *trees, [artifact.path for artifact in delivery.artifacts]):
        return Inspection(delivery, (), failure)
    verdicts = await judge(context, base, delivery.commit, "delivery")
    shown = tuple((v.id, v.verdict) for v in verdicts if v.verdict is not Outcome.UNKNOWN)
    context.ledger.record(Inspected(task=task.id, tree=delivery.tree, verdicts=shown))
    reach("delivery inspected")
    decided = tuple(v for v in verdicts if v.verdict is not Outcome.UNKNOWN)
    return Inspection(delivery, decided, await _failure(context, *trees, [v for v in verdicts if v.id not in waived]))


def keep_verdicts(context: RunContext, task: str, verdicts: tuple[Verdict, ...]) -> None:
    """Keeps what the gates said of the task's newest delivery: with its evidence it would fill every checkpoint."""
    context.ledger.note(f"verdicts {task}", _VERDICTS.dump_json(verdicts).decode())


def kept_verdicts(context: RunContext, task: str) -> tuple[Verdict, ...]:
    """The verdicts on the task's newest delivery; none where nothing was inspected."""
    return _VERDICTS.validate_json(context.ledger.noted(f"verdicts {task}") or "[]")


async def _failure(context: RunContext, base: Tree, head: Tree, verdicts: Sequence[Verdict]) -> Failure | None:
    failed = [verdict for verdict in verdicts if verdict.verdict is Outcome.FAIL]
    tested = next((v for v in verdicts if v.id == "C5" and v.verdict in (Outcome.FAIL, Outcome.UNKNOWN)), None)
    if tested is None:
        return classify(failed)
    environment = await context.environment(head.path)
    async with sharing(context.verdicts.memory):
        now = await run_tests(head.path, environment)
        crashed = now.problem is not None and now.exit_code not in (None, 0)
        before = await run_tests(base.path, environment) if now.failing or crashed else now
    tests = {test: text for test, text in now.failing.items() if test not in before.failing}
    if crashed and not before.problem:
        # The runner itself fell over what was delivered, such as a conftest.py that cannot be imported.
        tests["the test run"] = now.output
        failed = [*failed, *([tested] if tested not in failed else [])]
    return classify(failed, tests, own_modules(environment))


async def failure_between(context: RunContext, base: str, head: str, verdicts: Sequence[Verdict]) -> Failure | None:
    """The failure that verdicts on the commit `head` make; tests that fail at `base` too are not blamed on it."""
    return await _failure(context, *await _trees(context, base, head), verdicts)


async def _trees(context: RunContext, base: str, head: str) -> tuple[Tree, Tree]:
    repository = context.repository
    return await in_thread(repository.tree, base), await in_thread(repository.tree, head)


async def judge(context: RunContext, base: str, head: str, stage: Stage) -> tuple[Verdict, ...]:
    """All 40 verdicts on the tree of `head`, compared with `base` (both commits)."""
    base_tree, head_tree = await _trees(context, base, head)
    changed = await in_thread(context.repository.changed_paths, base, head)
    environment = await context.environment(head_tree.path)
    verdicts = await inspect(base_tree, head_tree, changed, environment, stage=stage, cache=context.verdicts)
    return tuple(map(context.redact.value, verdicts))


def digest(delivery: Delivery) -> str:
    """What two identical attempts have in common: the tree, and the refusal if there is one."""
    return hashlib.sha256(f"{delivery.tree}\n{delivery.refusal or ''}".encode()).hexdigest()[:16]


async def _deliver(
    context: RunContext, task: Task, submission: Submission, *, specialist: str, base: str, attempt: int
) -> tuple[Delivery, Failure | None]:
    delivery = Delivery(
        task=task.id,
        attempt=attempt,
        specialist=specialist,
        summary=submission.summary,
        refusal=submission.refusal,
        about=submission.about,
        decisions=submission.decisions,
        claims=submission.claims,
        needs=submission.needs,
    )
    try:
        taken = await in_thread(context.repository.snapshot, task.id, f"{task.id}: {task.title}", base)
    except ProcessRefused as error:
        return delivery, Failure(kind=FailureClass.GATE_FAILURE, summary=str(error), detail=str(error))
    except GitError as error:
        return delivery, Failure(kind=FailureClass.EXTERNAL_BLOCK, summary=f"the work cannot be committed: {error}")
    if odd := sorted(path for path in taken.changed if not path.isprintable()):
        text = f"a file name is no plain text: {odd[0]!r}"
        return delivery, Failure(kind=FailureClass.GATE_FAILURE, summary=text, detail=f"{text}: rename it")
    head = await in_thread(context.repository.tree, taken.commit)
    changes = await in_thread(context.repository.changes, base, taken.commit)
    kinds: tuple[tuple[Change, frozenset[str]], ...] = (
        ("added", changes.added),
        ("modified", changes.modified),
        ("deleted", changes.deleted),
    )
    artifacts = tuple(
        Artifact(path=path, kind=kind_of(path, context.settings.paths), sha256=_sha256(head, path), change=change)
        for change, paths in kinds
        for path in sorted(paths)
    )
    return delivery.model_copy(update={"commit": taken.commit, "tree": taken.tree, "artifacts": artifacts}), None


def _sha256(tree: Tree, path: str) -> str:
    place = tree.path / path
    return hashlib.sha256(place.read_bytes()).hexdigest() if place.is_file() and not place.is_symlink() else ""


def _obvious(task: Task, delivery: Delivery, earlier: Sequence[Attempt]) -> Failure | None:
    for attempt in earlier:
        if attempt.number == delivery.attempt or attempt.failure.kind is FailureClass.EXTERNAL_BLOCK:
            continue  # the delivery was not at fault, and what was may have changed
        if attempt.delivery_digest == digest(delivery):
            text = f"attempt {delivery.attempt} delivers the same as attempt {attempt.number}"
            return attempt.failure.model_copy(update={"kind": FailureClass.STUCK, "summary": text})
    if delivery.refusal:
        kind = FailureClass(delivery.about) if delivery.about else FailureClass.OUTSIDE_EXPERTISE
        return Failure(kind=kind, summary=delivery.refusal, detail=delivery.refusal)
    if not delivery.artifacts and not (task.steps and _MAY_WRITE_NOTHING.issuperset(task.steps)):
        text = f"nothing was written; expected: {', '.join(task.writes or task.expected_output) or task.title}"
        return Failure(kind=FailureClass.GATE_FAILURE, summary=text, detail=text)
    return None
