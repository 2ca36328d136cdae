"""Tool calls that wait for a person, in a whole run."""

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
from langchain_core.messages import AIMessage, BaseMessage, ToolMessage

from backend_coordinator import Coordinator, Plan, Settings, Task, Waiting
from backend_coordinator.domain.events import Asked, Noticed, ToolCalled
from backend_coordinator.errors import ConfigurationError
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
    assert "bash 'echo two >> a.txt'? (" in question.text
    assert question.choices == ("approve", "approve_run", "reject")
    if emptied:
        (trees,) = (cache_folder() / "trees").glob(f"{run.id}-*")
        shutil.rmtree(trees)
    question.answer(decision, by="lead")  # type: ignore[arg-type]
    report = run.result()
    assert report.accepted, report.summary
    events = list(run.events())
    assert sum(isinstance(event, Asked) for event in events) == 1
    assert sum(isinstance(event, ToolCalled) and event.tool == "bash" for event in events) == 1
    assert any(isinstance(e, Noticed) and "checkout is gone" in e.text for e in events) is emptied
    assert _content(workspace, report.branch) == text


def test_a_workspace_copied_with_its_run_works_on_files_of_its_own(
    coordinator: Coordinator, workspace: Path, tmp_path: Path
) -> None:
    run = coordinator.start(PLAN)
    with pytest.raises(Waiting):
        run.result()
    other = shutil.copytree(workspace, tmp_path / "copy", symlinks=True)
    settings = Settings(approval=Approval(tools="ask"))
    copied = Coordinator(ScriptedModel(script=script), other, settings=settings).resume(run.id)
    with pytest.raises(Waiting):
        copied.result()
    for each, decision in ((copied, "reject"), (run, "approve")):
        each.questions[0].answer(decision, by="lead")  # type: ignore[arg-type]
        assert each.result().accepted
    assert _content(other, copied.result().branch) == "one\n"
    assert _content(workspace, run.result().branch) == "one\ntwo\n"


def _content(workspace: Path, branch: str) -> str:
    shown = subprocess.run(
        ["git", "show", f"{branch}:a.txt"], cwd=workspace, capture_output=True, text=True, check=True
    )
    return shown.stdout


def test_without_anybody_to_ask_the_refusal_names_the_rule(workspace: Path) -> None:
    report = Coordinator(ScriptedModel(script=script), workspace, settings=Settings()).start(PLAN).result()
    assert "not permitted: " in report.tasks[0].summary
    assert _content(workspace, report.branch) == "one\n"


def test_results_reach_the_model_in_order(workspace: Path) -> None:
    seen: list[str] = []

    def watching(messages: Sequence[BaseMessage], tools: Sequence[str]) -> AIMessage:
        seen.extend(str(m.content) for m in messages[-1:] if isinstance(m, ToolMessage))
        return script(messages, tools)

    Coordinator(ScriptedModel(script=watching), workspace, settings=Settings()).start(PLAN).result()
    assert [text.split(" ")[0] for text in seen] == ["wrote", "not"]


def committing(line: str, times: int) -> ScriptedModel:
    """A specialist that writes a file, runs one line so many times, and submits with what it saw last."""

    def script(messages: Sequence[BaseMessage], tools: Sequence[str]) -> AIMessage:
        turn = sum(isinstance(message, AIMessage) for message in messages)
        if turn == 0:
            return calls(("write", {"path": "a.txt", "content": "one\n"}), turn=turn)
        if turn <= times:
            return calls(("bash", {"command": line}), turn=turn)
        return calls(("submit", {"summary": str(messages[-1].content)}), turn=turn)

    return ScriptedModel(script=script)


def asking(workspace: Path, line: str, times: int = 1) -> Coordinator:
    return Coordinator(committing(line, times), workspace, settings=Settings(approval=Approval(tools="ask")))


def test_an_answer_for_the_run_holds_for_the_same_line_again(workspace: Path) -> None:
    run = asking(workspace, "wc a.txt", times=2).start(PLAN)
    with pytest.raises(Waiting):
        run.result()
    run.questions[0].answer("approve_run", by="lead")
    assert "exit 0" in run.result().tasks[0].summary
    assert sum(isinstance(event, Asked) for event in run.events()) == 1


def test_an_answer_as_a_rule_holds_for_later_runs_too(workspace: Path) -> None:
    run = asking(workspace, "wc a.txt").start(PLAN)
    with pytest.raises(Waiting):
        run.result()
    assert "adds the rule 'wc a.txt'" in run.questions[0].text
    run.questions[0].answer("approve_rule", by="lead", text="wc *")
    assert run.result().accepted
    assert asking(workspace, "wc -l a.txt").start(PLAN).result().accepted
    assert "wc *: allow" in (workspace / ".backend-coordinator" / "permissions.yaml").read_text()


@pytest.mark.parametrize(("rule", "fitting"), [("make x?", True), ("make *", True), ("make z", False)])
def test_a_typed_rule_that_does_not_fit_is_told(workspace: Path, rule: str, fitting: bool) -> None:
    run = asking(workspace, 'make "xy"').start(PLAN)
    with pytest.raises(Waiting):
        run.result()
    run.questions[0].answer("approve_rule", by="lead", text=rule)
    assert run.result().accepted
    told = [event.text for event in run.events() if isinstance(event, Noticed) and "does not fit" in event.text]
    assert bool(told) is not fitting


def test_the_person_sees_the_whole_line_with_what_is_invisible(workspace: Path) -> None:
    run = asking(workspace, "wc \u200b\u0430.txt" + "\n" * 20 + "rm x").start(PLAN)
    with pytest.raises(Waiting):
        run.result()
    (question,) = run.questions
    assert "'wc \\u200b\\u0430.txt" + "\\n" * 20 + "rm x'" in question.text
    assert "approve_rule" not in question.choices


def test_a_file_of_rules_that_cannot_be_read_is_refused_before_anything_runs(workspace: Path) -> None:
    folder = workspace / ".backend-coordinator"
    folder.mkdir()
    (folder / "permissions.yaml").write_text("python-pro: {bash: {x: sometimes}}")
    with pytest.raises(ConfigurationError, match=r"permissions.yaml cannot be read \('sometimes' is neither"):
        asking(workspace, "wc a.txt").start(PLAN)
