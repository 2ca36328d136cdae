"""Many objectives, a bounded number at once, and one line of a results file for each, whatever is killed when."""

import asyncio
import hashlib
import re
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, wait
from io import FileIO
from itertools import chain
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Literal

from backend_coordinator.domain.objective import Objective
from backend_coordinator.errors import CoordinatorError, ModelUnavailable, RunLocked, RunTaken, Waiting
from backend_coordinator.graph.batch_files import Entry, Result, completed, demand_unchanged, held, write
from backend_coordinator.graph.loop import in_loop
from backend_coordinator.graph.runs import Runs, drive
from backend_coordinator.nodes.approval import refused_subjects
from backend_coordinator.nodes.items import items_of
from backend_coordinator.nodes.ledger import Ledger
from backend_coordinator.nodes.models.resolve import default_model, resolve_model
from backend_coordinator.nodes.redaction import redactor_for
from backend_coordinator.nodes.stopping import in_thread
from backend_coordinator.nodes.workspace.user_repository import root_of
from backend_coordinator.settings import Preset, load_settings, with_approval

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel


class Batch:
    """Objectives on their way; iterating carries them out and yields one result each, earlier ones first.

    Started again with the same entries and results file it skips what has a line there and takes up what had begun.
    Raises ModelUnavailable, and ConfigurationError for entries that share an id.
    """

    def __init__(
        self,
        entries: Sequence[Entry],
        results: str | Path,
        *,
        model: "str | BaseChatModel | None" = None,
        concurrency: int = 8,
        init: bool = False,
        approval: Preset | None = None,
    ) -> None:
        self.model = model or default_model()
        resolve_model(self.model)
        self.entries = completed(dict(enumerate(entries, 1)), "objective")
        self.results = Path(results).resolve()
        self.running: dict[str, Ledger] = {}
        """The ledgers of the runs under way, by the entry's id."""
        self._concurrency, self._init, self._approval = concurrency, init, approval
        self._unusable: dict[str, list[str]] = {}

    def __iter__(self) -> Generator[Result]:
        """Carries out what has no result yet; an iteration that is left stops its runs within seconds.

        Raises ConfigurationError when another process writes the results, or an entry changed since its result, or
        when a result cannot be written, which stops the others too. Raises ModelUnavailable after the others ended,
        in one line for all models that could not be used; the entries which met one, or have the same, get no line.
        """
        with held(self.results) as (file, lines):
            demand_unchanged(self.entries, lines, self.results)
            yield from (lines[entry.id] for entry in self.entries if entry.id in lines)
            yield from self._carried_out([entry for entry in self.entries if entry.id not in lines], file)

    def _carried_out(self, entries: Sequence[Entry], file: FileIO) -> Iterator[Result]:
        self._unusable = {}
        ended: SimpleQueue[Result | None] = SimpleQueue()
        stop: Future[Callable[[], object]] = Future()

        def end(result: Result) -> None:
            if result.status != "waiting":
                write(file, result)
            ended.put(result)

        async def work() -> None:
            loop, task = asyncio.get_running_loop(), asyncio.current_task()
            assert task is not None
            stop.set_result(lambda: loop.call_soon_threadsafe(task.cancel))
            slots, creating = asyncio.Semaphore(self._concurrency), asyncio.Lock()
            try:
                async with asyncio.TaskGroup() as group:
                    for entry in entries:
                        group.create_task(self._carry_out(entry, slots, creating, end))
            except ExceptionGroup as failed:  # a line that cannot be written
                raise failed.exceptions[0] from None
            if problems := dict.fromkeys(chain(*self._unusable.values())):
                raise ModelUnavailable("; ".join(problems))

        future = in_loop(work())
        future.add_done_callback(lambda _: ended.put(None))
        try:
            yield from iter(ended.get, None)
        finally:
            stop.result()()
            wait((future,))
        future.result()

    async def _carry_out(
        self, entry: Entry, slots: asyncio.Semaphore, creating: asyncio.Lock, end: Callable[[Result], None]
    ) -> None:
        async with slots:
            begun, models = time.monotonic(), ""
            try:
                models = await in_thread(_models, entry.workspace)
                if models in self._unusable:
                    return
                result = await self._run(entry, creating)
            except (Waiting, RunLocked, RunTaken) as error:
                result = self._unfinished(entry, "waiting", error, begun)
            except ModelUnavailable as error:  # what has the same models would meet the same; none has failed by it
                self._unusable.setdefault(models, []).append(str(error))
                return
            except Exception as error:  # noqa: BLE001 - what breaks one objective is its result and nobody else's
                result = self._unfinished(entry, "failed", error, begun)
            finally:
                self.running.pop(entry.id, None)
            end(result)

    async def _run(self, entry: Entry, creating: asyncio.Lock) -> Result:
        run = self._run_of(entry)
        async with creating:  # two that make one repository of a folder, or write its info/exclude, would collide
            runs = await in_thread(self._created, entry, run)
        self.running[entry.id] = runs.ledger(run)
        report = await drive(runs, run)
        return Result(
            **dict(entry),
            run=run,
            status="accepted" if report.accepted else "not_accepted",
            summary=report.summary,
            branch=report.branch,
            report=runs.place(run) / "report.md",
            refused=refused_subjects(self.running[entry.id]),
            seconds=report.seconds,
            coordination=report.coordination,
            work=report.work,
        )

    def _created(self, entry: Entry, run: str) -> Runs:
        root = root_of(entry.workspace)
        settings = with_approval(load_settings(root), self._approval, unattended=True, tools="deny")
        runs = Runs(root, self.model, settings, init=self._init, base=entry.base)
        if run not in runs.ids():
            given = items_of(entry.context)
            runs.create(Objective(text=entry.objective, constraints=entry.constraints, context=given), run=run)
        return runs

    def _run_of(self, entry: Entry) -> str:
        """The same run whenever this batch is started, and another one for another results file."""
        digest = hashlib.sha256(f"{self.results}\n{entry.model_dump_json()}".encode()).hexdigest()
        return f"batch-{re.sub('[^A-Za-z0-9]+', '-', entry.id)[:40]}-{digest[:12]}"

    def _unfinished(self, entry: Entry, status: Literal["waiting", "failed"], error: Exception, begun: float) -> Result:
        told = str(error) if isinstance(error, CoordinatorError) else f"{type(error).__name__}: {error}"
        return Result(
            **dict(entry),
            run=self._run_of(entry) if entry.id in self.running else None,
            status=status,
            refused=refused_subjects(self.running[entry.id]) if entry.id in self.running else (),
            summary=" ".join(redactor_for(entry.workspace)(told).split()),
            seconds=round(time.monotonic() - begun, 1),
        )


def _models(workspace: Path) -> str:
    """What decides, beside the batch's own, which models the objectives of a workspace need."""
    root = root_of(workspace)
    settings = load_settings(root)
    return settings.model_dump_json(include={"model", "models"}) + (str(root) if settings.roster else "")
