"""A server that fails, refuses a request, or is down: F007, F008, F009, F031."""

import asyncio

import pytest

from backend_coordinator.domain.failure import FailureClass
from backend_coordinator.errors import ModelCallFailed, ModelUnavailable
from backend_coordinator.nodes.models.faults import Kind, failure_class
from tests.faults.conftest import Bad, gathered
from tests.faults.server import Asked, Response, page, refused, whole

PASSING = [408, 409, 500, 502, 503, 504, 529]


@pytest.mark.parametrize("status", PASSING)
async def test_f007_all_layers_together_send_no_more_requests_than_allowed(talking: Bad, status: int) -> None:
    talking.always = refused(status, "oops")
    with pytest.raises(ModelCallFailed, match=f"4 times: status {status}"):
        await talking.ask(attempts=4)
    assert len(talking.asked) == 4


@pytest.mark.parametrize("status", PASSING)
async def test_f007_a_server_error_passes(talking: Bad, status: int) -> None:
    talking.faults = [refused(status)]
    reply, used = await talking.ask()
    assert (reply.text, used.retries, len(talking.asked)) == ("all is well", 1, 2)


async def test_f008_a_page_is_retried_and_never_quoted(talking: Bad) -> None:
    talking.always = page(503)
    with pytest.raises(ModelCallFailed) as failed:
        await talking.ask(attempts=2)
    assert str(failed.value) == "the model failed 2 times: status 503"
    assert len(talking.asked) == 2


@pytest.mark.parametrize("status", [400, 413, 422])
async def test_f009_a_refused_request_is_not_sent_again(talking: Bad, status: int) -> None:
    talking.always = refused(status, "tools: \n field required")
    with pytest.raises(ModelCallFailed, match=rf"\(status {status}\): tools: field required") as failed:
        await talking.ask()
    assert failure_class(failed.value) is FailureClass.EXTERNAL_BLOCK
    assert len(talking.asked) == 1


async def test_f009_a_refusing_page_is_not_quoted(talking: Bad) -> None:
    talking.always = page(400)
    with pytest.raises(ModelCallFailed) as failed:
        await talking.ask()
    assert str(failed.value) == "the model failed: the server refused the request (status 400)"


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("no", "context_length_exceeded"),
        ("This model's maximum context length is 8192 tokens", None),
        ("prompt is too long: 9000 tokens", None),
        ("the request exceeds the available context size, try increasing it", None),
    ],
)
async def test_f009_a_context_that_is_too_long_is_told_apart(talking: Bad, message: str, code: str | None) -> None:
    talking.always = refused(400, message, code=code)
    with pytest.raises(ModelCallFailed) as failed:
        await talking.ask()
    assert failure_class(failed.value) is FailureClass.CONTEXT_OVERFLOW
    assert len(talking.asked) == 1


async def test_f031_callers_wait_while_the_server_is_down_and_one_at_a_time_looks(talking: Bad) -> None:
    def down(asked: Asked) -> Response:
        return (refused(503) if 1 <= asked.at < 61 else whole)(asked)

    talking.always = down
    await talking.ask()
    await talking.clock.pass_by(1)
    replies = await gathered(*(talking.ask() for _ in range(8)))
    assert [reply.text for reply, _ in replies] == ["all is well"] * 8
    before, after = talking.asked[1:9], talking.asked[9:]
    assert {asked.at for asked in before} == {1.0}
    probes = [asked.at for asked in after if asked.at < 61]
    assert len(probes) <= 3
    assert probes == sorted(set(probes)), "one at a time"
    assert min(probes) >= 11
    assert len(after) == len(probes) + 8
    assert talking.clock.now() <= 61 + 60


async def test_f031_callers_wait_while_connections_are_refused(talking: Bad) -> None:
    await talking.ask()
    talking.server.down()
    talking.clock.at(60, talking.server.up)
    replies = await gathered(*(talking.ask() for _ in range(8)))
    assert [reply.text for reply, _ in replies] == ["all is well"] * 8
    assert sum(used.retries for _, used in replies) <= 8 + 4
    assert 60 <= talking.clock.now() <= 60 + 60
    assert len(talking.asked) == 1 + 8


async def test_f031_a_call_that_came_while_it_was_down_gives_up_at_its_own_deadline(talking: Bad) -> None:
    await talking.ask()
    talking.server.down()
    for _ in range(3):
        with pytest.raises(ModelCallFailed):
            await talking.ask(attempts=1)
    with pytest.raises(ModelCallFailed, match="takes requests again in 1") as failed:
        await talking.ask(seconds=5)
    assert failed.value.kind == Kind.LATE
    assert talking.clock.now() == 0


async def test_a_server_nobody_ever_reached_is_named_soon(talking: Bad) -> None:
    talking.server.down()
    with pytest.raises(ModelUnavailable, match=rf"test-model at http://127.0.0.1:{talking.server.port}/v1 cannot be"):
        await asyncio.wait_for(talking.ask(), 10)
    assert talking.clock.now() < 5
