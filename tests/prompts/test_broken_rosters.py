"""Twenty deliberately broken files of one folder: the linter names each with file, line and rule, and nothing else."""

import json
from pathlib import Path

import pytest

from tests.support.runs import cli_here

BROKEN = {
    "no-fence.md": ("name: no-fence\ndescription: one\n\nText.", 1, "front-matter"),
    "no-end.md": ("---\nname: no-end\ndescription: one\n\nText.", 1, "front-matter"),
    "no-description.md": ("---\nname: no-description\n---\nText.", 1, "front-matter"),
    "no-text.md": ("---\ndescription: one\n---\n", 1, "front-matter"),
    "colon.md": ("---\nname: colon\ndescription: use it for: databases\n---\nText.", 3, "front-matter"),
    "doubled-key.md": ("---\ndescription: one\nrole: specialist\ndescription: two\n---\nText.", 4, "front-matter"),
    "doubled-rule.md": (
        '---\ndescription: one\npermission:\n  bash:\n    "rm *": deny\n    "rm *": allow\n---\nText.',
        6, "front-matter",
    ),
    "alias.md": ("---\ndescription: one\nsees: &a [api_contract]\n---\nText.", 3, "front-matter"),
    "tag.md": ("---\ndescription: one\nexpertise: !!python/tuple [sql]\n---\nText.", 3, "front-matter"),
    "unknown-key.md": ("---\ndescription: one\ncolour: red\n---\nText.", 3, "front-matter"),
    "not-a-switch.md": ("---\ndescription: one\ntools:\n  read: true\n  bash: yes\n---\nText.", 5, "front-matter"),
    "unknown-kind.md": ("---\ndescription: one\nsees:\n  - operations\n  - operation\n---\nText.", 5, "unknown-kind"),
    "unknown-tool.md": ("---\ndescription: one\ntools:\n  read: true\n  raed: true\n---\nText.", 5, "unknown-tool"),
    "taken-alias.md": ("---\ndescription: one\naliases: [python-pro]\n---\nText.", 3, "doubled-name"),
    "dangling.md": (
        "---\ndescription: one\nescalates_to:\n  - when: stuck\n    class: stuck\n    to: [nobody-here]\n---\nText.",
        6, "dangling-reference",
    ),
    "reports-up.md": ("---\ndescription: one\nreports_to: nobody-here\n---\nText.", 3, "dangling-reference"),
    "round-a.md": (
        "---\ndescription: one\nescalates_to:\n  - {when: slow, class: performance_issue, to: [round-b]}\n---\nText.",
        4, "escalation-cycle",
    ),
    "round-b.md": (
        "---\ndescription: one\nexpertise: [speed]\nescalates_to:\n"
        "  - {when: slow, class: performance_issue, to: [round-a]}\n---\nText.",
        5, "escalation-cycle",
    ),
    "shadowed.md": (
        '---\ndescription: one\npermission:\n  bash:\n    "git *": allow\n    "git  *": deny\n---\nText.',
        5, "shadowed-permission",
    ),
    "idle.md": ('---\ndescription: one\npermission:\n  write: {"*": ask}\n---\nText.', 4, "idle-permission"),
}  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, (text, _, _) in BROKEN.items():
        (tmp_path / name).write_text(f"{text}\n")
    return tmp_path


def test_each_of_twenty_broken_files_is_named_with_line_and_rule(folder: Path) -> None:
    said = cli_here("roster", "lint", str(folder), "--workspace", str(folder), "--json")
    found = json.loads(said.stdout)["findings"]
    assert len(BROKEN) == 20
    assert said.returncode == 1
    assert {(Path(each["file"]).name, each["line"], each["rule"]) for each in found} == {
        (name, line, rule) for name, (_, line, rule) in BROKEN.items()
    }
    assert len(found) == len(BROKEN)


def test_the_terminal_says_file_line_rule_and_the_way_out(folder: Path) -> None:
    said = cli_here("roster", "lint", str(folder), "--workspace", str(folder)).stdout
    assert (
        f"{folder / 'unknown-tool.md'}:5: unknown-tool: tools.raed: unknown tool; the nearest known is read\n" in said
    )
    assert f"{folder / 'round-a.md'}:4: escalation-cycle: performance_issue goes round: round-a -> round-b" in said
    assert "20 found in " in said
