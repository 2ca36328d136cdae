"""Runs on disk: creating one, finding it again, and `drive`, the one idempotent run-or-resume."""

import asyncio
import os
import re
import secrets
import tempfile
import time
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from langchain_core.runnables import RunnableConfig
from pydantic import ValidationError

from backend_coordinator.domain.events import RunResumed, RunStarted, TaskStarted
from backend_coordinator.domain.objective import Objective
from backend_coordinator.domain.plan import Plan
from backend_coordinator.domain.question import Answerer
from backend_coordinator.domain.report import Report
from backend_coordinator.errors import ConfigurationError, UnknownRun, Waiting
from backend_coordinator.graph.answers import Means
from backend_coordinator.graph.build import sentence
from backend_coordinator.graph.conductor import Conductor
from backend_coordinator.graph.persistence import FILE, checkpoints, driving
from backend_coordinator.graph.readiness import demand_ready, with_present_models
from backend_coordinator.graph.slots import process_share
from backend_coordinator.graph.standing import finished_siblings, note_parts, standing
from backend_coordinator.graph.state import STATE_VERSION, RunUpdate
from backend_coordinator.nodes import records
from backend_coordinator.nodes.amend import as_amended
from backend_coordinator.nodes.brief import context_items
from backend_coordinator.nodes.context import RunContext, ours
from backend_coordinator.nodes.damage import telling, unreadable
from backend_coordinator.nodes.doubts import settle
from backend_coordinator.nodes.gates.inspection import VerdictCache
from backend_coordinator.nodes.ledger import Ledger
from backend_coordinator.nodes.limits import demand_limits
from backend_coordinator.nodes.models.clock import CLOCK, Clock
from backend_coordinator.nodes.models.resolve import model_name
from backend_coordinator.nodes.permissions import added
from backend_coordinator.nodes.plan_compiler import PlanDraft, compile_plan
from backend_coordinator.nodes.points import reach
from backend_coordinator.nodes.redaction import redactor_for
from backend_coordinator.nodes.tools.catalogue import roster_with
from backend_coordinator.nodes.try_models import demand_models
from backend_coordinator.nodes.workspace.orphans import discard, sweep, trees_of
from backend_coordinator.nodes.workspace.repository import RunRepository
from backend_coordinator.nodes.workspace.sandbox import confinement
from backend_coordinator.nodes.workspace.user_repository import exclude, open_workspace
from backend_coordinator.settings import STATE_FOLDER, Settings, cache_folder, load_settings

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
EMBEDDED = "embedded-"
"""How the ids of runs begin that live in the checkpoints of a parent graph."""
_MOST_DRIVES = 10_000
LIMITS = RunnableConfig(recursion_limit=10_000, max_concurrency=10_000)
"""Our own, since a graph that is called within a node has its parent's otherwise, and None does not undo them."""


@dataclass(frozen=True)
class Runs:
    """The runs of one workspace, given by its root, with what each of them is made and driven with."""

    workspace: Path
    model: "str | BaseChatModel | None" = None
    settings: Settings | None = None
    init: bool = False
    base: str | None = None
    home: Path | None = None
    """Another place for the runs than the workspace's own folder."""
    clock: Clock = CLOCK
    database: str | None = None
    """A PostgreSQL address for the tables of new runs; empty: files; None: what the environment says."""
    answers: Mapping[str, Answerer] = field(default_factory=dict)
    """Who is bound to answer questions in a person's place."""

    @property
    def folder(self) -> Path:
        """Where they are kept."""
        return self.home or self.workspace / STATE_FOLDER / "runs"

    def ids(self) -> tuple[str, ...]:
        """All runs, oldest first; those that are still being made are none."""
        if not self.folder.is_dir():
            return ()
        return tuple(sorted(p.name for p in self.folder.iterdir() if p.is_dir() and _RUN_ID.fullmatch(p.name)))

    def place(self, run: str) -> Path:
        """The folder of a run.

        Raises UnknownRun, naming those there are.
        """
        folder = self.folder / run
        if not _RUN_ID.fullmatch(run) or not folder.is_dir():
            msg = f"no run {run!r} in {self.workspace}; there are: {', '.join(self.ids()) or 'none'}"
            raise UnknownRun(msg)
        return folder

    def ledger(self, run: str) -> Ledger:
        """The tables of a run; what is written into them is redacted by the secrets of that moment."""
        ledger = records.load(self.place(run), self.database)
        return replace(ledger, redact=lambda text: redactor_for(self.workspace)(text))

    def report(self, run: str) -> Report | None:
        """The report of a run that has ended.

        Raises NewerDatabase for one of a newer format, ConfigurationError for a damaged one.
        """
        path = self.place(run) / "report.json"
        try:
            return Report.model_validate_json(path.read_bytes()) if path.is_file() else None
        except ValidationError as error:
            raise unreadable(run, path, error) from error

    def create(self, objective: Objective, *, plan: Plan | None = None, run: str | None = None) -> str:
        """A new run on the workspace's HEAD (or `base`), not yet driven; one of the id `run` is left as it is.

        Raises WorkspaceError, ModelUnavailable, InvalidPlan or ConfigurationError before anything is written.
        """
        settings = self._checked(objective, plan)
        user = open_workspace(self.workspace, init=self.init, base=self.base)
        if self.home is None:
            exclude(user.root)
        redact = redactor_for(user.root, os.environ, settings.services, commit=user.base_commit)
        name = run or f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{secrets.token_hex(2)}"
        notes = {
            "created": str(time.time()),
            "objective": objective.text,
            "objective_json": objective.model_dump_json(),
            "plan": plan.model_dump_json() if plan else "",
            "base": user.base_commit,
            "model": model_name(self.model or "offline"),
            "settings": settings.model_dump_json(exclude={"services"}),
        }
        for folder in (self.folder.parent, self.folder):
            folder.mkdir(mode=0o700, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".new-", dir=self.folder) as scratch:
            fresh = Path(scratch, "run")
            fresh.mkdir(mode=0o700)
            RunRepository.create(fresh / "git", trees_of(self.folder / name, cache_folder()), user, name)
            ledger = records.create(fresh, name, self.database)
            for key, value in notes.items():
                ledger.note(key, value if key == "settings" else redact(value))
            try:
                fresh.rename(self.folder / name)
            except OSError:
                if name not in self.ids():  # another process was first otherwise
                    raise
        reach("run created")
        return name

    def _checked(self, objective: Objective, plan: Plan | None) -> Settings:
        """The settings a new run would have, once all that can be refused without the repository was looked at."""
        if not objective.text.strip():
            msg = "the objective is empty: say what should be built"
            raise ConfigurationError(msg)
        settings = self.settings or load_settings(self.workspace)
        records.demand(self.database)
        added.read(self.workspace)  # a file of rules that cannot be read is refused at once
        roster = roster_with(*(self.workspace / folder for folder in settings.roster))
        demand_models(self.model or "offline", settings, roster)
        demand_limits(self.model or "offline", settings, roster)
        if plan is not None:
            compile_plan(PlanDraft(tasks=plan.tasks), roster)
        trusted = ours(self.model or "offline", roster, settings)
        with ThreadPoolExecutor(1) as apart:  # the caller may have a loop of its own
            apart.submit(asyncio.run, confinement(settings.sandbox, trusted=trusted)).result()
        return settings

    async def context(self, run: str, fence: int | None = None) -> RunContext:
        """What the verbs of a run work with, made anew for each drive; until it has ended, with the models of now.

        `fence` is that of the lock under which it is driven.
        """
        folder = self.place(run)
        ledger = records.load(folder, self.database)
        settings = Settings.model_validate_json(_noted(ledger, "settings", run))
        if self.report(run) is None:
            settings = with_present_models(settings, self.settings, self.workspace)
        user = open_workspace(self.workspace, base=_noted(ledger, "base", run))
        sweep(cache_folder() / "trees", self.folder)
        added.read(user.root)
        roster = roster_with(*(user.root / folder for folder in settings.roster))
        model = self.model or _noted(ledger, "model", run)
        redact = redactor_for(user.root, os.environ, settings.services, commit=user.base_commit)
        return RunContext(
            run=run,
            folder=folder,
            cache=cache_folder(),
            settings=settings,
            roster=roster,
            model=model,
            repository=RunRepository.load(folder / "git", trees_of(folder, cache_folder()), user, run),
            ledger=replace(ledger, redact=redact, fence=fence),
            sandbox=await confinement(settings.sandbox, trusted=ours(model, roster, settings)),
            redact=redact,
            merging=asyncio.Lock(),
            verdicts=VerdictCache(folder / "verdicts", redact=redact),
            clock=self.clock,
            answers=self.answers,
        )


async def drive(runs: Runs, run: str, begun: "Future[None] | None" = None) -> Report:
    """Starts a run, or goes on with it from where it stopped, to its end; an ended one is only reported.

    `begun` is given its result as soon as nothing can refuse the run any more.
    Raises Waiting when only people can bring it further, RunLocked when another process drives it, and
    ModelUnavailable when a model that it needs cannot be used before its tasks begin, or when it is taken up again;
    `model` and `models` of the settings are those of now then, and ConfigurationError says what is wrong with them.
    """
    if run.startswith(EMBEDDED):
        if ended := runs.report(run):
            return ended
        msg = f"run {run} belongs to the graph that it is a node of: invoke that with None and the same thread"
        raise ConfigurationError(msg)
    place = runs.place(run)
    with driving(place, runs.database) as fence, telling(place / FILE):
        context = await runs.context(run, fence)
        async with checkpoints(place, runs.database, fence) as saver:
            app = sentence(context.roster, context.settings.budget).compile(checkpointer=saver)
            thread = context.ledger.store.key or run
            config: RunnableConfig = {**LIMITS, "configurable": {"thread_id": thread}}
            state, _ = await standing(app, config, context)
            await demand_ready(context, state)
            reach("run opened")
            if begun is not None:
                begun.set_result(None)
            for _ in range(_MOST_DRIVES):
                if await advance(app, config, context):
                    break
                if questions := context.ledger.open_questions():
                    msg = f"run {run} waits for {', '.join(q.id for q in questions)}: answer with decide, then resume"
                    raise Waiting(msg)
    report = runs.report(run)
    if report is None:
        msg = f"run {run} ended on {context.repository.branch}, but its report.json is gone from {context.folder}"
        raise ConfigurationError(msg)
    if report.accepted:
        discard(context.repository.trees)  # checkouts only: all commits are in the repository
    return report


async def advance(app: Any, config: RunnableConfig, context: RunContext) -> bool:
    """One invocation of the outer graph from where it stands, under a checkpointer; whether the run has ended."""
    state, tasks = await standing(app, config, context)
    if state is not None and state.ended:
        return True
    with process_share(context.settings.slots) as share:
        conductor = Conductor(share)
        if state is not None and state.plan is not None:
            results = {**state.results, **finished_siblings(tasks)}
            conductor.open(
                as_amended(context.ledger, state.plan), results, context_items(context, state.analysis, state.facts)
            )
            if any(q.answer and q.answer.decision == "abort" for q in context.ledger.questions()):
                conductor.abort({event.task for _, event in context.ledger.events() if isinstance(event, TaskStarted)})
        begin = None if state is not None else _beginning(context)
        if begin:
            note_parts(app, context)
        context.ledger.record(_started(context) if begin else RunResumed(process=os.getpid()))
        conductor.told = settle(context)
        work = app.ainvoke(begin, config, context=Means(context, conductor), durability="sync")
        return bool((await context.steps.carried_out(work)).get("ended"))


def _beginning(context: RunContext) -> RunUpdate:
    ledger = context.ledger
    known = Objective.model_validate_json(_noted(ledger, "objective_json", context.run))
    objective = known.model_copy(update={"context": ()})  # which is read from its note, and not kept in every step
    begin = RunUpdate(version=STATE_VERSION, objective=objective)
    if plan := ledger.noted("plan"):
        begin["plan"] = Plan.model_validate_json(plan)
    return begin


def _started(context: RunContext) -> RunStarted:
    return RunStarted(
        objective=_noted(context.ledger, "objective", context.run),
        base=context.repository.user.base_commit,
        branch=context.repository.branch,
        model=model_name(context.model),
        sandbox=context.sandbox.level,
    )


def _noted(ledger: Ledger, name: str, run: str) -> str:
    value = ledger.noted(name)
    if value is None:
        msg = f"run {run} was not created completely: start a new run"
        raise ConfigurationError(msg)
    return value
