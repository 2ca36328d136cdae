"""The second verb: an objective becomes a plan."""

from backend_coordinator.domain.objective import Analysis, Objective, RepositoryFacts
from backend_coordinator.errors import InvalidPlan
from backend_coordinator.nodes.analyse import told
from backend_coordinator.nodes.ask import Inquiry, ask
from backend_coordinator.nodes.brief import told_for_call
from backend_coordinator.nodes.context import RunContext
from backend_coordinator.nodes.plan_compiler import Compiled, PlanDraft, compile_plan
from backend_coordinator.nodes.plan_review import given_up, plan_review
from backend_coordinator.prompts.loader import coordinator_prompt


async def decompose(context: RunContext, objective: Objective, analysis: Analysis, facts: RepositoryFacts) -> Compiled:
    """A compiled plan; an unsound draft goes back once with the exact findings, then once with a review's guidance.

    Raises InvalidPlan when the last draft is unsound too, ModelCallFailed when none came.
    """
    system = coordinator_prompt("decomposition", roster=_table(context))
    given = told_for_call(context, "decomposition", context.items)
    answers = "\n".join(f"- {name}: {text}" for name, text in analysis.answers.items()) or "- nothing is asked for"
    user = context.redact(f"{told(objective, facts)}{given}\n\nANALYSIS:\n{answers}")
    guidance = again = ""
    for purpose in ("decomposition", "decomposition-2", "decomposition-3"):
        draft, _ = await ask(context, Inquiry(purpose, system, f"{user}{again}{guidance}"), PlanDraft)
        try:
            return compile_plan(draft, context.roster, analysis=analysis, facts=facts)
        except InvalidPlan as error:
            if guidance:
                raise given_up(context, draft, error) from error
            findings = "\n".join(f"- {finding}" for finding in error.findings)
            if again:
                guidance = f"\n\nGUIDANCE:\n{await plan_review(context, draft, error)}"
            again = f"\n\nYOUR DRAFT:\n{draft.model_dump_json()}\n\nWHAT IS WRONG WITH IT:\n{findings}"
    raise AssertionError


def _table(context: RunContext) -> str:
    rows = [
        f"- {member.name}: {member.description}" for member in context.roster.specialists if member.role == "specialist"
    ]
    return "\n".join(rows)
