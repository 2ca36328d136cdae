"""Every branch of both graphs: small functions from a state to the name of the next step."""

from typing import Literal

from langgraph.graph import END
from langgraph.types import Send

from backend_coordinator.domain.failure import LevelBudget
from backend_coordinator.graph.state import Job, RunState, TaskState
from backend_coordinator.nodes.ladder import next_level

MOST_ROUNDS = 3
"""How often tasks may be added to a running plan."""

Rung = Literal["level_1", "level_2", "level_3", "level_4", "give_up"]
RUNGS: tuple[Rung, ...] = ("level_1", "level_2", "level_3", "level_4")


def unfinished(state: RunState) -> list[str]:
    """Ids of planned tasks without a result, in topological order."""
    return [] if state.plan is None else [task.id for task in state.plan.tasks if task.id not in state.results]


def after_approval(state: RunState) -> Literal["dispatch", "report"]:
    """A plan that was turned down goes straight to the report."""
    return "report" if state.stopped else "dispatch"


def fan_out(state: RunState) -> list[Send] | Literal["review"]:
    """Sends every unfinished task at once, in topological order; each waits at the conductor for its turn."""
    assert state.plan is not None
    return [Send(state.plan[task].specialist, Job(task=task)) for task in unfinished(state)] or "review"


def after_review(state: RunState) -> Literal["consent", "dispatch", "integrate"]:
    """Back to dispatch when the review added tasks; a person is asked where its model cannot be used."""
    if state.question is not None:
        return "consent"
    return "dispatch" if unfinished(state) and not state.stopped else "integrate"


def climb(state: TaskState, budget: LevelBudget) -> Rung:
    """The rung that the present failure takes, or giving up when all its budgets are spent or the run is over."""
    assert state.failure is not None
    if state.ending is not None:
        return "give_up"
    level = next_level(state.failure, state.escalations, budget)
    return RUNGS[level - 1] if level else "give_up"


def after_work(state: TaskState) -> Literal["consent", "inspect", "ladder"]:
    """A person is asked, or work was submitted, or the attempt failed."""
    if state.question is not None:
        return "consent"
    return "inspect" if state.failure is None else "ladder"


def after_inspection(state: TaskState) -> Literal["approve", "ladder"]:
    """What passed goes on to the branch."""
    return "approve" if state.failure is None else "ladder"


def after_rung(state: TaskState) -> str:
    """Another attempt or inspection, a merge under a waiver, the end, or the next rung when this one was no help.

    Where a person is asked about the model first, no rung was taken.
    """
    if state.question is not None:
        return "consent"
    action = state.escalations[-1].action
    if action is None:
        return "ladder"
    if action == "install":
        return "inspect"
    if action == "waive":
        return "approve" if state.failure is None else "ladder"
    if action == "wait":
        return "wait"
    return "give_up" if action in ("split", "give_up", "abandon", "abort") else "brief"


def after_consent(state: TaskState) -> str:
    """Back to where the question came from: the attempt, or the ladder that chooses the same rung again."""
    if state.ending is not None:
        return END
    return "work" if state.failure is None else "ladder"
