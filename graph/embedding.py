"""A run as one node of somebody's larger graph."""

import hashlib
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from langchain_core.messages import AIMessage, AnyMessage, convert_to_messages
from langchain_core.runnables import RunnableConfig
from pydantic import ValidationError

from backend_coordinator.domain.events import Noticed
from backend_coordinator.domain.objective import Objective
from backend_coordinator.domain.question import Answer
from backend_coordinator.errors import BadAnswer, ConfigurationError, DamagedRun, Waiting
from backend_coordinator.graph.build import sentence
from backend_coordinator.graph.persistence import driving
from backend_coordinator.graph.runs import EMBEDDED, LIMITS, Runs, advance, drive
from backend_coordinator.nodes.items import items_of
from backend_coordinator.nodes.ledger import Ledger

if TYPE_CHECKING:
    from langchain_core.tools import BaseTool

Node = Callable[[Mapping[str, Any], RunnableConfig], Awaitable[dict[str, list[AnyMessage]]]]
_SAVER, _RESUMED, _PAD = "__pregel_checkpointer", "__pregel_resume_map", "__pregel_scratchpad"
"""LangGraph has no public names for what a parent hands down; tests pin that these are there."""


def node_of(runs: Runs) -> Node:
    """An async node `(state, config) -> {"messages": [...]}` that drives a run under the parent's checkpointer.

    The state's `context`, if it has one, is a list of items, or of kind and text each.

    Without one it uses its own database and answers with status `waiting` and the run's id where it has to wait.
    """

    async def backend(state: Mapping[str, Any], config: RunnableConfig) -> dict[str, list[AnyMessage]]:
        given = items_of(state.get("context") or (), folder=None)  # no paths: a model may have written the state
        objective = Objective(text=_objective(state), origin="parent graph", context=given)
        where = config.get("configurable", {})
        if where.get(_SAVER) is None:
            return await _alone(runs, objective)
        run, namespace = _run_of(where, runs.workspace, objective)
        if run not in runs.ids():
            await _demand_new(runs.folder / run, where, namespace)
            runs.create(objective, run=run)
        with driving(runs.place(run), runs.database) as fence:
            context = await runs.context(run, fence)
            _take_answers(context.ledger, where)
            app = sentence(context.roster, context.settings.budget).compile()
            own = {key: value for key, value in where.items() if key != _PAD}  # it counts calls into our namespace
            inner: RunnableConfig = {**config, **LIMITS, "configurable": {**own, "checkpoint_ns": namespace}}
            while not await advance(app, inner, context):
                pass
        return _answer(runs, run, "ended")

    return backend


async def _demand_new(folder: Path, where: Mapping[str, Any], namespace: str) -> None:
    """Returns where the parent's checkpoints know nothing of a run. Raises DamagedRun since its folder was removed."""
    own: RunnableConfig = {"configurable": {"thread_id": where["thread_id"], "checkpoint_ns": namespace}}
    if await where[_SAVER].aget_tuple(own) is not None:
        msg = f"run {folder.name}: {folder} is gone, but the checkpoints of the parent graph hold it"
        raise DamagedRun(f"{msg}: restore it from a backup, or ask in a new thread")


def tool_of(runs: Runs, name: str, description: str) -> "BaseTool":
    """The node as an async tool: takes an objective, says how it ended; its artifact is what the node's message has."""
    from langchain_core.tools import StructuredTool  # a plain run has no use for it

    backend = node_of(runs)

    async def carry_out(objective: str, config: RunnableConfig) -> tuple[str, dict[str, object]]:
        (said,) = (await backend({"objective": objective}, config))["messages"]
        return said.text, said.additional_kwargs["backend_coordinator"]

    return StructuredTool.from_function(
        coroutine=carry_out, name=name, description=description, response_format="content_and_artifact"
    )


def _take_answers(ledger: Ledger, where: Mapping[str, Any]) -> None:
    """Puts what the parent was resumed with into the decisions table, each value for the question it was meant for.

    A value that names no interrupt is taken where one question waits, and once: LangGraph hands it down again with
    later resumes.
    """
    waiting = [q.id for q in ledger.open_questions() if ledger.noted(f"shown {q.id}")]
    given: Mapping[str, object] = where.get(_RESUMED) or {}
    meant = {q: value for interrupt, value in given.items() if (q := ledger.noted(f"interrupt {interrupt}"))}
    for question, value in meant.items():
        _take(ledger, question, value)
    if meant and not meant.keys() & set(waiting):  # those of no interrupt of ours may be for another run
        _refuse_all(ledger, waiting, f"the answers were for other questions: {', '.join(meant)}")
    _take_bare(ledger, () if given else waiting, where[_PAD].get_null_resume)  # beside others it is an earlier one


def _take_bare(ledger: Ledger, waiting: Sequence[str], read: Callable[[bool], object]) -> None:
    """The value that names no interrupt, if there is one; `read(True)` makes that nobody else takes it as well."""
    value = read(False)
    if value is None:
        return
    digest = hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()
    if digest == ledger.noted("bare answer"):
        _refuse_all(ledger, waiting, "this answer was given before the question: name the interrupt's id")
    elif len(waiting) == 1:
        read(True)
        _take(ledger, waiting[0], value)
    elif waiting:
        ledger.record(Noticed(text=f"an answer was ignored: it names no interrupt, and {len(waiting)} questions wait"))
    ledger.note("bare answer", digest)


def _take(ledger: Ledger, question: str, value: object) -> None:
    try:
        ledger.answer(question, Answer.model_validate(value))
    except ValidationError as error:
        _refuse(ledger, question, f"{question} takes {_form(ledger.question(question).choices, error)}")
    except BadAnswer as error:
        _refuse(ledger, question, str(error))


def _form(choices: Iterable[str], error: ValidationError) -> str:
    """What a question takes, and what was given in its place; where a part is missing, the whole."""
    wrong = [
        " ".join([*map(str, found["loc"] if found["type"] != "missing" else ()), f"{found['input']!r:.80}"])
        for found in error.errors()
    ]
    return f'{", ".join(choices)} as {{"decision": ..., "text": ...}}, not {", ".join(wrong)}'


def _refuse_all(ledger: Ledger, questions: Iterable[str], why: str) -> None:
    for question in questions:
        _refuse(ledger, question, why)


def _refuse(ledger: Ledger, question: str, why: str) -> None:
    """For the run's story, and for the interrupt that shows the question again."""
    ledger.note(f"refused {question}", why)
    ledger.record(Noticed(text=f"{question}: answer refused: {why}"))


async def _alone(runs: Runs, objective: Objective) -> dict[str, list[AnyMessage]]:
    run = runs.create(objective)
    try:
        await drive(runs, run)
    except Waiting:
        return _answer(runs, run, "waiting")
    return _answer(runs, run, "ended")


def _run_of(where: Mapping[str, Any], workspace: Path, objective: Objective) -> tuple[str, str]:
    """A run's id and its namespace in the parent's checkpoints: one for each objective in one execution of a node.

    The workspace counts, since the checkouts of all lie in one folder by these ids. The namespace ends in a number,
    as that of LangGraph's own second call in a node does.
    """
    namespace = where.get("checkpoint_ns")
    seed = f"{where.get('thread_id')}/{namespace}/{workspace}/{objective.text}"
    given = "".join(item.model_dump_json() for item in objective.context)
    digest = hashlib.sha256(f"{seed}{given}".encode()).hexdigest()[:12]
    return f"{EMBEDDED}{digest}", f"{namespace}|{int(digest, 16)}"


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
