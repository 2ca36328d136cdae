"""Laws of the conductor, on random plans with random durations."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from backend_coordinator.domain.plan import Plan, Task
from backend_coordinator.domain.report import TaskResult, TaskStatus
from backend_coordinator.graph.conductor import Conductor
from backend_coordinator.graph.slots import Pool, Share
from tests.support.department import task

MOST = 9


@dataclass(frozen=True)
class Story:
    """A plan and what each of its tasks does: steps of work, questions between them, and how it ends."""

    plan: Plan
    slots: int
    steps: dict[str, int]
    asks: frozenset[str]
    answered: frozenset[str]
    fails: frozenset[str]


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    size = draw(st.integers(1, MOST))
    tasks: list[Task] = []
    for number in range(1, size + 1):
        needs = draw(st.sets(st.integers(1, number - 1), max_size=3)) if number > 1 else set()
        priority = draw(st.sampled_from(["low", "normal", "high"]))
        tasks.append(task(number, needs=sorted(needs), priority=priority))
    return Plan(tasks=tuple(tasks))


@st.composite
def stories(draw: st.DrawFn) -> Story:
    plan = draw(plans())
    ids = [each.id for each in plan.tasks]
    some = st.frozensets(st.sampled_from(ids))
    return Story(
        plan=plan,
        slots=draw(st.integers(1, 4)),
        steps={name: draw(st.integers(0, 5)) for name in ids},
        asks=draw(some),
        answered=draw(some),
        fails=draw(some),
    )


@dataclass
class Stage:
    """Plays a story and notes what must not happen."""

    story: Story
    conductor: Conductor
    working: set[str] = field(default_factory=set)
    ended: dict[str, str] = field(default_factory=dict)
    most: int = 0
    faults: list[str] = field(default_factory=list)

    def on(self, name: str) -> None:
        self.working.add(name)
        self.most = max(self.most, len(self.working))
        if any(self.ended.get(need) != "merged" for need in self.story.plan[name].needs):
            self.faults.append(f"{name} began before its needs were merged")

    async def work(self, name: str) -> None:
        for _ in range(self.story.steps[name]):
            await asyncio.sleep(0)

    async def play(self, name: str) -> None:
        admission = await self.conductor.admit(name)
        if admission == "park":
            self.ended[name] = "parked"
            return
        if admission == "skip":
            self.end(name, "skipped")
            return
        self.on(name)
        await self.work(name)
        if name in self.story.asks and not await self.ask(name):
            return
        await self.work(name)
        self.working.discard(name)
        self.end(name, "given_up" if name in self.story.fails else "merged")

    async def ask(self, name: str) -> bool:
        """Whether the question was answered; who has no answer when all is quiet parks, as the nodes do."""
        self.working.discard(name)
        try:
            async with self.conductor.asking(name) as quiet:
                for _ in range(self.story.steps[name]):
                    await asyncio.sleep(0)
                if name not in self.story.answered:
                    await quiet.wait()
                if quiet.is_set():
                    self.check_quiet()
                    raise Unanswered
        except Unanswered:
            self.ended[name] = "parked"
            self.conductor.park(name)
            return False
        self.on(name)
        return True

    def check_quiet(self) -> None:
        if self.working:
            self.faults.append(f"quiet while {self.working} work")
        for each in self.story.plan.tasks:
            waits = each.id not in self.ended and each.id not in self.conductor._asking
            if waits and all(self.ended.get(need) == "merged" for need in each.needs):
                self.faults.append(f"quiet although {each.id} could start")

    def end(self, name: str, status: TaskStatus) -> None:
        self.ended[name] = status
        self.conductor.end(name, TaskResult(id=name, title=name, specialist="python-pro", status=status))


class Unanswered(Exception):
    """Nobody answered and nothing else can run."""


def played(story: Story) -> Stage:
    """The stage after all tasks of the story came to rest."""

    async def play() -> Stage:
        stage = Stage(story, Conductor(Share(Pool(), story.slots)))
        stage.conductor.open(story.plan, {}, ())
        async with asyncio.timeout(10):
            await asyncio.gather(*(stage.play(each.id) for each in story.plan.tasks))
        return stage

    return asyncio.run(play())


@given(stories())
@settings(max_examples=150)
def test_every_task_comes_to_rest_after_its_needs_within_the_slots_and_quiet_is_true(story: Story) -> None:
    stage = played(story)
    assert stage.faults == []
    assert stage.most <= story.slots
    assert stage.ended.keys() == {each.id for each in story.plan.tasks}


@given(stories())
@settings(max_examples=100)
def test_a_task_is_skipped_or_parked_exactly_when_one_of_its_needs_did_not_merge(story: Story) -> None:
    stage = played(story)
    for each in story.plan.tasks:
        needs = {stage.ended[need] for need in each.needs}
        asked = each.id in story.asks
        match stage.ended[each.id]:
            case "merged" | "given_up":
                assert needs <= {"merged"}
                assert not asked or each.id in story.answered
            case "skipped":
                assert needs & {"given_up", "skipped"}
            case "parked":
                assert "parked" in needs or asked


@given(plans(), st.integers(1, 4))
@settings(max_examples=50)
def test_a_free_slot_is_never_left_empty_while_a_task_could_work(plan: Plan, slots: int) -> None:
    async def play() -> None:
        conductor = Conductor(Share(Pool(), slots))
        conductor.open(plan, {}, ())
        admitted: dict[str, asyncio.Task[str]] = {}
        for each in plan.tasks:
            admitted[each.id] = asyncio.ensure_future(conductor.admit(each.id))
        done: set[str] = set()
        while len(done) < len(plan.tasks):
            for _ in range(3):
                await asyncio.sleep(0)
            working = {name for name, admission in admitted.items() if admission.done()} - done
            ready = set(plan.ready(frozenset(done)))
            assert len(working) == min(slots, len(ready))
            assert working <= ready
            first = min(working)
            done.add(first)
            conductor.end(first, TaskResult(id=first, title=first, specialist="python-pro", status="merged"))

    asyncio.run(play())


def test_after_an_abort_nothing_starts_and_who_asks_is_told() -> None:
    async def play() -> None:
        plan = Plan(tasks=(task(1), task(2), task(3)))
        conductor = Conductor(Share(Pool(), 2))
        conductor.open(plan, {}, ())
        assert await conductor.admit("backend-T001") == "run"
        assert await conductor.admit("backend-T002") == "run"
        third = asyncio.ensure_future(conductor.admit("backend-T003"))
        async with conductor.asking("backend-T001") as quiet:
            ended = TaskResult(id="backend-T002", title="x", specialist="python-pro", status="abandoned", aborts=True)
            assert await third == "run"
            conductor.end("backend-T002", ended)
            assert quiet.is_set()
        assert await conductor.admit("backend-T003") == "skip"

    asyncio.run(play())


def begun(plan: Plan, arrival: Iterable[str], conductor: Conductor) -> list[str]:
    """The tasks in the order in which they began, on one slot."""

    async def play() -> list[str]:
        order: list[str] = []

        async def work(name: str) -> None:
            assert await conductor.admit(name) == "run"
            order.append(name[-1:])
            conductor.end(name, TaskResult(id=name, title=name, specialist="python-pro", status="merged"))

        conductor.open(plan, {}, ())
        async with asyncio.timeout(10):
            await asyncio.gather(*map(work, arrival))
        return order

    return asyncio.run(play())


def test_the_longest_way_goes_first_whoever_came_first_and_an_urgent_task_lends_its_priority() -> None:
    longest = Plan(
        tasks=(task(1, effort="quick"), task(2, effort="large"), task(3), task(4, needs=[3], effort="large"))
    )
    urgent = Plan(tasks=(task(1, effort="large"), task(2, effort="quick"), task(3, needs=[2], priority="high")))
    low = Plan(tasks=(task(1, priority="low", effort="large"), task(2, effort="quick")))
    for plan, order in ((longest, "3241"), (urgent, "231"), (low, "21")):
        for arrival in (list(plan.by_id), list(plan.by_id)[::-1]):
            assert begun(plan, arrival, Conductor(Share(Pool(), 1))) == list(order)


def test_each_of_many_tasks_is_put_in_order_once() -> None:
    class Counting(Conductor):
        asked = 0

        def order(self, task: str) -> tuple[int, float, str]:
            self.asked += 1
            return super().order(task)

    plan = Plan(tasks=tuple(task(n, needs=[n - 10] if n > 10 else []) for n in range(1, 400)))
    conductor = Counting(Share(Pool(), 1))
    assert len(begun(plan, plan.by_id, conductor)) == 399
    assert conductor.asked == 399
