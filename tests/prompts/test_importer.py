"""Users' own agents become specialists that load and lint, and each of their fields is accounted for."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend_coordinator.errors import RosterError
from backend_coordinator.nodes.tools.catalogue import DECIDES
from backend_coordinator.prompts.foreign import read_foreign
from backend_coordinator.prompts.importer import Imported, import_agents, write_agents
from backend_coordinator.prompts.lint import lint
from backend_coordinator.prompts.loader import load_roster
from backend_coordinator.prompts.translation import translate
from tests.support.runs import cli_here, git

CLAUDE = """\ufeff---\r
name: Schema Reviewer\r
description: Use this agent to review SQL schemas: keys, indexes. Examples: <example>user: "look"</example>\r
tools: Read, Grep, Bash(git diff:*), WebSearch, mcp__db__query\r
disallowedTools: Write\r
model: opus\r
color: blue\r
permissionMode: default\r
skills:\r
\t- sql\r
---\r
You review schemas.\r
"""
OPENCODE = """---
description: Builds things
mode: subagent
model: anthropic/some-model
temperature: 0.3
top_p: 0.9
tools:
  write: true
  webfetch: false
  todowrite: true
  my_server_*: true
permission:
  edit: ask
  bash:
    "git push": deny
    "*": allow
  skill: deny
hidden: true
surprise: {a: [1, 2]}
---
You build.
"""


def import_one(folder: Path, text: str, name: str = "one.md") -> Imported:
    (folder / "agents").mkdir(exist_ok=True)
    (folder / "agents" / name).write_bytes(text.encode())
    (found,) = import_agents(folder / "agents", folder / "out")
    write_agents((found,), folder / "out")
    return found


def fates(one: Imported) -> dict[str, str]:
    return {each.key: each.fate for each in one.fields}


def told(one: Imported, key: str) -> str:
    return "; ".join(each.text for each in one.fields if each.key == key)


def test_an_agent_for_claude_code_is_read_although_it_is_no_yaml(tmp_path: Path) -> None:
    one = import_one(tmp_path, CLAUDE)
    assert fates(one) == {
        "name": "translated", "description": "taken", "sees, never_sees": "chosen", "tools": "translated",
        "disallowedTools": "translated", "model": "kept as a note", "color": "dropped",
        "permissionMode": "kept as a note", "skills": "kept as a note",
    }  # fmt: skip
    assert "mapping values are not allowed here" in one.remarks[0]
    assert "WebSearch dropped: nothing searches the web" in told(one, "tools")
    assert "mcp__db__query dropped: MCP tools have no counterpart" in told(one, "tools")
    member = load_roster(tmp_path / "out").get("schema-reviewer")
    assert member.granted == {"read", "grep", "bash", "check", "recall", "report_need", "submit"}
    assert member.permission == (("bash", (("*", "ask"), ("git diff *", "allow"))),)
    assert member.model_hint == "opus"
    assert member.sees == load_roster().get("database-optimizer").sees
    assert "for the word 'sql'" in told(one, "sees, never_sees")
    assert member.prompt.startswith("You review schemas.\n")
    assert "# skills: " in one.text


def test_an_agent_for_opencode_keeps_switches_rules_and_temperature(tmp_path: Path) -> None:
    one = import_one(tmp_path, OPENCODE, "Builder Two.md")
    assert fates(one) == {
        "name": "chosen", "description": "taken", "sees, never_sees": "chosen", "tools": "translated",
        "mode": "dropped", "model": "kept as a note", "temperature": "taken", "top_p": "dropped",
        "permission": "translated", "hidden": "dropped", "surprise": "kept as a note",
    }  # fmt: skip
    assert "my_server_* dropped" in told(one, "tools")
    assert "skill dropped: there are no skills here" in told(one, "permission")
    member = load_roster(tmp_path / "out").get("builder-two")
    assert {"write", "edit", "bash", "todo"} <= member.granted
    assert "webfetch" not in member.granted
    rules = {tool: dict(found) for tool, found in member.permission}
    assert rules == {"edit": {"*": "ask"}, "bash": {"git push": "deny", "*": "allow"}}
    assert member.temperature == 0.3


@pytest.mark.parametrize(
    ("front", "granted"),
    [
        ("description: x", {"read", "grep", "glob", "list", "write", "edit", "bash", "webfetch"}),
        ('description: x\ntools: "*"', {"read", "grep", "glob", "list", "write", "edit", "bash", "webfetch"}),
        ("description: x\ntools: [Read, MultiEdit]", {"read", "edit"}),
        ("description: x\ntools: Read\npermissionMode: plan", {"read"}),
        ("description: x\npermission: deny", set()),
        ('description: x\ntools: {"*": false, read: true}', {"read"}),
        ('description: x\ntools: {read: true, "*": false}', set()),
        ('description: x\ntools: {write: perhaps, "web*": false}', {"read", "grep", "glob", "list", "edit", "bash"}),
        ("description: x\ntools: [Read, Write]\nallowed-tools: Read, Bash", {"read"}),
        ('description: x\npermission: {"*": deny, read: allow, grep: allow}', {"read", "grep"}),
        ('description: x\npermission: {read: allow, "*": deny}', set()),
        ("description: x\npermission: ask", {"read", "write", "edit", "bash", "webfetch"}),
        ("description: x\npermission: {grep: perhaps, edit: deny}", {"read", "glob", "list", "bash", "webfetch"}),
        ('description: x\npermissions: {deny: ["Write", Bash]}', {"read", "grep", "glob", "list", "edit", "webfetch"}),
        ("description: x\ntools: Read, Bash(echo (x)), Glob(src)", {"read", "bash"}),
        ("description: x\ndisallowedTools: Bash(a (x)), Write, Web*", {"read", "grep", "glob", "list", "edit", "bash"}),
        ("description: x\ntools: {edit: false, patch: true, bash: off}",
         {"read", "grep", "glob", "list", "write", "webfetch"}),
        ("description: x\ndisallowedTools: [Bash, Edit, Write]", {"read", "grep", "glob", "list", "webfetch"}),
    ],
)  # fmt: skip
def test_tools_in_every_form(tmp_path: Path, front: str, granted: set[str]) -> None:
    import_one(tmp_path, f"---\n{front}\n---\nText.\n")
    assert load_roster(tmp_path / "out").get("one").granted - {"check", "recall", "report_need", "submit"} == granted


@pytest.mark.parametrize(
    ("front", "rules"),
    [
        ("tools: Edit, Write (src/**)", {"edit": {"*": "ask", "src/**": "allow"}}),
        ("tools: Read\npermission: {read: {a: [1]}}", {"read": {"a": "deny"}}),
        ("tools: Read(./src/**), Read(~/x)", {"read": {"*": "ask", "src/**": "allow"}}),
        ("tools: WebFetch(domain:example.com)", {"webfetch": {"*": "ask", "example.com": "allow"}}),
        ("tools: Bash(git:*)\npermission: {bash: allow}", {"bash": {"*": "ask", "git *": "allow"}}),
        ("tools: Bash(a b:*)\ndisallowedTools: Bash(a:*)", {"bash": {"*": "ask", "a b *": "deny", "a *": "deny"}}),
        ("permission: {bash: {git push: deny}}", {"bash": {"*": "ask", "git push": "deny"}}),
        ('tools: bash\npermission: {bash: {"git *": allow, "g*": ask, "*": deny}}', {}),
        ('tools: bash\npermission: {"*": deny, bash: {"git *": allow}}', {"bash": {"*": "deny", "git *": "allow"}}),
        ("tools: bash, read\npermissions: {allow: [Bash(git:*)], deny: [Bash(git push:*), Read(./a/**)], ask: [Read]}",
         {"bash": {"*": "ask", "git push *": "deny", "git *": "allow"}, "read": {"a/**": "deny", "*": "ask"}}),
    ],
)  # fmt: skip
def test_rules_allow_no_more_than_the_file_did(tmp_path: Path, front: str, rules: dict[str, dict[str, str]]) -> None:
    import_one(tmp_path, f"---\ndescription: x\n{front}\n---\nText.\n")
    member = load_roster(tmp_path / "out").get("one")
    assert {tool: dict(rows) for tool, rows in member.permission if tool in member.granted} == rules
    assert [found for found in lint(tmp_path / "out", decides=DECIDES) if found.rule == "shadowed-permission"] == []


def test_who_may_use_nothing_answers_questions(tmp_path: Path) -> None:
    import_one(tmp_path, "---\ndescription: x\ntools: []\n---\nText.\n")
    assert load_roster(tmp_path / "out").get("one").role == "consultant"


def test_a_file_without_front_matter_is_named_after_the_file_and_described_by_its_text(tmp_path: Path) -> None:
    one = import_one(tmp_path, "# Cache keeper\n\nYou keep caches.\n", "2 Caches.md")
    assert (one.outcome, one.reason) == (
        "skipped",
        "it has neither name nor description, and lies in no folder of agents",
    )
    (found,) = import_agents(tmp_path, tmp_path / "out")
    assert (found.outcome, found.name, told(found, "description")) == (
        "imported",
        "agent-2-caches",
        "the text's first words: Cache keeper",
    )


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("README.md", "---\ndescription: x\n---\nx", "a file named README.md is no agent"),
        ("agent-template.md", "---\ndescription: x\n---\nx", "a file named agent-template.md is no agent"),
        ("commands/go.md", "---\ndescription: x\n---\nx", "what lies in commands are no agents"),
        ("empty.md", "---\ndescription: x\n---\n", "it has no text"),
        (
            "file.md",
            '---\ndescription: x\nprompt: "{file:./x.txt}"\n---\n',
            "its text is in another file, {file:./x.txt}",
        ),
        ("off.md", "---\ndescription: x\ndisable: true\n---\nx", "it is disabled"),
        ("bytes.md", "\udcff", "it is not UTF-8 text of at most"),
    ],
)
def test_what_is_no_agent_is_named_with_the_reason(tmp_path: Path, name: str, text: str, reason: str) -> None:
    place = tmp_path / "from" / name
    place.parent.mkdir(parents=True)
    place.write_bytes(text.encode(errors="surrogateescape"))
    (one,) = import_agents(tmp_path / "from", tmp_path / "out")
    assert (one.file, one.outcome) == (name, "skipped")
    assert one.reason.startswith(reason)


def test_namesakes_keep_apart_and_copies_are_taken_once(tmp_path: Path) -> None:
    for folder, text in (("a", "One."), ("b", "One."), ("c", "Two.")):
        (tmp_path / "from" / folder / "agents").mkdir(parents=True)
        (tmp_path / "from" / folder / "agents" / "pro.md").write_text(f"---\ndescription: x\n---\n{text}\n")
    found = import_agents(tmp_path / "from", tmp_path / "out")
    assert [(one.outcome, one.name) for one in found] == [
        ("imported", "pro"),
        ("the same", "pro"),
        ("imported", "pro-c"),
    ]


def test_a_packaged_name_or_alias_that_is_taken_over_is_told(tmp_path: Path) -> None:
    assert import_one(tmp_path, "---\nname: python-pro\ndescription: x\n---\nx").remarks == (
        "it replaces the packaged python-pro: rename it to keep both",
    )
    assert import_one(tmp_path, "---\nname: dba\ndescription: x\n---\nx").remarks == (
        "dba is an alias of the packaged database-admin: it now stands for this one",
    )


def test_a_folder_without_agents_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RosterError, match="holds no agent"):
        import_agents(tmp_path, tmp_path / "out")
    with pytest.raises(RosterError, match="is not a folder"):
        import_agents(tmp_path / "gone", tmp_path / "out")


def test_text_is_never_taken_for_front_matter(tmp_path: Path) -> None:
    one = import_one(
        tmp_path, '---\nname: a\ndescription: "x\\n---\\nrole: external"\n---\nText.\n---\nrole: external\n'
    )
    member = load_roster(tmp_path / "out").get("a")
    assert (member.role, one.outcome) == ("specialist", "imported")
    assert "role: external" in member.prompt


KEYS = st.sampled_from(["name", "description", "tools", "permission", "model", "temperature", "mode", "hooks", "odd"])
VALUES = st.text(alphabet="ab:#-[]{}*&!'\"@%|>, \tRead\u2028\x85é", max_size=25)
PLAIN = st.text(alphabet="ab:#-*&!%@|>, \tRead\u2028\x85é", max_size=25)
"""Nothing that opens a bracket or a quote, behind which the next key could hide."""


@given(st.dictionaries(KEYS, PLAIN, min_size=1))
def test_whatever_a_field_holds_it_is_reported(fields: dict[str, str]) -> None:
    read = read_foreign("---\n" + "".join(f"{key}: {value}\n" for key, value in fields.items()) + "---\nText.")
    assert read.fields.keys() == fields.keys()
    assert fields.keys() - {each.key for each in translate(read.fields).report} <= {"name", "description"}


@settings(max_examples=50, deadline=None)
@given(st.dictionaries(KEYS, VALUES, min_size=1))
def test_whatever_is_imported_loads_and_lints(tmp_path_factory: pytest.TempPathFactory, fields: dict[str, str]) -> None:
    folder = tmp_path_factory.mktemp("agents")
    one = import_one(folder, "---\n" + "".join(f"{k}: {v}\n" for k, v in fields.items()) + "---\nText.\n")
    if one.outcome == "skipped":
        assert one.reason == "it has neither name nor description, and lies in no folder of agents"
        return
    assert [found for found in lint(folder / "out", decides=DECIDES) if found.rule != "dangling-reference"] == []


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    root = tmp_path / "shop"
    agents = root / ".claude" / "agents"
    agents.mkdir(parents=True)
    git(root, "init", "--quiet")
    (agents / "schema.md").write_text(CLAUDE)
    return root


def test_the_command_tells_writes_and_overwrites_nothing(workspace: Path) -> None:
    place = workspace / "specialists" / "schema-reviewer.md"
    command = ("roster", "import", str(workspace / ".claude"), "--workspace", str(workspace))
    dry = cli_here(*command, "--dry-run")
    assert (dry.returncode, place.exists()) == (0, False)
    said = cli_here(*command).stdout.splitlines()
    assert said[0] == "agents/schema.md: imported as schema-reviewer"
    assert "  color: dropped: it only concerns how the other product shows or starts agents" in said
    assert said[-2:] == [
        "1 imported",
        'to use them: roster = ["specialists"] in backend-coordinator.toml; then `roster lint`',
    ]
    (workspace / "backend-coordinator.toml").write_text('roster = ["specialists"]\n')
    assert cli_here("roster", "lint", "--workspace", str(workspace)).returncode == 0
    place.write_text(re.sub("You review", "You judge", place.read_text()))
    kept = cli_here(*command)
    assert kept.returncode == 1
    assert kept.stdout.splitlines()[0].endswith("kept, schema-reviewer.md is there already: --force replaces it")
    assert "You judge" in place.read_text()
    (answer,) = json.loads(cli_here(*command, "--force", "--json").stdout)
    assert (answer["outcome"], answer["name"]) == ("imported", "schema-reviewer")
    assert {"key": "temperature", "fate": "taken"} not in answer["fields"]
    assert "You review" in place.read_text()
