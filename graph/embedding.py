"""A run as one node of somebody's larger graph."""

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from langchain_core.messages import AIMessage, AnyMessage, convert_to_messages
from langchain_core.runnables import RunnableConfig

from backend_coordinator.domain.objective import Objective
from backend_coordinator.errors import ConfigurationError, Waiting
from backend_coordinator.graph.build import sentence
from backend_coordinator.graph.persistence import driving
from backend_coordinator.graph.runs import LIMITS, Runs, advance, drive

Node = Callable[[Mapping[str, Any], RunnableConfig], Awaitable[dict[str, list[AnyMessage]]]]
_PARENTS_SAVER = "__pregel_checkpointer"
"""LangGraph has no public name for it; a test pins that it is there."""


def node_of(runs: Runs) -> Node:
    """An async node `(state, config) -> {"messages": [...]}` that drives a run under the parent's checkpointer.

    Without one it uses its own database and answers with status `waiting` and the run's id where it has to wait.
    """

    async def backend(state: Mapping[str, Any], config: RunnableConfig) -> dict[str, list[AnyMessage]]:
        objective = Objective(text=_objective(state), origin="parent graph")
        if config.get("configurable", {}).get(_PARENTS_SAVER) is None:
            return await _alone(runs, objective)
        run = _run_of(config, runs.workspace)
        if run not in runs.ids():
            runs.create(objective, run=run)
        with driving(runs.place(run)) as fence:
            context = await runs.context(run, fence)
            app = sentence(context.roster, context.settings.budget).compile()
            while not await advance(app, {**config, **LIMITS}, context):
                pass
        return _answer(runs, run, "ended")

    return backend


async def _alone(runs: Runs, objective: Objective) -> dict[str, list[AnyMessage]]:
    run = runs.create(objective)
    try:
        await drive(runs, run)
    except Waiting:
        return _answer(runs, run, "waiting")
    return _answer(runs, run, "ended")


def _run_of(config: RunnableConfig, workspace: Path) -> str:
    """The id of a thread's run in a workspace: checkouts of all workspaces lie in one folder, by these ids."""
    where = config.get("configurable", {})
    seed = f"{where.get('thread_id')}/{where.get('checkpoint_ns')}/{workspace}"
    return f"embedded-{hashlib.sha256(seed.encode()).hexdigest()[:12]}"


def _objective(state: Mapping[str, Any]) -> str:
    if text := state.get("objective"):
        return str(text)
    for message in reversed(convert_to_messages(state.get("messages", []))):
        if message.type == "human":
            return str(message.text)
    msg = "the node found no objective: give the state `objective`, or `messages` with a human message"
    raise ConfigurationError(msg)


def _answer(runs: Runs, run: str, status: str) -> dict[str, list[AnyMessage]]:
    report = runs.report(run) if status == "ended" else None
    told = {
        "run": run,
        "status": status,
        "accepted": report and report.accepted,
        "branch": report and report.branch,
    }
    if report is not None:
        text = f"{report.summary} (branch {report.branch})"
    else:
        open_ = runs.ledger(run).open_questions()
        text = f"run {run} waits for {', '.join(q.id for q in open_)}: answer with decide, then resume"
    return {"messages": [AIMessage(text, name="backend", additional_kwargs={"backend_coordinator": told})]}
