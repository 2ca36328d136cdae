"""Transcripts: what survives a crash, and what never gets in."""

from pathlib import Path

import pytest
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.messages.tool import tool_call

from backend_coordinator.domain.events import ToolCalled
from backend_coordinator.domain.usage import Usage
from backend_coordinator.errors import DamagedRun
from backend_coordinator.nodes.journal import Transcript, ids_of_calls, open_calls
from backend_coordinator.nodes.redaction import MASK, Redactor, redactor_for

CALL = AIMessage("", tool_calls=[tool_call(name="bash", args={"command": "ls"}, id="1")])


def test_messages_come_back_equal_with_their_usage(tmp_path: Path) -> None:
    journal = Transcript(tmp_path / "t" / "a.jsonl", Redactor())
    journal.add(CALL, Usage(model_calls=1, input_tokens=7))
    journal.add(ToolMessage("done", tool_call_id="1", artifact="changed"))
    past = journal.read()
    called, result = past.messages
    assert [type(called), type(result)] == [AIMessage, ToolMessage]
    assert result.artifact == "changed"
    assert ids_of_calls(past.messages) == {"1"}
    assert past.messages[0].tool_calls == CALL.tool_calls
    assert past.usage == Usage(model_calls=1, input_tokens=7)
    assert journal.path.stat().st_mode & 0o777 == 0o600


def test_a_last_line_cut_by_a_crash_is_dropped_and_writing_goes_on(tmp_path: Path) -> None:
    journal = Transcript(tmp_path / "a.jsonl", Redactor())
    journal.add(HumanMessage("one"))
    with journal.path.open("ab") as file:
        file.write(b'{"kind": "mess')
    assert [message.content for message in journal.read().messages] == ["one"]
    journal.add(HumanMessage("two"))
    assert [message.content for message in journal.read().messages] == ["one", "two"]


def test_an_intent_without_an_outcome_is_in_doubt(tmp_path: Path) -> None:
    journal = Transcript(tmp_path / "a.jsonl", Redactor())
    journal.add(CALL)
    journal.intend("1")
    assert journal.read().in_doubt == {"1"}
    assert open_calls(journal.read().messages) is not None
    journal.add(ToolMessage("done", tool_call_id="1"))
    assert journal.read().in_doubt == frozenset()
    assert open_calls(journal.read().messages) is None


def test_secrets_of_environment_and_env_file_never_reach_the_disk(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("# comment\nAPP_NAME=products\nDB_PASSWORD='correct-horse-battery'\n")
    redact = redactor_for(tmp_path, {"MY_API_KEY": "key-0123456789", "PATH": "/usr/bin/whatever", "A_TOKEN": "short"})
    journal = Transcript(tmp_path / "a.jsonl", redact)
    journal.add(
        HumanMessage(
            "key-0123456789 correct-horse-battery sk-abcdefghijklmnopqrstuvwx /usr/bin/whatever short products"
        )
    )
    text = journal.path.read_text()
    assert f"{MASK} {MASK} {MASK} /usr/bin/whatever short products" in text


def test_a_line_that_cannot_be_read_is_named_with_its_run(tmp_path: Path) -> None:
    path = tmp_path / "run-1" / "transcripts" / "backend-T001-1.jsonl"
    path.parent.mkdir(parents=True)
    path.write_text('{"kind": "message", "bo\n')
    with pytest.raises(DamagedRun, match=r"run run-1: .*backend-T001-1.jsonl has a line that cannot be read"):
        Transcript(path, Redactor()).read()


def test_a_secret_that_seems_to_go_on_in_the_event_leaves_a_line_that_can_be_read(tmp_path: Path) -> None:
    journal = Transcript(tmp_path / "t.jsonl", Redactor())
    subject = "sed -n '/-----BEGIN PRIVATE KEY-----/,/-----END PRIVATE KEY-----/p' x"
    event = ToolCalled(task="backend-T001", tool="bash", subject=subject, ok=True, specialist="python-pro", seconds=0)
    journal.add(ToolMessage("x.pem:1: -----BEGIN PRIVATE KEY-----", tool_call_id="1", status="success"), event=event)
    past = journal.read()
    assert [message.text for message in past.messages] == ["x.pem:1: -----BEGIN PRIVATE KEY-----"]
    assert len(past.events) == 1
    assert "sed -n" in journal.path.read_text()
