"""The four rungs of the ladder as verbs: each turns a failure into what happens next."""

import hashlib
from collections.abc import Callable, Sequence
from typing import NamedTuple

from backend_coordinator.domain.base import Value
from backend_coordinator.domain.context import ContextItem, Message
from backend_coordinator.domain.events import Escalated, Noticed
from backend_coordinator.domain.failure import Action, Dossier, Escalation, Failure, FailureClass, Level
from backend_coordinator.domain.plan import Part, Task
from backend_coordinator.domain.question import Answer, Question
from backend_coordinator.domain.roster import Specialist
from backend_coordinator.domain.verdict import Waiver
from backend_coordinator.errors import ModelCallFailed
from backend_coordinator.nodes.amend import unsound
from backend_coordinator.nodes.ask import Inquiry, ask
from backend_coordinator.nodes.brief import GATES, told_for_call, told_to_peer
from backend_coordinator.nodes.context import RunContext
from backend_coordinator.nodes.dependencies import Recovery, advice
from backend_coordinator.nodes.formats import rendered, typed_question
from backend_coordinator.nodes.ladder import peer_for
from backend_coordinator.nodes.progress import told_progress
from backend_coordinator.nodes.review import Review, Scene, amended, assignable, unusable
from backend_coordinator.nodes.screen import Screen
from backend_coordinator.prompts.loader import coordinator_prompt

COORDINATOR = "backend-coordinator"


class Step(NamedTuple):
    """One rung taken: the record of it, guidance for the next attempt, and who makes it if not the same.

    `failure` is what the failure turned out to be, where the rung found that out; `task` is the task as it was
    amended, `parts` are what takes its place, `minutes` how long it waits.
    """

    escalation: Escalation
    guidance: Message | None = None
    reassigned: str | None = None
    failure: Failure | None = None
    task: Task | None = None
    parts: tuple[Part, ...] = ()
    minutes: int = 0


class Guidance(Value):
    """A consulted peer's answer; `can_help` false sends the failure on to the coordinator."""

    can_help: bool
    guidance: str = ""


def self_recovery(context: RunContext, task: Task, author: Specialist, failure: Failure, more: str = "") -> Step:
    """Level 1: the exact finding goes back to its author, with what `more` there is to say about it."""
    text = "\n\n".join(filter(None, (failure.summary, failure.detail, more, "Mend this, run check, and submit again.")))
    step = _record(
        task, Level.SELF_RECOVERY, failure, asked=author.name, asked_by=author.name, question=failure.summary
    )
    answer = f"exact finding returned. {more}".strip()
    step = step.model_copy(update={"action": "retry", "answer": answer})
    context.ledger.record(Escalated(escalation=step))
    return Step(step, Message(author=GATES, text=text))


def dependency_recovery(
    context: RunContext, task: Task, author: Specialist, failure: Failure, *, found: Recovery, refused: str | None
) -> Step:
    """Level 1 of a missing dependency: what is declared was installed, so look again; else its author is told."""
    step = _record(
        task, Level.SELF_RECOVERY, failure, asked=COORDINATOR, asked_by=author.name, question=failure.summary
    )
    if found.installed:
        step = step.model_copy(update={"action": "install", "answer": f"installed {'; '.join(found.installed)}"})
        context.ledger.record(Escalated(escalation=step))
        return Step(step)
    if found.blocked:
        text = "\n".join(found.problems)
        block = Failure(kind=FailureClass.EXTERNAL_BLOCK, summary=text[:500], detail=text, items=failure.items)
        return _unhelped(context, step, text)._replace(failure=block)
    return self_recovery(context, task, author, failure, advice(found, refused) if found.to_decide else "")


async def consult(
    context: RunContext,
    task: Task,
    author: Specialist,
    dossier: Dossier,
    items: Sequence[ContextItem],
    *,
    screen: Callable[[Specialist], Screen],
) -> Step:
    """Level 2: a peer of the ladder's table answers a typed question from its own packet; it takes no task over.

    The peer reads question and packet through its own `screen`.
    """
    asked = [step.asked for step in dossier.escalations if step.level is Level.PEER_CONSULTATION]
    peer = peer_for(dossier.failure, author, context.roster, asked)
    text = _consultation(task, author, dossier)
    if peer is None:
        step = _record(
            task,
            Level.PEER_CONSULTATION,
            dossier.failure,
            asked="nobody",
            asked_by=author.name,
            question=text,
        )
        return _unhelped(context, step, "no peer is named for this")
    system = f"{peer.prompt}\n\n{coordinator_prompt('consultation')}"
    purpose = f"consultation-{task.id}-{len(dossier.attempts)}"
    told = told_to_peer(context, peer, task, items, purpose=purpose)
    step = _record(task, Level.PEER_CONSULTATION, dossier.failure, asked=peer.name, asked_by=author.name, question=text)
    try:
        answer, usage = await ask(
            context, Inquiry(purpose, system, screen(peer)(context.redact(f"{text}\n\n{told}")), peer), Guidance
        )
    except ModelCallFailed as error:
        return _unhelped(context, step, str(error))
    step = step.model_copy(update={"usage": usage})
    if not answer.can_help or not answer.guidance.strip():
        return _unhelped(context, step, answer.guidance or "the peer cannot help")
    if _said(dossier, answer.guidance):
        return _unhelped(context, step, f"said before: {answer.guidance}")
    step = step.model_copy(update={"answer": answer.guidance, "action": "guide"})
    context.ledger.record(Escalated(escalation=step))
    return Step(step, Message(author=peer.name, text=answer.guidance))


def remarks(context: RunContext, task: Task, author: Specialist, dossier: Dossier) -> Step:
    """Level 2 of a failure that somebody found and explained: their remarks are the answer, once."""
    failure = dossier.failure
    step = _record(
        task,
        Level.PEER_CONSULTATION,
        failure,
        asked=failure.by,
        asked_by=author.name,
        question=failure.summary,
    )
    if _said(dossier, failure.detail):
        return _unhelped(context, step, f"said before: {failure.detail}")
    step = step.model_copy(update={"answer": failure.detail, "action": "guide"})
    context.ledger.record(Escalated(escalation=step))
    return Step(step, Message(author=failure.by, text=failure.detail))


async def coordinator_review(
    context: RunContext,
    task: Task,
    author: Specialist,
    dossier: Dossier,
    items: Sequence[ContextItem],
    *,
    scene: Scene,
) -> Step:
    """Level 3: the coordinator reads the dossier and decides on one action of `Review`.

    One that cannot be carried out is guidance; an amendment with which the plan would not be sound is no help.
    """
    people = "\n".join(f"- {m.name}: {m.description}" for m in context.roster.specialists if m.role == "specialist")
    purpose = f"review-{task.id}-{len(dossier.escalations)}"
    known = told_for_call(context, purpose, items)
    done = told_progress(context.ledger, task.id)
    user = context.redact(f"{told_dossier(task, dossier)}{done}{known}\n\nSPECIALISTS:\n{people}")
    step = _record(
        task,
        Level.COORDINATOR_REVIEW,
        dossier.failure,
        asked=COORDINATOR,
        asked_by=author.name,
        question=dossier.failure.summary,
    )
    try:
        review, usage = await ask(context, Inquiry(purpose, coordinator_prompt("review"), user), Review)
    except ModelCallFailed as error:
        return _unhelped(context, step, str(error))
    step = step.model_copy(update={"usage": usage, "answer": review.text})
    if review.action == "escalate":
        return _unhelped(context, step, review.text)
    action: Action = review.action
    if why := unusable(context, review, task, author, failure=dossier.failure, scene=scene):
        action = "guide"
        context.ledger.record(Noticed(text=f"{task.id}: {why}; {author.name} keeps it"))
    changed = amended(review, task, scene)
    if changed is not None and (refused := unsound(context, scene.plan, changed, scene.results)):
        return _unhelped(context, step, f"the amendment is refused, {refused}: {review.text}")
    if action == "guide" and _said(dossier, review.text):
        return _unhelped(context, step, f"said before: {review.text}")
    step = step.model_copy(update={"action": action})
    context.ledger.record(Escalated(escalation=step))
    said, whom = Message(author=COORDINATOR, text=review.text), assignable(context, review, author)
    parts = review.parts if action == "split" else ()
    return Step(step, said, whom, task=changed, parts=parts, minutes=review.minutes if action == "wait" else 0)


def question_for(context: RunContext, task: Task, dossier: Dossier) -> Question:
    """Level 4: the question to the tech lead, with the whole dossier."""
    seed = f"{context.run}/{task.id}/{len(dossier.attempts)}/{len(dossier.escalations)}"
    waivable = bool(dossier.failure.items)
    return Question(
        id=f"q-{hashlib.sha256(seed.encode()).hexdigest()[:8]}",
        run=context.run,
        task=task.id,
        asked_by=COORDINATOR,
        text=context.redact(told_dossier(task, dossier)),
        choices=("guide", *(("waive",) if waivable else ()), "amend", "abandon", "abort"),
        items=dossier.failure.items,
    )


def strategic_escalation(
    context: RunContext, task: Task, dossier: Dossier, question: Question, answer: Answer, *, scene: Scene
) -> Step:
    """Level 4 answered: guidance, a waiver, an amendment, or the end of the task or the run.

    An amendment becomes part of the objective; where the plan would not be sound with it, it is guidance.
    """
    if answer.decision not in ("guide", "waive", "amend", "abandon", "abort"):
        msg = f"{answer.decision} is no answer to a Level 4 question"
        raise ValueError(msg)
    step = _record(
        task,
        Level.STRATEGIC_ESCALATION,
        dossier.failure,
        asked=question.to,
        asked_by=COORDINATOR,
        question=question.text,
    )
    decision, changed = answer.decision, None
    if decision == "amend":
        changed = task.model_copy(update={"objective": f"{task.objective}\n\nAmended by {answer.by}: {answer.text}"})
        if why := unsound(context, scene.plan, changed, scene.results):
            context.ledger.record(Noticed(text=f"{task.id}: what {answer.by} said is guidance, no amendment: {why}"))
            decision, changed = "guide", None
    step = step.model_copy(update={"answer": f"{answer.by}: {answer.text}", "action": decision})
    context.ledger.record(Escalated(escalation=step))
    told = Message(author=answer.by, text=answer.text) if decision in ("guide", "amend") else None
    return Step(step, told, task=changed)


def waivers(failure: Failure, answer: Answer) -> tuple[Waiver, ...]:
    """What an answer of `waive` waives: the items it names, or all that failed."""
    expires = answer.expires.isoformat() if answer.expires else None
    items = answer.items or failure.items
    return tuple(Waiver(item=item, by=answer.by, reason=answer.text, expires=expires) for item in items)


def told_dossier(task: Task, dossier: Dossier) -> str:
    """The dossier as people and models read it."""
    attempts = [
        f"- attempt {a.number} by {a.specialist}: {a.failure.kind}: {a.failure.summary}" for a in dossier.attempts
    ]
    steps = [f"- level {int(s.level)}, {s.asked}: {s.answer or 'no answer'}" for s in dossier.escalations]
    return "\n".join(
        (
            f"TASK {task.id}: {task.title}\n{task.objective}",
            f"\nFAILURE: {dossier.failure.kind}: {dossier.failure.summary}",
            f"\nEVIDENCE:\n{dossier.failure.detail or 'none'}",
            "\nATTEMPTS:",
            *(attempts or ["- none"]),
            "\nESCALATIONS:",
            *(steps or ["- none"]),
        )
    )


def _consultation(task: Task, author: Specialist, dossier: Dossier) -> str:
    about = f"QUESTION from {author.name} about {task.id} ({task.title})"
    return f"{about}\n{rendered(typed_question(task, dossier))}"


def _said(dossier: Dossier, guidance: str) -> bool:
    """Whether the author was told exactly this before: nothing new, so another attempt would be the same one."""
    return guidance in {step.answer for step in dossier.escalations}


def _unhelped(context: RunContext, step: Escalation, why: str) -> Step:
    step = step.model_copy(update={"answer": why})
    context.ledger.record(Escalated(escalation=step))
    return Step(step)


def _record(task: Task, level: Level, failure: Failure, *, asked: str, asked_by: str, question: str) -> Escalation:
    return Escalation(
        task=task.id, level=level, failure=failure.kind, asked=asked, asked_by=asked_by, question=question
    )
