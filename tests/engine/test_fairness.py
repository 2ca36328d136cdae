"""Many runs in one process share its places: bounded, none idle while somebody waits, and nobody starves."""

import asyncio
import shutil
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, AnyMessage

from backend_coordinator.domain.plan import Plan
from backend_coordinator.domain.report import TaskResult
from backend_coordinator.errors import ConfigurationError
from backend_coordinator.graph.conductor import Conductor
from backend_coordinator.graph.slots import MOST, Pool, Share, process_share
from backend_coordinator.testing import Script
from tests.support.department import Told, department, plan, task, write_own_file
from tests.support.runs import coordinator


@dataclass
class Taker:
    """A run that takes what it is granted; `passed` counts the admissions of others while it waits with nothing."""

    share: Share
    all: "list[Taker]"
    wants: int = 0
    has: int = 0
    passed: int = 0

    def take(self) -> None:
        while self.wants and self.share.take():
            self.wants, self.has = self.wants - 1, self.has + 1
            for each in self.all:
                each.passed = each.passed + 1 if each.wants and not each.has else 0
        self.share.release()


moves = st.lists(st.tuples(st.integers(0, 5), st.sampled_from(["want", "end"])), min_size=20, max_size=120)


@given(st.integers(1, 6), st.lists(st.integers(1, 5), min_size=2, max_size=6), moves)
@settings(max_examples=60)
def test_nobody_starves_and_no_place_is_idle_while_a_run_waits(
    size: int, slots: Sequence[int], played: Sequence[tuple[int, str]]
) -> None:
    async def play() -> None:
        pool = Pool(size)
        takers: list[Taker] = []
        takers += [Taker(Share(pool, each), takers) for each in slots]
        for taker in takers:
            taker.share.granted = taker.take
        for number, move in played:
            taker = takers[number % len(takers)]
            if move == "want":
                taker.wants += 1
                taker.take()
            elif taker.has:
                taker.has -= 1
                taker.share.give()
                taker.take()
            for _ in takers:
                await asyncio.sleep(0)
            used = sum(each.has for each in takers)
            assert used <= size
            for each in takers:
                assert each.has <= each.share.slots
                assert not (each.wants and each.has < each.share.slots and used < size), "a place is idle"
                assert each.passed < len(takers), "a run without a place was passed over"

    asyncio.run(play())


def test_a_free_place_goes_to_the_run_with_the_fewest_then_to_the_longest_waiting() -> None:
    async def play() -> None:
        pool, told = Pool(3), list[str]()
        many, one, none, late = (Share(pool, 4, partial(told.append, name)) for name in ("many", "one", "none", "late"))
        assert [many.take(), many.take(), one.take()] == [True, True, True]
        assert [one.take(), none.take(), late.take()] == [False, False, False]
        many.give()
        many.give()
        one.give()
        await asyncio.sleep(0)
        assert told == ["none", "late", "one"]

    asyncio.run(play())


def test_a_lone_run_has_all_its_slots_at_once_and_a_named_number_is_never_exceeded() -> None:
    async def taken(pool: Pool, slots: int) -> int:
        share = Share(pool, slots)
        return sum(share.take() for _ in range(100))

    assert asyncio.run(taken(Pool(), 4)) == 4
    assert asyncio.run(taken(Pool(), MOST + 8)) == MOST + 8
    assert asyncio.run(taken(Pool(2), 4)) == 2


def test_a_run_that_is_left_gives_everything_back_and_one_whose_loop_is_gone_is_passed_over() -> None:
    async def wait(share: Share) -> bool:
        return share.take()

    async def play() -> None:
        pool, told = Pool(2), list[str]()
        gone = Share(pool, 2)
        with Share(pool, 2) as left:
            assert left.take()
            assert left.take()
            await asyncio.to_thread(asyncio.run, wait(gone))
            waiting = Share(pool, 2, lambda: told.append("granted"))
            assert not waiting.take()
        await asyncio.sleep(0)
        assert told == ["granted"]
        assert waiting.take()
        assert waiting.take()
        assert not left.take()

    asyncio.run(play())


def test_runs_in_several_loops_and_threads_share_one_bound() -> None:
    pool, lock, most, working = Pool(2), threading.Lock(), list[int](), set[str]()

    async def work(conductor: Conductor, run: int, name: str) -> None:
        assert await conductor.admit(name) == "run"
        with lock:
            working.add(f"{run} {name}")
            most.append(len(working))
        await asyncio.sleep(0)
        with lock:
            working.remove(f"{run} {name}")
        conductor.end(name, TaskResult(id=name, title=name, specialist="python-pro", status="merged"))

    async def play(run: int) -> None:
        made = Plan(tasks=tuple(task(n, needs=[n - 3] if n > 3 else []) for n in range(1, 40)))
        with Share(pool, 4) as share:
            conductor = Conductor(share)
            conductor.open(made, {}, ())
            async with asyncio.timeout(30):
                await asyncio.gather(*(work(conductor, run, each.id) for each in made.tasks))

    with ThreadPoolExecutor(4) as threads:
        for ended in [threads.submit(asyncio.run, play(run)) for run in range(4)]:
            ended.result()
    assert len(most) == 4 * 39
    assert max(most) == 2
    assert not pool.shares


@pytest.mark.parametrize("named", ["0", "-1", "many", "2.5"])
def test_a_number_of_slots_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch, named: str) -> None:
    monkeypatch.setenv("BACKEND_COORDINATOR_SLOTS", named)
    with pytest.raises(ConfigurationError, match="BACKEND_COORDINATOR_SLOTS"):
        process_share(4)


def test_two_runs_one_of_them_within_a_parent_work_one_task_at_a_time(
    shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BACKEND_COORDINATOR_SLOTS", "1")
    begun, most, other = set[str](), list[int](), shutil.copytree(shop, tmp_path / "other")

    def script(run: str) -> Script:
        def work(told: Told) -> AIMessage:
            begun.add(f"{run} {told.task}")
            most.append(len(begun))
            if told.turn:
                begun.remove(f"{run} {told.task}")
            return write_own_file(told)

        return department(plan(task(1), task(2)), work)

    run = coordinator(shop, script("process")).start("two files")
    node = coordinator(other, script("parent")).as_node()

    async def embedded() -> list[AnyMessage]:
        return (await node({"objective": "two files"}, {}))["messages"]

    (message,) = asyncio.run(embedded())
    assert run.result().accepted
    assert message.additional_kwargs["backend_coordinator"]["accepted"]
    assert len(most) == 8
    assert max(most) == 1
