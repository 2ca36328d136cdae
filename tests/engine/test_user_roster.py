"""A folder of the user's extends and overrides the packaged roster: who plans, who works, and with which text."""

from pathlib import Path

import pytest
from langchain_core.messages import AIMessage

from backend_coordinator.nodes.facts import repository_facts
from backend_coordinator.nodes.stack import expert_for
from backend_coordinator.nodes.tools.catalogue import roster_with
from backend_coordinator.nodes.workspace.trees import Tree
from tests.support.department import Told, department, plan, task, write_own_file
from tests.support.runs import coordinator, finished, statuses

OWN = """---
name: rust-expert
description: Services in Rust
sees: [api_contract, business_logic]
detects: [Cargo.toml, "axum in Cargo.toml"]
tools: {read: true, write: true}
---
You write Rust in this house's way.
"""
OVERRIDE = """---
name: python-pro
description: Our Python
sees: [api_contract]
tools: {write: true}
---
You write Python in this house's way.
"""


@pytest.fixture
def team(tmp_path: Path) -> Path:
    folder = tmp_path / "team"
    folder.mkdir()
    (folder / "rust-expert.md").write_text(OWN)
    (folder / "python-pro.md").write_text(OVERRIDE)
    return folder


def test_the_users_own_specialists_work_with_their_own_texts_and_everybodys_rules(shop: Path, team: Path) -> None:
    seen: dict[str, str] = {}

    def work(told: Told) -> AIMessage:
        seen[told.specialist] = str(told.messages[0].text)
        return write_own_file(told)

    script = department(plan(task(1), task(2, specialist="rust-expert")), work)
    report, _ = finished(coordinator(shop, script, roster=(str(team),)).start("two files"))
    assert set(statuses(report).values()) == {"merged"}
    assert seen.keys() == {"python-pro", "rust-expert"}
    for name, begin in (("python-pro", "You write Python"), ("rust-expert", "You write Rust")):
        assert seen[name].startswith(f"{begin} in this house's way.\n\n")
        assert "You never hand work on. `report_need` takes what you need" in seen[name]


def test_a_new_specialist_is_chosen_for_what_it_detects_and_an_override_keeps_its_aliases(team: Path) -> None:
    roster = roster_with(team)
    assert roster.get("python-expert").description == "Our Python"
    tree = team.parent / "tree"
    (tree / "src").mkdir(parents=True)
    (tree / "Cargo.toml").write_text('[package]\nname = "shop"\n[dependencies]\naxum = "0.8"\n')
    (tree / "src" / "main.rs").write_text("fn main() {}\n")
    facts = repository_facts(Tree("0" * 40, tree, ("Cargo.toml", "src/main.rs")), roster)
    assert facts.detected == ("rust-expert",)
    expert = expert_for(facts, ("src/main.rs",))
    assert expert is not None
    assert (expert.specialist, expert.reason.partition(",")[0]) == ("rust-expert", "axum in Cargo.toml")
