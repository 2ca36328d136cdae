"""What a model is told when its message brings the task nowhere, and when telling it has been enough."""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import islice, takewhile
from typing import NamedTuple

from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, ToolMessage

from backend_coordinator.errors import ModelCallFailed
from backend_coordinator.nodes.models.faults import Kind
from backend_coordinator.nodes.window import SHRUNK

NUDGE = "Go on with a tool call, or end with submit: text alone does not end a task."
WRITTEN = (
    "Nothing was run: the call stood in your text. Make it as a tool call of the message, the way tools are called "
    "here; calls written into text, as JSON or in tags, are never run."
)
NOTES: Mapping[str, str] = {
    Kind.EMPTY: "Your last message was empty. Make the next tool call, or end with submit.",
    Kind.LENGTH: "Your last message was cut off at the output limit and none of its calls was run. Say less in one "
    "message: one call at a time, and a long file in parts, the first with write, the others with edit.",
}
MOST_NOTES = 2
"""In a row; a third message of that kind is a failed attempt."""
SAME_BEFORE_STUCK = 3
_BACK = 20
"""Outcomes that are compared: what lies further back may have been left out of the prompt and asked for again."""
_LOOP = 6
CHANGING = frozenset({"write", "edit", "bash"})
"""Tools that may change the tree."""
CHANGED = "changed the tree"
"""The artifact of a result, which no model is sent, whose call did so."""
_WRITTEN_CALL = re.compile(
    r"<tool_call|<function[=_]|<invoke|\[TOOL_CALLS\]|\"(?:name|tool|function)\"\s*:\s*\"(\w+)\""
)
_TIMED = frozenset({"bash", "check"})
_DURATION = re.compile(r"\d+(\.\d+)?\s?m?s\b")


def note_after(error: ModelCallFailed, said: Sequence[AnyMessage]) -> str | None:
    """What to say before the model is asked again after a call without a usable message; None: enough was said."""
    noted = _last_words(said)
    if error.kind == Kind.OVERFLOW:
        begun = any(isinstance(message, AIMessage) for message in said)
        return SHRUNK if begun and SHRUNK not in noted else None
    note = NOTES.get(error.kind)
    return note if sum(text in NOTES.values() for text in noted) < MOST_NOTES else None


def nudge(said: Sequence[AnyMessage], tools: Collection[str]) -> str | None:
    """What to say to a last message that is mere text; None where it was said right before."""
    if not {NUDGE, WRITTEN}.isdisjoint(_last_words(said[:-1])):
        return None
    found = _WRITTEN_CALL.search(str(said[-1].text))
    return WRITTEN if found and (found[1] is None or found[1] in tools) else NUDGE


def stuck(said: Sequence[AnyMessage]) -> str | None:
    """Why the last result shows that the model goes round in circles, or None.

    Three times the same call with the same result while nothing else changed the tree, or two calls in turn.
    """
    outcomes = list(islice(_outcomes(said), _BACK))
    last = outcomes[0]
    unchanged = takewhile(lambda each: each == last or not each.changing, outcomes)
    if sum(each == last for each in unchanged) >= SAME_BEFORE_STUCK:
        return f"{last.name} gave the same result three times, unchanged tree"
    if len(outcomes) >= _LOOP and len(set(outcomes[:_LOOP])) == 2:
        names = sorted({each.name for each in outcomes[:_LOOP]})
        return f"{' and '.join(names)} gave the same results in turn three times"
    return None


class _Outcome(NamedTuple):
    name: str
    arguments: str
    result: str
    changing: bool


def _outcomes(said: Sequence[AnyMessage]) -> Iterator[_Outcome]:
    """Calls with their results, the last first; times that a tool measured do not make a result another one."""
    results: dict[str, ToolMessage] = {}
    for message in reversed(said):
        if isinstance(message, ToolMessage):
            results[message.tool_call_id] = message
        if isinstance(message, AIMessage):
            for call in reversed([*message.tool_calls, *message.invalid_tool_calls]):
                if (result := results.get(str(call["id"]))) is not None:
                    told = _DURATION.sub("", str(result.content)) if call["name"] in _TIMED else str(result.content)
                    yield _Outcome(str(call["name"]), repr(call["args"]), told, result.artifact == CHANGED)


def _last_words(said: Sequence[AnyMessage]) -> list[str]:
    """What the model was told after its last message and the results of its calls."""
    return [str(m.content) for m in takewhile(lambda m: isinstance(m, HumanMessage), reversed(said))]
