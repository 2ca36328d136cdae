"""What made-up rows show of a migration that loses values, and what else a rehearsal sees, on both databases."""

import pytest

from backend_coordinator.domain.verdict import Outcome, Verdict
from backend_coordinator.nodes.gates.checks.database import migrations_go_up_down_and_up
from backend_coordinator.nodes.workspace.environment import Environment
from tests.gates.test_rehearsal import CORRECT, DOWN, OLD, SHOP, UP, shown
from tests.gates.trees import MakeTree, changes, inside

GOODS = """CREATE TABLE goods (id INTEGER PRIMARY KEY, name VARCHAR(255) NOT NULL, stock BIGINT NOT NULL,
    price NUMERIC(12, 4) NOT NULL, seen TIMESTAMP(6) NOT NULL);"""
LOSSY = {
    "lower case": ("name", "UPDATE goods SET name = lower(name)"),
    "outer spaces": ("name", "UPDATE goods SET name = trim(name)"),
    "length": ("name", "UPDATE goods SET name = substr(name, 1, 100)"),
    "sign": ("stock", "UPDATE goods SET stock = abs(stock)"),
    "size": ("stock", "UPDATE goods SET stock = 32767 WHERE stock > 32767"),
    "scale": ("price", "UPDATE goods SET price = round(price, 1)"),
    "rows that look alike": (
        "rows of goods: there were 4",
        "DELETE FROM goods WHERE id NOT IN (SELECT min(id) FROM goods GROUP BY name)",
    ),
}
NARROWED = {
    "length": ("name", "VARCHAR(255)", "VARCHAR(100) USING left(name, 100)"),
    "scale": ("price", "NUMERIC(12, 4)", "NUMERIC(12, 1)"),
    "microseconds": ("seen", "TIMESTAMP(6)", "TIMESTAMP(0)"),
}


def goods() -> dict[str, str]:
    return {"migrations/0001_a.up.sql": GOODS, "migrations/0001_a.down.sql": "DROP TABLE goods;"}


async def goods_judged(tree: MakeTree, environment: Environment, up: str, down: str) -> Verdict:
    base, head = tree(goods()), tree({**goods(), UP: up, DOWN: down})
    return await migrations_go_up_down_and_up.run(base, head, changes(base, head), inside(environment, head))


@pytest.mark.parametrize("case", LOSSY)
async def test_the_rows_show_what_a_change_of_values_loses(case: str, tree: MakeTree, database: Environment) -> None:
    lost, up = LOSSY[case]
    found = await goods_judged(tree, database, f"{up};", "SELECT 1;")
    assert found.verdict is Outcome.FAIL, found.reason
    assert lost in found.reason


@pytest.mark.parametrize("case", NARROWED)
async def test_the_rows_show_what_a_narrower_type_loses(case: str, tree: MakeTree, served: Environment) -> None:
    column, wide, narrow = NARROWED[case]
    alter = f"ALTER TABLE goods ALTER COLUMN {column} TYPE {{}};"
    found = await goods_judged(tree, served, alter.format(narrow), alter.format(wide))
    assert found.verdict is Outcome.FAIL, found.reason
    assert f"does not restore the values of goods.{column}" in found.reason


async def test_a_type_too_small_for_its_largest_value_fails(tree: MakeTree, served: Environment) -> None:
    alter = "ALTER TABLE goods ALTER COLUMN stock TYPE {};"
    found = await goods_judged(tree, served, alter.format("SMALLINT"), alter.format("BIGINT"))
    assert found.verdict is Outcome.FAIL, found.reason
    assert "fails with rows in the tables: smallint out of range" in found.reason


async def test_values_that_end_in_other_rows_are_lost(tree: MakeTree, database: Environment) -> None:
    swap = """CREATE TABLE old AS SELECT * FROM goods;
        UPDATE goods SET stock = (SELECT stock FROM old WHERE old.id =
            CASE goods.id WHEN 11 THEN 12 WHEN 12 THEN 11 ELSE goods.id END);
        DROP TABLE old; DROP TABLE x;"""
    found = await goods_judged(tree, database, "CREATE TABLE x (a INTEGER);", swap)
    assert found.verdict is Outcome.FAIL, found.reason
    assert "does not restore the rows of goods: 2 of 4 have values of other rows" in found.reason


async def test_a_migration_that_is_gone_is_unknown(tree: MakeTree, bare: Environment) -> None:
    newest, all_of = tree({**OLD, UP: CORRECT[0], DOWN: CORRECT[1]}), tree({"README.md": "# Shop\n"})
    for base, head in ((newest, tree(OLD)), (newest, all_of)):
        found = await migrations_go_up_down_and_up.run(base, head, changes(base, head), inside(bare, head))
        assert found.verdict is Outcome.UNKNOWN, found.reason
        assert "a migration that was there is gone" in found.reason


MADE = {
    "CREATE VIEW v AS SELECT title FROM books;": ("DROP VIEW v;", "view", ""),
    "CREATE INDEX i ON books (title);": ("DROP INDEX i;", "index", "books"),
}


@pytest.mark.parametrize("made", MADE)
async def test_what_is_dropped_beside_tables_is_seen(made: str, tree: MakeTree, database: Environment) -> None:
    dropped, kind, table = MADE[made]
    name = made.split()[2]
    old = {**OLD, "migrations/0001_shop.up.sql": SHOP + made}
    old["migrations/0001_shop.down.sql"] = dropped + OLD["migrations/0001_shop.down.sql"]
    found = await shown(tree, database, dropped, made, old)
    assert next((c.kind, c.what, c.table) for c in found.changes) == (f"{kind}_dropped", name, table)
    back = await shown(tree, database, made, dropped)
    assert next((c.kind, c.what, c.table) for c in back.changes) == (f"{kind}_added", name, table)


async def test_a_default_that_is_removed_is_seen(tree: MakeTree, served: Environment) -> None:
    alter = "ALTER TABLE books ALTER COLUMN title {} DEFAULT{};"
    old = {**OLD, "migrations/0001_shop.up.sql": SHOP + alter.format("SET", " 'none'")}
    found = await shown(tree, served, alter.format("DROP", ""), alter.format("SET", " 'none'"), old)
    assert next((c.kind, c.what) for c in found.changes) == ("default_removed", "books.title")


async def test_a_table_of_another_schema_that_takes_no_rows_is_unknown(tree: MakeTree, served: Environment) -> None:
    old = {"migrations/0001_a.up.sql": "CREATE SCHEMA app; CREATE TABLE app.a (x INTEGER NOT NULL CHECK (x * x = 3));"}
    old["migrations/0001_a.down.sql"] = "DROP SCHEMA app CASCADE;"
    base, head = tree(old), tree({**old, UP: "ALTER TABLE app.a ADD c TEXT;", DOWN: "ALTER TABLE app.a DROP c;"})
    found = await migrations_go_up_down_and_up.run(base, head, changes(base, head), inside(served, head))
    assert found.verdict is Outcome.UNKNOWN, found.reason
    assert "no row could be made up for app.a, which it changes" in found.reason


async def test_a_rule_that_wants_distinct_rows_passes_and_says_what_it_takes_for_granted(
    tree: MakeTree, database: Environment
) -> None:
    found = await goods_judged(tree, database, "CREATE UNIQUE INDEX by_name ON goods (name);", "DROP INDEX by_name;")
    assert found.verdict is Outcome.PASS, found.reason
    assert "only with distinct rows" in found.evidence[0].summary


async def test_a_migration_that_makes_rows_repeat_a_key_fails(tree: MakeTree, database: Environment) -> None:
    up = "CREATE UNIQUE INDEX by_name ON goods (name); UPDATE goods SET name = 'x';"
    found = await goods_judged(tree, database, up, "DROP INDEX by_name;")
    assert found.verdict is Outcome.FAIL, found.reason
