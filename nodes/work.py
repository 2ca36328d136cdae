"""The loop of one attempt: model turns and tool calls, journalled so that a crash costs nothing that was said."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.messages.tool import ToolCall

from backend_coordinator.domain.context import Assignment
from backend_coordinator.domain.delivery import Need
from backend_coordinator.domain.events import Event, ToolCalled
from backend_coordinator.domain.failure import Failure, FailureClass
from backend_coordinator.domain.question import Question
from backend_coordinator.domain.usage import Usage
from backend_coordinator.errors import CoordinatorError, ModelCallFailed, RunTaken
from backend_coordinator.nodes.doubts import subject_of
from backend_coordinator.nodes.firewall import estimate_tokens
from backend_coordinator.nodes.journal import Transcript, ids_of_calls, open_calls
from backend_coordinator.nodes.meter import WAY_OUT
from backend_coordinator.nodes.mishaps import CHANGED, CHANGING, note_after, nudge, stuck
from backend_coordinator.nodes.models.call import Request
from backend_coordinator.nodes.models.faults import CallFailed, Kind, failure_class, usage_in
from backend_coordinator.nodes.models.replies import settled
from backend_coordinator.nodes.points import reach
from backend_coordinator.nodes.redaction import MASK
from backend_coordinator.nodes.stopping import in_thread
from backend_coordinator.nodes.tools.bench import Bench, NeedsConsent, ToolRefused
from backend_coordinator.nodes.tools.catalogue import tools_of
from backend_coordinator.nodes.tools.protocol import Submission
from backend_coordinator.nodes.tools.recall import kept
from backend_coordinator.nodes.tools.registry import Tool
from backend_coordinator.nodes.window import fit, window_of

CHARACTERS_OF_A_RESULT = 2
"""One result may have a character for so many tokens of the window: an eighth of it."""
NEAR_THE_END = 0.8
"""The share of its turns after which a model is told to finish."""
FINISH = "turns are left: finish what you are at, and submit."


@dataclass
class Conversation:
    """One attempt's messages, kept equal to its journal line by line."""

    journal: Transcript
    opening: Sequence[AnyMessage]
    said: list[AnyMessage]
    usage: Usage
    window: int
    """Tokens of the model's context window."""
    recorded: frozenset[str] = frozenset()
    """Ids of calls that were read back from the journal, where secrets are masked."""

    def add(self, message: AnyMessage, usage: Usage | None = None, event: Event | None = None) -> None:
        """Appends to journal and memory."""
        self.journal.add(message, usage, event)
        self.said.append(message)
        self.usage += usage or Usage()

    @property
    def turns(self) -> int:
        """Assistant messages so far."""
        return sum(isinstance(message, AIMessage) for message in self.said)


@dataclass(frozen=True)
class Worked:
    """How an attempt's loop ended: exactly one of the first three is set."""

    usage: Usage
    submission: Submission | None = None
    failure: Failure | None = None
    question: Question | None = None


async def work(assignment: Assignment, bench: Bench, system: str) -> Worked:
    """Runs one attempt to its end, going on from the journal if there is one."""
    journal = bench.context.transcript(f"{assignment.task}-{assignment.attempt}")
    past = journal.read()
    opening = (SystemMessage(system), HumanMessage(_opening(assignment)))
    recorded = ids_of_calls(past.messages)
    window = window_of(bench.context.model_of(bench.specialist), bench.context.settings.model)
    bench = replace(bench, most=min(bench.most, window // CHARACTERS_OF_A_RESULT))
    talk = Conversation(journal, opening, list(past.messages), past.usage, window, recorded)
    tools = tools_of(bench.specialist)
    while True:
        try:
            if failure := _limit(talk, bench):
                return Worked(talk.usage, failure=failure)
            if (reply := open_calls(talk.said) or await _turn(talk, bench, tools)) is None:
                continue
            if submission := _submission(reply, talk):
                reach("work submitted")
                return Worked(talk.usage, submission=submission)
            if failure := await _act(reply, talk, bench, tools):
                return Worked(talk.usage, failure=failure)
        except NeedsConsent as waiting:
            return Worked(talk.usage, question=waiting.question)
        except ModelCallFailed as error:
            used = talk.usage + usage_in(error)
            limited = isinstance(error, CallFailed) and error.kind is Kind.LIMIT
            detail = WAY_OUT if limited else ""
            return Worked(used, failure=Failure(kind=failure_class(error), summary=str(error), detail=detail))


def _opening(assignment: Assignment) -> str:
    parts = [assignment.packet, *(f"GUIDANCE from {m.author}:\n{m.text}" for m in assignment.guidance)]
    return "\n\n".join(parts)


def _limit(talk: Conversation, bench: Bench) -> Failure | None:
    reason = "the run was aborted" if bench.aborted() else ""
    if not reason and talk.turns >= bench.task.effort.turns and open_calls(talk.said) is None:
        reason = f"turns: {talk.turns} of {bench.task.effort.turns} used"
    return Failure(kind=FailureClass.BUDGET_EXHAUSTED, summary=reason) if reason else None


async def _turn(talk: Conversation, bench: Bench, tools: dict[str, Tool]) -> AIMessage | None:
    """The model's next message; None where it brought none and was told so."""
    context = bench.context
    _hurry(talk, bench)
    schemas = [tool.schema for tool in tools.values()]
    sent = fit([*talk.opening, *talk.said], talk.window, tools=estimate_tokens(json.dumps(schemas)))
    request = Request(sent, tools=schemas)
    model, who = context.model_of(bench.specialist), bench.specialist.name
    try:
        reply, called = await context.meter.call(
            model, request, context.settings.model, purpose=bench.task.id, specialist=who
        )
    except ModelCallFailed as error:
        if (note := note_after(error, talk.said)) is None:
            raise
        talk.add(HumanMessage(note), usage_in(error))
        return None
    reply = settled(reply, ids_of_calls(talk.said), talk.turns)
    reach("model answered")
    talk.add(reply, called.usage, called)
    reach("answer recorded")
    context.ledger.record(called)
    return reply


def _hurry(talk: Conversation, bench: Bench) -> None:
    most = bench.task.effort.turns
    told = any(isinstance(message, HumanMessage) and str(message.content).endswith(FINISH) for message in talk.said)
    if talk.turns >= most * NEAR_THE_END and not told:
        talk.add(HumanMessage(f"{most - talk.turns} {FINISH}"))


def _submission(reply: AIMessage, talk: Conversation) -> Submission | None:
    if [call["name"] for call in reply.tool_calls] != ["submit"] or reply.invalid_tool_calls:
        return None
    call = reply.tool_calls[0]
    try:
        submission = Submission.model_validate({**call["args"], "needs": _needs(talk)})
    except ValueError as error:
        talk.add(_result(call, f"submit: {error}", ok=False))
        return None
    return talk.journal.redact.value(submission)


def _needs(talk: Conversation) -> tuple[Need, ...]:
    heard = {m.tool_call_id for m in talk.said if isinstance(m, ToolMessage) and m.status == "success"}
    calls = [call for message in talk.said if isinstance(message, AIMessage) for call in message.tool_calls]
    reported = [call for call in calls if call["name"] == "report_need" and call["id"] in heard]
    return tuple(Need.model_validate(call["args"]) for call in reported)


async def _act(reply: AIMessage, talk: Conversation, bench: Bench, tools: dict[str, Tool]) -> Failure | None:
    done = {message.tool_call_id for message in talk.said if isinstance(message, ToolMessage)}
    for broken in (call for call in reply.invalid_tool_calls if call["id"] not in done):
        text = f"{broken['name']}: its arguments were not valid JSON: {broken['error']}"
        talk.add(ToolMessage(text, tool_call_id=str(broken["id"]), status="error"))
    if not reply.tool_calls and not reply.invalid_tool_calls:
        return _nudge(talk, tools)
    for call in reply.tool_calls:
        if call["id"] not in done:
            async with bench.context.steps.step():
                result, called = await _run(call, talk, bench, tools)
            talk.add(result, Usage(tool_calls=1), called)
            reach("result recorded")
            if called is not None:
                bench.context.ledger.record(called)
        if failure := _stuck(talk):
            return failure
    return _stuck(talk)


def _stuck(talk: Conversation) -> Failure | None:
    reason = stuck(talk.said)
    return Failure(kind=FailureClass.STUCK, summary=reason) if reason else None


def _nudge(talk: Conversation, tools: dict[str, Tool]) -> Failure | None:
    if (note := nudge(talk.said, tools)) is None:
        return Failure(kind=FailureClass.STUCK, summary="ended in prose twice instead of submitting")
    talk.add(HumanMessage(note))
    return None


async def _run(
    call: ToolCall, talk: Conversation, bench: Bench, tools: dict[str, Tool]
) -> tuple[ToolMessage, ToolCalled | None]:
    """The result of a call, with the event of one that ran."""
    if call["name"] == "submit":
        return _result(call, "not handed in: submit must be the only call of its message", ok=False), None
    tool = tools.get(call["name"])
    if tool is None:
        return _result(call, f"there is no tool {call['name']!r}; yours are {', '.join(tools)}", ok=False), None
    if str(call["id"]) in talk.recorded and MASK in repr(call["args"]):
        text = "not run: a secret in its arguments was not recorded; make the call again"
        return _result(call, text, ok=False), None
    context, who = bench.context, bench.specialist.name
    context.meter.demand(who, bench.task.id)
    at, began = _at(bench, talk, call), context.clock.now()
    before = await _state(at, call)
    try:
        text, ok = await tool(at, call["args"]), True
        reach("effect done")
    except (NeedsConsent, RunTaken):
        raise
    except (ToolRefused, CoordinatorError) as error:
        text, ok = str(error), False
    except Exception as error:  # noqa: BLE001 - a tool that breaks is the attempt's problem, never the run's
        text, ok = f"{call['name']}: {type(error).__name__}: {error}", False
    took, about = context.clock.now() - began, subject_of(call)
    called = ToolCalled(task=bench.task.id, tool=call["name"], subject=about, ok=ok, specialist=who, seconds=took)
    result = _result(call, kept(at, await in_thread(bench.screen, context.redact(text))), ok=ok)
    result.artifact = CHANGED if await _state(at, call) != before else None
    return result, called


async def _state(bench: Bench, call: ToolCall) -> object:
    return await asyncio.to_thread(bench.state) if call["name"] in CHANGING else None


def _at(bench: Bench, talk: Conversation, call: ToolCall) -> Bench:
    name = str(call["id"])

    def begin() -> None:
        talk.journal.intend(name)
        reach("intent recorded")

    return replace(bench, call=name, begin=begin)


def _result(call: ToolCall, text: str, *, ok: bool) -> ToolMessage:
    return ToolMessage(text, tool_call_id=str(call["id"]), name=call["name"], status="success" if ok else "error")
