"""`explain-context` says of every attempt and call what was told, what not, and why."""

import json
from pathlib import Path

from backend_coordinator import Coordinator, Settings
from backend_coordinator.domain.context import ContextItem, ContextKind
from backend_coordinator.testing import ScriptedModel
from tests.support.department import department, plan, task
from tests.support.runs import cli_here, finished

MARKUP = ContextItem(kind=ContextKind.FRONTEND_MARKUP, source="user", text="<p>the front page</p>")
RULES = ContextItem(kind=ContextKind.BUSINESS_LOGIC, source="user", text="An order is never deleted.")
LONG = ContextItem(kind=ContextKind.API_CONTRACT, source="api.md", text="# Orders\n" + "One more line.\n" * 900)


def run_in(shop: Path) -> str:
    """A run with one task, from its objective."""
    settings = Settings(sandbox="none", paths={"legacy/**": ContextKind.FRONTEND_MARKUP})
    model = ScriptedModel(script=department(plan(task(1))))
    run = Coordinator(model, shop, settings=settings).start("write f1.txt", context=[MARKUP, RULES, LONG])
    finished(run)
    return run.id


def explained(shop: Path, *words: str) -> tuple[int, str, str]:
    return cli_here("explain-context", *words, "--workspace", str(shop))


def test_it_names_each_item_with_its_fate_its_rule_and_its_tokens(shop: Path) -> None:
    run = run_in(shop)
    code, said, _ = explained(shop, run, "backend-T001")
    assert code == 0
    first, _, *lines = said.splitlines()
    assert first == "backend-T001-1: told to python-pro"
    found = {tuple(line.split()[:2]): " ".join(line.split()) for line in lines}
    assert found["withheld", "frontend_markup"] == (
        "withheld frontend_markup user 6 python-pro never sees frontend_markup"
    )
    assert found["included", "business_logic"] == "included business_logic user 7 python-pro sees business_logic"
    assert "to be read as item-" in found["digest", "api_contract"]
    assert "tokens of items" in said
    assert lines[-1] == "[paths] legacy/** is frontend_markup"


def test_json_has_the_same_with_the_totals(shop: Path) -> None:
    run = run_in(shop)
    code, said, _ = explained(shop, run, "backend-T001", "--attempt", "1", "--json")
    told = json.loads(said)
    assert code == 0
    assert (told["run"], told["name"], told["specialist"]) == (run, "backend-T001-1", "python-pro")
    assert told["tokens"] == sum(entry["tokens"] for entry in told["entries"] if entry["included"])
    assert told["packet"] > told["tokens"]
    assert told["paths"] == {"legacy/**": "frontend_markup"}
    fates = {entry["kind"]: (entry["included"], entry["digest"]) for entry in told["entries"]}
    assert fates["frontend_markup"] == (False, False)
    assert fates["api_contract"] == (True, True)


def test_the_coordinator_s_own_calls_are_explained_too(shop: Path) -> None:
    code, said, _ = explained(shop, run_in(shop), "coordinator-analysis")
    assert code == 0
    assert said.startswith("coordinator-analysis: told to backend-coordinator\n")


def test_what_is_not_there_is_told_with_what_is(shop: Path) -> None:
    run = run_in(shop)
    for words in ((run, "backend-T009"), (run, "backend-T001", "--attempt", "7")):
        code, said, error = explained(shop, *words)
        assert (code, said) == (2, "")
        (line,) = error.splitlines()
        assert "has no manifest of" in line
        assert "backend-T001-1" in line
        assert "coordinator-analysis" in line
    code, _, error = explained(shop, "no-such-run", "backend-T001")
    assert code == 2
    assert run in error


def test_a_damaged_manifest_is_named(shop: Path) -> None:
    run = run_in(shop)
    path = shop / ".backend-coordinator" / "runs" / run / "manifests" / "backend-T001-1.json"
    path.write_text("{")
    code, _, error = explained(shop, run, "backend-T001")
    assert code == 2
    assert f"{path} is damaged" in error
