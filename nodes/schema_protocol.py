"""Database Change Coordination: what was done of its steps, and the hand-over to who operates the database."""

from collections.abc import Iterable, Iterator, Sequence

from backend_coordinator.domain.context import ContextItem, ContextKind
from backend_coordinator.domain.delivery import Delivery
from backend_coordinator.domain.plan import Plan, StepKind, Task
from backend_coordinator.domain.protocol import ProtocolStep, Status
from backend_coordinator.domain.rollout import Rehearsal, RolloutPlan
from backend_coordinator.nodes.context import RunContext
from backend_coordinator.nodes.gates.rehearsal import Rehearsed, in_words, rehearse
from backend_coordinator.nodes.gates.rehearsal_rollout import rollout_of
from backend_coordinator.nodes.gates.shared import sharing
from backend_coordinator.nodes.private import write_private
from backend_coordinator.nodes.protocols import keep_steps
from backend_coordinator.nodes.stopping import in_thread

ADMIN = "database-admin"
_ARCHITECTS = ("backend-architect", "technical-architect")
_MOST_STATEMENTS = 40
_Outcome = tuple[StepKind, Status, str, str]
"""A step, how it ended, who took it or would have, and the evidence."""


async def hand_over(context: RunContext, plan: Plan, task: Task, delivery: Delivery, base: str) -> None:
    """Keeps the records of a merged migration's six steps, and the document `handover/<task>.md` in the run's folder.

    A second time changes nothing; for other deliveries there is nothing to keep.
    """
    if "design_migration" not in task.steps or not delivery.commit:
        return
    found = await _rehearsed(context, delivery.commit, base)
    plans = tuple(map(rollout_of, found.shown))
    place = f"handover/{task.id}.md"
    text = context.redact("\n".join(_document(task, found, plans)))
    write_private(context.folder / place, text + "\n")
    outcomes = (*_made(plan, task, delivery.specialist, found), *_prepared(plan, task, found, plans, place))
    steps = [
        ProtocolStep(task=task.id, protocol="schema_change", step=step, status=status, by=by, evidence=evidence)
        for step, status, by, evidence in outcomes
    ]
    keep_steps(context.ledger, task.id, "schema_change", steps)


def handed_over(context: RunContext, needs: Iterable[str]) -> tuple[ContextItem, ...]:
    """The hand-over documents of these tasks.

    They say nothing that the migrations do not say: so they are no decision, whose words are kept from all who do not
    see its kind.
    """
    places = ((name, context.folder / "handover" / f"{name}.md") for name in needs)
    return tuple(
        ContextItem(kind=ContextKind.DATABASE_ADMINISTRATION, source=name, text=place.read_text(encoding="utf-8"))
        for name, place in places
        if place.is_file()
    )


async def _rehearsed(context: RunContext, commit: str, base: str) -> Rehearsed:
    try:
        head = await in_thread(context.repository.tree, commit)
        changed = await in_thread(context.repository.changed_paths, base, commit)
        environment = await context.environment(head.path)
        async with sharing(context.verdicts.memory):
            return await rehearse(head, changed, environment)
    except Exception as error:  # noqa: BLE001 - it is merged already: what breaks here is told, and ends no run
        return Rehearsed(problem=f"the rehearsal broke: {type(error).__name__}: {error}")


def _made(plan: Plan, task: Task, author: str, found: Rehearsed) -> Iterator[_Outcome]:
    """Design with the architect's part in it, way back, rehearsal."""
    ups = [path for shown in found.shown for path in shown.ups]
    seen = [f"{t.specialist} in {t.id}" for t in plan.tasks if t.specialist in _ARCHITECTS and _beside(t, task)]
    advice = f"the architect's part: {', '.join(seen) or 'no task of an architect before or after it'}"
    yield "design_migration", "done" if ups else "unknown", author, f"{', '.join(ups) or _open(found)}; {advice}"
    downs = [path for shown in found.shown for path in shown.downs]
    if found.findings:
        broken = f"{found.findings[0].path}: {found.findings[0].message}"
        yield "rollback_script", "not_done", author, broken
        yield "rehearsal", "not_done", author, broken
    elif found.problem or not found.shown:
        yield "rollback_script", "unknown", author, _open(found)
        yield "rehearsal", "unknown", author, _open(found)
    else:
        yield "rollback_script", "done", author, f"{', '.join(downs)} gave schema and values back"
        yield "rehearsal", "done", author, "; ".join(f"{s.database} {s.version}: {in_words(s)}" for s in found.shown)


def _beside(other: Task, task: Task) -> bool:
    return other.id in task.needs or task.id in other.needs


def _open(found: Rehearsed) -> str:
    return found.problem or "no migration that can be rehearsed is among the files"


def _prepared(plan: Plan, task: Task, found: Rehearsed, plans: Sequence[RolloutPlan], place: str) -> Iterator[_Outcome]:
    """Hand-over, rollout plan, monitoring; nothing here reaches a running system, so nothing there was watched."""
    takers = [t.id for t in plan.tasks if t.specialist == ADMIN and task.id in t.needs]
    reader = f"told to {', '.join(takers)}" if takers else f"no task of {ADMIN} needs it: it is for people to read"
    yield "deployment_handover", "done", ADMIN, f"{place}, {reader}"
    told = "; ".join(f"{p.strategy.replace('_', ' ')}: {p.reason}" for p in plans)
    yield "rollout_plan", "done" if plans else "unknown", ADMIN, told or _open(found)
    watch = "; ".join(dict.fromkeys(text for p in plans for text in p.monitoring))
    yield "monitoring", "not_done", ADMIN, f"a run deploys nothing; to be watched after: {watch or 'not known'}"


def _document(task: Task, found: Rehearsed, plans: Sequence[RolloutPlan]) -> Iterator[str]:
    yield f"# Hand-over of {task.id} to {ADMIN}: {task.title}"
    if found.problem or not found.shown:
        yield f"\nNot rehearsed: {_open(found)}. Nobody knows whether it can be taken back."
    for finding in found.findings:
        yield f"\nThe rehearsal failed: {finding.path}: {finding.message}."
    for shown, plan in zip(found.shown, plans, strict=True):
        yield from _rehearsal(shown, passed=not found.findings)
        yield from _rollout(shown, plan)


def _rehearsal(shown: Rehearsal, *, passed: bool) -> Iterator[str]:
    yield from _section("Migration", shown.ups)
    yield from _section("What it changes", [f"{c.kind.replace('_', ' ')}: {c.what}" for c in shown.changes])
    yield from _section("Statements", [f"`{text}`" for text in shown.statements[:_MOST_STATEMENTS]])
    told = [f"{shown.database} {shown.version}", *([in_words(shown)] if passed else [])]
    told += [f"no rows in {table}: {why}" for table, why in shown.unfilled.items()]
    yield from _section("Rehearsal", told)


def _rollout(shown: Rehearsal, plan: RolloutPlan) -> Iterator[str]:
    locks = [
        f"{lock.table}: {lock.mode}{', rewritten' * lock.rewrites}{', read whole' * lock.scans}"
        for lock in shown.locks or ()
    ]
    none = ["none on tables that were there"] if shown.locks is not None else ["SQLite locks the whole file"]
    yield from _section("Locks", locks or none)
    steps = [f"{when}: {step}" for when in ("before", "during", "after") for step in getattr(plan, when)]
    yield from _section(f"Rollout: {plan.strategy.replace('_', ' ')}", [plan.reason, *steps])
    yield from _section("Rollback", [f"`{command}`" for command in plan.rollback])
    yield from _section("Monitoring", plan.monitoring)


def _section(title: str, lines: Sequence[str]) -> Iterator[str]:
    yield f"\n## {title}\n"
    yield from (f"- {line}" for line in lines or ("none",))
