"""A question of the coordinator to a model, answered as a typed value and never paid for twice."""

import json
from dataclasses import dataclass
from typing import TypeVar

from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, SystemMessage, ToolMessage
from pydantic import BaseModel, ValidationError

from backend_coordinator.domain.events import ModelCalled
from backend_coordinator.domain.roster import Specialist
from backend_coordinator.domain.usage import Usage
from backend_coordinator.errors import ModelCallFailed
from backend_coordinator.nodes.context import RunContext
from backend_coordinator.nodes.models.call import Request, call_model
from backend_coordinator.nodes.models.replies import settled

T = TypeVar("T", bound=BaseModel)
ROUNDS = 2
"""The answer, and one correction with the exact finding."""


@dataclass(frozen=True)
class Inquiry:
    """What is asked: `purpose` (such as `analysis` or `review-backend-T001-2`) names its journal."""

    purpose: str
    system: str
    user: str
    to: Specialist | None = None


async def ask(context: RunContext, inquiry: Inquiry, answer: type[T]) -> tuple[T, Usage]:
    """The model's answer as an `answer`, with what it cost.

    An answer that the journal holds is given back without a call. Raises ModelCallFailed when it stays malformed.
    """
    journal = context.transcript(inquiry.purpose)
    past = journal.read()
    messages: list[AnyMessage] = [SystemMessage(inquiry.system), HumanMessage(inquiry.user), *past.messages]
    usage, finding = past.usage, ""
    for _ in range(ROUNDS):
        if not isinstance(messages[-1], AIMessage):
            reply, used = await _call(context, inquiry, messages, answer)
            reply = settled(reply, (), len(messages))
            journal.add(reply, used)
            messages.append(reply)
            usage += used
        try:
            return answer.model_validate_json(_json_of(messages[-1])), usage
        except ValidationError as error:
            finding = str(error)
            corrections = _correction(messages[-1], finding)
            for message in corrections:
                journal.add(message)
            messages += corrections
    msg = f"{inquiry.purpose}: the model's answer stayed malformed: {' '.join(finding.split())[:300]}"
    raise ModelCallFailed(msg)


async def _call(
    context: RunContext, inquiry: Inquiry, messages: list[AnyMessage], answer: type[BaseModel]
) -> tuple[AIMessage, Usage]:
    function = {
        "name": f"answer_{inquiry.purpose.partition('-')[0]}",
        "description": "Gives the answer. Call it exactly once.",
        "parameters": answer.model_json_schema(),
    }
    request = Request(messages, tools=[{"type": "function", "function": function}])
    reply, used = await call_model(context.model_of(inquiry.to), request, context.settings.model, clock=context.clock)
    context.ledger.record(ModelCalled(purpose=inquiry.purpose, usage=used))
    return reply, used


def _json_of(reply: AnyMessage) -> str:
    assert isinstance(reply, AIMessage)
    if reply.tool_calls:
        return json.dumps(reply.tool_calls[0]["args"])
    text = str(reply.text)
    return text[text.find("{") : text.rfind("}") + 1] or "null"


def _correction(reply: AnyMessage, finding: str) -> list[AnyMessage]:
    assert isinstance(reply, AIMessage)
    text = f"That answer does not fit the schema; answer again in full. {finding}"
    ids = [str(call["id"]) for call in (*reply.tool_calls, *reply.invalid_tool_calls)]
    return [ToolMessage(text, tool_call_id=name, status="error") for name in ids] or [HumanMessage(text)]
