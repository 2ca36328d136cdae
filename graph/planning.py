"""A plan without a run: what `plan` shows."""

import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

from backend_coordinator.domain.objective import Objective
from backend_coordinator.graph.runs import Runs
from backend_coordinator.nodes.analyse import analyse
from backend_coordinator.nodes.decompose import decompose
from backend_coordinator.nodes.facts import repository_facts
from backend_coordinator.nodes.plan_compiler import Compiled


async def plan_only(runs: Runs, objective: Objective) -> Compiled:
    """The plan of an objective; the workspace stays as it is."""
    with tempfile.TemporaryDirectory() as home:
        apart = replace(runs, home=Path(home), database="")
        context = await apart.context(apart.create(objective))
        try:
            facts = repository_facts(context.repository.tree(context.repository.user.base_commit), context.roster)
            return await decompose(context, objective, await analyse(context, objective, facts), facts)
        finally:
            shutil.rmtree(context.repository.trees, ignore_errors=True)
