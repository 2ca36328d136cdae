"""Database Change Coordination in whole runs: six steps on record, and the hand-over that database-admin is told."""

from pathlib import Path

import pytest
from langchain_core.messages import AIMessage

from backend_coordinator.domain.report import Report
from backend_coordinator.domain.rollout import Lock, Rehearsal, SchemaChange, Strategy
from backend_coordinator.nodes.gates.rehearsal_rollout import rollout_of
from backend_coordinator.testing import calls
from tests.support.department import Told, department, plan, task, write_own_file
from tests.support.runs import coordinator, finished

UP, DOWN = "migrations/0001_books.up.sql", "migrations/0001_books.down.sql"
SIX = ("design_migration", "rollback_script", "rehearsal", "deployment_handover", "rollout_plan", "monitoring")
DESIGN = task(1, title="The schema", specialist="database-optimizer", steps=SIX, writes=("migrations/**", "docs/**"))
RUNBOOK = task(2, title="The runbook", specialist="database-admin", needs=(1,), steps=("document",))


def run(shop: Path, told: list[str]) -> tuple[Report, Path]:
    """A run of a migration and of the runbook for it; `told` takes the administrator's packet."""

    def work(seen: Told) -> AIMessage:
        if seen.task == RUNBOOK.id:
            told.append(seen.text)
            return write_own_file(seen)
        if seen.turn == 0:
            files = {
                UP: "CREATE TABLE books (id INTEGER PRIMARY KEY);",
                DOWN: "DROP TABLE books;",
                "docs/schema.md": "# Schema\n\n`books` has a key, `id`.",
            }
            return calls(*(("write", {"path": path, "content": f"{text}\n"}) for path, text in files.items()))
        return seen.calls("submit", summary="the migration")

    script = department(plan(DESIGN, RUNBOOK), work)
    started = coordinator(shop, script, required=("D3",)).start("books")
    report, _ = finished(started)
    return report, started.folder


def test_the_six_steps_of_database_change_coordination_are_on_record(shop: Path) -> None:
    told: list[str] = []
    report, folder = run(shop, told)
    steps = [step for step in report.protocols if step.protocol == "schema_change"]
    assert [(step.step, step.status, step.by) for step in steps] == [
        ("design_migration", "done", "database-optimizer"),
        ("rollback_script", "done", "database-optimizer"),
        ("rehearsal", "done", "database-optimizer"),
        ("deployment_handover", "done", "database-admin"),
        ("rollout_plan", "done", "database-admin"),
        ("monitoring", "not_done", "database-admin"),
    ]
    assert f"handover/{DESIGN.id}.md, told to {RUNBOOK.id}" in steps[3].evidence
    assert steps[4].evidence.startswith("rolling: it only adds")
    text = (folder / "handover" / f"{DESIGN.id}.md").read_text()
    for part in (f"- {UP}", "- table added: books", "## Rollout: rolling", f"< {DOWN}`", "statements on books"):
        assert part in text
    assert "## Rollout: rolling" in told[0]


@pytest.mark.parametrize(
    ("kind", "strategy"),
    [
        ("table_added", "rolling"),
        ("column_added", "rolling"),
        ("column_dropped", "expand_contract"),
        ("table_dropped", "expand_contract"),
        ("column_demanded", "expand_contract"),
        ("type_changed", "expand_contract"),
        ("rule_added", "expand_contract"),
        ("column_optional", "blue_green"),
        ("rule_removed", "blue_green"),
        ("values_changed", "canary"),
        ("default_removed", "expand_contract"),
        ("view_dropped", "expand_contract"),
        ("trigger_dropped", "expand_contract"),
        ("trigger_added", "expand_contract"),
        ("index_dropped", "expand_contract"),
        ("index_added", "rolling"),
        ("view_added", "rolling"),
        ("schema_changed", "expand_contract"),
    ],
)
def test_the_rollout_strategy_follows_from_what_was_rehearsed(kind: str, strategy: Strategy) -> None:
    change = SchemaChange.model_validate({"kind": kind, "what": "books.title"})
    shown = Rehearsal(database="postgresql", version="15", ups=(UP,), downs=(DOWN,), changes=(change,), locks=())
    found = rollout_of(shown)
    assert (found.strategy, found.rollback) == (strategy, (f'psql "$DATABASE_URL" -v ON_ERROR_STOP=1 -1 -f {DOWN}',))
    lock = Lock(table="books", mode="AccessExclusiveLock", rewrites=True, scans=True)
    held = rollout_of(shown.model_copy(update={"locks": (lock,)}))
    assert (held.strategy, held.locks) == ("maintenance_window", (lock,))
    assert held.reason.startswith("books is rewritten under AccessExclusiveLock")
    brief = lock.model_copy(update={"rewrites": False, "scans": False})
    assert rollout_of(shown.model_copy(update={"locks": (brief,)})).strategy == strategy


def test_a_rollout_says_where_nothing_was_seen_and_where_it_is_not_known_what() -> None:
    shown = Rehearsal(database="sqlite", version="3", ups=(UP,), downs=(DOWN,))
    assert rollout_of(shown).reason.startswith("nothing was seen to change")
    changed = SchemaChange(kind="schema_changed", what="1 definitions differ")
    assert "it is not known what" in rollout_of(shown.model_copy(update={"changes": (changed,)})).reason
