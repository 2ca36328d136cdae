"""Tasks and the plan they form: a graph that cannot be built cyclic, dangling or with doubled ids."""

from collections.abc import Mapping
from enum import StrEnum
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from typing import Literal, Self

from pydantic import Field, model_validator

from backend_coordinator.domain.base import Value


class Effort(StrEnum):
    """The size of a task (Cost and effort tagging of the backend engineer)."""

    QUICK = "quick"
    MEDIUM = "medium"
    LARGE = "large"

    @property
    def weight(self) -> float:
        """Relative expected duration, used for scheduling only."""
        return {"quick": 1.0, "medium": 3.0, "large": 8.0}[self.value]

    @property
    def turns(self) -> int:
        """Model turns one attempt may take."""
        return {"quick": 20, "medium": 40, "large": 80}[self.value]


Priority = Literal["low", "normal", "high"]
StepKind = Literal[
    "design_contract", "share_contract", "validate_contract", "integration_test",
    "design_migration", "rollback_script", "rehearsal", "deployment_handover", "rollout_plan", "monitoring",
    "write_code", "write_tests", "document", "security_review", "performance_test",
]  # fmt: skip


class Requirements(Value):
    """Typed requirements of the delegation template."""

    technical: tuple[str, ...] = ()
    security: tuple[str, ...] = ()
    performance: tuple[str, ...] = ()
    scalability: tuple[str, ...] = ()


class Task(Value):
    """One delegated piece of work (Task Delegation Template); `writes` are path globs, `needs` task ids.

    `covers` are the ids of the analysis's answers that it carries out.
    """

    id: str = Field(pattern=r"^backend-T\d{3}$")
    title: str = Field(min_length=1)
    objective: str = Field(min_length=1)
    specialist: str
    needs: tuple[str, ...] = ()
    requirements: Requirements = Requirements()
    acceptance_criteria: tuple[str, ...] = ()
    success_criteria: tuple[str, ...] = ()
    expected_output: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    steps: tuple[StepKind, ...] = ()
    priority: Priority = "normal"
    effort: Effort = Effort.MEDIUM
    service: str | None = None
    covers: tuple[str, ...] = ()


class Amendment(Value):
    """What changes of a task that failed; None leaves it as it is (Coordinator Review)."""

    objective: str | None = Field(None, min_length=1)
    requirements: Requirements | None = None
    acceptance_criteria: tuple[str, ...] | None = None
    expected_output: tuple[str, ...] | None = None
    writes: tuple[str, ...] | None = None
    needs: tuple[str, ...] | None = None

    def of(self, task: Task) -> Task:
        """The task as it is with the change."""
        given = {name: value for name, value in self if value is not None}
        return task.model_copy(update=given)


class Part(Value):
    """One of the tasks that a task is split into; what is None is as in the whole.

    `after` are the numbers, from 1, of earlier parts that it needs.
    """

    title: str = Field(min_length=1)
    objective: str = Field(min_length=1)
    specialist: str | None = None
    after: tuple[int, ...] = ()
    acceptance_criteria: tuple[str, ...] | None = None
    expected_output: tuple[str, ...] | None = None
    writes: tuple[str, ...] | None = None
    steps: tuple[StepKind, ...] | None = None
    effort: Effort | None = None


class Changed(Value):
    """One field of a task before and after a change of the plan, as text."""

    task: str
    field: str
    before: str
    after: str


class Finding(Value):
    """What the compiler found in a drafted plan; `task` is None where it concerns the plan as a whole.

    `repair` says what was changed because of it; without one a draft with this finding is refused, unless it is only a
    `remark`.
    """

    rule: str
    task: str | None = None
    reason: str
    repair: str | None = None
    remark: bool = False

    def __str__(self) -> str:
        told = f"{self.task}: {self.reason}" if self.task else self.reason
        return f"{told}: {self.repair}" if self.repair else told


class Plan(Value):
    """A directed acyclic graph of tasks, kept in a topological order that does not depend on the input's.

    Raises pydantic's ValidationError (a ValueError) for a doubled id, a need nobody has, or a cycle.
    """

    tasks: tuple[Task, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _check_and_order(self) -> Self:
        ids = [task.id for task in self.tasks]
        if doubled := sorted({i for i in ids if ids.count(i) > 1}):
            msg = f"doubled task ids: {', '.join(doubled)}"
            raise ValueError(msg)
        for task in self.tasks:
            if strangers := sorted(set(task.needs) - set(ids)):
                msg = f"{task.id} needs {', '.join(strangers)}, which the plan does not have"
                raise ValueError(msg)
        object.__setattr__(self, "tasks", tuple(t for group in _layers(self.tasks) for t in group))
        return self

    def __getitem__(self, task_id: str) -> Task:
        return self.by_id[task_id]

    @cached_property
    def by_id(self) -> Mapping[str, Task]:
        """Tasks by id."""
        return {task.id: task for task in self.tasks}

    @cached_property
    def groups(self) -> tuple[tuple[str, ...], ...]:
        """Parallel groups: each holds the ids whose needs all lie in earlier groups."""
        return tuple(tuple(task.id for task in group) for group in _layers(self.tasks))

    @cached_property
    def blocks(self) -> Mapping[str, tuple[str, ...]]:
        """For each id the tasks that wait for it."""
        return {t.id: tuple(o.id for o in self.tasks if t.id in o.needs) for t in self.tasks}

    @cached_property
    def ranks(self) -> Mapping[str, float]:
        """Weight of the longest way from each task to the end, itself included: what to start first."""
        ranks: dict[str, float] = {}
        for task in reversed(self.tasks):
            ranks[task.id] = task.effort.weight + max((ranks[i] for i in self.blocks[task.id]), default=0.0)
        return ranks

    @cached_property
    def critical_path(self) -> tuple[str, ...]:
        """The ids of the longest way by effort, in order."""
        path: list[str] = []
        todo: tuple[str, ...] = tuple(task.id for task in self.tasks)
        while todo:
            path.append(max(sorted(todo), key=self.ranks.__getitem__))
            todo = self.blocks[path[-1]]
        return tuple(path)

    def ready(self, done: frozenset[str]) -> tuple[str, ...]:
        """Ids not in `done` whose needs all are."""
        return tuple(t.id for t in self.tasks if t.id not in done and done.issuperset(t.needs))


def _layers(tasks: tuple[Task, ...]) -> tuple[tuple[Task, ...], ...]:
    by_id = {task.id: task for task in tasks}
    sorter = TopologicalSorter({task.id: task.needs for task in tasks})
    try:
        sorter.prepare()
    except CycleError as error:
        msg = f"the tasks form a cycle: {' -> '.join(error.args[1])}"
        raise ValueError(msg) from error
    layers = []
    while sorter.is_active():
        ids = sorted(sorter.get_ready())
        layers.append(tuple(by_id[i] for i in ids))
        sorter.done(*ids)
    return tuple(layers)
