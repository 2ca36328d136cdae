"""How near the conductor comes to the shortest time a plan can take, beside order of arrival and Send waves.

Real are: `dispatch`, its Sends, the specialists' nodes, conductor, slots and ledger, in one superstep of LangGraph; on
the real clock also the SQLite checkpoints (all in memory where the system has a place for files there). Made up are the
flow within a node, which sleeps instead of working, the person who takes a while to answer, and on the virtual clock
the loop's time: it jumps when nothing is left to do. The conductor sees efforts (quick, medium and large are thirds of
each plan's tasks) and never a duration.
"""

import asyncio
import json
import random
import statistics
import sys
import tempfile
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import count, islice
from pathlib import Path
from typing import Any, NamedTuple

from langchain_core.runnables import RunnableConfig
from langgraph.graph import END, START, StateGraph
from langgraph.runtime import get_runtime
from langgraph.types import Send
from virtual_loop import VirtualLoop

from backend_coordinator.domain.objective import Objective
from backend_coordinator.domain.plan import Effort, Plan, Task
from backend_coordinator.graph.answers import Means
from backend_coordinator.graph.build import dispatch, specialist_node
from backend_coordinator.graph.conductor import Conductor
from backend_coordinator.graph.persistence import checkpoints
from backend_coordinator.graph.routing import fan_out
from backend_coordinator.graph.runs import LIMITS, Runs
from backend_coordinator.graph.slots import Pool, Share
from backend_coordinator.graph.state import Job, RunState, TaskState
from backend_coordinator.nodes.context import RunContext
from backend_coordinator.settings import Settings

MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None
DAGS, TASKS, WIDTH, SLOTS, AT_ONCE = 20, 24, 10, 4, 5
DRAWS = 10
"""Of failures and questions for each plan: one alone says more about the draw than about the scheduler."""
UNBOUNDED, BOUNDED, OF_FIFO, ON_REAL_CLOCK = 1.005, 1.07, 0.5, 0.02
FAILING, ASKING = 0.10, 0.05


@dataclass(frozen=True)
class Dag:
    """A layered plan with what the scheduler does not know of it; `seconds` by id, of which a median task takes one."""

    seed: int
    plan: Plan
    seconds: Mapping[str, float]
    fail: frozenset[str] = frozenset()
    """Who fails once at its end and is done again."""
    ask: frozenset[str] = frozenset()
    """Who asks in its middle, without a slot for the second that the answer takes."""

    def work(self, task: str) -> float:
        """All seconds of a slot that the task takes."""
        return self.seconds[task] * (2 if task in self.fail else 1)

    def least(self, slots: int) -> float:
        """What nobody can beat: the longest way, with repetitions and answers, or the work over the slots."""
        ends: dict[str, float] = {}
        for task in self.plan.tasks:
            own = self.work(task.id) + (task.id in self.ask)
            ends[task.id] = own + max((ends[need] for need in task.needs), default=0.0)
        return max(max(ends.values()), sum(map(self.work, ends)) / slots)

    def faulty(self, draw: int) -> "Dag":
        """The same with failures and questions."""
        chance = random.Random(f"{self.seed} {draw}")
        fail = frozenset(task for task in sorted(self.seconds) if chance.random() < FAILING)
        return replace(self, fail=fail, ask=frozenset(t for t in sorted(self.seconds) if chance.random() < ASKING))


def layered(seed: int) -> Dag | None:
    """Layers of 10, 10 and 4; None unless the longest way is within 25 % of a quarter of the work."""
    chance = random.Random(seed)
    names = [f"backend-T{number:03d}" for number in range(1, TASKS + 1)]
    needs: dict[str, tuple[str, ...]] = dict.fromkeys(names, ())
    for at in range(WIDTH, TASKS, WIDTH):
        before = names[at - WIDTH : at]
        needs |= {name: tuple(chance.sample(before, chance.randint(1, 3))) for name in names[at : at + WIDTH]}
    seconds = {name: chance.lognormvariate(0.0, 1.0) for name in names}
    efforts = {name: list(Effort)[3 * at // TASKS] for at, name in enumerate(sorted(names, key=seconds.__getitem__))}
    timed = Task(id=names[0], title="timed", objective="wait", specialist="python-pro")
    tasks = (timed.model_copy(update={"id": n, "needs": needs[n], "effort": efforts[n]}) for n in names)
    dag = Dag(seed, Plan(tasks=tuple(tasks)), seconds)
    return dag if 0.75 <= dag.least(TASKS) / (sum(seconds.values()) / SLOTS) <= 1.25 else None


class Arrival(Conductor):
    """Takes tasks in the order in which they came to be ready."""

    def order(self, task: str) -> tuple[int, float, str]:
        """The next number."""
        self._number = getattr(self, "_number", 0) + 1
        return self._number, 0.0, task


@dataclass(frozen=True)
class Timed:
    """In place of the flow of a specialist: time passes, and the task is merged."""

    dag: Dag

    async def ainvoke(self, begin: TaskState, config: RunnableConfig) -> dict[str, object]:
        """Works, asks where it has to, and works again; all once more where it fails once."""
        task = begin.task.id
        half = self.dag.seconds[task] / 2
        await asyncio.sleep(half)
        if task in self.dag.ask:
            async with get_runtime(Means).context.conductor.asking(task):
                await asyncio.sleep(1)
        await asyncio.sleep(self.dag.work(task) - half)
        return {**dict(begin), "ending": "merged"}


async def conducted(dag: Dag, context: RunContext, slots: int, kind: type[Conductor]) -> None:
    """Our superstep: every task is sent at once and gated by the conductor."""
    graph = StateGraph(RunState, context_schema=Means)
    graph.add_node("dispatch", dispatch)
    flow: Any = Timed(dag)
    graph.add_node("python-pro", specialist_node(flow))
    graph.add_edge(START, "dispatch")
    graph.add_conditional_edges("dispatch", fan_out, ["python-pro"])
    means, begin = Means(context, kind(Share(Pool(slots), slots))), RunState(plan=dag.plan)
    if isinstance(asyncio.get_running_loop(), VirtualLoop):
        await graph.compile().ainvoke(begin, LIMITS, context=means)
        return
    folder = context.folder / str(dag.seed)
    folder.mkdir()
    config: RunnableConfig = {**LIMITS, "configurable": {"thread_id": "1"}}
    async with checkpoints(folder) as saver:
        await graph.compile(checkpointer=saver).ainvoke(begin, config, context=means, durability="sync")


async def in_waves(dag: Dag, slots: int) -> None:
    """A graph that sends one group, waits for all of it, and sends the next."""

    async def work(state: Job) -> dict[str, object]:
        await asyncio.sleep(dag.seconds[state.task])
        return {}

    def send(state: RunState) -> list[Send] | str:
        groups = dag.plan.groups[state.rounds - 1 : state.rounds]
        return [Send("work", Job(task=task)) for group in groups for task in group] or END

    graph = StateGraph(RunState)
    graph.add_node("next", lambda state: {"rounds": state.rounds + 1})
    graph.add_node("work", work, input_schema=Job)
    graph.add_edge(START, "next")
    graph.add_conditional_edges("next", send, ["work", END])
    graph.add_edge("work", "next")
    await graph.compile().ainvoke(RunState(), {"max_concurrency": slots})


Way = Callable[[Dag], Coroutine[Any, Any, None]]


class Row(NamedTuple):
    """Time over the least possible, the mean and worst of all plans; `most` is what the mean may be."""

    scene: str
    slots: int
    way: str
    mean: float
    worst: float
    most: float | None
    good: bool

    def __str__(self) -> str:
        most = f"  at most {self.most:.3f}" if self.most else ""
        return f"{self.scene:<7}{self.slots:>3} slots  {self.way:<18}{self.mean:.3f}  worst {self.worst:.3f}{most}"


def row(scene: str, slots: int, way: str, ratios: list[float], most: float | None = None) -> Row:
    """A row; without a bound it is good."""
    mean = statistics.mean(ratios)
    return Row(scene, slots, way, mean, max(ratios), most, most is None or mean <= most)


def over(dags: list[Dag], slots: int, way: Way, loop: type[asyncio.AbstractEventLoop]) -> list[float]:
    """Time over the least possible, of each."""

    async def ratios() -> list[float]:
        some = asyncio.Semaphore(AT_ONCE)

        async def ratio(dag: Dag) -> float:
            async with some:
                begun = asyncio.get_running_loop().time()
                await way(dag)
                return (asyncio.get_running_loop().time() - begun) / dag.least(slots)

        return await asyncio.gather(*map(ratio, dags))

    with asyncio.Runner(loop_factory=loop) as runner:
        return runner.run(ratios())


def rows_of(scene: str, dags: list[Dag], slots: int) -> Iterator[Row]:
    """All ways of one scene on so many slots; the real clock for the first of them."""

    def ours(
        kind: type[Conductor], dags: list[Dag], loop: type[asyncio.AbstractEventLoop] = VirtualLoop
    ) -> list[float]:
        with some_run() as context:
            return over(dags, slots, partial(conducted, context=context, slots=slots, kind=kind), loop)

    if scene == "plain":
        yield row(scene, slots, "Send waves", over(dags, slots, partial(in_waves, slots=slots), VirtualLoop))
    arrival = row(scene, slots, "order of arrival", ours(Arrival, dags))
    most = UNBOUNDED if slots == TASKS else min(BOUNDED, 1 + OF_FIFO * (arrival.mean - 1))
    own = ours(Conductor, dags)
    yield from (arrival, row(scene, slots, "conductor", own, most))
    most = statistics.mean(own[:DAGS]) + ON_REAL_CLOCK
    yield row(scene, slots, "on the real clock", ours(Conductor, dags[:DAGS], asyncio.SelectorEventLoop), most)


@contextmanager
def some_run() -> Iterator[RunContext]:
    """The means of a run on an empty repository."""
    with tempfile.TemporaryDirectory(dir=MEMORY) as name:
        runs = Runs(Path(name), "offline", Settings(sandbox="none"), init=True)
        yield asyncio.run(runs.context(runs.create(Objective(text="x"))))


def main() -> int:
    """Prints seeds and table, or JSON with `--json`; 1 when a bound does not hold."""
    dags = list(islice((dag for dag in map(layered, count(1)) if dag), DAGS))
    scenes = {"plain": dags, "faulty": [dag.faulty(draw) for draw in range(DRAWS) for dag in dags]}
    rows = [row for scene, of in scenes.items() for slots in (TASKS, SLOTS) for row in rows_of(scene, of, slots)]
    good, seeds = all(row.good for row in rows), [dag.seed for dag in dags]
    if "--json" in sys.argv:
        text = json.dumps({"seeds": seeds, "rows": [row._asdict() for row in rows], "good": good}, indent=1)
    else:
        text = "\n".join([f"seeds {', '.join(map(str, seeds))}", *map(str, rows)])
    sys.stdout.write(text + "\n")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
