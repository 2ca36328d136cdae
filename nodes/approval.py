"""The approval policy on a delivery: what it touches, what is asked, and what a refusal tells its author."""

import hashlib
import json
from collections.abc import Mapping
from typing import get_args

from backend_coordinator.domain.delivery import Delivery
from backend_coordinator.domain.events import Noticed
from backend_coordinator.domain.failure import Failure, FailureClass
from backend_coordinator.domain.plan import Plan, Task
from backend_coordinator.domain.question import Answer, Question, Subject
from backend_coordinator.nodes import dependencies
from backend_coordinator.nodes.context import RunContext
from backend_coordinator.nodes.gates.checks.versioning import broken_between
from backend_coordinator.nodes.gates.shared import sharing
from backend_coordinator.nodes.ledger import Ledger
from backend_coordinator.nodes.stopping import in_thread
from backend_coordinator.nodes.subjects import Touched, in_diff, in_plan

MOST_REASONS = 10
MOST_STAT = 3_000
_REFUSED = "refused subjects"
Found = Mapping[Subject, Touched]
"""What speaks for each subject that the policy does not let go ahead."""


async def touched(context: RunContext, base: str, delivery: Delivery, added: Mapping[str, str]) -> Found:
    """The subjects of a delivery on which the policy has a say, `added` being new dependencies nobody agreed to."""
    guarded = {subject for subject in get_args(Subject) if context.settings.approval.policy(subject) != "auto"}
    found: dict[Subject, Touched] = {}
    if guarded - {"plan", "dependencies"} and delivery.artifacts:
        before = await in_thread(context.repository.tree, base)
        after = await in_thread(context.repository.tree, delivery.commit)
        changed = [artifact.path for artifact in delivery.artifacts]
        found.update(await in_thread(in_diff, before, after, changed, context.settings.paths))
        if "breaking_changes" in guarded:
            environment = await context.environment(after.path)
            async with sharing(context.verdicts.memory):
                broken = await broken_between(before, after, environment)
            found["breaking_changes"] = {
                line: next((path for path in changed if line.startswith(path)), ".") for line in broken
            }
    found["dependencies"] = dict.fromkeys(added.values(), "")
    return {subject: found[subject] for subject in get_args(Subject) if subject in guarded and found.get(subject)}


def undecided(context: RunContext, delivery: Delivery, found: Found) -> Found:
    """What nobody agreed to yet: for the rest of the run, or as it stands now in the files of the subject."""
    ledger = context.ledger
    given = [
        question.id for question in ledger.questions() if question.answer and question.answer.decision == "approve"
    ]
    agreed = {state for name in given for state in (ledger.noted(f"covers {name}") or "").splitlines()}
    return {
        subject: reasons
        for subject, reasons in found.items()
        if subject not in ledger.freed() and _state(delivery, subject, reasons) not in agreed
    }


def question_about(
    context: RunContext, task: Task, base: str, delivery: Delivery, found: Found, *, added: Mapping[str, str]
) -> Question | None:
    """The one question about a delivery, the same for the same work; what its answer will cover is noted with it."""
    if set(found) <= {"dependencies"}:
        return dependencies.question_about(context, task, tuple(added), delivery.summary)
    subjects = tuple(found)
    states = "\n".join(_state(delivery, subject, found[subject]) for subject in subjects)
    seed = f"{context.run}/approval/{states}"
    name = f"q-{hashlib.sha256(seed.encode()).hexdigest()[:8]}"
    context.ledger.note(f"covers {name}", states)
    stat = context.repository.git.run("diff", "--no-ext-diff", "--stat=100", base, delivery.commit)[:MOST_STAT]
    lines = [f"- {subject}: {_told(found[subject])}" for subject in subjects]
    text = "\n".join(
        (f"{task.id} ({task.title}) touches what needs your approval:", *lines, f"Why: {delivery.summary}")
    )
    return Question(
        id=name,
        run=context.run,
        task=task.id,
        asked_by="backend-coordinator",
        to="user",
        text=context.redact(f"{text}\n{stat.rstrip()}"),
        choices=("approve", "approve_run", "reject"),
        items=tuple(added) if "dependencies" in found else (),
        subjects=subjects,
    )


def refusal(context: RunContext, task: Task, found: Found) -> Failure | None:
    """The failure of a delivery that touches what the policy refuses without asking anybody; it is noted."""
    refused = {subject: why for subject in found if (why := context.settings.approval.refuses(subject))}
    if not refused:
        return None
    note_refused(context, refused, task.id)
    return _failure(found, refused)


def rejected(found: Found, answer: Answer) -> Failure:
    """The failure of a delivery that a person turned down, with the remark for its author."""
    return _failure(found, dict.fromkeys(found, f"{answer.by} said no. {answer.text}".strip()))


def note_refused(context: RunContext, refused: Mapping[Subject, str], task: str = "") -> None:
    """Keeps that the policy refused these subjects, and tells it once for each task with the setting."""
    known = (context.ledger.noted(_REFUSED) or "").splitlines()
    for subject, why in refused.items():
        if (line := f"{subject} {task}".strip()) not in known:
            known.append(line)
            context.ledger.record(Noticed(text=f"{task}: {subject} refused: {why}" if task else f"{subject}: {why}"))
    context.ledger.note(_REFUSED, "\n".join(known))


def refused_subjects(ledger: Ledger) -> tuple[str, ...]:
    """The subjects that the policy refused in a run."""
    return tuple(dict.fromkeys(line.partition(" ")[0] for line in (ledger.noted(_REFUSED) or "").splitlines()))


def plan_question(context: RunContext, plan: Plan) -> Question:
    """Whether a plan may be carried out, with the subjects that its tasks say they will touch."""
    lines = [f"{task.id} {task.title} ({task.specialist})" for task in plan.tasks]
    if will := in_plan(plan.tasks, context.settings.paths):
        lines.append("will touch: " + ", ".join(f"{subject} ({', '.join(ids)})" for subject, ids in will.items()))
    return Question(
        id=f"q-{hashlib.sha256(f'{context.run}/plan'.encode()).hexdigest()[:8]}",
        run=context.run,
        asked_by="backend-coordinator",
        to="user",
        text="Approve this plan?\n" + "\n".join(lines),
        choices=("approve", "reject"),
        subjects=("plan",),
    )


def _state(delivery: Delivery, subject: Subject, reasons: Touched) -> str:
    """What tells the work on a subject from other work: the task, and what speaks for it in files as they are."""
    states = [(each.path, each.change, each.sha256) for each in delivery.artifacts]
    seen = [(why, [state for state in states if _below(state[0], place)]) for why, place in sorted(reasons.items())]
    return f"{delivery.task} {subject} {hashlib.sha256(json.dumps(seen).encode()).hexdigest()[:16]}"


def _below(path: str, place: str) -> bool:
    return place in (".", path) or path.startswith(f"{place}/")


def _told(reasons: Touched) -> str:
    shown = list(reasons)[:MOST_REASONS]
    return "; ".join(shown) + (f" and {len(reasons) - len(shown)} more" if len(reasons) > len(shown) else "")


def _failure(found: Found, refused: Mapping[Subject, str]) -> Failure:
    if set(refused) == {"dependencies"}:
        return dependencies.refused_lines({line: line for line in found["dependencies"]}, refused["dependencies"])
    lines = [f"{subject} is not approved ({why}): {_told(found[subject])}" for subject, why in refused.items()]
    advice = "Do without these changes, or change them as the remark says; leave the rest of your work as it is."
    text = "\n".join(lines)
    return Failure(kind=FailureClass.GATE_FAILURE, summary=text[:500], detail=f"{text}\n{advice}")
