"""Where one attempt works: its tree, its rules, and what it has read so far."""

import hashlib
import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from backend_coordinator.domain.context import ContextItem
from backend_coordinator.domain.plan import Task
from backend_coordinator.domain.question import Answer, Choice, Question
from backend_coordinator.domain.roster import Specialist
from backend_coordinator.nodes.context import RunContext
from backend_coordinator.nodes.tools.beneath import SKIPPED_FOLDERS

MOST_OUTPUT = 30_000
"""Characters of one tool result, where the model's window does not ask for less."""


class ToolRefused(Exception):
    """A tool that did not do what was asked; the text is for the model, and names the way out."""


class NeedsConsent(Exception):
    """A tool call that waits for a person's word; raised before anything was done."""

    def __init__(self, question: Question) -> None:
        self.question = question
        super().__init__(question.text)


def _no_effect() -> None: ...


def _no() -> bool:
    return False


def _plain(member: Specialist) -> Callable[[str], str]:
    return str


@dataclass(frozen=True)
class Bench:
    """One attempt's place of work; a tool calls `begin` right before an effect that must not be repeated."""

    tree: Path
    task: Task
    specialist: Specialist
    context: RunContext
    attempt: int
    call: str = ""
    most: int = MOST_OUTPUT
    """Characters of one result in the conversation; what is longer is kept beside it."""
    began: float = field(default_factory=time.monotonic)
    """When the task's work would have begun had it been done in one go, on the monotonic clock."""
    aborted: Callable[[], bool] = _no
    screen: Callable[[str], str] = str
    """What every result goes through: it leaves out what is withheld from the specialist."""
    before: Callable[[Specialist], Callable[[str], str]] = _plain
    """The screen before another member who is asked about the task."""
    known: Sequence[ContextItem] = ()
    """What may be told of the run to whoever sees its kind."""
    begin: Callable[[], None] = _no_effect
    seen: dict[str, str] = field(default_factory=dict)
    """Digest of each file as it was last read or written, by path."""

    def state(self) -> frozenset[tuple[str | int, ...]]:
        """What tells one state of the tree from another: its files with mode, size and time of change."""
        found: set[tuple[str | int, ...]] = set()
        for parent, folders, names in os.walk(self.tree):
            folders[:] = [name for name in folders if name not in SKIPPED_FOLDERS]
            found.add((parent,))
            for path in (os.path.join(parent, name) for name in names):
                with suppress(OSError):
                    known = os.lstat(path)
                    found.add((path, known.st_mode, known.st_size, known.st_mtime_ns))
        return frozenset(found)

    def seconds(self) -> float:
        """Wall time this task has been worked on, waiting for people and for its turn left out."""
        return time.monotonic() - self.began

    def consent(self, request: str, *more: Choice) -> Answer:
        """A person's word on what no rule allows by itself; a refusal where the run asks nobody.

        `more` are choices besides once and no. Raises NeedsConsent while the answer is open.
        """
        if self.context.settings.approval.tools == "deny":
            return Answer(decision="reject", text="Nobody is asked in this run; find another way.", by="policy")
        seed = f"{self.context.run}/{self.task.id}/{self.attempt}/{self.call}/{request}"
        question = Question(
            id=f"q-{hashlib.sha256(seed.encode()).hexdigest()[:8]}",
            run=self.context.run,
            task=self.task.id,
            asked_by=self.specialist.name,
            to="user",
            text=self.context.redact(f"{self.specialist.name} asks: {request}"),
            choices=("approve", *more, "reject"),
        )
        for known in self.context.ledger.questions():
            holds = known.text == question.text and known.answer and known.answer.decision == "approve_run"
            if known.answer is not None and (holds or known.id == question.id):
                return known.answer
        raise NeedsConsent(question)
