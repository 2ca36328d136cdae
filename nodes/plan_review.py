"""Level 3 for plans: a draft that stayed unsound is reviewed, and gets one word of guidance or none."""

from backend_coordinator.domain.events import COORDINATOR, Escalated
from backend_coordinator.domain.failure import Escalation, FailureClass, Level
from backend_coordinator.errors import InvalidPlan, ModelCallFailed
from backend_coordinator.nodes.ask import Inquiry, ask
from backend_coordinator.nodes.context import RunContext
from backend_coordinator.nodes.plan_compiler import PlanDraft
from backend_coordinator.nodes.private import write_private
from backend_coordinator.nodes.review import Review
from backend_coordinator.prompts.loader import coordinator_prompt

THE_PLAN = "plan"
"""What stands for a task's id in the escalation of a plan."""
DRAFT = "draft.json"


async def plan_review(context: RunContext, draft: PlanDraft, error: InvalidPlan) -> str:
    """Guidance for a last draft (Coordinator Review: review work, provide guidance).

    Raises InvalidPlan where there is none; then the draft is kept in the run's folder for a person to mend.
    """
    findings = "\n".join(f"- {finding}" for finding in error.findings)
    told = (
        "TASK: decompose the objective into a plan. Answer with guide or give_up only.\n\n"
        f"FAILURE: two drafts did not compile.\n\nEVIDENCE:\n{findings}\n\nTHE LAST DRAFT:\n{draft.model_dump_json()}"
    )
    step = Escalation(
        task=THE_PLAN,
        level=Level.COORDINATOR_REVIEW,
        failure=FailureClass.RETRIES_EXHAUSTED,
        asked=COORDINATOR,
        asked_by=COORDINATOR,
        question=findings,
    )
    try:
        review, usage = await ask(
            context, Inquiry("review-plan", coordinator_prompt("review"), context.redact(told)), Review
        )
    except ModelCallFailed as failed:
        context.ledger.record(
            Escalated(escalation=step.model_copy(update={"answer": str(failed), "action": "give_up"}))
        )
        raise given_up(context, draft, error) from failed
    guides = review.action == "guide"
    answered = {"answer": review.text, "action": "guide" if guides else "give_up", "usage": usage}
    context.ledger.record(Escalated(escalation=step.model_copy(update=answered)))
    if not guides:
        raise given_up(context, draft, error)
    return review.text


def given_up(context: RunContext, draft: PlanDraft, error: InvalidPlan) -> InvalidPlan:
    """The findings, and what a person can do about them: the draft is kept in the run's folder."""
    file = context.folder / DRAFT
    write_private(file, context.redact(draft.model_dump_json(indent=1)) + "\n")
    way = f"the draft is {file}: mend it, look at it with `plan check FILE`, follow it with `run OBJECTIVE --plan FILE`"
    return InvalidPlan([*error.findings, way])
