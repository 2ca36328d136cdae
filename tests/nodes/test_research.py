"""Research opens after three recorded failed look-ups, or at once for a stated trigger (Request Escalation)."""

from dataclasses import replace
from typing import get_args

import pytest
from langchain_core.messages import AIMessage, ToolMessage

from backend_coordinator.domain.context import ContextItem, ContextKind
from backend_coordinator.domain.events import ModelCalled, Noticed
from backend_coordinator.domain.roster import Roster, Specialist
from backend_coordinator.nodes.context import RunContext
from backend_coordinator.nodes.tools.bench import Bench, ToolRefused
from backend_coordinator.nodes.tools.registry import TOOLS
from backend_coordinator.nodes.tools.research import Trigger, look_ups
from backend_coordinator.testing import ScriptedModel, calls
from tests.support.department import Told

ASKED = {"topic": "idempotency keys", "why": "the docs name no store", "needed": "where to keep the keys"}
FAILED = (
    ("webfetch", {"url": "https://docs.python.org/x"}, "not fetched: 404", "error"),
    ("grep", {"pattern": "idempotency"}, "no match", "success"),
    ("glob", {"pattern": "**/keys.py"}, "no file fits", "success"),
)
Looked = tuple[str, dict[str, str], str, str]


class Library:
    """A librarian that remembers what it was told."""

    def __init__(self, **answer: object) -> None:
        self.told: list[str] = []
        self.answer = answer or {"found": True, "answer": "In the table of requests.", "sources": ["RFC 9110"]}

    def __call__(self, messages: object, tools: object) -> AIMessage:
        told = Told(messages)  # type: ignore[arg-type]
        self.told.append(told.text)
        return told.calls("answer_research", **self.answer)


def looked(*made: Looked) -> list[AIMessage | ToolMessage]:
    said: list[AIMessage | ToolMessage] = []
    for number, (name, arguments, text, status) in enumerate(made):
        said.append(message := calls((name, arguments), turn=number))
        said.append(ToolMessage(text, tool_call_id=message.tool_calls[0]["id"], name=name, status=status))
    return said


def at(bench: Bench, library: Library, *made: Looked) -> Bench:
    """The bench of an attempt of the backend engineer that made these look-ups."""
    context = replace(bench.context, model=ScriptedModel(script=library))
    for message in looked(*made):
        context.transcript("backend-T001-1").add(message)
    return replace(bench, context=context, specialist=context.roster.get("backend-engineer"), call="call-9")


async def asked(bench: Bench, **more: str) -> str:
    return await TOOLS["request_research"](bench, {**ASKED, **more})


def events(context: RunContext) -> list[object]:
    return [event for _, event in context.ledger.events()]


@pytest.mark.parametrize("count", [0, 1, 2])
async def test_fewer_than_three_failed_look_ups_are_refused_with_what_is_missing(bench: Bench, count: int) -> None:
    library = Library()
    with pytest.raises(ToolRefused, match=f"{count} of 3 failed look-ups are recorded.*or name .*production_examples"):
        await asked(at(bench, library, *FAILED[:count]))
    assert library.told == []


async def test_three_failed_look_ups_open_it_and_the_librarian_is_told_what_was_tried(bench: Bench) -> None:
    library = Library()
    place = at(bench, library, *FAILED)
    assert await asked(place) == "In the table of requests.\nsource, not opened here: RFC 9110"
    (told,) = library.told
    assert "RESEARCH for backend-engineer, backend-T001 (3 look-ups failed): idempotency keys" in told
    assert '1. documentation: webfetch {"url": "https://docs.python.org/x"}\n2. code base: grep' in told
    assert "WHY NOT ENOUGH: the docs name no store\nNEEDED: where to keep the keys" in told


@pytest.mark.parametrize("trigger", get_args(Trigger))
async def test_a_stated_trigger_opens_it_at_once(bench: Bench, trigger: str) -> None:
    assert (await asked(at(bench, Library()), trigger=trigger)).startswith("In the table")


async def test_no_other_trigger_is_taken(bench: Bench) -> None:
    with pytest.raises(ToolRefused, match="trigger: Input should be 'production_examples'"):
        await asked(at(bench, Library()), trigger="curiosity")


def test_hits_repetitions_and_what_came_before_the_last_research_count_for_nothing() -> None:
    hit = ("grep", {"pattern": "def"}, "app/main.py:1: def main", "success")
    assert len(look_ups(looked(FAILED[0], FAILED[1], FAILED[1], hit))) == 2
    assert look_ups(looked(("bash", {"command": "ls"}, "exit 1", "error"))) == []
    answered = ("request_research", {"topic": "x"}, "In the table.", "success")
    refused = ("request_research", {"topic": "x"}, "0 of 3", "error")
    assert look_ups(looked(*FAILED, answered)) == []
    assert len(look_ups(looked(*FAILED, refused))) == 3


async def test_it_is_paid_for_once_and_told_once_however_often_it_runs(bench: Bench) -> None:
    library = Library()
    place = at(bench, library, *FAILED)
    assert await asked(place) == await asked(place)
    assert len(library.told) == 1
    (call,) = [event for event in events(place.context) if isinstance(event, ModelCalled)]
    assert (call.specialist, call.task) == ("librarian", None)  # so it is coordination
    (notice,) = [event for event in events(place.context) if isinstance(event, Noticed)]
    assert notice.text.startswith(
        "backend-T001: backend-engineer asked librarian (3 look-ups failed): idempotency keys"
    )


async def test_no_answer_is_said_to_be_none(bench: Bench) -> None:
    assert await asked(at(bench, Library(found=False, answer="which store?"), *FAILED)) == "Not found. which store?"


async def test_the_librarian_reads_its_own_kinds_through_its_own_screen(bench: Bench) -> None:
    library = Library()
    known = [
        ContextItem(kind=ContextKind.TECHNOLOGY_STACK, source="analysis", text="PostgreSQL 16"),
        ContextItem(kind=ContextKind.BUSINESS_LOGIC, source="analysis", text="An order is never deleted."),
    ]

    def before(member: Specialist) -> "Screened":
        return Screened(member.name)

    await asked(replace(at(bench, library, *FAILED), known=known, before=before))
    assert library.told[0].startswith("read by librarian: ")
    assert "PostgreSQL 16" in library.told[0]
    assert "never deleted" not in library.told[0]
    assert list((bench.context.folder / "manifests").glob("research-backend-T001-1-*.json"))


class Screened:
    """A screen that leaves its mark."""

    def __init__(self, who: str) -> None:
        self.who = who

    def __call__(self, text: str) -> str:
        return f"read by {self.who}: {text}"


async def test_without_a_librarian_nobody_is_asked(bench: Bench) -> None:
    place = at(bench, Library(), *FAILED)
    others = tuple(member for member in place.context.roster.specialists if member.name != "librarian")
    roster = Roster(specialists=others)
    with pytest.raises(ToolRefused, match="nobody does research"):
        await asked(replace(place, context=replace(place.context, roster=roster)))
