"""What a process that ended left half told: lines its ledger misses, and effects of which nobody knows."""

from collections import Counter
from collections.abc import Iterator

from langchain_core.messages import AIMessage, ToolMessage
from langchain_core.messages.tool import ToolCall

from backend_coordinator.domain.events import Event, InDoubt, TaskEnded
from backend_coordinator.domain.usage import Usage
from backend_coordinator.nodes.context import RunContext
from backend_coordinator.nodes.journal import Past, Transcript
from backend_coordinator.nodes.ledger import Ledger
from backend_coordinator.nodes.tools.registry import TOOLS

IN_DOUBT = "in doubt: the process ended while this ran; look whether it took effect"


def settle(context: RunContext) -> frozenset[str]:
    """Brings the ledger up to the journals, and tells model and ledger once of each call that is in doubt.

    Gives the tasks of whose end the ledger tells: they are settled already. Called whenever a run is taken up, before
    anything else may write.
    """
    told = [event for _, event in context.ledger.events()]
    ended = {event.task for event in told if isinstance(event, TaskEnded)}
    written: list[Event] = []
    for path in sorted((context.folder / "transcripts").glob("*.jsonl")):
        task = path.stem.rpartition("-")[0]
        if task not in ended:
            journal = context.transcript(path.stem)
            past = journal.read()
            written += [*past.events, *_doubts(task, journal, past)]
    for event in (Counter(written) - Counter(told)).elements():
        context.ledger.record(event)
    return frozenset(ended)


def _doubts(task: str, journal: Transcript, past: Past) -> Iterator[InDoubt]:
    """An event for each call whose outcome is unknown, with that as its result from now on."""
    said = (message for message in past.messages if isinstance(message, AIMessage))
    for call in (call for message in said for call in message.tool_calls if call["id"] in past.in_doubt):
        if call["name"] not in TOOLS or not TOOLS[call["name"]].repeatable:
            event = InDoubt(task=task, tool=call["name"], subject=subject_of(call))
            result = ToolMessage(IN_DOUBT, tool_call_id=str(call["id"]), name=call["name"], status="error")
            journal.add(result, Usage(tool_calls=1), event)
            yield event


def subject_of(call: ToolCall) -> str:
    """What a call is about: the first 120 characters of its first argument."""
    return str(next(iter(call["args"].values()), ""))[:120]


def doubts_in(ledger: Ledger) -> tuple[InDoubt, ...]:
    """All calls of a run that are in doubt, oldest first."""
    return tuple(event for _, event in ledger.events() if isinstance(event, InDoubt))
