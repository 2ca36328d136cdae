"""Rehearsing migrations."""

import pytest

from backend_coordinator.domain.verdict import Outcome
from backend_coordinator.nodes.gates.checks.database import migrations_go_up_down_and_up
from backend_coordinator.nodes.workspace.environment import Environment
from tests.gates.trees import FIXTURES, MakeTree, changes, inside, read

GOOD = read(FIXTURES / "migrations_go_up_down_and_up" / "passing")
UP, DOWN = "migrations/0003_more.up.sql", "migrations/0003_more.down.sql"


@pytest.mark.parametrize(
    ("scripts", "outcome", "reason"),
    [
        (("ALTER TABLE books ADD COLUMN pages INTEGER;", "ALTER TABLE books DROP COLUMN pages;"), Outcome.PASS, ""),
        (("CREATE TABLE a (x CHECK (x > 0));", "DROP TABLE a; DROP TABLE books;"), Outcome.FAIL, f"{DOWN}: does not"),
        (("CREATE TABEL a (x);", "DROP TABLE a;"), Outcome.FAIL, f'{UP}: near "TABEL": syntax error'),
        (("BEGIN; CREATE TABLE a (x);", "DROP TABLE a;"), Outcome.FAIL, f"{UP}: leaves a transaction open"),
        (("CREATE TABLE a (id BIGSERIAL, x JSONB);", "DROP TABLE a;"), Outcome.UNKNOWN, f"{UP} is not written for"),
        (("ATTACH DATABASE 'shop.db' AS other;", "SELECT 1;"), Outcome.FAIL, f"{UP}: not authorized"),
        (("CREATE TABLE a (x);", None), Outcome.FAIL, f"{UP}: has no 0003_more.down.sql"),
    ],
)
async def test_a_migration_is_run_both_ways(
    scripts: tuple[str, str | None], outcome: Outcome, reason: str, tree: MakeTree, bare: Environment
) -> None:
    up, down = scripts
    head = tree({**GOOD, UP: up, **({DOWN: down} if down else {})})
    base = tree(GOOD)
    found = await migrations_go_up_down_and_up.run(base, head, changes(base, head), inside(bare, head))
    assert found.verdict is outcome, found.reason
    assert found.reason.startswith(reason)


async def test_a_removed_rollback_fails(tree: MakeTree, bare: Environment) -> None:
    base = tree(GOOD)
    head = tree({path: text for path, text in GOOD.items() if path != "migrations/0002_index.down.sql"})
    found = await migrations_go_up_down_and_up.run(base, head, changes(base, head), inside(bare, head))
    assert found.verdict is Outcome.FAIL


async def test_an_older_broken_migration_is_not_blamed(tree: MakeTree, bare: Environment) -> None:
    old = {**GOOD, "migrations/0002_index.down.sql": "-- nothing\n"}
    base, head = tree(old), tree({**old, UP: "CREATE TABLE a (x);", DOWN: "DROP TABLE a;"})
    found = await migrations_go_up_down_and_up.run(base, head, changes(base, head), inside(bare, head))
    assert found.verdict is Outcome.UNKNOWN
    assert "an older migration fails" in found.reason


@pytest.mark.parametrize(
    ("path", "text", "outcome"),
    [
        ("README.md", "x", Outcome.NOT_APPLICABLE),
        ("migrations/0004_x.sql", "CREATE TABLE a (x);", Outcome.UNKNOWN),
        ("shop/migrations/0001_initial.py", "class M(migrations.Migration): ...", Outcome.UNKNOWN),
        (
            "alembic/versions/1_a.py",
            "down_revision = None\n\n\ndef upgrade():\n    op.create_table('a')\n\n\ndef downgrade():\n    pass\n",
            Outcome.FAIL,
        ),
        (
            "alembic/versions/1_a.py",
            "down_revision = None\n\n\ndef upgrade():\n    op.create_table('a')\n\n\ndef downgrade():\n"
            "    op.drop_table('a')\n",
            Outcome.UNKNOWN,
        ),
    ],
)
async def test_other_forms_are_decided_only_where_they_can_be(
    path: str, text: str, outcome: Outcome, tree: MakeTree, bare: Environment
) -> None:
    base, head = tree(GOOD), tree({**GOOD, path: text})
    found = await migrations_go_up_down_and_up.run(base, head, changes(base, head), inside(bare, head))
    assert found.verdict is outcome, found.reason
