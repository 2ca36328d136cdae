"""Rehearsing migrations with rows in the tables, on SQLite and on a real PostgreSQL."""

from dataclasses import replace

import pytest

from backend_coordinator.domain.rollout import Rehearsal
from backend_coordinator.domain.verdict import Outcome, Verdict
from backend_coordinator.nodes.gates.checks.database import migrations_go_up_down_and_up
from backend_coordinator.nodes.gates.rehearsal import rehearse
from backend_coordinator.nodes.workspace.environment import Environment, build
from backend_coordinator.settings import cache_folder
from tests.gates.trees import MakeTree, changes, inside

SHOP = """CREATE TABLE authors (id INTEGER PRIMARY KEY, name VARCHAR(60) NOT NULL UNIQUE, born DATE);
CREATE TABLE books (
    id INTEGER PRIMARY KEY,
    author INTEGER NOT NULL REFERENCES authors (id),
    title TEXT NOT NULL,
    pages INTEGER CHECK (pages > 40),
    state TEXT NOT NULL CHECK (state IN ('draft', 'printed'))
);
"""
OLD = {"migrations/0001_shop.up.sql": SHOP, "migrations/0001_shop.down.sql": "DROP TABLE books; DROP TABLE authors;\n"}
UP, DOWN = "migrations/0002_more.up.sql", "migrations/0002_more.down.sql"
REBUILT = """CREATE TABLE other (
    id INTEGER PRIMARY KEY, author INTEGER NOT NULL REFERENCES authors (id), title TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('draft', 'printed')));
INSERT INTO other SELECT id, author, title, state FROM books;
DROP TABLE books;
ALTER TABLE other RENAME TO books;
"""
CORRECT = ("ALTER TABLE books ADD COLUMN isbn TEXT;", "ALTER TABLE books DROP COLUMN isbn;")
CASES = {
    "correct": (*CORRECT, Outcome.PASS, "all migrations run up, down and up with equal schemas and values on"),
    "the rollback loses a column": (
        CORRECT[0],
        REBUILT,
        Outcome.FAIL,
        f"{DOWN}: does not restore the column books.pages",
    ),
    "the rollback loses a column's values": (
        "ALTER TABLE books DROP COLUMN pages;",
        "ALTER TABLE books ADD COLUMN pages INTEGER CHECK (pages > 40);",
        Outcome.FAIL,
        f"{DOWN}: does not restore the ",
    ),
    "the rollback leaves changed values": (
        "UPDATE books SET title = 'none';",
        "SELECT 1;",
        Outcome.FAIL,
        f"{DOWN}: does not restore the values of books.title: 4 of 4 rows have another one",
    ),
    "the rollback loses rows": (
        "CREATE TABLE x (a INTEGER);",
        "DELETE FROM books WHERE id = (SELECT max(id) FROM books); DROP TABLE x;",
        Outcome.FAIL,
        f"{DOWN}: does not restore the rows of books: there were 4, there are 3",
    ),
    "it fails on existing rows": (
        "ALTER TABLE books ADD COLUMN shelf TEXT NOT NULL;",
        "ALTER TABLE books DROP COLUMN shelf;",
        Outcome.FAIL,
        f"{UP}: ",
    ),
}


async def judged(tree: MakeTree, environment: Environment, up: str, down: str, **more: str) -> Verdict:
    base, head = tree({**OLD, **more}), tree({**OLD, **more, UP: up, DOWN: down})
    return await migrations_go_up_down_and_up.run(base, head, changes(base, head), inside(environment, head))


async def shown(tree: MakeTree, environment: Environment, up: str, down: str, old: dict[str, str] = OLD) -> Rehearsal:
    head = tree({**old, UP: up, DOWN: down})
    found = await rehearse(head, frozenset({UP, DOWN}), inside(environment, head))
    assert (found.problem, found.findings) == (None, ())
    return found.shown[0]


@pytest.mark.parametrize("case", CASES)
async def test_a_migration_is_judged_by_what_it_does_to_rows(case: str, tree: MakeTree, database: Environment) -> None:
    up, down, outcome, reason = CASES[case]
    found = await judged(tree, database, up, down)
    assert found.verdict is outcome, found.reason
    assert found.reason.startswith(reason)
    (evidence,) = found.evidence
    assert evidence.tool == ("postgresql" if database.postgres else "sqlite")
    assert (evidence.exit_code, len(evidence.output_sha256)) == (int(outcome is Outcome.FAIL), 64)


BIG = {"backend-coordinator.toml": "[table_rows]\nbooks = 2_000_000\nauthors = 500\n"}
REWRITES = ("ALTER TABLE {} ALTER COLUMN id TYPE bigint;", "ALTER TABLE {} ALTER COLUMN id TYPE integer;")
LOCKING = {
    "a large table is rewritten": (REWRITES, "books", Outcome.FAIL, "rewrites all of books under AccessExclusiveLock"),
    "a small table is rewritten": (
        ("ALTER TABLE {} ALTER COLUMN born TYPE timestamp;", "ALTER TABLE {} ALTER COLUMN born TYPE date;"),
        "authors",
        Outcome.PASS,
        "",
    ),
    "a large table is read whole": (
        ("ALTER TABLE {0} ADD CONSTRAINT c CHECK (id > 0);", "ALTER TABLE {} DROP CONSTRAINT c;"),
        "books",
        Outcome.FAIL,
        "reads all of books under AccessExclusiveLock",
    ),
    "an index keeps writers out": (
        ("CREATE INDEX i ON {} (title);", "DROP INDEX i;"),
        "books",
        Outcome.FAIL,
        "reads all of books under ShareLock",
    ),
    "an index is made beside them": (
        ("CREATE INDEX CONCURRENTLY i ON {} (title);", "DROP INDEX i;"),
        "books",
        Outcome.PASS,
        "",
    ),
    "a brief lock": ((CORRECT[0].replace("books", "{}"), CORRECT[1]), "books", Outcome.PASS, ""),
}


@pytest.mark.parametrize("case", LOCKING)
async def test_locks_that_postgresql_shows_decide_about_large_tables(
    case: str, tree: MakeTree, served: Environment
) -> None:
    (up, down), table, outcome, reason = LOCKING[case]
    found = await judged(tree, served, up.format(table), down.format(table), **BIG)
    assert found.verdict is outcome, found.reason
    assert reason in found.reason


async def test_sqlite_has_no_locks_to_judge(tree: MakeTree, bare: Environment) -> None:
    index = ("CREATE INDEX i ON books (title);", "DROP INDEX i;")
    assert (await judged(tree, bare, *index, **BIG)).verdict is Outcome.PASS
    assert (await shown(tree, bare, *index)).locks is None


async def test_the_size_is_declared_by_the_base_and_not_by_the_change(tree: MakeTree, served: Environment) -> None:
    base = tree({**OLD, **BIG})
    head = tree({**OLD, UP: REWRITES[0].format("books"), DOWN: REWRITES[1].format("books")})
    found = await migrations_go_up_down_and_up.run(base, head, changes(base, head), inside(served, head))
    assert found.verdict is Outcome.FAIL, found.reason


async def test_what_was_rehearsed_is_shown(tree: MakeTree, database: Environment) -> None:
    found = await shown(tree, database, *CORRECT)
    assert found.rows == {"authors": 4, "books": 4}
    assert found.unfilled == {}
    assert (found.ups, found.downs, len(found.digest)) == ((UP,), (DOWN,), 64)
    assert [(change.kind, change.what) for change in found.changes][:1] == [("column_added", "books.isbn")]
    assert found.statements[0] == CORRECT[0]
    if database.postgres:
        assert [(x.table, x.mode, x.holds_up) for x in found.locks or ()] == [("books", "AccessExclusiveLock", False)]


HARD = """CREATE TYPE mood AS ENUM ('good', 'bad');
CREATE TABLE firms (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, code UUID NOT NULL UNIQUE, mood mood NOT NULL,
    told JSONB, tags TEXT[], seen TIMESTAMPTZ NOT NULL DEFAULT now(), price NUMERIC(8, 2) CHECK (price >= 0), raw BYTEA,
    head BIGINT REFERENCES firms (id), short VARCHAR(2) NOT NULL,
    twice INT GENERATED ALWAYS AS (length(short) * 2) STORED
);
CREATE TABLE places (firm BIGINT NOT NULL REFERENCES firms (id), day DATE, PRIMARY KEY (firm, day));
CREATE TABLE never (id SERIAL PRIMARY KEY, x TEXT NOT NULL CHECK (x ~ '^[a-f]{7}$'));
"""


async def test_rows_fit_the_constraints_of_postgresql(tree: MakeTree, served: Environment) -> None:
    old = {"migrations/0001_a.up.sql": HARD, "migrations/0001_a.down.sql": "DROP TABLE places, firms, never;"}
    found = await shown(tree, served, "ALTER TABLE firms ADD x INT;", "ALTER TABLE firms DROP x;", old)
    assert found.rows == {"firms": 4, "places": 4, "never": 0}
    assert list(found.unfilled) == ["never"]


async def test_a_table_that_takes_no_rows_leaves_its_migration_unknown(tree: MakeTree, bare: Environment) -> None:
    old = {"migrations/0001_a.up.sql": "CREATE TABLE a (x INTEGER NOT NULL CHECK (x * x = 1764));"}
    old["migrations/0001_a.down.sql"] = "DROP TABLE a;"
    base, head = tree(old), tree({**old, UP: "ALTER TABLE a ADD y TEXT;", DOWN: "ALTER TABLE a DROP y;"})
    found = await migrations_go_up_down_and_up.run(base, head, changes(base, head), inside(bare, head))
    assert found.verdict is Outcome.UNKNOWN
    assert "no row could be made up for a, which it changes: CHECK constraint failed" in found.reason


ALEMBIC = {
    "requirements.txt": "alembic\npsycopg[binary]\n",
    "alembic.ini": "[alembic]\nscript_location = alembic\n",
    "alembic/env.py": """from alembic import context
from sqlalchemy import create_engine

with create_engine(context.config.get_main_option("sqlalchemy.url")).connect() as connection:
    context.configure(connection=connection, render_as_batch=True)
    with context.begin_transaction():
        context.run_migrations()
    connection.commit()
""",
    "alembic/versions/1_a.py": """import sqlalchemy as sa
from alembic import op

revision, down_revision = "1", None


def upgrade():
    op.create_table("books", sa.Column("id", sa.Integer, primary_key=True), sa.Column("title", sa.String(40)))


def downgrade():
    op.drop_table("books")
""",
}
REVISION = """import sqlalchemy as sa
from alembic import op

revision, down_revision = "2", "1"


def upgrade():
    op.add_column("books", sa.Column("pages", sa.Integer, nullable={}))


def downgrade():
    op.drop_column("books", "{}")
"""
ADDED = "alembic/versions/2_b.py"


REVISED = [
    ("True", "pages", "pass", "all migrations run up, down and up with equal schemas and values on"),
    ("True", "title", "fail", f"{ADDED}: does not restore the column books.title"),
    ("False", "pages", "fail", f"{ADDED}: "),
]


@pytest.mark.slow
@pytest.mark.parametrize("case", REVISED)
async def test_alembic_s_revisions_are_judged_by_what_they_do_to_rows(
    case: tuple[str, str, str, str], tree: MakeTree, database: Environment
) -> None:
    nullable, dropped, outcome, reason = case
    base, head = tree(ALEMBIC), tree({**ALEMBIC, ADDED: REVISION.format(nullable, dropped)})
    built = await build(head.path, cache=cache_folder(), sandbox=database.sandbox)
    environment = replace(built, postgres=database.postgres)
    found = await migrations_go_up_down_and_up.run(base, head, changes(base, head), environment)
    assert found.verdict.value == outcome, found.reason
    assert found.reason.startswith(reason)
