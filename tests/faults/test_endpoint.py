"""What calls to one server share: limits per minute, over loops and threads too, and how it opens again."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from backend_coordinator.errors import ModelCallFailed
from backend_coordinator.nodes.models.clock import Clock
from backend_coordinator.nodes.models.endpoint import Endpoint, Rates
from backend_coordinator.nodes.models.faults import Fault, Kind
from tests.faults.conftest import Bad, gathered
from tests.faults.server import refused
from tests.support.clock import VirtualClock
from tests.support.openai_server import COMPLETION_TOKENS, PROMPT_TOKENS

SPENT = PROMPT_TOKENS + COMPLETION_TOKENS


def busiest_minute(times: list[float]) -> int:
    """The most requests within any 60 s."""
    return max(sum(start <= at < start + 60 for at in times) for start in times)


async def test_requests_per_minute_are_shared_by_all_calls(talking: Bad) -> None:
    await gathered(*(talking.ask(requests_per_minute=4, seconds=600) for _ in range(10)))
    times = [asked.at for asked in talking.asked]
    assert len(times) == 10
    assert busiest_minute(times) == 4
    assert talking.clock.now() == pytest.approx(120)


async def test_requests_that_are_sent_again_count_too(talking: Bad) -> None:
    talking.faults = [refused(500)] * 2
    await gathered(*(talking.ask(requests_per_minute=3, seconds=600) for _ in range(4)))
    assert busiest_minute([asked.at for asked in talking.asked]) == 3


async def test_tokens_per_minute_count_what_the_server_counted(talking: Bad) -> None:
    for _ in range(4):
        await talking.ask(tokens_per_minute=2 * SPENT, seconds=600)
    assert [asked.at for asked in talking.asked] == pytest.approx([0.0, 0.0, 60.0, 60.0])


async def test_a_minute_without_room_is_no_reason_to_wait_beyond_the_deadline(talking: Bad) -> None:
    await talking.ask(requests_per_minute=1)
    with pytest.raises(ModelCallFailed, match="takes requests again in 60 s"):
        await talking.ask(requests_per_minute=1, seconds=30)
    assert (len(talking.asked), talking.clock.now()) == (1, 0.0)


async def test_a_request_above_the_limit_by_itself_goes_alone() -> None:
    endpoint, clock = Endpoint(), VirtualClock()
    passed = await endpoint.admit(clock, 600, 500, Rates(tokens=100))
    endpoint.succeeded(passed, 500)
    async with clock.limit(600):
        await endpoint.admit(clock, 600, 500, Rates(tokens=100))
    assert clock.now() == pytest.approx(60)


def test_callers_in_several_threads_and_loops_wait_for_each_other() -> None:
    endpoint, clock = Endpoint(), VirtualClock()
    sent: list[float] = []

    async def caller() -> None:
        async with clock.limit(600):
            while True:
                passed = await endpoint.admit(clock, 600, 1)
                sent.append(clock.now())
                await asyncio.sleep(0)
                if clock.now() >= 5:
                    return endpoint.succeeded(passed, 1)
                endpoint.failed(passed, Fault(Kind.RATE_LIMITED, "", wait=5), clock)

    async def several() -> None:
        await asyncio.wait_for(gathered(*(caller() for _ in range(3))), 20)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(asyncio.run, [several() for _ in range(4)]))
    assert sum(at < 5 for at in sent) <= 12
    assert sum(at >= 5 for at in sent) == 12


async def opened(endpoint: Endpoint, clock: Clock) -> int:
    """How many requests may go at once."""
    admitted = 0
    with suppress(Fault):
        while True:
            await endpoint.admit(clock, clock.now(), 1)
            admitted += 1
    return admitted


async def test_after_a_closing_each_success_doubles_how_many_may_go() -> None:
    endpoint, clock = Endpoint(), VirtualClock()
    endpoint.failed(await endpoint.admit(clock, 1, 1), Fault(Kind.RATE_LIMITED, "", wait=5), clock)
    with pytest.raises(Fault, match="again in 5 s"):
        await endpoint.admit(clock, 4, 1)
    await clock.pass_by(5)
    first = await endpoint.admit(clock, 9, 1)
    assert await opened(endpoint, clock) == 0
    endpoint.succeeded(first, 1)
    second = await endpoint.admit(clock, 9, 1)
    endpoint.succeeded(second, 1)
    assert await opened(endpoint, clock) == 4


async def test_an_answer_to_an_older_request_does_not_open_it() -> None:
    endpoint, clock = Endpoint(), VirtualClock()
    old, refused_one = await endpoint.admit(clock, 1, 1), await endpoint.admit(clock, 1, 1)
    endpoint.failed(refused_one, Fault(Kind.RATE_LIMITED, "", wait=5), clock)
    endpoint.succeeded(old, 1)
    await clock.pass_by(5)
    assert await opened(endpoint, clock) == 1


async def test_a_request_refused_for_itself_shows_that_the_server_is_back() -> None:
    endpoint, clock = Endpoint(), VirtualClock()
    endpoint.failed(await endpoint.admit(clock, 1, 1), Fault(Kind.SERVER, "", wait=5), clock)
    await clock.pass_by(5)
    endpoint.failed(await endpoint.admit(clock, 9, 1), Fault(Kind.REQUEST, ""), clock)
    assert await opened(endpoint, clock) == 2


async def test_a_call_that_is_given_up_makes_room() -> None:
    endpoint, clock = Endpoint(), VirtualClock()
    endpoint.failed(await endpoint.admit(clock, 1, 1), Fault(Kind.SERVER, "", wait=5), clock)
    await clock.pass_by(5)
    await endpoint.admit(clock, 9, 1)
    waiting = asyncio.ensure_future(endpoint.admit(clock, 9, 1))
    await asyncio.sleep(0)
    endpoint.left()
    await asyncio.wait_for(waiting, 5)
