"""Servers that say nothing, or next to nothing: F024, F025."""

import pytest

from backend_coordinator.domain.failure import FailureClass
from backend_coordinator.errors import ModelCallFailed
from backend_coordinator.nodes.models.faults import failure_class
from tests.faults.conftest import Bad
from tests.faults.server import Asked, Response, whole


def hangs(asked: Asked) -> Response:
    """Says one thing and falls silent for 130 s."""
    return whole(asked)._replace(parts=whole(asked).parts[:1], ending="hang", pause=130)


def never_begins(asked: Asked) -> Response:
    """Not even headers within 310 s."""
    return Response((), ending="hang", pause=310)


def drips(asked: Asked) -> Response:
    """A character every 100 s."""
    answer = whole(asked)
    return answer._replace(parts=list("".join(answer.parts)), pause=100)


def drips_chunks(asked: Asked) -> Response:
    """A chunk every 100 s."""
    answer = whole(asked)
    return answer._replace(parts=[*answer.parts[:1] * 10, *answer.parts[1:]], pause=100)


@pytest.mark.parametrize("streaming", [True], ids=["streaming"], indirect=True)
async def test_f024_a_stream_that_falls_silent_is_begun_anew(talking: Bad) -> None:
    talking.faults = [hangs]
    reply, used = await talking.ask(seconds=600)
    assert (reply.text, used.retries) == ("all is well", 1)
    assert 120 <= talking.clock.now() <= 150


@pytest.mark.parametrize("streaming", [True], ids=["streaming"], indirect=True)
async def test_f024_a_stream_that_never_begins_is_begun_anew(talking: Bad) -> None:
    talking.faults = [lambda asked: never_begins(asked)._replace(pause=130)]
    reply, used = await talking.ask(seconds=600)
    assert (reply.text, used.retries) == ("all is well", 1)


async def test_f024_a_server_that_never_answers_ends_with_the_calls_time(talking: Bad) -> None:
    talking.always = never_begins
    with pytest.raises(ModelCallFailed, match="no answer within 300 s") as failed:
        await talking.ask(seconds=300, idle_seconds=1000)
    assert failure_class(failed.value) is FailureClass.BUDGET_EXHAUSTED
    assert len(talking.asked) == 1


async def test_f025_one_deadline_bounds_an_answer_that_drips(talking: Bad) -> None:
    talking.always = drips_chunks if talking.streaming else drips
    with pytest.raises(ModelCallFailed, match="no answer within 300 s"):
        await talking.ask(seconds=300, idle_seconds=120)
    assert len(talking.asked) == 1


@pytest.mark.parametrize("streaming", [True], ids=["streaming"], indirect=True)
async def test_f025_the_deadline_holds_over_all_attempts(talking: Bad) -> None:
    talking.always = hangs
    with pytest.raises(ModelCallFailed, match="no answer within 300 s"):
        await talking.ask(seconds=300, idle_seconds=120)
    assert len(talking.asked) == 3


@pytest.mark.parametrize("streaming", [True], ids=["streaming"], indirect=True)
async def test_f025_a_slow_stream_that_fits_is_whole(talking: Bad) -> None:
    talking.always = drips_chunks
    reply, used = await talking.ask(seconds=5000, idle_seconds=120)
    assert reply.text.endswith("all is well")
    assert used.retries == 0
