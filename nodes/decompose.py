"""The second verb: an objective becomes a plan."""

from backend_coordinator.domain.objective import Analysis, Objective, RepositoryFacts
from backend_coordinator.errors import InvalidPlan
from backend_coordinator.nodes.analyse import told
from backend_coordinator.nodes.ask import Inquiry, ask
from backend_coordinator.nodes.context import RunContext
from backend_coordinator.nodes.plan_compiler import Compiled, PlanDraft, compile_plan
from backend_coordinator.prompts.loader import coordinator_prompt


async def decompose(context: RunContext, objective: Objective, analysis: Analysis, facts: RepositoryFacts) -> Compiled:
    """A compiled plan; an unsound draft goes back once with the exact findings.

    Raises InvalidPlan when the second draft is unsound too, ModelCallFailed when none came.
    """
    system = coordinator_prompt("decomposition", roster=_table(context))
    user = context.redact(f"{told(objective, facts)}\n\nANALYSIS:\n{analysis.model_dump_json(indent=1)}")
    draft, _ = await ask(context, Inquiry("decomposition", system, user), PlanDraft)
    try:
        return compile_plan(draft, context.roster)
    except InvalidPlan as error:
        findings = "\n".join(f"- {finding}" for finding in error.findings)
        again = f"{user}\n\nYOUR DRAFT:\n{draft.model_dump_json()}\n\nWHAT IS WRONG WITH IT:\n{findings}"
        draft, _ = await ask(context, Inquiry("decomposition-2", system, again), PlanDraft)
        return compile_plan(draft, context.roster)


def _table(context: RunContext) -> str:
    rows = [
        f"- {member.name}: {member.description}" for member in context.roster.specialists if member.role == "specialist"
    ]
    return "\n".join(rows)
