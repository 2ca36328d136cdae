"""A question of the coordinator to a model, answered as a typed value and never paid for twice."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, SystemMessage, ToolMessage
from pydantic import BaseModel

from backend_coordinator.domain.events import COORDINATOR
from backend_coordinator.domain.roster import Specialist
from backend_coordinator.domain.usage import Usage
from backend_coordinator.errors import ModelCallFailed
from backend_coordinator.nodes.context import RunContext
from backend_coordinator.nodes.models.faults import CallFailed, Kind
from backend_coordinator.nodes.models.forms import forms, in_words, request, taken
from backend_coordinator.nodes.models.replies import settled
from backend_coordinator.nodes.models.structured import NO_JSON, Unreadable, read

T = TypeVar("T", bound=BaseModel)
ROUNDS = 2
"""The answer, and one correction with the exact finding."""
_MISHAPS: Mapping[str, str] = {
    Kind.EMPTY: "Your last message was empty: answer in full.",
    Kind.LENGTH: "Your last message was cut off at the output limit: answer again, more briefly.",
}


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
    usage, findings = past.usage, ""
    for left in reversed(range(ROUNDS)):
        reply = messages[-1]
        if not isinstance(reply, AIMessage):
            try:
                answered, used = await _call(context, inquiry, messages, answer)
            except CallFailed as error:
                if not left or error.kind not in _MISHAPS:
                    raise
                journal.add(note := HumanMessage(_MISHAPS[error.kind]), error.usage)
                messages.append(note)
                usage += error.usage
                continue
            reply = settled(answered, (), len(messages))
            journal.add(reply, used)
            messages.append(reply)
            usage += used
        try:
            return read(reply, answer), usage
        except Unreadable as error:
            findings = str(error)
            corrections = _correction(reply, error, answer)
            for message in corrections:
                journal.add(message)
            messages += corrections
    msg = f"{inquiry.purpose}: the model's answer stayed malformed: {findings[:300]}"
    raise ModelCallFailed(msg)


async def _call(
    context: RunContext, inquiry: Inquiry, messages: list[AnyMessage], answer: type[BaseModel]
) -> tuple[AIMessage, Usage]:
    """One answer, in the first form that the server does not refuse."""
    model, terms = context.model_of(inquiry.to), context.settings.model
    name = f"answer_{inquiry.purpose.partition('-')[0]}"
    who = inquiry.to.name if inquiry.to else COORDINATOR
    choice = forms(model, terms.answers)
    for form in choice:
        try:
            asked = request(model, form, messages, name, answer)
            reply, called = await context.meter.call(model, asked, terms, purpose=inquiry.purpose, specialist=who)
        except (CallFailed, NotImplementedError) as error:  # a model without `bind_tools` raises the latter
            if form == choice[-1] or (isinstance(error, CallFailed) and error.kind is not Kind.REQUEST):
                raise
            continue
        if form != choice[0]:
            taken(model, form)
        break
    context.ledger.record(called)
    return reply, called.usage


def _correction(reply: AIMessage, error: Unreadable, answer: type[BaseModel]) -> list[AnyMessage]:
    findings = "\n".join(f"- {finding}" for finding in error.findings)
    form = f"\n{in_words(answer)}" if error.findings == (NO_JSON,) else ""
    text = f"That answer cannot be used:\n{findings}\nAnswer again in full.{form}"
    ids = [str(call["id"]) for call in (*reply.tool_calls, *reply.invalid_tool_calls)]
    return [ToolMessage(text, tool_call_id=name, status="error") for name in ids] or [HumanMessage(text)]
