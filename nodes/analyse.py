"""The first verb: the seven questions answered for one objective."""

from backend_coordinator.domain.objective import Analysis, Objective, RepositoryFacts
from backend_coordinator.nodes.ask import Inquiry, ask
from backend_coordinator.nodes.brief import told_for_call
from backend_coordinator.nodes.context import RunContext
from backend_coordinator.prompts.loader import coordinator_prompt


async def analyse(context: RunContext, objective: Objective, facts: RepositoryFacts) -> Analysis:
    """The analysis of an objective (Backend Objective Analysis). Raises ModelCallFailed."""
    user = context.redact(told(objective, facts) + told_for_call(context, "analysis", context.items))
    analysis, _ = await ask(context, Inquiry("analysis", coordinator_prompt("analysis"), user), Analysis)
    return analysis


def told(objective: Objective, facts: RepositoryFacts) -> str:
    """The objective and the repository's facts as the coordinator's models read them."""
    return "\n\n".join(
        (
            f"OBJECTIVE:\n{objective.text}",
            "CONSTRAINTS:\n" + ("\n".join(f"- {line}" for line in objective.constraints) or "- none"),
            f"DEADLINE: {objective.deadline or 'none'}",
            f"REPOSITORY:\n{facts.model_dump_json(exclude_defaults=True)}",
        )
    )
