"""A drafted plan while its rules mend it: the tasks by id, and what the rules look at beside them."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from backend_coordinator.domain.context import ContextKind
from backend_coordinator.domain.objective import Analysis, RepositoryFacts
from backend_coordinator.domain.plan import Task
from backend_coordinator.domain.roster import Roster

DESIGNS: Mapping[str, ContextKind] = {
    "design_contract": ContextKind.API_CONTRACT,
    "design_migration": ContextKind.DATABASE_SCHEMA,
}
"""Steps of design, each with the kind of what comes of it."""


@dataclass
class Draft:
    """What the rules change; `settled` tasks have begun or ended and stay as they are."""

    tasks: dict[str, Task]
    roster: Roster
    analysis: Analysis | None
    facts: RepositoryFacts | None
    settled: frozenset[str]

    def __iter__(self) -> Iterator[Task]:
        """The tasks by id, each as it is by then."""
        for task_id in sorted(self.tasks):
            if task_id in self.tasks:
                yield self.tasks[task_id]

    @property
    def open(self) -> Iterator[Task]:
        """The tasks that may be changed, by id."""
        return (task for task in self if task.id not in self.settled)

    def change(self, task_id: str, **fields: object) -> None:
        """Gives a task other values."""
        self.tasks[task_id] = self.tasks[task_id].model_copy(update=fields)

    def upstream(self, task_id: str) -> set[str]:
        """Ids of all that a task waits for, itself only where it stands in a cycle."""
        found: set[str] = set()
        todo = list(self.tasks[task_id].needs)
        while todo:
            if (current := todo.pop()) not in found and current in self.tasks:
                found.add(current)
                todo += self.tasks[current].needs
        return found

    def free(self) -> str | None:
        """An id that no task has: the next one, then any; None when all are taken."""
        return free_id(self.tasks)

    def member(self, name: str) -> str | None:
        """The name of a member who takes tasks, by any of its names."""
        found = self.roster.get(name) if name in self.roster else None
        return found.name if found and found.role == "specialist" else None


def free_id(taken: Collection[str]) -> str | None:
    """An id that no task has: the next one, then any; None when all are taken."""
    after = max((int(task_id[-3:]) for task_id in taken), default=0) + 1
    return next((i for n in (*range(after, 1000), *range(1, after)) if (i := f"backend-T{n:03d}") not in taken), None)
