"""A specialist's file is loaded exactly as it is meant, or not at all."""

import pytest

from backend_coordinator.domain.context import ContextKind
from backend_coordinator.domain.failure import FailureClass
from backend_coordinator.domain.roster import Specialist
from backend_coordinator.prompts.frontmatter import FrontMatterError, read
from backend_coordinator.prompts.specialist_file import specialist_from

OPENCODE_AGENT = """---
description: Implements the server side, looks things up, asks for research
mode: subagent
model: opencode/big-pickle
temperature: 0.4
tools:
  read: true
  grep: true
  glob: true
  webfetch: true
  write: true
  edit: true
  bash: true
  todowrite: true
  todoread: true
  list: true
  question: false
  patch: true
  skill: true
permission:
  bash:
    "npm *": allow
    "yarn *": allow
    "pnpm *": allow
    "git *": allow
    "node *": allow
    "npx *": allow
    "docker *": allow
    "docker-compose *": allow
    "systemctl *": ask
    "sudo *": ask
    "*": ask

---

# BACKEND ENGINEER
"""


def specialist(front: str, body: str = "Text.") -> Specialist:
    return specialist_from(read(f"---\ndescription: one\n{front}\n---\n{body}\n", "agents/stem.md"))


@pytest.mark.parametrize(
    ("front", "line", "words"),
    [
        ("permision:\n  bash: {}", 3, "permision: unknown key; the nearest known is permission"),
        ("prompt: x", 3, "prompt: unknown key"),
        ('"prompt\\n": x', 3, "prompt : unknown key"),
        ("model_hint: x", 3, "model_hint: unknown key"),
        ("permission: allow", 3, "permission: must be a mapping"),
        ("permission:\n  bash: allow", 4, "permission.bash: must be a mapping"),
        ("permission:\n  bash:\n    ls: maybe", 5, "'allow', 'ask' or 'deny'"),
        ("permission:\n  bsh: {}", 4, "permission.bsh: unknown tool; the nearest known is bash"),
        ("tools:\n  bash: 'false'", 4, "tools.bash: must be true or false"),
        ("tools:\n  bash: yes", 4, "tools.bash: must be true or false"),
        ("tools:\n  bash: 0", 4, "tools.bash: must be true or false"),
        ("tools:\n  skill: 'no'", 4, "tools.skill: must be true or false"),
        ("tools:\n  read: true\n  bassh: true", 5, "tools.bassh: unknown tool; the nearest known is bash"),
        ("tools: [read]", 3, "tools: must be a mapping"),
        ("temperature: .nan", 3, "temperature: "),
        ("temperature: .inf", 3, "temperature: "),
        ("temperature: 2.1", 3, "temperature: "),
        ("temperature: -0.1", 3, "temperature: "),
        ("temperature: '0.4'", 3, "temperature: "),
        ("temperature: true", 3, "temperature: "),
        ("name: ../../evil", 3, "name: "),
        ("name: Evil", 3, "name: "),
        ('name: "evil\\n"', 3, "name: "),
        ("name: " + "x" * 64, 3, "name: "),
        ("aliases: [ok, 'not ok']", 3, "aliases.1: "),
        ("aliases: one", 3, "aliases: "),
        ("role: boss", 3, "role: "),
        ("model: 3", 3, "model: "),
        (
            "sees: [api_contract]\nnever_sees: [api_contract]",
            4,
            "never_sees: Value error, in sees and in never_sees: api_contract",
        ),
        ("sees:\n  - api_contract\n  - api_kontract", 5, "sees.1: "),
        (
            "escalates_to:\n  - {when: x, class: stuck, too: [a]}",
            4,
            "too: unknown key; the nearest known is to",
        ),
        ("escalates_to:\n  - {when: x, failure: stuck, to: [a]}", 4, "failure: unknown key"),
        ("escalates_to:\n  - {when: x, class: stuk, to: [a]}", 4, "escalates_to.0.class: "),
        ("escalates_to:\n  - {when: x, class: stuck, to: []}", 4, "escalates_to.0.to: "),
        ("accepts_from:\n  - {from: a, wen: x}", 4, "wen: unknown key; the nearest known is when"),
        ("collaborates_with: [a]", 3, "collaborates_with: must be a mapping"),
        ("collaborates_with:\n  a: x\n  b: 3", 5, "collaborates_with.b: "),
    ],
)
def test_a_wrong_value_is_refused_with_file_line_and_key(front: str, line: int, words: str) -> None:
    with pytest.raises(FrontMatterError) as caught:
        specialist(front)
    assert str(caught.value).startswith(f"agents/stem.md:{line}: ")
    assert words in str(caught.value)


def test_a_file_without_description_or_text_is_refused() -> None:
    with pytest.raises(FrontMatterError, match="description: Field required"):
        specialist_from(read("---\nname: a\n---\nText.\n", "a.md"))
    with pytest.raises(FrontMatterError, match="prompt: "):
        specialist("", body="")


def test_a_name_that_cannot_be_made_from_the_file_is_refused() -> None:
    with pytest.raises(FrontMatterError, match="name: "):
        specialist_from(read("---\ndescription: one\n---\nText.\n", "agents/Not a name.md"))


@pytest.mark.parametrize("name", ["opencode/big-pickle", "opus", "inherit"])
def test_a_model_of_another_product_is_a_hint_and_not_used(name: str) -> None:
    loaded = specialist(f"model: {name}")
    assert (loaded.model, loaded.model_hint) == (None, name)


@pytest.mark.parametrize("name", ["openai:gpt-x", "offline"])
def test_a_model_string_of_ours_is_used(name: str) -> None:
    loaded = specialist(f"model: {name}")
    assert (loaded.model, loaded.model_hint) == (name, None)


def test_braces_and_fences_are_text() -> None:
    text = "---\ndescription: '{x.__class__}'\n---\n{{roster}}\n---\nb: 2\n"
    loaded = specialist_from(read(text, "stem.md"))
    assert loaded.description == "{x.__class__}"
    assert loaded.prompt == "{{roster}}\n---\nb: 2"


def test_an_opencode_agent_loads_as_it_stands() -> None:
    loaded = specialist_from(read(OPENCODE_AGENT, "agents/backend-engineer.md"))
    assert (loaded.name, loaded.role, loaded.temperature) == ("backend-engineer", "specialist", 0.4)
    assert (loaded.model, loaded.model_hint) == (None, "opencode/big-pickle")
    assert loaded.prompt == "# BACKEND ENGINEER"
    assert loaded.writes_code


def test_an_opencode_agents_tools_become_ours_or_are_noted() -> None:
    loaded = specialist_from(read(OPENCODE_AGENT, "agents/backend-engineer.md"))
    asked_for = {"read", "grep", "glob", "webfetch", "write", "edit", "bash", "todo", "list"}
    assert loaded.granted == asked_for | {"check", "recall", "report_need", "submit"}
    assert loaded.notes == tuple(f"the tool {tool} has no counterpart here" for tool in ("question", "skill"))


def test_an_opencode_agents_permission_is_kept_in_the_order_written() -> None:
    loaded = specialist_from(read(OPENCODE_AGENT, "agents/backend-engineer.md"))
    allowed = ("npm *", "yarn *", "pnpm *", "git *", "node *", "npx *", "docker *", "docker-compose *")
    asked = ("systemctl *", "sudo *", "*")
    rules = (*((p, "allow") for p in allowed), *((p, "ask") for p in asked))
    assert loaded.permission == (("bash", rules),)


@pytest.mark.parametrize(
    ("tools", "granted"),
    [
        ("{patch: true, edit: false}", False),
        ("{patch: false, edit: true}", True),
        ("{patch: false}", False),
        ("{patch: true}", True),
    ],
)
def test_our_own_name_of_a_tool_beats_the_foreign_one(tools: str, granted: bool) -> None:
    assert ("edit" in specialist(f"tools: {tools}").granted) is granted


def test_of_two_foreign_names_for_one_tool_off_wins() -> None:
    assert "todo" not in specialist("tools: {todowrite: false, todoread: true}").granted


def test_all_fields_arrive_as_their_types() -> None:
    loaded = specialist(
        "name: other\naliases: [o]\nsees: [api_contract]\nnever_sees: [operations]\n"
        "collaborates_with: {b: x}\nescalates_to: [{when: w, class: stuck, to: [b]}]\n"
        "accepts_from: [{from: c, when: v}]\nreports_to: d\ndetects: [manage.py]\nexpertise: [e]"
    )
    assert loaded.name == "other"
    assert (loaded.sees, loaded.never_sees) == ((ContextKind.API_CONTRACT,), (ContextKind.OPERATIONS,))
    assert (loaded.escalates_to[0].failure, loaded.escalates_to[0].to) == (FailureClass.STUCK, ("b",))
    assert (loaded.accepts_from[0].from_, loaded.collaborates_with) == ("c", (("b", "x"),))
    assert (loaded.reports_to, loaded.detects, loaded.expertise) == ("d", ("manage.py",), ("e",))
