"""Whether the rest of a run can be carried out with the models that are set now."""

from pathlib import Path

from backend_coordinator.graph.routing import unfinished
from backend_coordinator.graph.state import RunState
from backend_coordinator.nodes.context import RunContext
from backend_coordinator.nodes.limits import demand_limits
from backend_coordinator.nodes.try_models import demand_models, try_models
from backend_coordinator.settings import Settings, load_settings


def with_present_models(recorded: Settings, given: Settings | None, workspace: Path) -> Settings:
    """A run's recorded settings with `model`, `models` and `services` as they are now.

    A person can correct the first two while the run waits; the last, which may hold passwords, are never recorded.

    Raises ConfigurationError where the workspace's settings cannot be read.
    """
    now = given or load_settings(workspace)
    return recorded.model_copy(update={"model": now.model, "models": now.models, "services": now.services})


async def demand_ready(context: RunContext, state: RunState | None) -> None:
    """Raises ModelUnavailable or ConfigurationError, in one line, where models that are still needed cannot be used.

    None are needed where the run has ended, or an answer ended it. Before there is a plan no model is asked.
    """
    aborted = any(question.answer and question.answer.decision == "abort" for question in context.ledger.questions())
    if aborted or (state is not None and (state.ended or state.stopped)):
        return
    demand_models(context.model, context.settings, context.roster)
    demand_limits(context.model, context.settings, context.roster)
    plan = state.plan if state is not None else None
    if state is not None and plan is not None and (left := unfinished(state)):
        await try_models(context, [plan[task].specialist for task in left])
