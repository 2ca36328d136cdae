"""Research by the librarian, asked through the coordinator once look-ups of one's own have failed."""

import hashlib
import json
from collections.abc import Sequence
from typing import Annotated, Literal, get_args

from langchain_core.messages import AIMessage, AnyMessage, ToolMessage
from pydantic import Field

from backend_coordinator.domain.base import Value
from backend_coordinator.domain.events import Noticed
from backend_coordinator.domain.roster import Specialist
from backend_coordinator.nodes.ask import Inquiry, ask
from backend_coordinator.nodes.brief import told_to_peer
from backend_coordinator.nodes.tools.bench import Bench, ToolRefused
from backend_coordinator.nodes.tools.registry import tool

LIBRARIAN = "librarian"
LOOK_UPS = 3
"""Failed look-ups after which research opens (Request Escalation of the backend engineer)."""
_KINDS = {"webfetch": "documentation", "grep": "code base", "glob": "pattern", "read": "pattern"}
_NO_HIT = frozenset({"no match", "no file fits"})
Trigger = Literal[
    "production_examples", "library_internals", "conflicting_information", "open_source_analysis",
    "third_party_integration",
]  # fmt: skip
"""What opens research at once (Librarian Escalation, Immediate Escalation of the backend engineer)."""
Text = Annotated[str, Field(min_length=1, max_length=2000)]


class Research(Value):
    """The librarian's answer; `found` false says that it has none, and `answer` then what is missing."""

    found: bool
    answer: str = Field(min_length=1)
    sources: tuple[str, ...] = ()


@tool(repeatable=True)  # the librarian's answer is journalled, so that nobody pays for it twice
async def request_research(bench: Bench, topic: Text, why: Text, needed: Text, trigger: Trigger | None = None) -> str:
    """Asks the librarian."""
    context = bench.context
    failed = look_ups(context.transcript(f"{bench.task.id}-{bench.attempt}").read().messages)
    if trigger is None and len(failed) < LOOK_UPS:
        raise ToolRefused(_missing(failed))
    librarian = _librarian(bench)
    purpose = f"research-{bench.task.id}-{bench.attempt}-{hashlib.sha256(bench.call.encode()).hexdigest()[:8]}"
    tried = "\n".join(f"{number}. {each}" for number, each in enumerate(failed, 1)) or "none recorded"
    because = trigger or f"{LOOK_UPS} look-ups failed"
    known = told_to_peer(context, librarian, bench.task, bench.known, purpose=purpose)
    question = (
        f"RESEARCH for {bench.specialist.name}, {bench.task.id} ({because}): {topic}\n"
        f"TRIED:\n{tried}\nWHY NOT ENOUGH: {why}\nNEEDED: {needed}\n\n{known}"
    )
    user = bench.before(librarian)(context.redact(question))
    found, _ = await ask(context, Inquiry(purpose, librarian.prompt, user, librarian), Research)
    answer = f"{'' if found.found else 'Not found. '}{found.answer}"
    _tell(bench, f"{bench.specialist.name} asked {librarian.name} ({because}): {topic}; answer: {answer}")
    return "\n".join((answer, *(f"source, not opened here: {source}" for source in found.sources)))


def _missing(failed: Sequence[str]) -> str:
    told = f"{len(failed)} of {LOOK_UPS} failed look-ups are recorded: {'; '.join(failed) or 'none'}"
    triggers = ", ".join(get_args(Trigger))
    return f"{told}. Look up with webfetch, grep, glob, read; or name what needs it at once as trigger: {triggers}"


def _librarian(bench: Bench) -> Specialist:
    roster = bench.context.roster
    if LIBRARIAN not in roster or roster.get(LIBRARIAN).role == "external":
        raise ToolRefused("nobody does research in this roster: report it as a need and go on without")
    return roster.get(LIBRARIAN)


def look_ups(messages: Sequence[AnyMessage]) -> list[str]:
    """The different look-ups of an attempt that found nothing since the last research, each with its kind.

    That is one that was refused or failed, or a search without a hit; what a specialist says of it counts for nothing.
    """
    calls = {str(c["id"]): c for m in messages if isinstance(m, AIMessage) for c in m.tool_calls}
    failed: dict[str, None] = {}
    for result in (message for message in messages if isinstance(message, ToolMessage)):
        call = calls.get(result.tool_call_id)
        if call is None:
            continue
        if call["name"] == "request_research" and result.status == "success":
            failed.clear()
        elif call["name"] in _KINDS and (result.status == "error" or str(result.content) in _NO_HIT):
            failed[f"{_KINDS[call['name']]}: {call['name']} {json.dumps(call['args'], sort_keys=True)[:200]}"] = None
    return list(failed)


def _tell(bench: Bench, text: str) -> None:
    """Says it in the run's events, once however often the tool runs again after a crash."""
    notice = Noticed(text=bench.context.redact(f"{bench.task.id}: {text}"))
    if notice not in [event for _, event in bench.context.ledger.events()]:
        bench.context.ledger.record(notice)
