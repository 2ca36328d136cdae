"""Tool calls that wait for a person, in a whole run."""

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
from langchain_core.messages import AIMessage, BaseMessage, ToolMessage

from backend_coordinator import Coordinator, Plan, Settings, Task, Waiting
from backend_coordinator.domain.events import Asked, Noticed, ToolCalled
from backend_coordinator.settings import Approval, cache_folder
from backend_coordinator.testing import ScriptedModel, calls

PLAN = Plan(tasks=(Task(id="backend-T001", title="t", objective="o", specialist="python-pro", writes=("*.txt",)),))


def script(messages: Sequence[BaseMessage], tools: Sequence[str]) -> AIMessage:
    """Writes a file, adds to it by a command no rule allows, and submits."""
    turn = sum(isinstance(message, AIMessage) for message in messages)
    steps = (
        ("write", {"path": "a.txt", "content": "one\n"}),
        ("bash", {"command": "echo two >> a.txt"}),
        ("submit", {"summary": str(messages[-1].content)}),
    )
    return calls(steps[turn], turn=turn)


@pytest.fixture
def coordinator(workspace: Path) -> Coordinator:
    return Coordinator(ScriptedModel(script=script), workspace, settings=Settings(approval=Approval(tools="ask")))


@pytest.mark.parametrize(("decision", "text"), [("approve", "one\ntwo\n"), ("reject", "one\n")])
@pytest.mark.parametrize("emptied", [False, True])
def test_a_command_waits_for_a_persons_word_and_runs_at_most_once(
    coordinator: Coordinator, decision: str, text: str, emptied: bool, workspace: Path
) -> None:
    run = coordinator.start(PLAN)
    with pytest.raises(Waiting, match="answer with decide"):
        run.result()
    (question,) = run.questions
    assert "run 'echo two >> a.txt'?" in question.text
    if emptied:
        shutil.rmtree(cache_folder() / "trees" / run.id)
    question.answer(decision, by="lead")  # type: ignore[arg-type]
    report = run.result()
    assert report.accepted, report.summary
    events = list(run.events())
    assert sum(isinstance(event, Asked) for event in events) == 1
    assert sum(isinstance(event, ToolCalled) and event.tool == "bash" for event in events) == 1
    assert any(isinstance(e, Noticed) and "checkout is gone" in e.text for e in events) is emptied
    assert _content(workspace, report.branch) == text


def _content(workspace: Path, branch: str) -> str:
    shown = subprocess.run(
        ["git", "show", f"{branch}:a.txt"], cwd=workspace, capture_output=True, text=True, check=True
    )
    return shown.stdout


def test_without_anybody_to_ask_the_refusal_names_the_rule(workspace: Path) -> None:
    report = Coordinator(ScriptedModel(script=script), workspace, settings=Settings()).start(PLAN).result()
    assert "not permitted: not one simple command without shell metacharacters" in report.tasks[0].summary
    assert _content(workspace, report.branch) == "one\n"


def test_results_reach_the_model_in_order(workspace: Path) -> None:
    seen: list[str] = []

    def watching(messages: Sequence[BaseMessage], tools: Sequence[str]) -> AIMessage:
        seen.extend(str(m.content) for m in messages[-1:] if isinstance(m, ToolMessage))
        return script(messages, tools)

    Coordinator(ScriptedModel(script=watching), workspace, settings=Settings()).start(PLAN).result()
    assert [text.split(" ")[0] for text in seen] == ["wrote", "not"]
