"""What a user gives to know reaches those specialists who see it, by every way into a run."""

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from langchain_core.messages import AIMessage
from langchain_core.runnables import RunnableConfig

from backend_coordinator.domain.context import ContextItem, ContextKind
from backend_coordinator.errors import ConfigurationError
from backend_coordinator.graph.batch_files import read_entries
from backend_coordinator.testing import Script
from tests.support.department import Told, department, plan, task, write_own_file
from tests.support.runs import cli_here, coordinator, finished

SPEC = "## Business logic: Prices\nround half even\n## Frontend markup\nblue buttons\n"
DECISION = {"kind": "code_pattern", "text": "prices are Decimals"}


def work(told: Told) -> AIMessage:
    if told.turn == 0:
        return write_own_file(told)
    return told.calls("submit", summary="done", decisions=[DECISION])


@pytest.fixture
def heard() -> dict[str, str]:
    return {}


@pytest.fixture
def script(heard: dict[str, str]) -> Script:
    def analysis(told: Told) -> Mapping[str, object]:
        heard["analysis"] = told.text
        return {}

    def working(told: Told) -> AIMessage:
        heard[told.specialist] = told.text
        return work(told)

    return department(plan(task(1)), working, analysis=analysis)


def test_a_file_reaches_who_sees_its_sections_and_the_log_of_decisions_tells_what_came(
    shop: Path, tmp_path: Path, script: Script, heard: dict[str, str]
) -> None:
    (tmp_path / "spec.md").write_text(SPEC)
    run = coordinator(shop, script).start("prices", context=[tmp_path / "spec.md"])
    report, _ = finished(run)
    assert "business_logic (spec.md, Prices):\nround half even" in heard["python-pro"]
    assert "round half even" in heard["analysis"]
    assert "blue buttons" not in heard["python-pro"] + heard["analysis"]
    manifest = json.loads((run.folder / "manifests" / "coordinator-analysis.json").read_text())
    assert {entry["kind"]: entry["included"] for entry in manifest["entries"]} == {
        "business_logic": True,
        "frontend_markup": False,
    }
    (decided,) = report.decisions
    assert (decided.task, decided.by, decided.kind, decided.text) == ("backend-T001", "python-pro", *DECISION.values())
    line = "backend-T001, python-pro, code_pattern: prices are Decimals"
    assert f"## Decisions\n\n- {line}\n" in (run.folder / "report.md").read_text()
    assert "decided, code_pattern: prices are Decimals" in cli_here("show", run.id, "-w", str(shop)).stdout


def test_a_node_takes_texts_from_its_parent_s_state_but_no_paths(
    shop: Path, script: Script, heard: dict[str, str]
) -> None:
    node = coordinator(shop, script).as_node()
    given = [("business logic", "round half even"), {"kind": "frontend_markup", "text": "blue buttons"}]
    asyncio.run(node({"objective": "prices", "context": given}, RunnableConfig()))
    assert "business_logic (user):\nround half even" in heard["python-pro"]
    assert "blue buttons" not in heard["python-pro"]
    with pytest.raises(ConfigurationError, match="give a kind and a text"):
        asyncio.run(node({"objective": "prices", "context": [str(shop / "README.md")]}, RunnableConfig()))


def test_a_batch_line_names_context_beside_its_file(tmp_path: Path) -> None:
    (tmp_path / "spec.md").write_text(SPEC)
    line = {"objective": "prices", "context": ["spec.md", "data_model=spec.md", ["data_model", "x"]]}
    (tmp_path / "batch.jsonl").write_text(json.dumps(line))
    (entry,) = read_entries(tmp_path / "batch.jsonl")
    path = str(tmp_path / "spec.md")
    assert entry.context == (path, f"data_model={path}", ("data_model", "x"))
    (tmp_path / "batch.jsonl").write_text(json.dumps({**line, "context": ["gone.md"]}))
    with pytest.raises(ConfigurationError, match=r"line 1: context: .*gone\.md cannot be read"):
        read_entries(tmp_path / "batch.jsonl")


@pytest.mark.parametrize("command", ["run", "plan"])
def test_a_context_that_cannot_be_used_is_refused_before_anything_begins(shop: Path, command: str) -> None:
    said = cli_here(command, "CRUD API for notes with title", "-w", str(shop), "-m", "offline", "--context", "kin=a.md")
    assert said.returncode == 2
    assert "'kin' is no kind of context: use one of api_requirement, " in said.stderr
    assert not list((shop / ".backend-coordinator").glob("runs/*"))


def test_items_may_be_given_as_they_are(shop: Path, script: Script, heard: dict[str, str]) -> None:
    item = ContextItem(kind=ContextKind.BUSINESS_LOGIC, source="wiki", text="round half even")
    finished(coordinator(shop, script).start("prices", context=[item]))
    assert "business_logic (wiki):\nround half even" in heard["python-pro"]
