"""Where one attempt works: its tree, its rules, and what it has read so far."""

import hashlib
import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from backend_coordinator.domain.plan import Task
from backend_coordinator.domain.question import Answer, Question
from backend_coordinator.domain.roster import Specialist
from backend_coordinator.nodes.context import RunContext
from backend_coordinator.nodes.kinds import kind_of, rule_for, sees_path
from backend_coordinator.nodes.tools.paths import PathRefused, inside

MOST_OUTPUT = 30_000
"""Characters of one tool result, where the model's window does not ask for less."""

SKIPPED_FOLDERS = frozenset({".git", ".backend-coordinator", "__pycache__", "node_modules", ".venv", ".pytest_cache"})


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
    begin: Callable[[], None] = _no_effect
    seen: dict[str, str] = field(default_factory=dict)
    """Digest of each file as it was last read or written, by path."""

    def place(self, path: str) -> Path:
        """The absolute place of a path this attempt may see.

        Raises ToolRefused with the rule otherwise.
        """
        try:
            place = inside(self.tree, path)
        except PathRefused as error:
            raise ToolRefused(str(error)) from error
        relative = place.relative_to(self.tree).as_posix()
        if not place.is_dir() and not sees_path(self.specialist, self.task, relative):
            raise ToolRefused(f"{relative} is withheld: {rule_for(self.specialist, kind_of(relative))[1]}")
        return place

    def files(self, folder: str = ".") -> list[str]:
        """Posix paths of all files below a folder that this attempt sees, sorted."""
        start = self.place(folder)
        found: list[str] = []
        for parent, folders, names in os.walk(start):
            folders[:] = sorted(name for name in folders if name not in SKIPPED_FOLDERS)
            found += [Path(parent, name).relative_to(self.tree).as_posix() for name in names]
        return sorted(path for path in found if sees_path(self.specialist, self.task, path))

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

    def consent(self, request: str) -> Answer:
        """A person's word on what no rule allows by itself; a refusal where the run asks nobody.

        Raises NeedsConsent while the answer is open.
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
            text=f"{self.specialist.name} asks: {request}",
            choices=("approve", "reject"),
        )
        for known in self.context.ledger.questions():
            if known.id == question.id and known.answer is not None:
                return known.answer
        raise NeedsConsent(question)
