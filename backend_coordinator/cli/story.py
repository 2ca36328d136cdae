"""A run as a story: each task's attempts in order, with what happened in them and what each escalation changed."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from backend_coordinator.domain import events as e
from backend_coordinator.domain.failure import Escalation
from backend_coordinator.domain.usage import Usage

_TASK = re.compile(r"backend-T\d{3}(?=:)")
_NEXT = {"retry": "with the exact finding", "guide": "with this answer", "reassign": "on a fresh checkout"}
_NEXT |= {"amend": "with the task as amended", "wait": "when the time was over"}
_ENDS = {
    "install": "the delivery is inspected again",
    "waive": "what was waived may stand",
    "split": "its parts take its place",
    "give_up": "the task ends here",
    "abandon": "the task ends here",
    "abort": "the run ends here",
}


@dataclass
class Worked:
    """What a specialist did between two other events; `tools` and `refused` count its calls by name."""

    usage: Usage = field(default_factory=Usage)
    tools: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)


Moment = tuple[str, e.Event | Worked]
"""Something with the UTC second in which it began."""


@dataclass
class Attempt:
    """One attempt, and all that happened until the next one began."""

    number: int
    specialist: str
    began: str
    moments: list[Moment] = field(default_factory=list)


@dataclass
class TaskStory:
    """One task; `status` says how it ended, or how far it is."""

    outline: e.Outline
    attempts: list[Attempt] = field(default_factory=list)
    status: str = "not begun"
    reason: str = ""
    commit: str = ""
    resumed: bool = False
    """Whether the run was taken up since its last event: what was under way is then told once more."""


@dataclass
class Story:
    """A run: its tasks in the order of the plan, and what belongs to none of them."""

    tasks: dict[str, TaskStory] = field(default_factory=dict)
    moments: list[Moment] = field(default_factory=list)


def story_of(dated: Iterable[tuple[str, e.Event]]) -> Story:
    """The story that a ledger's events make, whether the run has ended or not."""
    story = Story()
    asked: dict[str, str] = {}
    for at, event in dated:
        if isinstance(event, e.Asked):
            asked[event.question.id] = event.question.task or ""
        task = story.tasks.get(_task_of(event, asked))
        if task is not None:
            _add(task, at, event)
        elif not isinstance(event, e.ModelCalled):  # the coordinator's own calls are counted in its escalations
            story.moments.append((at, event))
        if isinstance(event, e.PlanMade):
            known = {outline.task: outline for outline in event.outline}
            for name in event.tasks:
                outline = known.get(name, e.Outline(task=name, title="", specialist="unknown"))
                story.tasks.setdefault(name, TaskStory(outline))
        if isinstance(event, e.RunResumed):
            for each in story.tasks.values():
                each.resumed = True
    return story


def _task_of(event: e.Event, asked: Mapping[str, str]) -> str:
    match event:
        case e.Escalated():
            return event.escalation.task
        case e.Asked() | e.Answered():
            return asked.get(event.question if isinstance(event, e.Answered) else event.question.id, "")
        case e.ModelCalled():
            return event.purpose
        case e.Noticed():
            found = _TASK.match(event.text)
            return found[0] if found else ""
        case _:
            return str(getattr(event, "task", ""))


def _add(task: TaskStory, at: str, event: e.Event) -> None:
    attempt = task.attempts[-1] if task.attempts else None
    if isinstance(event, e.TaskEnded):
        task.status, task.reason = event.status.replace("_", " "), event.reason
    elif isinstance(event, e.TaskStarted):
        if attempt is None or attempt.number != event.attempt:
            task.attempts.append(Attempt(event.attempt, event.specialist, at))
        task.status = f"in attempt {event.attempt}"
    elif attempt is not None and isinstance(event, e.ModelCalled | e.ToolCalled):
        _count(attempt, at, event)
    elif attempt is not None and not (task.resumed and event in [told for _, told in attempt.moments]):
        task.resumed = False
        attempt.moments.append((at, event))
        if isinstance(event, e.Merged):
            task.commit = event.commit
        elif isinstance(event, e.Asked):
            task.status = f"waits for {event.question.id}"
        elif isinstance(event, e.Answered):
            task.status = f"in attempt {attempt.number}"


def _count(attempt: Attempt, at: str, event: e.ModelCalled | e.ToolCalled) -> None:
    if not attempt.moments or not isinstance(attempt.moments[-1][1], Worked):
        attempt.moments.append((at, Worked()))
    worked = attempt.moments[-1][1]
    assert isinstance(worked, Worked)
    if isinstance(event, e.ModelCalled):
        worked.usage += event.usage
    else:
        worked.tools[event.tool] += 1
        worked.refused[event.tool] += not event.ok


def told_as_json(story: Story) -> list[dict[str, object]]:
    """The tasks of a story; an escalation's `then` is what it changed."""
    return [
        {
            "id": name,
            **task.outline.model_dump(mode="json", exclude={"task"}),
            "status": task.status,
            "reason": task.reason,
            "commit": task.commit,
            "attempts": [
                {
                    "number": attempt.number,
                    "specialist": attempt.specialist,
                    "began": attempt.began,
                    "moments": [
                        {"at": at, **_dumped(moment), **({"then": then} if then else {})}
                        for at, moment, then in with_outcome(task.attempts, index)
                    ],
                }
                for index, attempt in enumerate(task.attempts)
            ],
        }
        for name, task in story.tasks.items()
    ]


def _dumped(moment: e.Event | Worked) -> dict[str, object]:
    if not isinstance(moment, Worked):
        return moment.model_dump(mode="json", exclude={"version"})
    counts = {"tools": dict(moment.tools), "refused": dict(+moment.refused)}
    used = moment.usage
    tokens = None if used.uncounted_calls else used.input_tokens + used.output_tokens
    return {"type": "worked", "model_calls": used.model_calls, "tokens": tokens, **counts}


def with_outcome(attempts: Sequence[Attempt], index: int) -> Iterator[tuple[str, e.Event | Worked, str]]:
    """An attempt's moments, escalations with what each changed."""
    for at, moment in attempts[index].moments:
        then = ""
        if isinstance(moment, e.Escalated):
            then = _then(moment.escalation, attempts[index + 1] if index + 1 < len(attempts) else None)
        yield at, moment, then


def _then(step: Escalation, following: Attempt | None) -> str:
    if step.action is None:
        return "no help, the failure climbs on"
    if step.action in _NEXT:
        who = f"attempt {following.number} by {following.specialist}" if following else "another attempt, not begun,"
        return f"{step.action}: {who} {_NEXT[step.action]}"
    return f"{step.action.replace('_', ' ')}: {_ENDS[step.action]}"
