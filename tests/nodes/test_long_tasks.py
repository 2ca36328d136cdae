"""A task of sixty turns with results of 8 KB in a small window, against the same task with room for everything."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from langchain_core.messages import AIMessage, BaseMessage, ToolMessage, convert_to_openai_messages

from backend_coordinator.domain.context import Assignment
from backend_coordinator.domain.plan import Effort
from backend_coordinator.nodes.firewall import estimate_tokens
from backend_coordinator.nodes.tools.bench import Bench
from backend_coordinator.nodes.tools.catalogue import tools_of
from backend_coordinator.nodes.work import Worked, work
from backend_coordinator.testing import ScriptedModel, calls

TURNS, SMALL, BOUNDLESS = 60, 32_000, 10_000_000
DENSEST = 3
"""UTF-8 bytes that a token has at the least in texts like these, whoever counts."""
PACKET = "DELEGATION TO: @python-pro\n\n" + "\n".join(f"- criterion {number}" for number in range(200))
ASSIGNMENT = Assignment(task="backend-T001", specialist="python-pro", attempt=1, packet=PACKET)


@dataclass
class Reader:
    """Reads one file after the other, and notes every tenth's first line; decides by the last turn it is shown."""

    prompts: list[str] = field(default_factory=list)

    def __call__(self, messages: Sequence[BaseMessage], tools: Sequence[str]) -> AIMessage:
        self.prompts.append(json.dumps(convert_to_openai_messages(list(messages)), ensure_ascii=False))
        said = [message for message in messages if isinstance(message, AIMessage)]
        number = int(Path(said[-1].tool_calls[0]["args"]["path"]).stem) + 1 if said else 0
        if number == TURNS - 1:
            return calls(("submit", {"summary": "all noted"}), turn=number)
        reading = ("read", {"path": f"data/{number}.txt"})
        if number % 10 != 9:
            return calls(reading, turn=number)
        last = str(next(m for m in reversed(messages) if isinstance(m, ToolMessage)).content)
        note = {"path": f"docs/{number}.md", "content": f"{last.splitlines()[0]}\n"}
        return calls(reading, ("write", note), turn=number)


@pytest.fixture
def bench(bench: Bench) -> Bench:
    (bench.tree / "data").mkdir()
    for number in range(TURNS):
        line = hashlib.sha256(str(number).encode()).hexdigest()
        (bench.tree / "data" / f"{number}.txt").write_text("\n".join(f"{line} {n}" for n in range(115)))
    return replace(bench, task=bench.task.model_copy(update={"effort": Effort.LARGE}))


async def worked(bench: Bench, window: int) -> tuple[Worked, Reader]:
    reader = Reader()
    model = bench.context.settings.model.model_copy(update={"window": window})
    settings = bench.context.settings.model_copy(update={"model": model})
    context = replace(bench.context, model=ScriptedModel(script=reader), settings=settings)
    return await work(ASSIGNMENT, replace(bench, context=context, seen={}), "you are python-pro"), reader


def notes(tree: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in (tree / "docs").iterdir()}


def tokens(prompt: str) -> int:
    return estimate_tokens(prompt)


@pytest.mark.slow
async def test_a_long_task_in_a_small_window_costs_a_fraction_and_ends_alike(bench: Bench) -> None:
    free, all_told = await worked(bench, BOUNDLESS)
    outcome = notes(bench.tree)
    bench.context.transcript("backend-T001-1").set_aside()
    for path in (bench.tree / "docs").iterdir():
        path.unlink()
    managed, shown = await worked(bench, SMALL)
    assert free.submission == managed.submission is not None
    assert notes(bench.tree) == outcome
    assert sorted(outcome) == [f"{number}.md" for number in (19, 29, 39, 49, 9)]
    assert len(shown.prompts) == len(all_told.prompts) == TURNS
    extra = json.dumps([tool.schema for tool in tools_of(bench.specialist).values()])
    for prompt in shown.prompts:
        assert tokens(prompt + extra) <= SMALL
        assert len((prompt + extra).encode()) / DENSEST <= SMALL
        assert json.dumps(PACKET)[1:-1] in prompt
    assert sum(map(tokens, shown.prompts)) <= 0.4 * sum(map(tokens, all_told.prompts))
    assert max(map(tokens, all_told.prompts)) > 4 * SMALL, "the task would not have fitted"


async def test_going_on_after_a_crash_sends_the_same_bytes(bench: Bench) -> None:
    _, shown = await worked(bench, SMALL)
    journal = bench.context.transcript("backend-T001-1").path
    written = journal.read_text().splitlines(keepends=True)
    journal.write_text("".join(written[: len(written) * 2 // 3]))
    resumed, again = await worked(bench, SMALL)
    assert resumed.submission is not None
    assert 0 < len(again.prompts) < TURNS
    assert again.prompts == shown.prompts[-len(again.prompts) :]
