"""A question of the coordinator to a model, answered as a typed value and never paid for twice."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, SystemMessage, ToolMessage
from pydantic import BaseModel

from backend_coordinator.domain.events import COORDINATOR, ModelCalled
from backend_coordinator.domain.roster import Specialist
from backend_coordinator.domain.usage import Usage
from backend_coordinator.errors import ModelCallFailed
from backend_coordinator.nodes.context import RunContext
from backend_coordinator.nodes.journal import ids_of_calls, open_calls
from backend_coordinator.nodes.models.faults import PASSING, CallFailed, Kind
from backend_coordinator.nodes.models.forms import forms, in_words, request, taken, works
from backend_coordinator.nodes.models.replies import settled
from backend_coordinator.nodes.models.structured import NO_JSON, Unreadable, read
from backend_coordinator.nodes.points import reach

T = TypeVar("T", bound=BaseModel)
ROUNDS = 2
"""The answer, and one correction with the exact finding."""
_DOUBTFUL = frozenset({Kind.REQUEST, Kind.SERVER, Kind.EMPTY})
"""What servers give to a form that they do not know, too."""
_TRIES = 2
"""Requests, at a time, in a form that never worked with the server while there are others."""
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
        if (reply := open_calls(messages)) is None:
            try:
                answered, called, used = await _call(context, inquiry, messages, answer)
            except CallFailed as error:
                if not left or error.kind not in _MISHAPS:
                    raise
                journal.add(note := HumanMessage(_MISHAPS[error.kind]), error.usage)
                messages.append(note)
                usage += error.usage
                continue
            reply = settled(answered, ids_of_calls(messages), len(messages))
            reach("model answered")
            journal.add(reply, used, called)
            reach("answer recorded")
            context.ledger.record(called)
            messages.append(reply)
            usage += used
        try:
            return context.redact.value(read(reply, answer)), usage
        except Unreadable as error:
            findings = str(error)
            for message in _correction(messages, reply, error, answer):
                journal.add(message)
                messages.append(message)
    msg = f"{inquiry.purpose}: the model's answer stayed malformed: {findings[:300]}"
    raise ModelCallFailed(msg)


async def _call(
    context: RunContext, inquiry: Inquiry, messages: list[AnyMessage], answer: type[BaseModel]
) -> tuple[AIMessage, ModelCalled, Usage]:
    """One answer, in the first form that the server takes; the call that brought it, and what all of them used.

    The forms share the attempts and the time of one call; each is tried at least once.
    """
    model, terms = context.model_of(inquiry.to), context.settings.model
    name = f"answer_{inquiry.purpose.partition('-')[0]}"
    who = inquiry.to.name if inquiry.to else COORDINATOR
    left, end = list(forms(model, terms.answers)), context.clock.now() + terms.seconds
    attempts, spent, sure = terms.attempts, Usage(), len(left) > 1
    while True:
        form, worked = left[0], works(model, left[0])
        final = worked or len(left) == 1
        share = max(1, attempts if final else min(attempts, _TRIES))
        bounds = {"attempts": share, "seconds": max(1.0, end - context.clock.now())}
        asked, allowed = request(model, form, messages, name, answer), terms.model_copy(update=bounds)
        try:
            reply, called = await context.meter.call(model, asked, allowed, purpose=inquiry.purpose, specialist=who)
        except CallFailed as error:
            tried = error.usage.retries + 1
            attempts -= tried
            spent = error.usage = spent + error.usage
            if len(left) > 1 and error.kind in ({Kind.REQUEST} if worked else _DOUBTFUL):
                left.pop(0)
                sure = sure and error.kind is not Kind.SERVER  # which may have been down for all forms
            elif final or attempts < 1 or tried < share or error.kind not in PASSING:
                raise
            continue
        if sure:
            taken(model, form)
        return reply, called, spent + called.usage


def _correction(
    messages: Sequence[AnyMessage], reply: AIMessage, error: Unreadable, answer: type[BaseModel]
) -> list[AnyMessage]:
    """What is said to the reply, but for calls that a process which ended had told already."""
    findings = "\n".join(f"- {finding}" for finding in error.findings)
    form = f"\n{in_words(answer)}" if error.findings == (NO_JSON,) else ""
    text = f"That answer cannot be used:\n{findings}\nAnswer again in full.{form}"
    if not (ids := ids_of_calls([reply])):
        return [HumanMessage(text)]
    told = {message.tool_call_id for message in messages if isinstance(message, ToolMessage)}
    return [ToolMessage(text, tool_call_id=name, status="error") for name in sorted(ids - told)]
