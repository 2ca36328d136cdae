"""What a model is told when its message brings the task nowhere, and when it has been told enough."""

from collections.abc import Sequence

import pytest
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, ToolMessage

from backend_coordinator.domain.usage import Usage
from backend_coordinator.errors import ModelCallFailed
from backend_coordinator.nodes.mishaps import CHANGED, NOTES, NUDGE, WRITTEN, note_after, nudge, stuck
from backend_coordinator.nodes.models.faults import CallFailed, Kind
from backend_coordinator.nodes.window import SHRUNK
from backend_coordinator.testing import calls

Step = tuple[str, str, str]
READ, LOOK, TEST = ("read", "a.py", "one"), ("read", "b.py", "two"), ("bash", "pytest -q", "1 failed in 0.35s")
LIST, WHERE, MAKE = ("bash", "ls", "app"), ("bash", "pwd", "/"), ("bash", "touch a.py", "[exit 0]")
CHANGES = {"write", "edit", MAKE[1]}
WRITE, EDIT = ("write", "a.py", "wrote a.py (1 lines)"), ("edit", "b.py", "edited b.py (1 place)")


def said(*steps: Step) -> list[AnyMessage]:
    messages: list[AnyMessage] = []
    for number, (name, about, result) in enumerate(steps):
        changed = None if CHANGES.isdisjoint({name, about}) else CHANGED
        call = ToolMessage(result, tool_call_id=f"{number}-0", name=name, artifact=changed)
        messages += [calls((name, {"path": about}), turn=number), call]
    return messages


def failed(kind: Kind) -> ModelCallFailed:
    return CallFailed("no", kind, Usage())


@pytest.mark.parametrize("kind", [Kind.EMPTY, Kind.LENGTH])
def test_an_unusable_message_is_noted_twice_in_a_row_and_again_after_a_good_one(kind: Kind) -> None:
    talk = said(READ)
    for _ in range(2):
        note = note_after(failed(kind), talk)
        assert note == NOTES[kind]
        talk.append(HumanMessage(note))
    assert note_after(failed(kind), talk) is None
    assert note_after(failed(kind), [*talk, *said(READ)]) == NOTES[kind]


@pytest.mark.parametrize("kind", [Kind.REFUSAL, Kind.FILTERED, Kind.SERVER, Kind.LATE, Kind.REQUEST])
def test_what_would_be_the_same_again_is_not_asked_again(kind: Kind) -> None:
    assert note_after(failed(kind), said(READ)) is None
    assert note_after(ModelCallFailed("malformed"), said(READ)) is None


def test_a_prompt_too_long_is_shrunk_once_where_there_is_something_to_shrink() -> None:
    too_long = failed(Kind.OVERFLOW)
    assert note_after(too_long, []) is None
    assert note_after(too_long, said(READ)) == SHRUNK
    assert note_after(too_long, [*said(READ), HumanMessage(SHRUNK)]) is None


@pytest.mark.parametrize(
    ("text", "note"),
    [
        ("I am done.", NUDGE),
        ('The body is {"name": "Ann"}.', NUDGE),
        ('```json\n{"name": "write", "arguments": {"path": "a"}}\n```', WRITTEN),
        ('<tool_call>\n{"name": "x"}\n</tool_call>', WRITTEN),
        ("<function=write>{}</function>", WRITTEN),
    ],
)
def test_a_call_written_as_text_is_named_as_what_it_is(text: str, note: str) -> None:
    assert nudge([AIMessage(text)], {"write", "submit"}) == note


def test_text_right_after_a_nudge_is_not_nudged_again_but_after_a_good_turn_it_is() -> None:
    talk: Sequence[AnyMessage] = [AIMessage("well"), HumanMessage(NUDGE), AIMessage("well")]
    assert nudge(talk, ()) is None
    assert nudge([*talk[:2], *said(READ), AIMessage("well")], ()) == NUDGE


@pytest.mark.parametrize(
    ("steps", "told"),
    [
        ([READ, READ], None),
        ([READ, READ, READ], "read gave the same result three times, unchanged tree"),
        ([READ, LOOK, READ, LOOK, READ], "read gave the same result three times, unchanged tree"),
        ([READ, READ, WRITE, READ], None),
        ([READ, READ, ("read", "a.py", "changed")], None),
        ([WRITE, WRITE, WRITE], "write gave the same result three times, unchanged tree"),
        ([TEST, EDIT, TEST, ("edit", "c.py", "edited c.py"), TEST, ("edit", "d.py", "edited d.py")], None),
        ([WRITE, EDIT, WRITE, EDIT, WRITE, EDIT], "edit and write gave the same results in turn three times"),
        ([TEST, ("bash", "pytest -q", "1 failed in 1.20s"), TEST], "bash gave the same result three times"),
        ([LIST, WHERE, TEST, LIST, WHERE, TEST, LIST], "bash gave the same result three times, unchanged tree"),
        ([LIST, WHERE, TEST, LIST, WHERE, MAKE, LIST], None),
        ([READ, READ, *[("read", f"{n}.py", "x") for n in range(20)], READ], None),
    ],
)
def test_going_round_in_circles_is_noticed_and_trying_things_is_not(steps: list[Step], told: str | None) -> None:
    found = stuck(said(*steps))
    assert found == told or (told and found and found.startswith(told))
