"""The chapter about testing is true: its files are written down, recorded against a server and run without one."""

import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
import yaml
from langchain_core.messages import AIMessage, BaseMessage, ToolMessage

from backend_coordinator.testing import FAULTS, VOLATILE, ScriptedModel, calls
from tests.packaging.source import ROOT, blocks
from tests.support.openai_server import serving

TEXT = (ROOT / "docs" / "testing.md").read_text(encoding="utf-8")
FILES = {block.splitlines()[0].removeprefix("# "): block for block in blocks("python", text=TEXT)}
RECORD, REPLAY = blocks("sh", text=TEXT)[0].splitlines()
JOB = yaml.safe_load(blocks("yaml", text=TEXT)[0])["jobs"]["test"]


def greet(messages: Sequence[BaseMessage], tools: Sequence[str]) -> AIMessage:
    """What the model behind the server says."""
    if any(isinstance(message, ToolMessage) for message in messages):
        return calls(("submit", {"summary": "done"}), turn=1)
    return calls(("write", {"path": "hello.txt", "content": "hello\n"}))


def shell(command: str, folder: Path, more: Mapping[str, str]) -> "subprocess.CompletedProcess[str]":
    clean = {name: value for name, value in os.environ.items() if name != "CI" and not name.startswith("PYTEST")}
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    env = {**clean, "PATH": path, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1", **more}
    return subprocess.run(["bash", "-c", command], cwd=folder, env=env, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The chapter's files, recorded with its own command."""
    folder = tmp_path_factory.mktemp("project")
    for name, text in FILES.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    with serving(ScriptedModel(script=greet)) as variables:
        done = shell(RECORD, folder, {"OPENAI_BASE_URL": variables["OPENAI_BASE_URL"]})
    assert "4 passed" in done.stdout, done.stdout + done.stderr
    return folder


def test_every_block_is_a_file_or_a_command_of_this_test() -> None:
    assert all(re.fullmatch(r"tests/\w+\.py", name) for name in FILES)
    assert len(re.findall(r"^```\w", TEXT, re.MULTILINE)) == len(FILES) + 3


@pytest.mark.slow
def test_what_was_recorded_is_replayed_without_key_and_server(project: Path) -> None:
    (tape,) = project.glob("tests/cassettes/test_recorded/test_the_greeting_as_a_model_wrote_it.jsonl")
    assert tape.stat().st_mode & 0o77 == 0
    done = shell(REPLAY, project, {})
    assert "4 passed" in done.stdout, done.stdout + done.stderr


@pytest.mark.slow
def test_a_changed_word_is_refused_as_told(project: Path) -> None:
    flow = project / "tests" / "flow.py"
    flow.write_text(FILES["tests/flow.py"].replace("a short greeting", "a long greeting"))
    done = shell("pytest -q tests/test_recorded.py", project, {"CI": "1"})
    flow.write_text(FILES["tests/flow.py"])
    for line in blocks("text", text=TEXT)[0].splitlines():
        assert any(shown.endswith(line) for shown in done.stdout.splitlines()), (line, done.stdout)


def test_the_job_runs_the_command_that_replays_and_has_no_key() -> None:
    assert REPLAY.startswith(f"CI=1 {JOB['steps'][-1]['run']} ")
    assert set(JOB["env"]) == {"BACKEND_COORDINATOR_CACHE"}
    assert not any("secrets" in str(step) for step in JOB["steps"])


def test_every_kind_of_fault_and_every_volatile_thing_is_named() -> None:
    assert [kind for kind in FAULTS if f"`{kind}`" not in TEXT] == []
    assert [name for _, name in VOLATILE if name and f"`{name}`" not in TEXT] == []
