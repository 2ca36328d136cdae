"""The loop of one attempt that goes on from its journal."""

from collections.abc import Sequence
from dataclasses import replace

from langchain_core.messages import AIMessage, BaseMessage, ToolMessage

from backend_coordinator.domain.context import Assignment
from backend_coordinator.nodes.tools.bench import Bench
from backend_coordinator.nodes.work import work
from backend_coordinator.testing import ScriptedModel, calls

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
    worked = await work(ASSIGNMENT, replace(bench, context=context), "you are python-pro")
    assert worked.submission is not None
    (messages,) = shown
    results = {m.tool_call_id: str(m.content) for m in messages if isinstance(m, ToolMessage)}
    assert list(results) == ["0-0", "0-1", "0-2"]
    assert (bench.tree / "docs" / "b.md").read_text() == "b\n"
    assert not (bench.tree / "docs" / "a.md").exists(), "what has an outcome is not done again"
    assert results["0-2"].startswith("in doubt")
    assert worked.usage.model_calls == 1
