"""A server that asks for fewer requests: F001, F002, F004, F005, F006."""

import asyncio

import pytest

from backend_coordinator.domain.failure import FailureClass
from backend_coordinator.errors import ModelCallFailed
from backend_coordinator.nodes.models.faults import Kind, failure_class
from tests.faults.conftest import Bad, gathered
from tests.faults.server import Asked, Response, refused, whole


async def test_f001_retry_after_is_waited_for_with_one_more_request(talking: Bad) -> None:
    talking.faults = [refused(429, headers={"retry-after": "1"})]
    reply, used = await talking.ask()
    assert reply.text == "all is well"
    first, second = talking.asked
    assert second.at - first.at == pytest.approx(1.0)
    assert (used.model_calls, used.retries) == (1, 1)


async def test_f002_a_wait_that_does_not_fit_fails_at_once_and_says_when_to_come_back(talking: Bad) -> None:
    talking.always = refused(429, headers={"retry-after": "90"})
    with pytest.raises(ModelCallFailed, match=r"again in 90 s, at 2026-01-01 00:01:30 UTC; 30 s are left") as failed:
        await talking.ask(seconds=30)
    assert failure_class(failed.value) is FailureClass.BUDGET_EXHAUSTED
    assert (len(talking.asked), talking.clock.now()) == (1, 0.0)
    assert "times" not in str(failed.value)


@pytest.mark.parametrize(
    ("name", "value"), [("retry-after", "Thu, 01 Jan 2026 00:00:07 GMT"), ("retry-after-ms", "7000")]
)
async def test_f004_a_date_and_milliseconds_are_understood(talking: Bad, name: str, value: str) -> None:
    talking.faults = [refused(429, headers={name: value})]
    await talking.ask()
    assert [asked.at for asked in talking.asked] == pytest.approx([0.0, 7.0])


NO_TIMES = ["-5", "soon", "0", "", "nan", "inf", "1e12", "1e300", "1767225600", "Fri, 31 Dec 9999 23:59:59 GMT"]


@pytest.mark.parametrize("value", NO_TIMES)
async def test_f004_a_header_that_names_no_time_is_as_none(talking: Bad, value: str) -> None:
    talking.faults = [refused(429, headers={"retry-after": value})]
    await talking.ask()
    first, second = talking.asked
    assert 1.0 <= second.at - first.at <= 1.25


async def test_f004_nobody_is_kept_waiting_for_more_than_an_hour(talking: Bad) -> None:
    talking.faults = [refused(429, headers={"retry-after": "7200"})]
    with pytest.raises(ModelCallFailed, match="again in 3600 s"):
        await talking.ask()
    await talking.clock.pass_by(3600)
    await talking.ask()
    assert len(talking.asked) == 2


@pytest.mark.parametrize("status", [429, 503])
async def test_f005_a_server_that_forbids_to_try_again_is_obeyed(talking: Bad, status: int) -> None:
    talking.always = refused(status, headers={"x-should-retry": "false"})
    with pytest.raises(ModelCallFailed, match=f"status {status}"):
        await talking.ask()
    assert len(talking.asked) == 1


async def test_f006_twenty_callers_of_an_overloaded_server_wait_together(talking: Bad) -> None:
    def overloaded(asked: Asked) -> Response:
        return (refused(429) if asked.at < 10 else whole)(asked)

    talking.always = overloaded
    replies = await gathered(*(talking.ask() for _ in range(20)))
    assert [reply.text for reply, _ in replies] == ["all is well"] * 20
    early = [asked.at for asked in talking.asked if asked.at < 10]
    assert len(early) <= 60
    assert len(talking.asked) == len(early) + 20, "nobody is refused again once the server takes requests"
    assert talking.clock.now() < 60


async def test_f006_callers_that_come_while_the_server_is_closed_wait_too(talking: Bad) -> None:
    talking.faults = [refused(429, headers={"retry-after": "8"})]
    first = asyncio.ensure_future(talking.ask())
    while not talking.asked or talking.clock.now() == 0:
        await asyncio.sleep(0)
    await gathered(first, *(talking.ask() for _ in range(3)))
    assert [asked.at for asked in talking.asked if asked.at < 8] == [0.0]


async def test_f006_every_callers_usage_tells_its_own_retries(talking: Bad) -> None:
    talking.faults = [refused(429)] * 2
    replies = await gathered(talking.ask(), talking.ask())
    assert sorted(used.retries for _, used in replies) == [1, 1]


async def test_f006_a_call_gives_up_after_its_own_attempts(talking: Bad) -> None:
    talking.always = refused(429)
    with pytest.raises(ModelCallFailed, match="3 times: status 429") as failed:
        await talking.ask(attempts=3)
    assert failed.value.kind == Kind.RATE_LIMITED
    assert len(talking.asked) == 3
