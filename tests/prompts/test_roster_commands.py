"""`roster list`, `roster show` and `roster lint` answer for the packaged roster and a workspace's own folders."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from backend_coordinator.prompts.loader import load_roster, packaged_specialists
from tests.support.runs import Said, cli_here

Write = Callable[..., Path]
PACKAGED = len(load_roster().names)


@pytest.fixture
def team(write: Write, tmp_path: Path) -> Path:
    """A workspace whose settings name a folder with one specialist."""
    (tmp_path / "backend-coordinator.toml").write_text('roster = ["agents"]\n')
    write(
        "rust-expert",
        "aliases: [crab]\ntools: {read: true, skill: true, request_research: true}\nmodel: opus\nreports_to: lead",
    )
    return tmp_path


def roster(workspace: Path, *args: str) -> Said:
    return cli_here("roster", *args, "--workspace", str(workspace))


def test_list_names_everybody_with_role_and_aliases_by_role(team: Path) -> None:
    listed = json.loads(roster(team, "list", "--json").stdout)
    assert {"name": "rust-expert", "role": "specialist", "aliases": ["crab"], "description": "one"} in listed
    assert len(listed) == PACKAGED + 1
    roles = [member["role"] for member in listed]
    assert roles == sorted(roles, key=["specialist", "consultant", "external"].index)
    lines = [" ".join(line.split()) for line in roster(team, "list").stdout.splitlines()]
    assert "rust-expert specialist one crab" in lines
    assert len(lines) == len(listed)


@pytest.mark.parametrize("spelling", ["rust-expert", "crab", "@rust-expert", "Rust Expert"])
def test_show_finds_a_member_by_any_of_its_names(team: Path, spelling: str) -> None:
    told = json.loads(roster(team, "show", spelling, "--json").stdout)
    assert (told["name"], told["model"], told["model_hint"], told["reports_to"]) == (
        "rust-expert",
        None,
        "opus",
        "lead",
    )
    assert told["tools"] == ["check", "read", "recall", "report_need", "request_research", "submit"]
    assert told["missing_tools"] == []
    assert told["notes"] == ["the tool skill has no counterpart here"]
    assert "prompt" not in told


def test_show_tells_what_a_member_sees_may_do_and_whom_it_asks(team: Path) -> None:
    lines = [" ".join(line.split()) for line in roster(team, "show", "fastapi-developer").stdout.splitlines()]
    for line in (
        "fastapi-developer (specialist): FastAPI services with Pydantic and SQLModel or SQLAlchemy",
        "sees api_contract, business_logic, database_schema, error_handling, code_pattern",
        "never sees frontend_markup, database_administration",
        "sudo * deny",
        "level 2 database_design database-specialist (database-optimizer) "
        "schema design, migrations or ORM work beyond the usual patterns",
        "e2e-tester (qa-lead) tests of whole flows",
        "api-developer work moves to FastAPI",
        "reports to backend-coordinator",
    ):
        assert line in lines
    assert "prompt:" not in lines
    prompted = roster(team, "show", "fastapi-developer", "--prompt").stdout
    assert prompted.rstrip().endswith(load_roster().get("fastapi-developer").prompt.rstrip())


def test_an_unknown_name_is_a_usage_error_that_names_the_near_ones(team: Path) -> None:
    said = roster(team, "show", "rust-exprt")
    assert (said.returncode, said.stdout) == (2, "")
    assert "known here: rust-expert" in said.stderr


def test_lint_finds_nothing_in_the_packaged_roster(tmp_path: Path) -> None:
    for folder in ((), (str(packaged_specialists()),)):
        said = roster(tmp_path, "lint", *folder)
        assert (said.returncode, said.stdout) == (0, f"nothing found in {PACKAGED} files\n")


def test_lint_reads_the_configured_folders_and_one_more(team: Path, write: Write) -> None:
    more = write("odd", "reports_to: crab\naccepts_from: [{from: nobody, when: w}]", into="more")
    said = roster(team, "lint", str(more))
    found, last = said.stdout.splitlines()
    assert said.returncode == 1
    assert found.startswith(f"{more / 'odd.md'}:3: dangling-reference: no specialist is called 'nobody'")
    assert last == f"1 found in {PACKAGED + 2} files"
    told = json.loads(roster(team, "lint", str(more), "--json").stdout)
    assert (told["files"], [finding["line"] for finding in told["findings"]]) == (PACKAGED + 2, [3])
    assert roster(team, "lint", str(team / "agents")).stdout == f"nothing found in {PACKAGED + 1} files\n"


def test_lint_of_a_folder_that_is_none_is_a_usage_error(team: Path) -> None:
    said = roster(team, "lint", str(team / "nowhere"))
    assert said.returncode == 2
    assert "is not a folder of specialists" in said.stderr
