"""The same ends over the Responses API, which says them otherwise: F016, F017, F018, F020, F021, F026, F028."""

import json

import pytest

from backend_coordinator.domain.failure import FailureClass
from backend_coordinator.errors import ModelCallFailed
from backend_coordinator.nodes.models.faults import failure_class
from backend_coordinator.nodes.models.replies import settled
from tests.faults.conftest import Bad
from tests.faults.server import Asked, Fault, Response
from tests.support.openai_server import Json
from tests.support.responses_server import responses


def ended(**changes: object) -> Fault:
    """The answer whose response, as it stands at the end, has these fields."""

    def play(asked: Asked) -> Response:
        answer = responses(asked)
        if not asked.streaming:
            return answer._replace(parts=[json.dumps({**json.loads(answer.parts[0]), **changes})])
        *most, last = answer.parts
        event = json.loads(last.partition("data: ")[2])
        event["response"].update(changes)
        event["type"] = f"response.{changes.get('status', 'completed')}"
        return answer._replace(parts=[*most, f"event: {event['type']}\ndata: {json.dumps(event)}\n\n"])

    return play


def refusal(asked: Asked) -> Response:
    """A message that refuses."""
    answer = responses(asked)
    content = {"type": "refusal", "refusal": "I cannot help with that."}
    item = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [content]}
    if not asked.streaming:
        return answer._replace(parts=[json.dumps({**json.loads(answer.parts[0]), "output": [item]})])
    at = {"output_index": 0, "item_id": "msg_1", "content_index": 0, "sequence_number": 1}
    event = {**at, "type": "response.refusal.done", "refusal": content["refusal"]}
    parts = [answer.parts[0], f"event: {event['type']}\ndata: {json.dumps(event)}\n\n", answer.parts[-1]]
    return answer._replace(parts=parts)


CUT: Json = {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}
FILTERED: Json = {"status": "incomplete", "incomplete_details": {"reason": "content_filter"}}


@pytest.mark.parametrize(
    ("fault", "failure"),
    [
        (ended(**CUT), FailureClass.CUT_OFF),
        (ended(**FILTERED), FailureClass.CONTENT_FILTER),
        (refusal, FailureClass.REFUSAL),
    ],
    ids=["f020", "f017", "f016"],
)
async def test_an_unusable_end_fails_the_call_at_once(calling: Bad, fault: Fault, failure: FailureClass) -> None:
    calling.always = fault
    with pytest.raises(ModelCallFailed) as failed:
        await calling.ask(api="responses")
    assert failure_class(failed.value) is failure
    assert len(calling.asked) == 1


def unended(asked: Asked) -> Response:
    """No last event; a body that is still in progress."""
    answer = responses(asked)
    return answer._replace(parts=answer.parts[:-1]) if asked.streaming else ended(status="in_progress")(asked)


def failed(asked: Asked) -> Response:
    """An error with status 200."""
    return ended(status="failed", error={"code": "server_error", "message": "try again"})(asked)


@pytest.mark.parametrize("fault", [unended, failed], ids=["f021", "f026"])
async def test_an_answer_that_did_not_end_well_is_asked_for_again(calling: Bad, fault: Fault) -> None:
    calling.faults, calling.always = [fault], responses
    reply, used = await calling.ask(api="responses")
    assert [call["args"]["content"] for call in reply.tool_calls] == ["one\ntwo\n"]
    assert (used.retries, len(calling.asked)) == (1, 2)


async def test_f028_ids_that_are_made_unique_are_so_in_all_that_goes_back(calling: Bad) -> None:
    calling.always = responses
    first, _ = await calling.ask(api="responses")
    again = settled(first, {"0-0"}, 4)
    assert [call["id"] for call in again.tool_calls] == ["call-4-0"]
    blocks = [block for block in again.content if isinstance(block, dict) and block["type"] == "function_call"]
    assert [block["call_id"] for block in blocks] == ["call-4-0"]
