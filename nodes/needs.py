"""What specialists asked for, judged by the coordinator: a task, or a word why not."""

from collections.abc import Mapping

from backend_coordinator.domain.events import Noticed
from backend_coordinator.domain.objective import RepositoryFacts
from backend_coordinator.domain.plan import Finding, Plan, Task
from backend_coordinator.domain.report import TaskResult
from backend_coordinator.errors import InvalidPlan, ModelCallFailed
from backend_coordinator.nodes.ask import Inquiry, ask
from backend_coordinator.nodes.brief import told_for_call
from backend_coordinator.nodes.context import RunContext
from backend_coordinator.nodes.plan_compiler import PlanDraft, compile_plan
from backend_coordinator.prompts.loader import coordinator_prompt


class Additions(PlanDraft):
    """Tasks to add, and why the other requests are declined."""

    tasks: tuple[Task, ...] = ()
    declined: str = ""


async def additions(
    context: RunContext, plan: Plan, results: Mapping[str, TaskResult], *, round_: int, facts: RepositoryFacts
) -> tuple[tuple[Task, ...], tuple[Finding, ...]]:
    """Tasks the coordinator adds because specialists reported needs, and what was mended in them; else none.

    The plan's own tasks have begun or ended and stay as they are.
    """
    asked = [(result.id, need) for result in results.values() for need in result.requests]
    if not asked:
        return (), ()
    needs = "\n".join(
        f"- {task}: {need.what} (why: {need.why}; suggested: {need.who or 'nobody'})" for task, need in asked
    )
    known = "\n".join(f"- {task.id}: {task.title} by {task.specialist}" for task in plan.tasks)
    people = "\n".join(f"- {m.name}: {m.description}" for m in context.roster.specialists if m.role == "specialist")
    system = coordinator_prompt("decomposition", roster=people)
    given = told_for_call(context, f"needs-{round_}", context.items)
    user = f"PLAN SO FAR:\n{known}\n\nREPORTED NEEDS:\n{needs}{given}\n\nAdd only needed tasks, with new ids."
    try:
        found, _ = await ask(context, Inquiry(f"needs-{round_}", system, context.redact(user)), Additions)
        together = PlanDraft(tasks=(*plan.tasks, *found.tasks))
        compiled = compile_plan(together, context.roster, facts=facts, settled=plan.by_id)
    except (ModelCallFailed, InvalidPlan) as error:
        context.ledger.record(Noticed(text=f"reported needs were not made tasks: {error}"))
        return (), ()
    return tuple(task for task in compiled.plan.tasks if task.id not in plan.by_id), compiled.findings
