"""What the engine costs: bytes of checkpoints a task, CPU beside bare LangGraph, memory run after run, reading state.

The inner flow is the real one with git, gates and merges, under a model that writes one file and submits. Bare are the
same nodes, subgraph and saver in a graph of the same shape: Sends bounded by a semaphore, without our conductor. CPU is
of this process alone; git's children, which are the same in both, are told beside it.
"""

import asyncio
import gc
import json
import os
import re
import shutil
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, cast

from langchain_core.messages import AIMessage
from langchain_core.runnables import RunnableConfig
from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime

sys.path.insert(0, str(Path(__file__).parents[1]))

from backend_coordinator.domain.context import ContextItem
from backend_coordinator.domain.objective import Objective
from backend_coordinator.domain.plan import Plan, Task
from backend_coordinator.domain.report import TaskResult
from backend_coordinator.graph import build
from backend_coordinator.graph.answers import Means
from backend_coordinator.graph.conductor import Conductor
from backend_coordinator.graph.loop import in_loop
from backend_coordinator.graph.persistence import FILE, checkpoints
from backend_coordinator.graph.prune import prune
from backend_coordinator.graph.routing import fan_out
from backend_coordinator.graph.runs import LIMITS, Runs, drive
from backend_coordinator.graph.specialist_flow import result_of, specialist_flow
from backend_coordinator.graph.state import Job, RunState, RunUpdate, TaskState
from backend_coordinator.nodes.context import RunContext
from backend_coordinator.testing import ScriptedModel
from tests.support.department import Told, department, task
from tests.support.runs import QUICK, git

TASKS, ROUNDS, OF_ROUND = 1_000, 4, 40
RUNS, OF_RUN, FIRST_RUN = 20, 15, 5
MANY, FEW, LOOKS = 10_000, 10, 15
LANES = 20
"""Tasks that need nothing of each other; each lane has one file, so that trees do not grow with the plan."""
_OLDER = """
with recursive n(n) as (select 1 union all select n + 1 from n where n < ?)
insert into checkpoints
select thread_id, checkpoint_ns, printf('%08d', n), null, type, checkpoint, metadata from checkpoints, n
"""
BOUNDS = {
    "checkpoints, KB a task": 20.0,
    "checkpoints of an ended run, MB": 2.0,
    "CPU beside bare LangGraph": 1.3,
    "RSS after the last run beside the 5th": 1.05,
    "reading the state of 10,000": 5.0,
}


class Cost(NamedTuple):
    """Seconds a task: CPU of this process and of its children, and wall time."""

    own: float
    children: float
    wall: float


@dataclass
class Placid:
    """What the nodes ask of a conductor, without one: nobody waits, nobody aborts."""

    plan: Plan | None
    results: Mapping[str, TaskResult]
    items: Sequence[ContextItem] = ()
    aborted: bool = False


def lanes(number: int) -> Plan:
    """A plan of so many tasks, each after the one before it in its lane."""
    files = [f"f{n % LANES}.txt" for n in range(number)]
    needs = [[n - LANES] if n >= LANES else [] for n in range(number)]
    each = zip(range(number), files, needs, strict=True)
    return Plan(tasks=tuple(task(n, needs=m, objective=f"write {file}", writes=(file,)) for n, file, m in each))


def apart(number: int) -> Plan:
    """A plan of so many tasks that need nothing of each other."""
    return Plan(tasks=tuple(task(n) for n in range(number)))


def write(told: Told) -> AIMessage:
    """Writes the file that the task may write, then submits."""
    found = re.search(r"\bf\d+\.txt", told.text)
    assert found is not None
    if told.turn == 0:
        return told.calls("write", path=found[0], content=f"hello {told.task}\n")
    return told.calls("submit", summary=f"wrote {found[0]}")


def place(root: Path) -> Runs:
    """A tiny repository, and the runs in it."""
    shop = root / "shop"
    shop.mkdir()
    git(shop, "init", "--quiet")
    (shop / "notes.txt").write_text("one\n", encoding="utf-8")
    git(shop, "add", ".")
    git(shop, "commit", "--quiet", "-m", "start")
    return Runs(shop, ScriptedModel(script=department(apart(1), write)), QUICK)


def timed(work: Callable[[], object], tasks: int) -> Cost:
    """What some work costs each of its tasks."""
    gc.collect()
    before, began = os.times(), time.perf_counter()
    work()
    after = os.times()
    own = after.user + after.system - before.user - before.system
    children = after.children_user + after.children_system - before.children_user - before.children_system
    return Cost(own / tasks, children / tasks, (time.perf_counter() - began) / tasks)


def ours(runs: Runs, plan: Plan) -> str:
    """Carries a plan out; the id of its run."""
    run = runs.create(Objective(text="many files"), plan=plan)
    if not in_loop(drive(runs, run)).result().accepted:
        raise AssertionError(run)
    return run


def bare(runs: Runs, plan: Plan) -> None:
    """Carries a plan out by LangGraph and our nodes alone."""
    run = runs.create(Objective(text="many files"), plan=plan)
    in_loop(_bare(runs, run)).result()
    report = runs.report(run)
    if report is None or not report.accepted:
        raise AssertionError(run)


async def _bare(runs: Runs, run: str) -> None:
    context = await runs.context(run)
    plan = Plan.model_validate_json(context.ledger.noted("plan") or "")
    means = Means(context, cast(Conductor, Placid(plan, {})))
    begin = {"objective": Objective(text="many files"), "plan": plan}
    async with checkpoints(context.folder) as saver:
        app = _graph(context).compile(checkpointer=saver)
        config: RunnableConfig = {**LIMITS, "configurable": {"thread_id": run}}
        await app.ainvoke(begin, config, context=means, durability="sync")
    shutil.rmtree(context.repository.trees)


def _specialist(context: RunContext) -> Callable[..., Any]:
    flow, slots = specialist_flow(context.settings.budget), asyncio.Semaphore(context.settings.slots)

    async def specialist(job: Job, config: RunnableConfig, runtime: Runtime[Means]) -> RunUpdate:
        assert runtime.context.conductor.plan is not None
        mine: Task = runtime.context.conductor.plan[job.task]
        async with slots:
            ended = await flow.ainvoke(TaskState(task=mine, specialist=mine.specialist), config)
        return {"results": {mine.id: result_of(TaskState.model_validate(ended))}}

    return specialist


def _graph(context: RunContext) -> StateGraph[Any, Any, Any, Any]:
    """The same verbs before and after; between them Sends to a node that runs the flow."""
    graph = StateGraph(RunState, context_schema=Means)
    for step in (build.analyse, build.decompose, build.integrate, build.accept, build.report):
        graph.add_node(step.__name__, step)
    graph.add_node("python-pro", _specialist(context), input_schema=Job)
    graph.add_edge(START, "analyse")
    graph.add_edge("analyse", "decompose")
    graph.add_conditional_edges("decompose", fan_out, ["python-pro"])
    graph.add_edge("python-pro", "integrate")
    graph.add_edge("integrate", "accept")
    graph.add_edge("accept", "report")
    graph.add_edge("report", END)
    return graph


def compared(runs: Runs) -> tuple[Cost, Cost]:
    """Medians of ours and bare, in rounds of both, each first in every other one; a first round is not counted."""
    mine: list[Cost] = []
    alone: list[Cost] = []
    ways: list[tuple[list[Cost], Callable[[Runs, Plan], object]]] = [(mine, ours), (alone, bare)]
    for number in range(ROUNDS + 1):
        for costs, way in ways if number % 2 else ways[::-1]:
            costs.append(timed(partial(way, runs, apart(OF_ROUND)), OF_ROUND))
    medians = [Cost(*map(statistics.median, zip(*costs[1:], strict=True))) for costs in (mine, alone)]
    return medians[0], medians[1]


def grown(runs: Runs) -> tuple[int, int]:
    """Bytes of this process's memory after the 5th and after the last of a row of runs."""
    sizes = []
    for _ in range(RUNS):
        ours(runs, apart(OF_RUN))
        gc.collect()
        pages = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[1])
        sizes.append(pages * os.sysconf("SC_PAGE_SIZE"))
    return sizes[FIRST_RUN - 1], sizes[-1]


def packed(file: Path) -> int:
    """Bytes of what checkpoints a database still holds."""
    small = file.with_suffix(".small")
    with closing(sqlite3.connect(file)) as db:
        db.execute("vacuum into ?", (str(small),))
    size = small.stat().st_size
    small.unlink()
    return size


def looked(runs: Runs, run: str, number: int) -> float:
    """Milliseconds to read a run's state where its thread has so many checkpoints."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copyfile(runs.place(run) / FILE, folder / FILE)
        with closing(sqlite3.connect(folder / FILE)) as db, db:
            db.execute(_OLDER, (number - 1,))
        return in_loop(_looked(runs, run, folder)).result()


async def _looked(runs: Runs, run: str, folder: Path) -> float:
    context = await runs.context(run)
    async with checkpoints(folder) as saver:
        app = build.sentence(context.roster, context.settings.budget).compile(checkpointer=saver)
        took = []
        for _ in range(LOOKS):
            began = time.perf_counter()
            state = await app.aget_state({"configurable": {"thread_id": run}})
            took.append((time.perf_counter() - began) * 1000)
            assert state.values["ended"]
    return statistics.median(took)


def measure(runs: Runs, tasks: int) -> tuple[dict[str, float], dict[str, float]]:
    """What has a bound, and what is only told."""
    first, last = grown(runs)
    mine, alone = compared(runs)
    small = ours(runs, apart(1))
    few, many = (looked(runs, small, number) for number in (FEW, MANY))
    made: list[str] = []
    plan = timed(lambda: made.append(ours(runs, lanes(tasks))), tasks)
    folder = runs.place(*made)
    file, ledger = folder / FILE, folder / "run.sqlite"
    bounded = (
        file.stat().st_size / tasks / 1000,
        packed(file) / 1e6,
        mine.own / alone.own,
        last / first,
        many / few,
    )
    told = {
        "ledger, KB a task": ledger.stat().st_size / tasks / 1000,
        "CPU of ours, ms a task": mine.own * 1000,
        "CPU of bare LangGraph, ms a task": alone.own * 1000,
        "CPU of the whole plan, ms a task": plan.own * 1000,
        "CPU of children, ours, ms a task": mine.children * 1000,
        "CPU of children, bare, ms a task": alone.children * 1000,
        "wall time of the whole plan, ms a task": plan.wall * 1000,
        "RSS after the last run, MB": last / 1e6,
        "reading the state of 10, ms": few,
        "reading the state of 10,000, ms": many,
    }
    list(prune(runs, made))
    told["checkpoints after `runs prune`, MB"] = sum(left.stat().st_size for left in folder.glob(f"{FILE}*")) / 1e6
    return dict(zip(BOUNDS, bounded, strict=True)), told


def main() -> int:
    """Prints the table, or JSON with `--json`; `--tasks N` of the whole plan, 1,000 otherwise. 1 over a bound."""
    tasks = int(sys.argv[sys.argv.index("--tasks") + 1]) if "--tasks" in sys.argv else TASKS
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        (root / ".gitconfig").write_text("[user]\n\tname = Ann\n\temail = ann@example.org\n", encoding="utf-8")
        os.environ.update(HOME=name, BACKEND_COORDINATOR_CACHE=str(root / "cache"))
        bounded, told = measure(place(root), tasks)
    over = [what for what, value in bounded.items() if value > BOUNDS[what]]
    if "--json" in sys.argv:
        sys.stdout.write(json.dumps({"bounds": BOUNDS, "measured": bounded | told, "over": over}, indent=1) + "\n")
        return 1 if over else 0
    for what, value in bounded.items():
        sys.stdout.write(f"{what:<40} {value:>8.2f}  bound {BOUNDS[what]:.2f}\n")
    for what, value in told.items():
        sys.stdout.write(f"{what:<40} {value:>8.2f}\n")
    return 1 if over else 0


if __name__ == "__main__":
    sys.exit(main())
