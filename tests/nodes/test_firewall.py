"""The packet: the seed's template with every field, and first of all what the tasks of a run share."""

import asyncio
import json
import re
import stat
from collections.abc import Sequence
from dataclasses import replace

import pytest

from backend_coordinator.domain.context import Assignment, ContextItem, ContextKind, ContextManifest
from backend_coordinator.domain.objective import Analysis, RepositoryFacts, Stack
from backend_coordinator.domain.plan import Requirements
from backend_coordinator.domain.roster import Roster, Specialist
from backend_coordinator.nodes.brief import answers, assign, told_for_call
from backend_coordinator.nodes.context import RunContext
from backend_coordinator.nodes.firewall import estimate_tokens, packet
from backend_coordinator.nodes.index import index
from backend_coordinator.nodes.kinds import kind_of, sees_path
from backend_coordinator.nodes.scope import out_of_scope
from backend_coordinator.nodes.screen import Screen, screen
from backend_coordinator.nodes.tools.bench import Bench, ToolRefused
from backend_coordinator.nodes.tools.catalogue import TOOLS
from backend_coordinator.nodes.workspace.trees import Tree
from backend_coordinator.prompts.loader import load_roster
from tests.support.department import task

ROSTER: Roster = load_roster()
PYTHON = ROSTER.get("python-pro")
SHARED = answers(
    Analysis(endpoints=("GET /notes",), performance_requirements=("200 ms",), auth_requirements=("none but the owner",))
)
OPEN = Screen(frozenset(), frozenset())
LONG = "\n\n".join(f"Rule {n}: {'the order counts, ' * 20}" for n in range(8))


def item(kind: str, text: str, source: str = "user") -> ContextItem:
    return ContextItem(kind=ContextKind(kind), source=source, text=text)


FIELDS = """DELEGATION TO: @python-pro

PROJECT:
- nothing known

TASK ID: backend-T001
TITLE: Task 1
PRIORITY: normal

OBJECTIVE:
write f1.txt

STEPS: none

REQUIREMENTS:
- performance: p95 200 ms
- technical, security, scalability: none

ACCEPTANCE CRITERIA:
- none

DEPENDENCIES:
- Depends on: none
- Blocks: backend-T002

CONTEXT:
- Database schema:
database_schema (backend-T009):
table notes
- API specifications, Existing code patterns, Performance SLAs, Security requirements: none

PATHS YOU WRITE:
- f1.txt

EXPECTED OUTPUT:
- none

SUCCESS CRITERIA:
- none"""


def assigned_to(context: RunContext, items: Sequence[ContextItem], member: Specialist = PYTHON) -> Assignment:
    return assign(context, task(1), member, attempt=1, items=items, guidance=(), blocks=(), screen=screen((), ()))


def manifest_of(context: RunContext) -> ContextManifest:
    return ContextManifest.model_validate_json((context.folder / "manifests" / "backend-T001-1.json").read_text())


def test_every_field_of_the_template_is_filled_or_says_none() -> None:
    asked = task(1, requirements=Requirements(performance=("p95 200 ms",)))
    schema = item("database_schema", "table notes", "backend-T009")
    text, manifest, _ = packet(PYTHON, asked, [schema], blocks=["backend-T002"], budget=1000)
    assert text == FIELDS
    assert manifest.packet == estimate_tokens(FIELDS)


def test_what_all_tasks_are_told_is_said_once_and_referred_to() -> None:
    text = packet(ROSTER.get("backend-architect"), task(1), SHARED, budget=1000).text
    assert text.count("200 ms") == 1
    assert "- see PROJECT: Performance SLAs, Security requirements\n- API specifications, Database schema" in text


def test_two_tasks_of_a_specialist_begin_with_the_same_bytes() -> None:
    decided = item("technology_stack", "SQLite", "backend-T001")
    first = packet(PYTHON, task(1), SHARED, budget=1000).text
    second = packet(PYTHON, task(2, needs=[1]), [decided, *SHARED], budget=1000).text
    common = first.partition("TASK ID: ")[0]
    assert second.startswith(common)
    assert "none but the owner" in common
    assert "SQLite" in second.partition("TASK ID: ")[2]


def test_a_packet_leaves_room_in_a_small_window(context: RunContext) -> None:
    items = [ContextItem(kind=ContextKind.TECHNOLOGY_STACK, source=f"{n}", text="x" * 400) for n in range(100)]
    model = context.settings.model.model_copy(update={"window": 4_000})
    small = replace(context, settings=context.settings.model_copy(update={"model": model}))
    made = [assigned_to(c, items).packet for c in (context, small)]
    assert [each.count("x" * 400) for each in made] == [100, 10]


def test_a_long_text_goes_in_by_its_outline_and_is_read_by_range(context: RunContext, bench: Bench) -> None:
    given = [item("api_contract", LONG), item("error_handling", "short"), item("business_logic", LONG)]
    told = assigned_to(context, given).packet
    assert "short" in told
    assert 'recall call="item-1"' in told
    assert "Rule 7" in told
    assert LONG not in told
    start = int(re.findall(r"^(\d+): Rule 7", told, re.MULTILINE)[0])
    reply = asyncio.run(TOOLS["recall"](bench, {"call": "item-1", "offset": start}))
    assert reply == LONG[start:]
    (place,) = (context.folder / "results").glob("*")
    assert {stat.S_IMODE(file.stat().st_mode) for file in place.iterdir()} == {0o600}
    entries = {entry.kind: entry for entry in manifest_of(context).entries}
    assert entries[ContextKind.API_CONTRACT].digest
    assert entries[ContextKind.API_CONTRACT].rule.endswith(f"{estimate_tokens(LONG)} tokens to be read as item-1")
    assert entries[ContextKind.API_CONTRACT].tokens < estimate_tokens(LONG) / 3


def test_what_is_withheld_cannot_be_recalled(context: RunContext, bench: Bench) -> None:
    assigned_to(context, [item("frontend_markup", LONG), item("operations", LONG)])
    for number in range(3):
        with pytest.raises(ToolRefused, match="no call"):
            asyncio.run(TOOLS["recall"](bench, {"call": f"item-{number}"}))


def test_who_cannot_recall_gets_whole_texts(context: RunContext) -> None:
    mute = PYTHON.model_copy(update={"tools": (*PYTHON.tools, ("recall", False))})
    assert LONG in assigned_to(context, [item("api_contract", LONG)], mute).packet


def test_what_does_not_fit_becomes_a_line_and_then_nothing_the_shared_before_the_own() -> None:
    items = [item("api_contract", f"{n}" * 1600, source) for n, source in ((1, "user"), (2, "backend-T001"))]
    expected = {
        800: "whole whole",
        799: "line whole",
        400: "none whole",
        399: "line line",
        20: "none line",
        9: "none none",
    }
    for budget, fates in expected.items():
        _, manifest, _ = packet(PYTHON, task(3), items, budget=budget, digest=True)
        found = ["line" if e.digest else "whole" if e.included else "none" for e in manifest.entries]
        assert " ".join(found) == fates, budget
    _, manifest, _ = packet(PYTHON, task(3), items, budget=20)
    assert [entry.rule for entry in manifest.entries] == ["over the packet's budget"] * 2


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({}, {"users", "orders", "general"}),
        ({"objective": "add a column to the order table"}, {"orders", "general"}),
        ({"service": "billing"}, {"orders", "general"}),
        ({"writes": ("app/users/**",)}, {"users", "general"}),
        ({"service": "search"}, {"users", "general"}),
    ],
)
def test_schema_is_told_to_tasks_of_its_service_or_tables(changes: dict[str, object], told: set[str]) -> None:
    items = {
        "users": item("database_schema", "CREATE TABLE IF NOT EXISTS users (\n  id uuid,\n  UNIQUE (id)\n);"),
        "orders": item("database_schema", "### orders\n- orders(id, total)", "services/billing/schema.md"),
        "general": item("database_schema", "every key is a uuid"),
    }
    text = packet(PYTHON, task(1, **{"objective": "do it", "writes": (), **changes}), items.values(), budget=1000).text
    assert {name for name, each in items.items() if each.text in text} == told


@pytest.mark.parametrize(
    ("objective", "told"),
    [
        ("List the order items of users", {"users", "order_items"}),
        ("Add an endpoint for OrderItem", {"order_items"}),
        ("Let users change their address", {"users", "addresses"}),
        ("Show the invoice", {"invoices"}),
        ("Do not show notes of Categories", {"categories", "notes"}),
        ("Do not show a category", {"categories"}),
    ],
)
def test_tables_are_found_however_they_are_named(objective: str, told: set[str]) -> None:
    texts = {
        "users": 'CREATE TABLE "public"."users" (id int);',
        "order_items": "CREATE TABLE `shop`.`order_items` (\n id int);",
        "addresses": "CREATE TEMPORARY TABLE addresses (id int);",
        "invoices": "ALTER TABLE ONLY public.invoices ADD x int;",
        "notes": "CREATE TABLE [dbo].[notes] (id int);",
        "categories": "create table if not exists shop.public.categories (id int);",
    }
    items = {name: item("database_schema", text) for name, text in texts.items()}
    other = out_of_scope(task(1, objective=objective, title="T", writes=()), items.values())
    assert {name for name, each in items.items() if each not in other} == told


def test_tools_show_no_schema_in_another_service_s_folder() -> None:
    seen = {
        service: sees_path(PYTHON, task(1, service=service), "services/billing/migrations/1.sql")
        for service in ("billing", "search", None)
    }
    assert seen == {"billing": True, "search": False, None: True}
    assert sees_path(PYTHON, task(1, service="search"), "services/billing/prices.py")


def test_the_index_names_files_to_those_who_see_their_kind(context: RunContext) -> None:
    files = {
        "openapi.yaml": "x",
        "AGENTS.md": "Two spaces.",
        "vendor/AGENTS.md": "Obey.",
        "ruff.toml": "",
        "db/migrations/1.sql": "",
    }
    files |= {f"app/{n}.py": "" for n in range(9)}
    for name, text in files.items():
        path = context.folder / "tree" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    tree = Tree("0", context.folder / "tree", tuple(sorted(files)))
    stacks = (Stack(language="Python", frameworks=("fastapi",), databases=("postgresql",)),)
    items = index(tree, RepositoryFacts(stacks=stacks), kind_of)
    names = ("python-pro", "api-architect")
    told = {name: packet(ROSTER.get(name), task(1), items, budget=1000).text for name in names}
    for text in told.values():
        assert "technology_stack (repository):\nPython, fastapi, postgresql" in text
        assert "api_contract (repository):\nopenapi.yaml" in text
    assert "app/ (9)" in told["python-pro"]
    assert "code_pattern (AGENTS.md):\nTwo spaces." in told["python-pro"]
    assert not [member for member, text in told.items() if "Obey." in text], "a dependency has no conventions for us"
    assert "code_pattern (style):\nruff.toml" in told["python-pro"]
    for hidden in ("app/", "migrations", "Two spaces", "ruff.toml"):
        assert hidden not in told["api-architect"]


def test_the_coordinator_s_own_calls_have_manifests_and_see_no_code(context: RunContext) -> None:
    given = [item("api_contract", "POST /login"), item("implementation_code", "def login")]
    text = told_for_call(context, "analysis", given)
    assert text == "\n\nCONTEXT:\napi_contract (user):\nPOST /login"
    kept = json.loads((context.folder / "manifests" / "coordinator-analysis.json").read_text())
    assert [entry["included"] for entry in kept["entries"]] == [True, False]
    assert told_for_call(context, "needs-0", []) == ""
