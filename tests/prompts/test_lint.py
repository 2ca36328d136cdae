"""The packaged roster lints clean, and every rule fires on the line that breaks it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from backend_coordinator.domain.roster import Roster
from backend_coordinator.prompts.lint import lint
from backend_coordinator.prompts.loader import load_roster, packaged_specialists

Write = Callable[..., Path]


def test_the_packaged_roster_lints_clean() -> None:
    assert lint(load_roster(), packaged_specialists()) == ()


@pytest.mark.parametrize(
    ("front", "line", "rule", "words"),
    [
        ("collaborates_with:\n  librarian: x\n  libraryan: y", 4, "dangling-reference", "librarian"),
        ("escalates_to:\n  - {when: w, class: stuck, to: [librarian]}\n  - when: w\n    class: stuck\n"
         "    to:\n      - librarian\n      - nobody", 8, "dangling-reference", "'nobody'"),
        ("accepts_from:\n  - when: w\n    from: nobody", 4, "dangling-reference", "'nobody'"),
        ("aliases: []\nreports_to: nobody", 3, "dangling-reference", "'nobody'"),
        ('permission:\n  bash:\n    "git *": allow\n    "git  *": deny', 5, "doubled-permission", "'git *'"),
        ('permission:\n  bash:\n    "*": ask\n    "**": deny', 5, "doubled-permission", "'*'"),
        ("aliases: []\nsees: [api_contract, nothing]", 3, "unknown-kind", "api_requirement"),
        ("aliases: []\nnever_sees: [nothing]", 3, "unknown-kind", "api_requirement"),
        ("tools:\n  raed: true", 3, "unknown-tool", "nearest known is read"),
        ("permission:\n  raed: {}", 3, "unknown-tool", "nearest known is read"),
        ("aliases: []\ncolour: red", 3, "front-matter", "unknown key"),
        ("aliases: []\naliases: []", 3, "front-matter", "twice"),
    ],
)  # fmt: skip
def test_a_rule_fires_with_file_and_line(write: Write, front: str, line: int, rule: str, words: str) -> None:
    folder = write("broken", front)
    findings = lint(load_roster(), folder)
    assert [(f.file, f.line, f.rule) for f in findings] == [(str(folder / "broken.md"), line, rule)]
    assert words in findings[0].message


def test_all_findings_of_a_folder_are_reported_in_order(write: Write) -> None:
    write("b", "reports_to: nobody")
    folder = write("a", "reports_to: nobody\ncollaborates_with: {no-one: x}")
    found = [(Path(f.file).name, f.line) for f in lint(load_roster(), folder)]
    assert found == [("a.md", 2), ("a.md", 3), ("b.md", 2)]


def route(to: str, failure: str = "stuck") -> str:
    return f"escalates_to:\n  - {{when: w, class: {failure}, to: [{to}]}}"


def lint_all(folder: Path) -> list[tuple[str, int, str, str]]:
    return [(Path(f.file).name, f.line, f.rule, f.message) for f in lint(load_roster(folder), folder)]


def test_an_escalation_that_goes_round_through_an_alias_is_found_at_every_link(write: Write) -> None:
    write("a", route("bee"))
    write("b", f"aliases: [bee]\n{route('c')}")
    folder = write("c", route("a"))
    assert lint_all(folder) == [
        ("a.md", 3, "escalation-cycle", "stuck goes round: a -> b -> c -> a"),
        ("b.md", 4, "escalation-cycle", "stuck goes round: b -> c -> a -> b"),
        ("c.md", 3, "escalation-cycle", "stuck goes round: c -> a -> b -> c"),
    ]


def test_an_escalation_to_oneself_is_a_cycle(write: Write) -> None:
    assert lint_all(write("a", route("a"))) == [("a.md", 3, "escalation-cycle", "stuck goes round: a -> a")]


def test_routes_of_different_classes_make_no_cycle(write: Write) -> None:
    write("a", route("b", "stuck"))
    assert lint_all(write("b", route("a", "timeline"))) == []


def test_a_route_into_a_cycle_one_is_not_part_of_is_not_reported(write: Write) -> None:
    write("a", route("b"))
    write("b", route("c"))
    assert {finding[0] for finding in lint_all(write("c", route("b")))} == {"b.md", "c.md"}


def test_references_are_looked_up_in_the_roster_given(write: Write) -> None:
    folder = write("a", "reports_to: librarian")
    alone: Roster = load_roster(folder)
    assert [f.rule for f in lint(alone, folder)] == ["dangling-reference"]
    assert lint(load_roster(), folder) == ()
