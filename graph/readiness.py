"""Whether the rest of a run can be carried out with the models that are set now."""

from pathlib import Path

from backend_coordinator.domain.question import Answer
from backend_coordinator.graph.routing import unfinished
from backend_coordinator.graph.state import RunState
from backend_coordinator.nodes.context import RunContext
from backend_coordinator.nodes.ledger import Ledger
from backend_coordinator.nodes.limits import demand_limits
from backend_coordinator.nodes.try_models import demand_models, try_models
from backend_coordinator.settings import Preset, Settings, load_settings, with_approval


def with_present_models(recorded: Settings, given: Settings | None, workspace: Path) -> Settings:
    """A run's recorded settings with `model`, `models` and `services` as they are now.

    A person can correct the first two while the run waits; the last, which may hold passwords, are never recorded.

    Raises ConfigurationError where the workspace's settings cannot be read.
    """
    now = given or load_settings(workspace)
    return recorded.model_copy(update={"model": now.model, "models": now.models, "services": now.services})


def set_preset(ledger: Ledger, preset: Preset) -> None:
    """Gives a run that has not ended another preset of the approval policy, and with it somebody who can be asked.

    Questions about subjects that go ahead by themselves then are closed: nothing waits for them any more.
    """
    recorded = Settings.model_validate_json(ledger.noted("settings") or "{}")
    settings = with_approval(recorded, preset, unattended=False)
    ledger.note("settings", settings.model_dump_json(exclude={"services"}))
    free = Answer(decision="approve", text=f"approval is {preset} now", by="approval policy")
    for question in ledger.open_questions():
        if question.subjects and all(settings.approval.policy(each) == "auto" for each in question.subjects):
            ledger.close(question.id, free)


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
