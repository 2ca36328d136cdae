"""Where a run stands by its checkpoints, once it is known that this program can go on from there."""

import json
from collections.abc import Sequence
from typing import Any

from langchain_core.runnables import RunnableConfig
from pydantic import ValidationError

from backend_coordinator.domain.events import Event, ModelCalled, RunStarted
from backend_coordinator.domain.failure import LevelBudget
from backend_coordinator.domain.report import TaskResult
from backend_coordinator.errors import ConfigurationError
from backend_coordinator.graph.persistence import FILE, check_version
from backend_coordinator.graph.routing import unfinished
from backend_coordinator.graph.specialist_flow import specialist_flow
from backend_coordinator.graph.state import RunState, TaskState
from backend_coordinator.nodes import records
from backend_coordinator.nodes.context import RunContext
from backend_coordinator.nodes.damage import damaged

PRUNED = "pruned"
"""The note of a run that has ended and whose checkpoints were freed."""
_PARTS = "parts"
_WAY_OUT = "end it with the version that began it, or start a new run"


async def standing(app: Any, config: RunnableConfig, context: RunContext) -> tuple[RunState | None, Sequence[Any]]:
    """The state of a run and the tasks of its open superstep; None when it has not begun.

    Raises NewerDatabase for a state of a newer version, DamagedRun for one that was lost, and ConfigurationError for
    one that needs what this program or the roster does not have any more.
    """
    if context.ledger.noted(PRUNED):
        return RunState(ended=True), ()
    try:
        snapshot = await app.aget_state(config)
        if snapshot.values:
            check_version(snapshot.values.get("version"), context.run)
            _demand_begun(context)
            return _known(app, context, snapshot.values), snapshot.tasks
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        msg = f"the state of run {context.run} does not fit this version ({where}: {first['msg'][:120]}): {_WAY_OUT}"
        raise ConfigurationError(msg) from error
    if any(not _early(event) for _, event in context.ledger.events()):
        whose = "" if (file := context.folder / FILE).is_file() else "(or the database in its place) "
        raise damaged(file, f"{whose}holds no checkpoint any more, they were lost or emptied")
    return None, ()


def _demand_begun(context: RunContext) -> None:
    if not any(isinstance(event, RunStarted) for _, event in context.ledger.events()):
        raise damaged(context.folder / records.FILE, "was made anew, the checkpoints go on from what it does not have")


def _early(event: Event) -> bool:
    """Whether it may be recorded before LangGraph waits for the first checkpoint; the journal has such an answer."""
    return isinstance(event, RunStarted) or (isinstance(event, ModelCalled) and event.purpose == "analysis")


def finished_siblings(tasks: Sequence[Any]) -> dict[str, TaskResult]:
    """Results of the open superstep: they are on disk, but not yet in the state's values."""
    found: dict[str, TaskResult] = {}
    for task in tasks:
        for name, result in ((task.result or {}).get("results") or {}).items():
            found[name] = TaskResult.model_validate(result)
    return found


def note_parts(app: Any, context: RunContext) -> None:
    """Keeps the names of this program's steps and fields; LangGraph drops without a word what it finds no name for."""
    context.ledger.note(_PARTS, json.dumps(sorted(_parts(app))))


def _parts(app: Any) -> set[str]:
    flow = specialist_flow(LevelBudget()).nodes
    steps = {*flow, *(name for name, node in app.nodes.items() if (node.metadata or {}).get("role") != "specialist")}
    return {f"step {name}" for name in steps} | {
        f"field {n}" for n in (*RunState.model_fields, *TaskState.model_fields)
    }


def _known(app: Any, context: RunContext, values: dict[str, Any]) -> RunState:
    if gone := sorted(set(json.loads(context.ledger.noted(_PARTS) or "[]")) - _parts(app)):
        msg = f"run {context.run} may need what this version no longer has ({', '.join(gone)}): {_WAY_OUT}"
        raise ConfigurationError(msg)
    # Its reader left what it could make no value of as it was, and pydantic takes a made value as it is.
    state = RunState.model_validate_json(RunState.model_construct(**values).model_dump_json(warnings=False))
    if state.plan is not None and not state.ended:
        needed = {state.plan[task].specialist for task in unfinished(state)}
        if gone := sorted(needed - set(app.nodes)):
            msg = f"run {context.run} has tasks for {', '.join(gone)}, whom the roster no longer has: bring them back"
            raise ConfigurationError(msg)
    return state
