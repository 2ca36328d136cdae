"""The packaged roster lints clean, and every rule fires on the line that breaks it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from backend_coordinator.nodes.tools.catalogue import DECIDES
from backend_coordinator.prompts.lint import Finding, lint
from backend_coordinator.prompts.loader import Folder, packaged_specialists

Write = Callable[..., Path]
OUT = "; take one of these routes out"


def findings(*folders: Folder) -> tuple[Finding, ...]:
    return lint(*folders, decides=DECIDES)


def test_the_packaged_roster_lints_clean() -> None:
    assert findings(packaged_specialists()) == ()


@pytest.mark.parametrize(
    ("front", "line", "rule", "words"),
    [
        ("collaborates_with:\n  librarian: x\n  libraryan: y", 4, "dangling-reference", "librarian"),
        ("escalates_to:\n  - {when: w, class: stuck, to: [librarian]}\n  - when: w\n    class: stuck\n"
         "    to:\n      - librarian\n      - nobody", 8, "dangling-reference", "'nobody'"),
        ("accepts_from:\n  - when: w\n    from: nobody", 4, "dangling-reference", "'nobody'"),
        ("aliases: []\nreports_to: nobody", 3, "dangling-reference", "'nobody'"),
        ('permission:\n  bash:\n    "git *": allow\n    "git  *": deny', 4, "shadowed-permission", "'git  *' decides"),
        ('permission:\n  bash:\n    "*": ask\n    "**": deny', 4, "shadowed-permission", "'**' decides"),
        ('permission:\n  bash:\n    "rm *": deny\n    "rm ?*": allow', 5, "shadowed-permission", "'rm *' decides"),
        ('permission:\n  bash:\n    "l[s]": deny\n    "ls": ask', 4, "shadowed-permission", "'ls' decides"),
        ('permission:\n  read: {"a/[bc].py": deny}', 3, "shadowed-permission", "nothing fits it"),
        ('permission:\n  webfetch:\n    "https://a.org/x": ask\n    "*.org": deny\n    "https://*.org": allow\n'
         '    "b.org*": allow\n    "b.org": ask', 7, "shadowed-permission", "'b.org' decides"),
        ('permission:\n  edit: {"a/**": deny, "a/*": ask, "a": ask}', 3, "shadowed-permission", "decides"),
        ('permission:\n  write: {"*.py": deny}', 3, "idle-permission", "switch write under `tools`"),
        ("aliases: []\nsees: [api_contract, nothing]", 3, "unknown-kind", "api_requirement"),
        ("aliases: []\nnever_sees: [nothing]", 3, "unknown-kind", "api_requirement"),
        ("tools:\n  raed: true", 3, "unknown-tool", "nearest known is read"),
        ("permission:\n  raed: {}", 3, "unknown-tool", "nearest known is read"),
        ("aliases: []\ncolour: red", 3, "front-matter", "unknown key"),
        ("aliases: []\naliases: []", 3, "front-matter", "twice; keep one"),
        ("aliases: &a []", 2, "front-matter", "anchors and aliases are not read; write the value out"),
        ("aliases: []\nsees: *a", 3, "front-matter", "anchors and aliases are not read; write the value out"),
        ("aliases: !!seq []", 2, "front-matter", "tags are not read; remove it"),
        ("aliases: [a, b, a]", 2, "doubled-name", "a stands for broken already"),
        ("aliases: [python-pro]", 2, "doubled-name", "python-pro stands for python-pro already"),
        ("aliases: [broken]", 2, "doubled-name", "broken stands for broken already"),
    ],
)  # fmt: skip
def test_a_rule_fires_with_file_and_line(write: Write, front: str, line: int, rule: str, words: str) -> None:
    folder = write("broken", front)
    found = findings(packaged_specialists(), folder)
    assert [(f.file, f.line, f.rule) for f in found] == [(str(folder / "broken.md"), line, rule)]
    assert words in found[0].message


@pytest.mark.parametrize(
    "rules",
    [
        '{"git *": allow, "git log *": allow, "*": ask}',
        '{"git?": deny, "git*": ask, "git ??": deny}',
        '{"[!a]b": ask, "?b": allow, "*": deny}',
        '{"git": deny, "git *": allow, "git  log": allow, "l[sd]": deny, "ls": ask}',
        "{}",
    ],
)
def test_a_rule_that_can_decide_is_no_finding(write: Write, rules: str) -> None:
    assert findings(write("a", f"permission: {{bash: {rules}}}")) == ()


def test_all_findings_of_a_folder_are_reported_in_order(write: Write) -> None:
    write("b", "reports_to: nobody")
    folder = write("a", "reports_to: nobody\ncollaborates_with: {no-one: x}")
    found = [(Path(f.file).name, f.line) for f in findings(packaged_specialists(), folder)]
    assert found == [("a.md", 2), ("a.md", 3), ("b.md", 2)]


def route(to: str, failure: str = "stuck") -> str:
    return f"escalates_to:\n  - {{when: w, class: {failure}, to: [{to}]}}"


def lint_all(folder: Path) -> list[tuple[str, int, str, str]]:
    return [(Path(f.file).name, f.line, f.rule, f.message) for f in findings(folder)]


def test_an_escalation_that_goes_round_through_an_alias_is_found_at_every_link(write: Write) -> None:
    write("a", route("bee"))
    write("b", f"aliases: [bee]\n{route('c')}")
    folder = write("c", route("a"))
    assert lint_all(folder) == [
        ("a.md", 3, "escalation-cycle", f"stuck goes round: a -> b -> c -> a{OUT}"),
        ("b.md", 4, "escalation-cycle", f"stuck goes round: b -> c -> a -> b{OUT}"),
        ("c.md", 3, "escalation-cycle", f"stuck goes round: c -> a -> b -> c{OUT}"),
    ]


def test_an_escalation_to_oneself_is_a_cycle(write: Write) -> None:
    assert lint_all(write("a", route("a"))) == [("a.md", 3, "escalation-cycle", f"stuck goes round: a -> a{OUT}")]


def test_routes_of_different_classes_make_no_cycle(write: Write) -> None:
    write("a", route("b", "stuck"))
    assert lint_all(write("b", route("a", "timeline"))) == []


def test_a_route_into_a_cycle_one_is_not_part_of_is_not_reported(write: Write) -> None:
    write("a", route("b"))
    write("b", route("c"))
    assert {finding[0] for finding in lint_all(write("c", route("b")))} == {"b.md", "c.md"}


def test_references_are_looked_up_in_all_folders_together(write: Write) -> None:
    folder = write("a", "reports_to: librarian")
    assert [f.rule for f in findings(folder)] == ["dangling-reference"]
    assert findings(packaged_specialists(), folder) == ()


def test_a_name_that_two_files_of_a_folder_claim_is_found_at_the_later_one(write: Write) -> None:
    write("a", "aliases: [x, c]")
    write("b", "aliases: [y, x]")
    assert lint_all(write("c")) == [
        ("b.md", 2, "doubled-name", "x stands for a already: leave it out or take another name"),
        ("c.md", 1, "doubled-name", "c stands for a already: leave it out or take another name"),
    ]


def test_a_file_that_does_not_load_hides_no_finding_in_another(write: Write) -> None:
    write("a", "colour: red")
    assert [(name, rule) for name, _, rule, _ in lint_all(write("b", "reports_to: nobody"))] == [
        ("a.md", "front-matter"),
        ("b.md", "dangling-reference"),
    ]


def test_an_override_is_still_known_by_the_aliases_of_what_it_replaces(write: Write) -> None:
    write("a", "aliases: [old, older]", into="first")
    first = write("b", "reports_to: old", into="first")
    assert findings(first, write("a", into="second")) == ()
    found = findings(first, write("c", "aliases: [older]\nreports_to: odd", into="second"))
    assert [(Path(f.file).name, f.rule) for f in found] == [("c.md", "dangling-reference")]
