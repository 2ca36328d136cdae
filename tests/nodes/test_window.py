"""What of a long conversation is sent: never too much, always the packet, and the same again after a crash."""

import json
from collections.abc import Sequence

import pytest
from langchain_core.messages import (
    AIMessage,
    AnyMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
    convert_to_openai_messages,
    messages_from_dict,
    messages_to_dict,
)

from backend_coordinator.nodes.models.offline.chat import OfflineModel
from backend_coordinator.nodes.window import SHRUNK, WINDOW, fit, window_of
from backend_coordinator.settings import ModelSettings
from backend_coordinator.testing import ScriptedModel, calls

OPENING: tuple[AnyMessage, ...] = (SystemMessage("you are python-pro"), HumanMessage("DELEGATION TO: @python-pro"))
KILOBYTES = "lorem ip" * 1000


def turn(number: int, result: str = KILOBYTES, counted: int | None = None) -> list[AnyMessage]:
    """Reads one file; `counted` are the prompt's tokens as the server counted them."""
    said = calls(("read", {"path": f"f{number}.txt"}), turn=number)
    if counted is not None:
        said.usage_metadata = {"input_tokens": counted, "output_tokens": 1, "total_tokens": counted + 1}
    return [said, ToolMessage(f"{number}: {result}", tool_call_id=f"{number}-0", name="read")]


def turns(count: int, result: str = KILOBYTES) -> list[AnyMessage]:
    return [message for number in range(count) for message in turn(number, result)]


def tokens(messages: Sequence[AnyMessage]) -> float:
    """As they go over the wire, frames and all."""
    return len(json.dumps(convert_to_openai_messages(messages))) / 4


def assert_paired(messages: Sequence[AnyMessage]) -> None:
    """Every call has its result right behind it, and every result its call."""
    open_ids: list[str] = []
    for message in messages:
        if isinstance(message, ToolMessage):
            assert message.tool_call_id in open_ids
            open_ids.remove(message.tool_call_id)
            continue
        assert open_ids == []
        if isinstance(message, AIMessage):
            open_ids = [str(call["id"]) for call in message.tool_calls]
    assert open_ids == []


def test_what_fits_is_sent_as_it_is() -> None:
    messages = [*OPENING, *turns(3)]
    assert fit(messages, 100_000) == messages


def test_old_results_become_one_line_that_says_how_to_read_them_and_the_latest_stay() -> None:
    messages = [*OPENING, *turns(6)]
    sent = fit(messages, 16_000)
    assert [type(message) for message in sent] == [type(message) for message in messages]
    assert sent[3].content == '[left out: read f0.txt, 8003 characters; recall call="0-0" shows it]'
    assert sent[-1] == messages[-1]
    assert sent[:2] == messages[:2]


def test_stubs_come_in_batches_so_that_what_a_provider_cached_stays_valid() -> None:
    changes, before = 0, list(OPENING)
    for count in range(1, 60):
        sent = fit([*OPENING, *turns(count)], 100_000)
        changes += sent[: len(before)] != before
        before = sent
    assert 1 <= changes <= 5


@pytest.mark.parametrize("window", [8_000, 16_000, 32_000])
@pytest.mark.parametrize("count", [1, 7, 60, 200])
def test_it_is_never_over_the_window_whatever_was_said(window: int, count: int) -> None:
    for result in ("ok", KILOBYTES, "x" * (window // 2)):
        sent = fit([*OPENING, *turns(count, result)], window)
        assert tokens(sent) <= window
        assert_paired(sent)
        assert str(sent[1].content).startswith(str(OPENING[1].content))


def test_long_arguments_are_summed_up_turn_by_turn() -> None:
    messages = list(OPENING)
    for number in range(30):
        path = f"f{number}.txt"
        messages += [
            calls(("write", {"path": path, "content": KILOBYTES}), turn=number),
            ToolMessage(f"wrote {path} (1 lines)", tool_call_id=f"{number}-0", name="write"),
        ]
    sent = fit(messages, 16_000)
    assert tokens(sent) <= 16_000
    told = str(sent[1].content)
    assert told.startswith(str(OPENING[1].content) + "\n\nWHAT YOU DID SO FAR, in order:\n")
    assert "- write f20.txt: wrote f20.txt (1 lines)\n" in told
    assert_paired(sent)
    assert sent[-1] == messages[-1]


def test_a_summary_too_long_itself_counts_its_oldest_calls() -> None:
    messages = [*OPENING, *(m for n in range(300) for m in turn(n, "x" * 100))]
    sent = fit(messages, 4_000)
    assert "- before that: read " in str(sent[1].content)
    assert tokens(sent) <= 4_000


def test_a_last_message_that_alone_is_too_long_gives_way_too() -> None:
    many = calls(*[("read", {"path": f"f{n}.txt"}) for n in range(20)])
    results = [ToolMessage(KILOBYTES, tool_call_id=f"0-{n}", name="read") for n in range(20)]
    sent = fit([*OPENING, many, *results], 16_000)
    assert tokens(sent) <= 16_000
    assert_paired(sent)
    assert sent[-1] == results[-1]


def test_the_servers_own_count_is_believed_up_to_four_times_the_estimate() -> None:
    said = [*OPENING, *turns(3)]
    assert fit([*said, *turn(3)], 16_000) == [*said, *turn(3)]
    assert fit([*said, *turn(3, counted=12_000)], 16_000) != [*said, *turn(3, counted=12_000)]
    silly = fit([*said, *turn(3, counted=10_000_000)], 160_000)
    assert silly == [*said, *turn(3, counted=10_000_000)]


def test_a_refused_prompt_halves_what_is_allowed_from_there_on() -> None:
    said = [*OPENING, *turns(10)]
    assert fit(said, WINDOW) == said
    shrunk = fit([*said, HumanMessage(SHRUNK)], WINDOW)
    assert tokens(shrunk) <= tokens(said) / 2
    later = fit([*said, HumanMessage(SHRUNK), *turn(10), *turn(11), *turn(12)], WINDOW)
    assert tokens(later) <= tokens(said) / 2
    assert_paired(later)


def test_what_was_read_back_from_a_journal_is_sent_alike() -> None:
    said = [*OPENING, *turns(20), *turn(20, counted=25_000), *turns(3)]
    back = messages_from_dict(json.loads(json.dumps(messages_to_dict(said))))
    sent, again = fit(said, 32_000), fit([*OPENING, *back[2:]], 32_000)
    assert messages_to_dict(sent) == messages_to_dict(again)


def test_neighbours_from_the_user_are_one_message() -> None:
    sent = fit([*OPENING, HumanMessage("one"), HumanMessage("two")], WINDOW)
    assert [message.type for message in sent] == ["system", "human"]
    assert sent[1].content == "DELEGATION TO: @python-pro\n\none\n\ntwo"


def test_the_window_is_what_is_set_then_the_profiles_then_a_usual_one() -> None:
    plain = ScriptedModel(script=lambda messages, tools: AIMessage(""))
    assert window_of(plain, ModelSettings()) == WINDOW
    assert window_of(plain, ModelSettings(window=5_000)) == 5_000
    known = plain.model_copy(update={"profile": {"max_input_tokens": 9_000}})
    assert window_of(known, ModelSettings()) == 9_000
    assert window_of(OfflineModel(), ModelSettings()) > 100 * WINDOW
