"""Progress reports: what each attempt came to, computed from a run's events and never from a specialist's words."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from backend_coordinator.domain import events as e
from backend_coordinator.domain.failure import Level
from backend_coordinator.domain.report import Progress
from backend_coordinator.domain.verdict import Outcome
from backend_coordinator.nodes.ledger import Ledger

_WRITING, _RUNNING = frozenset({"write", "edit"}), frozenset({"bash", "check"})
MOST = 20
"""Files and commands that one report names."""


@dataclass
class _Attempt:
    """What the events said of one attempt so far."""

    task: str
    number: int
    specialist: str
    progress: str = "working, nothing handed in"
    next: str = "hand the work in"
    changed: dict[str, None] = field(default_factory=dict)
    ran: dict[str, None] = field(default_factory=dict)
    blockers: dict[str, None] = field(default_factory=dict)
    help: dict[str, str] = field(default_factory=dict)
    claims: tuple[int, int] | None = None

    def take(self, event: e.Event) -> None:
        match event:
            case e.ToolCalled(ok=True) if event.tool in _WRITING:
                self.changed[f"changed {event.subject}"] = None
            case e.ToolCalled(ok=True) if event.tool in _RUNNING:
                self.ran[f"ran {event.subject or event.tool}"] = None
            case e.Delivered():
                self.changed = dict.fromkeys(f"{change} {path}" for change, path in event.changes)
                self.claims = (event.claimed, event.criteria)
                self.progress, self.next = "handed in, not inspected", "inspection"
            case e.Inspected():
                failed = [item for item, outcome in event.verdicts if outcome is Outcome.FAIL]
                passed = sum(outcome is Outcome.PASS for _, outcome in event.verdicts)
                told = f"{', '.join(failed)} failed" if failed else "none failed"
                self.progress, self.next = f"inspected: {passed} items passed, {told}", "merge"
            case e.Failed():
                self.blockers[f"{event.failure}: {event.summary}"] = None
                self.next = "the ladder"
            case e.Escalated(escalation=step):
                self.next = f"{step.action}, said by {step.asked}" if step.action else "the failure climbs on"
                if step.level > Level.SELF_RECOVERY:
                    self.help[step.asked] = f"level {int(step.level)}: {step.asked} was asked"
            case _:
                self._end(event)

    def _end(self, event: e.Event) -> None:
        match event:
            case e.Asked(question=question):
                self.help[question.id] = f"an answer of {question.to} to {question.id}"
            case e.Answered():
                self.help.pop(event.question, None)
            case e.Merged():
                self.progress, self.next = "merged", ""
            case e.TaskEnded() if event.status != "merged":
                self.progress, self.next = f"{self.progress}; {event.status.replace('_', ' ')}", ""
            case _:
                pass

    def report(self) -> Progress:
        done = (*self.changed, *self.ran)
        more = (f"and {len(done) - MOST} more",) if len(done) > MOST else ()
        return Progress(
            task=self.task,
            attempt=self.number,
            specialist=self.specialist,
            progress=self.progress,
            claimed=self.claims[0] if self.claims else None,
            criteria=self.claims[1] if self.claims else None,
            completed=(*done[:MOST], *more),
            blockers=tuple(self.blockers),
            next=self.next,
            help_needed=tuple(self.help.values()),
        )


def progress_of(events: Iterable[e.Event]) -> tuple[Progress, ...]:
    """One report for each attempt, in the order in which they began (the backend engineer's Progress Reporting)."""
    found: dict[tuple[str, int], _Attempt] = {}
    present: dict[str, _Attempt] = {}
    asked: dict[str, str] = {}
    for event in events:
        if isinstance(event, e.TaskStarted):
            fresh = _Attempt(event.task, event.attempt, event.specialist)
            present[event.task] = found.setdefault((event.task, event.attempt), fresh)
        if isinstance(event, e.Asked):
            asked[event.question.id] = event.question.task or ""
        if (attempt := present.get(_task_of(event, asked))) is not None:
            attempt.take(event)
    return tuple(attempt.report() for attempt in found.values())


def _task_of(event: e.Event, asked: dict[str, str]) -> str:
    match event:
        case e.Escalated(escalation=step):
            return step.task
        case e.Asked(question=question):
            return question.task or ""
        case e.Answered():
            return asked.get(event.question, "")
        case _:
            return str(getattr(event, "task", ""))


def unfinished(reports: Sequence[Progress]) -> tuple[Progress, ...]:
    """The newest report of each task that is not merged."""
    newest = {each.task: each for each in reports}
    return tuple(each for each in newest.values() if each.progress != "merged")


def told_progress(ledger: Ledger, task: str) -> str:
    """The newest report of a task as a section for who reads its dossier; empty before its first attempt."""
    reports = [each for each in progress_of(event for _, event in ledger.events()) if each.task == task]
    return f"\n\nPROGRESS:\n{in_words(reports[-1])}" if reports else ""


def in_words(report: Progress) -> str:
    """The report in six lines; what there is none of is left out."""
    return "\n".join(_lines(report))


def _lines(report: Progress) -> Iterator[str]:
    said = "" if report.criteria is None else f"; {report.claimed} of {report.criteria} criteria said to be met"
    yield f"Task: {report.task}, attempt {report.attempt} by {report.specialist}"
    yield f"Progress: {report.progress}{said}"
    for name in ("completed", "blockers", "help_needed"):
        if told := getattr(report, name):
            yield f"{name.replace('_', ' ').capitalize()}: {'; '.join(told)}"
    if report.next:
        yield f"Next: {report.next}"
