"""The loop of one attempt: model turns and tool calls, journalled so that a crash costs nothing that was said."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.messages.tool import ToolCall

from backend_coordinator.domain.context import Assignment
from backend_coordinator.domain.delivery import Need
from backend_coordinator.domain.events import ModelCalled, ToolCalled
from backend_coordinator.domain.failure import Failure, FailureClass
from backend_coordinator.domain.question import Question
from backend_coordinator.domain.usage import Usage
from backend_coordinator.errors import CoordinatorError, ModelCallFailed
from backend_coordinator.nodes.journal import Transcript, open_calls
from backend_coordinator.nodes.models.call import Request, call_model
from backend_coordinator.nodes.models.faults import failure_class, usage_in
from backend_coordinator.nodes.models.replies import settled
from backend_coordinator.nodes.redaction import MASK
from backend_coordinator.nodes.tools.bench import Bench, NeedsConsent, ToolRefused
from backend_coordinator.nodes.tools.catalogue import tools_of
from backend_coordinator.nodes.tools.protocol import Submission
from backend_coordinator.nodes.tools.registry import Tool

NUDGE = "Go on with a tool call, or end with submit: text alone does not end a task."
SAME_BEFORE_STUCK = 3


@dataclass
class Conversation:
    """One attempt's messages, kept equal to its journal line by line."""

    journal: Transcript
    opening: Sequence[AnyMessage]
    said: list[AnyMessage]
    usage: Usage
    in_doubt: frozenset[str]
    recorded: frozenset[str] = frozenset()
    """Ids of calls that were read back from the journal, where secrets are masked."""
    repeats: Counter[tuple[str, str, str]] = field(default_factory=Counter)

    def add(self, message: AnyMessage, usage: Usage | None = None) -> None:
        """Appends to journal and memory."""
        self.journal.add(message, usage)
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
    read_back = [
        call["id"] for message in past.messages if isinstance(message, AIMessage) for call in message.tool_calls
    ]
    recorded = frozenset(str(name) for name in read_back)
    talk = Conversation(journal, opening, list(past.messages), past.usage, past.in_doubt, recorded)
    tools = tools_of(bench.specialist)
    while True:
        try:
            if failure := _limit(talk, bench):
                return Worked(talk.usage, failure=failure)
            if (reply := open_calls(talk.said)) is None:
                reply = await _turn(talk, bench, tools)
            if submission := _submission(reply, talk):
                return Worked(talk.usage, submission=submission)
            if failure := await _act(reply, talk, bench, tools):
                return Worked(talk.usage, failure=failure)
        except NeedsConsent as waiting:
            return Worked(talk.usage, question=waiting.question)
        except ModelCallFailed as error:
            used = talk.usage + usage_in(error)
            return Worked(used, failure=Failure(kind=failure_class(error), summary=str(error)))


def _opening(assignment: Assignment) -> str:
    parts = [assignment.packet, *(f"GUIDANCE from {m.author}:\n{m.text}" for m in assignment.guidance)]
    return "\n\n".join(parts)


def _limit(talk: Conversation, bench: Bench) -> Failure | None:
    reason = bench.context.settings.limits.task.exceeded_by(bench.spent + talk.usage, bench.seconds())
    if bench.aborted():
        reason = "the run was aborted"
    if reason is None and talk.turns >= bench.task.effort.turns and open_calls(talk.said) is None:
        reason = f"turns: {talk.turns} of {bench.task.effort.turns} used"
    return (reason and Failure(kind=FailureClass.BUDGET_EXHAUSTED, summary=reason)) or None


async def _turn(talk: Conversation, bench: Bench, tools: dict[str, Tool]) -> AIMessage:
    context = bench.context
    request = Request([*talk.opening, *talk.said], tools=[tool.schema for tool in tools.values()])
    left = context.settings.limits.task.seconds
    terms = context.settings.model
    if left is not None:
        terms = terms.model_copy(update={"seconds": max(1.0, min(terms.seconds, left - bench.seconds()))})
    reply, used = await call_model(context.model_of(bench.specialist), request, terms, clock=context.clock)
    known = {str(call["id"]) for m in talk.said if isinstance(m, AIMessage) for call in m.tool_calls}
    reply = settled(reply, known, talk.turns)
    used += Usage(tool_calls=len(reply.tool_calls), turns=1)
    talk.add(reply, used)
    context.ledger.record(ModelCalled(purpose=bench.task.id, usage=used))
    return reply


def _submission(reply: AIMessage, talk: Conversation) -> Submission | None:
    if [call["name"] for call in reply.tool_calls] != ["submit"] or reply.invalid_tool_calls:
        return None
    call = reply.tool_calls[0]
    try:
        submission = Submission.model_validate({**call["args"], "needs": _needs(talk)})
    except ValueError as error:
        talk.add(_result(call, f"submit: {error}", ok=False))
        return None
    return submission


def _needs(talk: Conversation) -> tuple[Need, ...]:
    heard = {m.tool_call_id for m in talk.said if isinstance(m, ToolMessage) and m.status == "success"}
    calls = [call for message in talk.said if isinstance(message, AIMessage) for call in message.tool_calls]
    reported = [call for call in calls if call["name"] == "report_need" and call["id"] in heard]
    return tuple(Need.model_validate(call["args"]) for call in reported)


async def _act(reply: AIMessage, talk: Conversation, bench: Bench, tools: dict[str, Tool]) -> Failure | None:
    for broken in reply.invalid_tool_calls:
        text = f"{broken['name']}: its arguments were not valid JSON: {broken['error']}"
        talk.add(ToolMessage(text, tool_call_id=str(broken["id"]), status="error"))
    if not reply.tool_calls and not reply.invalid_tool_calls:
        return _nudge(talk)
    done = {message.tool_call_id for message in talk.said if isinstance(message, ToolMessage)}
    for call in reply.tool_calls:
        if call["id"] not in done:
            talk.add(await _run(call, talk, bench, tools))
            if failure := _stuck(call, talk):
                return failure
    return None


def _nudge(talk: Conversation) -> Failure | None:
    if any(isinstance(message, HumanMessage) for message in talk.said):
        return Failure(kind=FailureClass.STUCK, summary="ended in prose twice instead of submitting")
    talk.add(HumanMessage(NUDGE))
    return None


async def _run(call: ToolCall, talk: Conversation, bench: Bench, tools: dict[str, Tool]) -> ToolMessage:
    if call["name"] == "submit":
        return _result(call, "not handed in: submit must be the only call of its message", ok=False)
    tool = tools.get(call["name"])
    if tool is None:
        return _result(call, f"there is no tool {call['name']!r}; yours are {', '.join(tools)}", ok=False)
    if str(call["id"]) in talk.in_doubt and not tool.repeatable:
        return _result(call, "in doubt: the process ended while this ran; look whether it took effect", ok=False)
    if str(call["id"]) in talk.recorded and MASK in repr(call["args"]):
        return _result(call, "not run: a secret in its arguments was not recorded; make the call again", ok=False)
    try:
        text = await tool(_at(bench, talk, call), call["args"])
        result = _result(call, bench.context.redact(text), ok=True)
    except NeedsConsent:
        raise
    except (ToolRefused, CoordinatorError) as error:
        result = _result(call, bench.context.redact(str(error)), ok=False)
    except Exception as error:  # noqa: BLE001 - a tool that breaks is the attempt's problem, never the run's
        result = _result(call, bench.context.redact(f"{call['name']}: {type(error).__name__}: {error}"), ok=False)
    subject = str(next(iter(call["args"].values()), ""))[:120]
    event = ToolCalled(task=bench.task.id, tool=call["name"], subject=subject, ok=result.status == "success")
    bench.context.ledger.record(event)
    return result


def _at(bench: Bench, talk: Conversation, call: ToolCall) -> Bench:
    name = str(call["id"])
    return replace(bench, call=name, begin=lambda: talk.journal.intend(name))


def _result(call: ToolCall, text: str, *, ok: bool) -> ToolMessage:
    return ToolMessage(text, tool_call_id=str(call["id"]), name=call["name"], status="success" if ok else "error")


def _stuck(call: ToolCall, talk: Conversation) -> Failure | None:
    result = talk.said[-1]
    if call["name"] in ("write", "edit", "bash") and isinstance(result, ToolMessage) and result.status == "success":
        talk.repeats.clear()
    key = (call["name"], repr(sorted(call["args"].items())), str(result.content))
    talk.repeats[key] += 1
    if talk.repeats[key] < SAME_BEFORE_STUCK:
        return None
    return Failure(kind=FailureClass.STUCK, summary=f"{call['name']} gave the same result three times, unchanged tree")
