"""A plan without a run: what `plan` shows, and what a plan in a file comes to."""

import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from backend_coordinator.domain.context import ContextItem
from backend_coordinator.domain.objective import Analysis, Objective, RepositoryFacts, moment
from backend_coordinator.domain.plan import Finding, Plan
from backend_coordinator.domain.roster import Roster
from backend_coordinator.errors import ConfigurationError, InvalidPlan
from backend_coordinator.graph.runs import Runs
from backend_coordinator.nodes.analyse import analyse
from backend_coordinator.nodes.decompose import decompose
from backend_coordinator.nodes.facts import repository_facts
from backend_coordinator.nodes.plan_compiler import Compiled, Examined, compile_plan, examine
from backend_coordinator.nodes.plan_file import NOTE, PlanFile, as_note, read_plan
from backend_coordinator.nodes.tools.catalogue import roster_with
from backend_coordinator.nodes.workspace.trees import tree_of_directory
from backend_coordinator.settings import load_settings


class Planned(NamedTuple):
    """A compiled plan with what it was made from."""

    compiled: Compiled
    analysis: Analysis
    facts: RepositoryFacts
    roster: Roster


async def plan_only(runs: Runs, objective: Objective) -> Planned:
    """The plan of an objective; the workspace stays as it is. Raises ModelCallFailed and InvalidPlan."""
    with tempfile.TemporaryDirectory() as home:
        apart = replace(runs, home=Path(home), database="")
        context = await apart.context(apart.create(objective))
        try:
            facts = repository_facts(context.repository.tree(context.repository.user.base_commit), context.roster)
            analysis = await analyse(context, objective, facts)
            return Planned(await decompose(context, objective, analysis, facts), analysis, facts, context.roster)
        except InvalidPlan as error:  # what is kept of the draft goes with this folder
            raise InvalidPlan([finding for finding in error.findings if home not in finding]) from error
        finally:
            shutil.rmtree(context.repository.trees, ignore_errors=True)


def check_file(runs: Runs, file: Path) -> tuple[PlanFile, Examined]:
    """What the rules find in a plan in a file, against the workspace's roster and stacks.

    Raises ConfigurationError for a file that is no plan.
    """
    given, (roster, facts) = read_plan(file), _ground(runs)
    return given, examine(given.draft, roster, facts=facts)


def created(
    runs: Runs,
    work: str | Plan | Path,
    objective: str | None,
    items: tuple[ContextItem, ...],
    *,
    deadline: str | None = None,
) -> str:
    """A new run for an objective, a plan or its file, not yet driven; what is mended in a file is noted for its report.

    Raises what `Runs.create` does, and ConfigurationError for a file that is no plan and a deadline that is no time.
    """
    try:
        _ = deadline and moment(deadline)
    except ValueError as error:
        msg = f"deadline {deadline!r} is no day or time such as 2026-12-31 or 2026-12-31T17:00+01:00"
        raise ConfigurationError(msg) from error
    findings: tuple[Finding, ...] = ()
    if isinstance(work, Path):
        given, (roster, facts) = read_plan(work), _ground(runs)
        work, findings = compile_plan(given.draft, roster, facts=facts)
    plan = work if isinstance(work, Plan) else None
    text = objective or ("; ".join(task.title for task in plan.tasks) if plan else str(work))
    run = runs.create(Objective(text=text, context=items, deadline=deadline), plan=plan)
    if findings:
        runs.ledger(run).note(NOTE, as_note(findings))
    return run


def _ground(runs: Runs) -> tuple[Roster, RepositoryFacts]:
    """The roster and the facts of a workspace as it stands, or of the base; a folder that is none yet has no facts."""
    settings = runs.settings or load_settings(runs.workspace)
    roster = roster_with(*(runs.workspace / folder for folder in settings.roster))
    if not (runs.workspace / ".git").exists():
        return roster, RepositoryFacts()
    with tempfile.TemporaryDirectory() as scratch:
        base, head, _ = tree_of_directory(runs.workspace, scratch=Path(scratch), base=runs.base)
        try:
            return roster, repository_facts(base or head, roster)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
