"""A server that fails, refuses a request, or is down: F007, F008, F009, F031."""

import asyncio
from datetime import UTC, datetime

import httpx
import openai
import pytest
from langchain_core.messages import HumanMessage
from langchain_openai import ChatOpenAI
from pydantic import SecretStr

from backend_coordinator.domain.failure import FailureClass
from backend_coordinator.errors import ModelCallFailed, ModelUnavailable
from backend_coordinator.nodes.models.call import Request, call_model
from backend_coordinator.nodes.models.faults import Kind, failure_class, fault_of
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


BILLING = "You exceeded your current quota, please check your plan and billing details."
Said = tuple[int, str, str | int | None, str | None, Kind]
SAID: list[Said] = [
    (402, "Insufficient Balance", "invalid_request_error", None, Kind.QUOTA),
    (402, "This request requires more credits", 402, None, Kind.QUOTA),
    (400, "Budget has been exceeded! Current cost: 10", "400", "budget_exceeded", Kind.QUOTA),
    (400, "no", "insufficient_balance", None, Kind.QUOTA),
    (429, BILLING, None, None, Kind.QUOTA),
    (429, f"{BILLING} {'Quota exceeded for a metric. ' * 10} Please retry in 37s.", 429, None, Kind.RATE_LIMITED),
    (400, "API key not valid. Please pass a valid API key.", "400", None, Kind.KEY),
    (400, "no", "invalid_api_key", None, Kind.KEY),
    (400, "the tool key not valid", None, None, Kind.REQUEST),
    (400, "Invalid model name passed in model=foo. Call `/v1/models` to view", "400", "None", Kind.MODEL),
    (400, "The model `org/foo:1b` does not exist", None, None, Kind.MODEL),
    (400, "the tool that the model called does not exist", None, None, Kind.REQUEST),
    (404, "no such path", None, None, Kind.MODEL),
    (405, "no such method", None, None, Kind.MODEL),
    (413, "Request too large: maximum context length is 8192", "request_too_large", None, Kind.OVERFLOW),
    (422, "inputs exceed the context window", None, None, Kind.OVERFLOW),
    (413, "Request Entity Too Large", None, None, Kind.REQUEST),
]


@pytest.mark.parametrize("listed", [False, True], ids=["object", "list"])
@pytest.mark.parametrize("said", SAID)
async def test_what_a_refusal_means_is_read_from_its_code_and_its_words(said: Said, listed: bool) -> None:
    status, message, code, named, kind = said
    error = {"message": message, "code": code, "type": named}
    request = httpx.Request("POST", "http://127.0.0.1/v1/chat/completions")
    response = httpx.Response(status, json=[{"error": error}] if listed else {"error": error}, request=request)
    raised = openai.AsyncOpenAI(api_key="k")._make_status_error_from_response(response)
    fault = fault_of(raised, datetime.now(UTC), "model m")
    assert (fault.kind, fault.again) == (kind, kind is Kind.RATE_LIMITED)
    assert len(str(fault)) < 300


@pytest.mark.parametrize(
    ("address", "key", "said"),
    [
        ("localhost:1/v1", "k", "its address is none like"),
        ("", "sk-abc\n", "key for .* cannot be sent"),
        ("", "schl\u00fcssel", "key for .* cannot be sent"),
    ],
)
async def test_an_address_or_a_key_that_cannot_be_sent_is_named_at_once(
    talking: Bad, address: str, key: str, said: str
) -> None:
    address = address or talking.server.env["OPENAI_BASE_URL"]
    model = ChatOpenAI(model="m", base_url=address, api_key=SecretStr(key), streaming=talking.streaming)
    with pytest.raises(ModelUnavailable, match=said) as failed:
        await call_model(model, Request([HumanMessage("?")]), talking.terms(), clock=talking.clock)
    assert key == "k" or key.strip() not in str(failed.value)
    assert (talking.clock.now(), len(talking.asked)) == (0, 0)
