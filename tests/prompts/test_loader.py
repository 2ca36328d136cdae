"""Folders make a roster, and the coordinator's prompts take exactly the values they name."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from backend_coordinator.domain.roster import Roster, Specialist
from backend_coordinator.errors import RosterError, UnknownSpecialist
from backend_coordinator.prompts.loader import coordinator_prompt, load_roster, packaged_specialists

Write = Callable[..., Path]
PROMPTS = ("analysis", "consultation", "decomposition", "persona", "review")


def member(name: str, *aliases: str) -> Specialist:
    return Specialist(name=name, description="one", aliases=aliases, prompt="Text.")


def test_a_later_folder_adds_and_replaces_by_name(write: Write) -> None:
    first = write("a", "description: old", into="first")
    write("b", into="first")
    second = write("a", "description: new", into="second")
    write("c", into="second")
    roster = load_roster(first, second)
    assert roster.names == ("a", "b", "c")
    assert roster.get("a").description == "new"


def test_a_later_folder_may_take_an_alias_over(write: Write) -> None:
    first = write("a", "aliases: [x, y]", into="first")
    roster = load_roster(first, write("x", into="second"))
    assert (roster.resolve("x"), roster.resolve("y")) == ("x", "a")


def test_an_override_keeps_the_aliases_that_nobody_takes(write: Write) -> None:
    first = write("a", "aliases: [x, y]", into="first")
    write("b", "aliases: [y]", into="second")
    roster = load_roster(first, write("a", "aliases: [z]", into="second"))
    assert [roster.resolve(name) for name in "xyz"] == ["a", "b", "a"]


def test_a_folder_of_ones_own_extends_the_packaged_roster(write: Write) -> None:
    roster = load_roster(packaged_specialists(), write("rust-expert"))
    assert {"rust-expert", "python-pro"} <= set(roster.names)


def test_a_name_that_has_two_files_in_one_folder_is_refused(write: Write) -> None:
    write("a", "description: one\nname: b")
    with pytest.raises(RosterError, match=r"b\.md:1: name: b has a file already"):
        load_roster(write("b"))


def test_an_alias_that_is_somebodys_name_is_refused(write: Write) -> None:
    write("a", "aliases: [b]")
    with pytest.raises(RosterError, match="b stands for both a and b"):
        load_roster(write("b"))


def test_a_folder_that_is_missing_or_empty_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RosterError, match="is not a folder"):
        load_roster(tmp_path / "missing")
    with pytest.raises(RosterError, match="holds no specialist"):
        load_roster(tmp_path)


def test_a_file_that_is_not_text_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_bytes(b"---\n\xff\n---\n")
    with pytest.raises(RosterError, match=r"a\.md:1: the file is not UTF-8"):
        load_roster(tmp_path)


@pytest.mark.parametrize("doubled", [(member("a"), member("a")), (member("a", "x"), member("b", "x"))])
def test_a_roster_with_a_doubled_name_or_alias_cannot_be_built(doubled: tuple[Specialist, ...]) -> None:
    with pytest.raises(ValueError, match="stands for both"):
        Roster(specialists=doubled)


@pytest.mark.parametrize("spelling", ["python-pro", "@python-pro", "Python Pro", "python_pro", "py"])
def test_a_member_is_found_by_name_alias_and_common_spellings(spelling: str) -> None:
    roster = Roster(specialists=(member("python-pro", "py"), member("a")))
    assert roster.get(spelling).name == roster.resolve(spelling) == "python-pro"
    assert spelling in roster


def test_an_unknown_name_is_answered_with_the_near_ones() -> None:
    roster = Roster(specialists=(member("python-pro"), member("librarian")))
    with pytest.raises(UnknownSpecialist, match=r"'pyton-pro'; known here: python-pro$"):
        roster.get("pyton-pro")
    assert "pyton-pro" not in roster


def test_a_roster_cannot_be_changed_and_survives_serialising() -> None:
    roster = load_roster()
    with pytest.raises(ValueError, match="frozen"):
        roster.specialists = ()
    assert Roster.model_validate_json(roster.model_dump_json()) == roster
    assert Roster.model_validate(roster.model_dump()) == roster


@pytest.mark.parametrize("role", ["consultant", "external"])
def test_only_a_specialist_is_granted_tools(role: str) -> None:
    asked = {"name": "a", "description": "one", "prompt": "Text.", "tools": {"write": True}}
    assert Specialist.model_validate(asked).writes_code
    other = Specialist.model_validate(asked | {"role": role})
    assert (other.granted, other.writes_code) == (frozenset(), False)


def test_a_specialist_can_end_unless_its_file_forbids_it() -> None:
    asked = {"name": "a", "description": "one", "prompt": "Text."}
    assert Specialist.model_validate(asked).granted == {"check", "recall", "report_need", "submit"}
    assert "check" not in Specialist.model_validate(asked | {"tools": {"check": False}}).granted


@pytest.mark.parametrize("name", PROMPTS)
def test_each_prompt_of_the_coordinator_is_complete_and_forbids_it_to_write_code(name: str) -> None:
    values = {"roster": "python-pro: Python"} if name == "decomposition" else {}
    text = coordinator_prompt(name, **values)
    assert "{{" not in text
    assert re.search(r"you write no code|do not take over the task, write code", text.replace("\n", " "), re.I)
    assert len(text.splitlines()) < 40


def test_a_value_is_put_in_once_and_not_searched_for_placeholders() -> None:
    assert "{{roster}} and \\1 and {x}" in coordinator_prompt("decomposition", roster="{{roster}} and \\1 and {x}")


@pytest.mark.parametrize("values", [{}, {"roster": "x", "other": "y"}, {"rooster": "x"}])
def test_a_missing_or_unused_value_is_an_error(values: dict[str, str]) -> None:
    with pytest.raises(RosterError, match="differ in"):
        coordinator_prompt("decomposition", **values)


@pytest.mark.parametrize("name", ["none", "../specialists/python-pro", "report.md", ""])
def test_an_unknown_prompt_is_answered_with_the_known_ones(name: str) -> None:
    with pytest.raises(RosterError, match="there are analysis, consultation, decomposition, persona, review"):
        coordinator_prompt(name)


def test_the_roster_is_the_same_whatever_the_hash_seed() -> None:
    script = "from backend_coordinator.prompts.loader import load_roster; print(load_roster().model_dump_json())"
    outputs = [
        subprocess.run(
            [sys.executable, "-c", script],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(Path(__file__).parents[2])},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert outputs[0] == outputs[1]


@pytest.mark.parametrize("wrong", [{"temperature": float("nan")}, {"tools": {"bash": "false"}}])
def test_a_specialist_built_in_code_obeys_the_same_limits(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Specialist.model_validate({"name": "a", "description": "one", "prompt": "Text."} | wrong)


def test_members_are_kept_sorted_by_name() -> None:
    assert Roster(specialists=(member("b"), member("a"))).names == ("a", "b")
