"""The page on the roster: its files load and lint, its commands run, and what it shows them say is what they say."""

from pathlib import Path

import pytest

from tests.packaging.source import ROOT, blocks
from tests.support.runs import cli_here, git

PAGE = (ROOT / "docs" / "roster.md").read_text(encoding="utf-8")
(SPECIALIST,), (SETTINGS,) = blocks("markdown", text=PAGE), blocks("toml", text=PAGE)
(LINT, IMPORT), (SHOWN, TOLD) = blocks("sh", text=PAGE), blocks("text", text=PAGE)
AGENT = """---
name: reviewer
description: Reviews SQL migrations
tools: Read, Bash, WebSearch
model: opus
color: red
---
You review migrations.
"""


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    git(tmp_path, "init", "--quiet")
    (tmp_path / "team").mkdir()
    (tmp_path / "team" / "rust-expert.md").write_text(SPECIALIST)
    (tmp_path / "backend-coordinator.toml").write_text(SETTINGS)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(block: str) -> tuple[int, str]:
    said = cli_here(*block.split()[1:])
    return said.returncode, said.stdout


def test_the_specialist_of_the_page_lints_clean_and_is_shown(workspace: Path) -> None:
    code, said = run(LINT)
    assert (code, said[:13]) == (0, "nothing found")
    assert "rust-expert (specialist): Services in Rust with axum" in cli_here("roster", "show", "crab").stdout


def test_a_mistake_is_named_as_the_page_shows_it(workspace: Path) -> None:
    (workspace / "team" / "rust-expert.md").write_text(SPECIALIST.replace("[api_contract, ", "[api_kontract, "))
    code, said = run(LINT)
    assert code == 1
    assert SHOWN.removesuffix(", ...\n") in said


def test_the_import_says_what_the_page_shows(workspace: Path) -> None:
    agents = workspace / ".claude" / "agents"
    agents.mkdir(parents=True)
    (agents / "reviewer.md").write_text(AGENT)
    code, said = run(IMPORT)
    assert code == 0
    assert said.startswith(TOLD)
    assert (workspace / "specialists" / "reviewer.md").is_file()
