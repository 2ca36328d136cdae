"""A story as lines of text: who was asked what, what was answered, and what came of it."""

from collections.abc import Iterator

from backend_coordinator.cli.progress import line
from backend_coordinator.cli.story import Attempt, Story, Worked, with_outcome
from backend_coordinator.domain import events as e
from backend_coordinator.domain.failure import Escalation
from backend_coordinator.domain.verdict import Outcome

LEVELS = ("self-recovery", "peer consultation", "coordinator review", "strategic escalation")
MOST = 200
"""Characters of a text that is not told in full."""


def told(story: Story, *, full: bool) -> Iterator[str]:
    """The story line by line; long texts are cut unless it is told in full."""
    for at, event in story.moments:
        if not isinstance(event, Worked) and (text := line(event)):
            yield f"{at} {text}"
    for name, task in story.tasks.items():
        needs = f", needs {', '.join(task.outline.needs)}" if task.outline.needs else ""
        commit = f" as {task.commit[:12]}" if task.commit else ""
        reason = f": {_cut(task.reason)}" if task.reason else ""
        yield ""
        yield f"{name} {task.outline.title} ({task.outline.specialist}{needs}): {task.status}{commit}{reason}"
        for index, attempt in enumerate(task.attempts):
            yield f"  attempt {attempt.number} by {attempt.specialist}, {attempt.began}"
            for at, moment, then in with_outcome(task.attempts, index):
                for number, text in enumerate(_lines(moment, then, attempt, full=full)):
                    yield f"    {at[11:] if number == 0 else ' ' * 8} {text}"
    for at, event in story.moments:
        if isinstance(event, e.RunEnded):
            yield f"\n{at} ended: {event.summary}"


def _lines(moment: e.Event | Worked, then: str, attempt: Attempt, *, full: bool) -> list[str]:
    match moment:
        case Worked():
            return [_worked(moment)]
        case e.Delivered():
            decided = [line for d in moment.decisions for line in _text(f"decided, {d.kind}", d.text, full=full)]
            head = _text("delivered", moment.summary, full=full)
            return [*head, *decided, *_text("files", _files(moment), full=full)]
        case e.Inspected():
            return [_inspected(moment, full=full)]
        case e.Failed():
            lines = _text(f"failed, {moment.failure}", moment.summary, full=full)
            return lines + (
                _text("evidence", moment.detail, full=True)
                if full and moment.detail not in ("", moment.summary)
                else []
            )
        case e.Escalated():
            return _escalated(moment.escalation, then, attempt, full=full)
        case e.Asked():
            choices = ", ".join(moment.question.choices)
            about = f"question {moment.question.id} to {moment.question.to} ({choices})"
            return _text(about, moment.question.text, full=full)
        case e.Answered():
            given = moment.answer
            items = f" {', '.join(given.items)}" if given.items else ""
            until = f" until {given.expires}" if given.expires else ""
            return _text(f"{given.by} answered {given.decision}{items}{until}", given.text, full=full)
        case e.Merged():
            return [f"merged as {moment.commit[:12]}"]
        case e.Noticed(text=text) | e.InDoubt(subject=text):
            title = f"in doubt, the process ended while it ran: {moment.tool}" if moment.type == "in_doubt" else "note"
            return _text(title, text, full=full)
        case _:
            return _text(*moment.told, full=full) if isinstance(moment, e.PlanChanged) else []


def _files(event: e.Delivered) -> str:
    paths: dict[str, list[str]] = {}
    for change, path in event.changes:
        paths.setdefault(change, []).append(path)
    return "; ".join(f"{change} {', '.join(changed)}" for change, changed in paths.items()) or "none"


def _worked(worked: Worked) -> str:
    calls = [
        f"{tool} {count}" + (f" ({worked.refused[tool]} refused)" if worked.refused[tool] else "")
        for tool, count in sorted(worked.tools.items())
    ]
    used = worked.usage
    tokens = "tokens unknown" if used.uncounted_calls else f"{used.input_tokens + used.output_tokens} tokens"
    model = f"{used.model_calls} model call{'s' if used.model_calls != 1 else ''}, {tokens}"
    return f"worked: {model}; tools: {', '.join(calls) or 'none'}"


def _inspected(event: e.Inspected, *, full: bool) -> str:
    by_outcome = {each: [item for item, found in event.verdicts if found is each] for each in Outcome}
    passed, failed = by_outcome[Outcome.PASS], by_outcome[Outcome.FAIL]
    which = f" ({', '.join(passed)})" if full and passed else ""
    return f"inspected: {len(passed)} passed{which}, " + (f"{', '.join(failed)} failed" if failed else "none failed")


def _escalated(step: Escalation, then: str, attempt: Attempt, *, full: bool) -> list[str]:
    head = f"level {step.level:d}, {LEVELS[step.level - 1]}, {step.failure}"
    shown = {moment.question.text for _, moment in attempt.moments if isinstance(moment, e.Asked)}
    if step.asked == step.asked_by:
        lines = _text(f"{head}: {step.asked}", step.answer, full=full)
    elif step.question in shown:  # a person was asked this, and the answer stands above
        lines = [f"{head}: {step.asked_by} asked {step.asked} as above"]
    else:
        lines = _text(f"{head}: {step.asked_by} asked {step.asked}", step.question, full=full)
        lines += _text(f"{step.asked} answered", step.answer or "nothing", full=full)
    return [*lines, f"then {then}"]


def _text(title: str, text: str, *, full: bool) -> list[str]:
    """A titled text: one line that is cut, or in full with its own lines below."""
    if not full:
        return [f"{title}: {_cut(text)}" if text.strip() else title]
    first, *rest = text.strip().splitlines() or [""]
    return [f"{title}: {first}" if first else title, *(f"  {each}" for each in rest)]


def _cut(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= MOST else f"{flat[: MOST - 3]}..."
