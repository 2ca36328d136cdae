"""A run on its way as one changing display."""

import sys
from typing import TYPE_CHECKING
from uuid import uuid4

from backend_coordinator.cli.output import columns
from backend_coordinator.cli.progress import follow, line
from backend_coordinator.display.markup import Shown, chip, rows, tag
from backend_coordinator.domain import events as e

if TYPE_CHECKING:
    from backend_coordinator.graph.coordinator import Run

_MOST_NOTES = 6


def progress(run: "Run") -> None:
    """Follows a run until it has ended or only waits: one display in a notebook, lines anywhere else.

    Interrupting it leaves the run going.
    """
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    if shell is None or getattr(shell, "kernel", None) is None:
        follow(run.events(), quiet=False)
        return
    board = Board()
    place = {"display_id": uuid4().hex}
    for number, event in enumerate(run.events()):
        board.take(event)
        shown = board.shown()
        data = {"text/plain": shown.text, "text/html": shown._repr_html_()}
        shell.display_pub.publish(data, transient=place, update=number > 0)


class Board:
    """How far each task is, and what was said last."""

    def __init__(self) -> None:
        self.tasks: dict[str, list[str]] = {}
        self.notes: list[str] = []

    def take(self, event: e.Event) -> None:
        """Notes what an event changes."""
        match event:
            case e.PlanMade():
                for each in event.outline:
                    self.tasks.setdefault(each.task, [each.specialist, "waits", "", each.title])
            case e.TaskStarted():
                self.tasks[event.task] = [event.specialist, f"attempt {event.attempt}", "", event.title]
            case e.ToolCalled() if event.task in self.tasks:
                self.tasks[event.task][2] = f"{event.tool} {event.subject}"
            case e.Delivered() if event.task in self.tasks:
                self.tasks[event.task][1:3] = ["in inspection", f"{event.artifacts} files"]
            case e.TaskEnded() if event.task in self.tasks:
                self.tasks[event.task][1:3] = [event.status.replace("_", " "), event.reason]
            case e.RunEnded():
                self.notes.append(event.summary)
            case e.Asked():
                question = event.question
                self.notes.append(f"{question.id} to {question.to}: {question.text.splitlines()[0]}")
            case e.Answered() | e.Failed() | e.Escalated() | e.Noticed() | e.InDoubt():
                self.notes.append(line(event) or "")

    def shown(self) -> Shown:
        """The board as it stands."""
        cells = [(task, *rest) for task, rest in self.tasks.items()]
        notes = self.notes[-_MOST_NOTES:]
        told = [(task, who, chip(state, state), now, what) for task, who, state, now, what in cells]
        grid = rows(told, "task", "specialist", "state", "now", "what")
        return Shown("\n".join((columns(cells) if cells else "", *notes)), grid, *(tag("p", note) for note in notes))
