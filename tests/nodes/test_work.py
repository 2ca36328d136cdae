"""The loop of one attempt that goes on from its journal."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage
from langchain_core.messages.tool import invalid_tool_call

from backend_coordinator.domain.context import Assignment
from backend_coordinator.domain.failure import FailureClass
from backend_coordinator.domain.plan import Effort
from backend_coordinator.nodes.doubts import settle
from backend_coordinator.nodes.mishaps import CHANGED, NUDGE, WRITTEN
from backend_coordinator.nodes.tools.bench import Bench
from backend_coordinator.nodes.tools.registry import TOOLS
from backend_coordinator.nodes.work import Worked, work
from backend_coordinator.testing import Script, ScriptedModel, calls

ASSIGNMENT = Assignment(task="backend-T001", specialist="python-pro", attempt=1, packet="do it")
OPEN = calls(
    ("write", {"path": "docs/a.md", "content": "a\n"}),
    ("write", {"path": "docs/b.md", "content": "b\n"}),
    ("edit", {"path": "docs/a.md", "old": "a", "new": "c"}),
)


async def test_open_calls_are_finished_before_the_model_is_asked_again(bench: Bench) -> None:
    shown: list[Sequence[BaseMessage]] = []

    def script(messages: Sequence[BaseMessage], tools: Sequence[str]) -> AIMessage:
        shown.append(messages)
        return calls(("submit", {"summary": "done"}), turn=9)

    journal = bench.context.transcript("backend-T001-1")
    journal.add(OPEN)
    journal.add(ToolMessage("wrote docs/a.md (1 lines)", tool_call_id="0-0", name="write"))
    journal.intend("0-2")
    context = replace(bench.context, model=ScriptedModel(script=script))
    settle(context)
    worked = await work(ASSIGNMENT, replace(bench, context=context), "you are python-pro")
    assert worked.submission is not None
    (messages,) = shown
    results = {m.tool_call_id: str(m.content) for m in messages if isinstance(m, ToolMessage)}
    assert sorted(results) == ["0-0", "0-1", "0-2"]
    assert (bench.tree / "docs" / "b.md").read_text() == "b\n"
    assert not (bench.tree / "docs" / "a.md").exists(), "what has an outcome is not done again"
    assert results["0-2"].startswith("in doubt")
    assert worked.usage.model_calls == 1


@pytest.mark.parametrize("answered", [(), ("7",), ("7", "0-0")])
async def test_of_readable_and_unreadable_calls_each_has_one_result_and_none_runs_twice(
    bench: Bench, answered: tuple[str, ...]
) -> None:
    shown: list[Sequence[BaseMessage]] = []

    def script(messages: Sequence[BaseMessage], tools: Sequence[str]) -> AIMessage:
        shown.append(messages)
        return calls(("submit", {"summary": "done"}), turn=9)

    broken = invalid_tool_call(name="write", args="{", id="7", error="cut")
    journal = bench.context.transcript("backend-T001-1")
    journal.add(OPEN.model_copy(update={"invalid_tool_calls": [broken]}))
    for name in answered:
        journal.add(ToolMessage("was told", tool_call_id=name))
    ended = await worked(bench, script)
    assert ended.submission is not None
    (messages,) = shown
    results = [m for m in messages if isinstance(m, ToolMessage)]
    assert [m.tool_call_id for m in results] == ["7", "0-0", "0-1", "0-2"]
    assert [m.tool_call_id for m in results if m.content == "was told"] == list(answered)
    assert ended.usage.tool_calls == 3 - ("0-0" in answered)


async def test_commands_in_turn_that_leave_the_tree_as_it_is_end_the_attempt(bench: Bench) -> None:
    (bench.tree / "docs").mkdir()
    said: list[str] = []

    def script(messages: Sequence[BaseMessage], tools: Sequence[str]) -> AIMessage:
        said.append(("pwd", "ls", "cat README.md")[len(said) % 3])
        return calls(("bash", {"command": said[-1]}), turn=len(said))

    ended = await worked(free(bench), script)
    assert ended.failure is not None
    assert ended.failure.summary == "bash gave the same result three times, unchanged tree"
    assert len(said) == 7


async def test_the_journal_says_which_calls_changed_the_tree(bench: Bench) -> None:
    steps = (
        ("bash", {"command": "ls"}),
        ("write", {"path": "docs/a.md", "content": "a\n"}),
        ("edit", {"path": "docs/a.md", "old": "b", "new": "c"}),
        ("bash", {"command": "touch docs/b.md"}),
        ("submit", {"summary": "done"}),
    )
    left = iter(enumerate(steps))

    def script(messages: Sequence[BaseMessage], tools: Sequence[str]) -> AIMessage:
        turn, step = next(left)
        return calls(step, turn=turn)

    await worked(free(bench), script)
    said = bench.context.transcript("backend-T001-1").read().messages
    assert [m.artifact for m in said if isinstance(m, ToolMessage)] == [None, CHANGED, None, CHANGED]


def free(bench: Bench) -> Bench:
    """The bench of a specialist that may run any command."""
    if bench.context.sandbox.level == "none":
        pytest.skip("no sandbox on this machine, so bash asks")
    allowed = bench.specialist.model_copy(update={"permission": (("bash", (("*", "allow"),)),)})
    return replace(bench, specialist=allowed)


async def worked(bench: Bench, script: Script, **model: object) -> Worked:
    """One attempt of a scripted model."""
    changed = bench.context.settings.model.model_copy(update=model)
    settings = bench.context.settings.model_copy(update={"model": changed})
    context = replace(bench.context, model=ScriptedModel(script=script), settings=settings)
    return await work(ASSIGNMENT, replace(bench, context=context), "you are python-pro")


async def test_a_model_is_told_once_that_its_turns_come_to_an_end(bench: Bench) -> None:
    shown: list[Sequence[BaseMessage]] = []

    def script(messages: Sequence[BaseMessage], tools: Sequence[str]) -> AIMessage:
        shown.append(messages)
        return calls(("read", {"path": "app/main.py", "limit": len(shown)}), turn=len(shown))

    quick = bench.task.model_copy(update={"effort": Effort.QUICK})
    ended = await worked(replace(bench, task=quick), script)
    assert ended.failure is not None
    assert ended.failure.summary == "turns: 20 of 20 used"
    told = [[str(m.content) for m in messages[2:] if isinstance(m, HumanMessage)] for messages in shown]
    assert told == [[]] * 16 + [["4 turns are left: finish what you are at, and submit."]] * 4
    assert isinstance(shown[16][-1], HumanMessage)


@pytest.mark.parametrize(("text", "note"), [("All done.", NUDGE), ('{"name": "submit", "arguments": {}}', WRITTEN)])
async def test_prose_is_nudged_once_in_a_row_and_again_after_a_good_turn(bench: Bench, text: str, note: str) -> None:
    said = [AIMessage(text), calls(("glob", {"pattern": "**"}), turn=1), *[AIMessage(text)] * 2]
    left = iter(said)
    shown: list[str] = []

    def script(messages: Sequence[BaseMessage], tools: Sequence[str]) -> AIMessage:
        shown.append(str(messages[-1].content))
        return next(left)

    ended = await worked(bench, script)
    assert ended.failure is not None
    assert ended.failure.kind is FailureClass.STUCK
    assert [text == note for text in shown] == [False, True, False, True]


async def test_a_result_of_thirty_kilobytes_leaves_room_in_a_small_window(bench: Bench) -> None:
    (bench.tree / "app" / "long.py").write_text("x = 1\n" * 5000)
    shown: list[str] = []

    def script(messages: Sequence[BaseMessage], tools: Sequence[str]) -> AIMessage:
        shown.append(str(messages[-1].content))
        steps = (("read", {"path": "app/long.py", "limit": 5000}), ("submit", {"summary": "read"}))
        return calls(steps[len(shown) - 1], turn=len(shown))

    ended = await worked(bench, script, window=32_000)
    assert ended.submission is not None
    assert len(shown[1]) <= 16_000
    assert 'recall call="1-0" offset=7900 reads on' in shown[1]


def test_the_schema_of_a_tool_is_made_once() -> None:
    for tool in TOOLS.values():
        assert tool.schema is tool.schema


@pytest.mark.parametrize(
    ("last", "told"),
    [
        (AIMessage("All done."), NUDGE),
        (AIMessage("", invalid_tool_calls=[invalid_tool_call(name="write", args="{", id="7", error="cut")]), "cut"),
    ],
)
async def test_what_came_last_before_a_crash_is_answered_before_the_model_is_asked_again(
    bench: Bench, last: AIMessage, told: str
) -> None:
    shown: list[str] = []

    def script(messages: Sequence[BaseMessage], tools: Sequence[str]) -> AIMessage:
        shown.append(str(messages[-1].content))
        return calls(("submit", {"summary": "done"}), turn=9)

    bench.context.transcript("backend-T001-1").add(last)
    ended = await worked(bench, script)
    assert ended.submission is not None
    assert len(shown) == 1
    assert told in shown[0]


@pytest.mark.parametrize(
    "reply",
    [
        calls(("submit", {"summary": 7})),
        AIMessage("", invalid_tool_calls=[invalid_tool_call(name="write", args="{", id="7", error="cut")]),
    ],
)
async def test_the_same_broken_call_for_the_third_time_ends_the_attempt_too(bench: Bench, reply: AIMessage) -> None:
    ended = await worked(bench, lambda messages, tools: reply)
    assert ended.failure is not None
    assert ended.failure.kind is FailureClass.STUCK
    assert ended.usage.turns == 3
