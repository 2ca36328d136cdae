"""The schema SQLite builds: its indexes beside the code's queries, its rules, and its documents."""

from pathlib import Path

import pytest

from backend_coordinator.domain.verdict import Outcome, Verdict
from backend_coordinator.nodes.gates.checks.documentation import the_schema_is_documented
from backend_coordinator.nodes.gates.checks.tables import common_queries_have_indexes, the_database_validates_its_data
from backend_coordinator.nodes.gates.registry import Check
from backend_coordinator.nodes.workspace.environment import Environment, build
from backend_coordinator.nodes.workspace.sandbox import probe
from tests.gates.trees import MakeTree, changes, inside

CHECKS = (common_queries_have_indexes, the_database_validates_its_data, the_schema_is_documented)
UP = "migrations/0001_start.up.sql"
TABLES = """\
CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT NOT NULL, email TEXT NOT NULL UNIQUE, active INTEGER NOT NULL);
CREATE TABLE notes (
    id INTEGER PRIMARY KEY, user_id INTEGER NOT NULL REFERENCES users (id), body TEXT NOT NULL, created TEXT NOT NULL
);
CREATE INDEX notes_user ON notes (user_id, created);
"""
SLOW = {
    "equality": "db.execute('SELECT id FROM users WHERE name = ?', (n,))",
    "range": "db.execute('SELECT id FROM notes WHERE created > ?', (n,))",
    "join": "db.execute('SELECT 1 FROM users AS u JOIN notes AS n ON n.body = u.name')",
    "update": "db.execute('UPDATE users SET active = 0 WHERE name = :name', {'name': n})",
    "second column of an index": "db.execute('SELECT id FROM notes WHERE created = ?', (n,))",
    "one filter of several": "where = []\n    where.append('name = ?')\n    where.append('email = ?')\n"
    "    db.execute('SELECT id FROM users WHERE ' + ' AND '.join(where), [n])",
    "style of another driver": "db.execute('SELECT id FROM users WHERE name = %s', (n,))",
    "table of filters": "F = {'name': 'name = ?'}\n    db.execute('SELECT id FROM users WHERE ' + F[n])",
}
QUICK = {
    "primary key": "db.execute('SELECT name FROM users WHERE id = ?', (n,))",
    "unique": "db.execute('SELECT name FROM users WHERE email = ?', (n,))",
    "everything": "db.execute('SELECT name FROM users ORDER BY id LIMIT 10')",
    "count": "db.execute('SELECT count(*) FROM users')",
    "few values": "db.execute('SELECT name FROM users WHERE active = 1')",
    "index of two": "db.execute('SELECT body FROM notes WHERE user_id = ? AND created > ?', (n, n))",
    "beside an indexed column": "db.execute('SELECT body FROM notes WHERE user_id = ? AND body = ?', (n, n))",
    "clean-up": "db.execute('DELETE FROM notes WHERE created < ?', (n,))",
    "text search": "db.execute(\"SELECT id FROM notes WHERE body LIKE '%' || ? || '%'\", (n,))",
    "join of keys": "db.execute('SELECT body FROM notes JOIN users ON users.id = notes.user_id WHERE email = ?', (n,))",
    "always with another": "where = ['user_id = ?']\n    where.append('body = ?')\n"
    "    db.execute('SELECT id FROM notes WHERE ' + ' AND '.join(where), [n])",
}


async def judge(check: Check, tree: MakeTree, environment: Environment, *versions: dict[str, str]) -> Verdict:
    """The verdict on the last of `versions`, the one before it being the base."""
    *before, head = map(tree, versions)
    base = before[-1] if before else None
    return await check.run(base, head, changes(base, head), inside(environment, head))


def code(line: str) -> str:
    return f"def f(db, n):\n    db.execute('PRAGMA foreign_keys = ON')\n    {line}\n"


@pytest.mark.parametrize(
    ("line", "outcome"),
    [*((line, Outcome.FAIL) for line in SLOW.values()), *((line, Outcome.PASS) for line in QUICK.values())],
    ids=[*SLOW, *QUICK],
)
async def test_a_query_is_planned_on_the_real_schema(
    line: str, outcome: Outcome, tree: MakeTree, bare: Environment
) -> None:
    found = await judge(common_queries_have_indexes, tree, bare, {UP: TABLES, "store.py": code(line)})
    assert found.verdict is outcome, found.reason


async def test_records_of_statements_are_not_mixed(tree: MakeTree, bare: Environment) -> None:
    store = (
        "@dataclass\nclass Table:\n    select: str\n    by: str\n"
        "USERS = Table('SELECT 1 FROM users', by='email = ?')\nNOTES = Table('SELECT 1 FROM notes', by='user_id = ?')\n"
        "def f(db, table):\n    db.execute(table.select + ' WHERE ' + table.by)\n"
    )
    found = await judge(common_queries_have_indexes, tree, bare, {UP: TABLES, "store.py": store})
    assert found.verdict is Outcome.PASS, found.reason
    assert found.reason == "1 foreign keys and 1 queries have their indexes"


async def test_what_cannot_be_read_or_prepared_is_unknown(tree: MakeTree, bare: Environment) -> None:
    for line in ("db.execute(n)", "db.execute('SELECT id FROM strangers WHERE name = ?')"):
        found = await judge(common_queries_have_indexes, tree, bare, {UP: TABLES, "store.py": code(line)})
        assert found.verdict is Outcome.UNKNOWN, found.reason
        assert found.reason.startswith("store.py:3: the query could not be planned")


async def test_only_what_the_change_made_slow_is_blamed(tree: MakeTree, bare: Environment) -> None:
    old = {UP: TABLES, "store.py": code(SLOW["equality"])}
    more = {"migrations/0002_more.up.sql": "CREATE TABLE tags (id INTEGER PRIMARY KEY, tag TEXT NOT NULL UNIQUE);"}
    found = await judge(common_queries_have_indexes, tree, bare, old, {**old, **more})
    assert found.verdict is Outcome.PASS, found.reason
    texts = {"texts.py": "SLOW = 'SELECT id FROM users WHERE name = ?'\n"}
    runner = {**old, "store.py": "from texts import SLOW\n\n\ndef f(db, n):\n    db.execute(SLOW, (n,))\n"}
    quick = {"texts.py": texts["texts.py"].replace("name =", "email =")}
    found = await judge(common_queries_have_indexes, tree, bare, {**runner, **quick}, {**runner, **texts})
    assert found.verdict is Outcome.FAIL, found.reason
    dropped = {"migrations/0002_less.up.sql": "DROP INDEX notes_user;"}
    found = await judge(common_queries_have_indexes, tree, bare, old, {**old, **dropped})
    assert found.verdict is Outcome.FAIL
    assert "foreign key notes (user_id) to users has no index" in found.reason


@pytest.mark.parametrize(
    ("table", "outcome", "reason"),
    [
        ("CREATE TABLE a (x TEXT NOT NULL);", Outcome.FAIL, "table a has no primary key"),
        ("CREATE TABLE a (id INTEGER PRIMARY KEY, x TEXT, y TEXT);", Outcome.FAIL, "table a takes anything"),
        (
            "CREATE TABLE a (id INTEGER PRIMARY KEY, user_id INTEGER NOT NULL);",
            Outcome.FAIL,
            "a.user_id refers to users",
        ),
        ("CREATE TABLE a (id INTEGER PRIMARY KEY, slug TEXT NOT NULL);", Outcome.FAIL, "a (slug) is not UNIQUE"),
        (
            "CREATE TABLE a (id INTEGER PRIMARY KEY, email TEXT NOT NULL, password_hash TEXT NOT NULL);",
            Outcome.FAIL,
            "a (email) is not UNIQUE",
        ),
        ("CREATE TABLE a (x TEXT PRIMARY KEY, y TEXT);", Outcome.PASS, "3 tables"),
        ("CREATE TABLE a (a_id INTEGER PRIMARY KEY, x TEXT CHECK (x <> ''));", Outcome.PASS, "3 tables"),
        ("CREATE TABLE a (id INTEGER PRIMARY KEY, device_id TEXT NOT NULL);", Outcome.PASS, "3 tables"),
        ("CREATE TABLE audit_log (id INTEGER PRIMARY KEY, user_id INTEGER NOT NULL);", Outcome.PASS, "3 tables"),
        (
            "CREATE TABLE a (id INTEGER PRIMARY KEY, username TEXT NOT NULL, password_hash TEXT);"
            "CREATE UNIQUE INDEX a_username ON a (lower(username));",
            Outcome.PASS,
            "3 tables",
        ),
        ("CREATE TABLE a (id BIGSERIAL PRIMARY KEY);", Outcome.UNKNOWN, "is not written for SQLite"),
        ("CREATE TABEL a (id);", Outcome.UNKNOWN, "the schema cannot be built"),
    ],
)
async def test_a_new_table_has_its_rules(
    table: str, outcome: Outcome, reason: str, tree: MakeTree, bare: Environment
) -> None:
    old = {UP: TABLES.replace("name TEXT NOT NULL", "team_id TEXT")}
    new = {**old, "migrations/0002_more.up.sql": table}
    found = await judge(the_database_validates_its_data, tree, bare, old, new)
    assert found.verdict is outcome, found.reason
    assert reason in found.reason


async def test_foreign_keys_that_sqlite_ignores_fail(tree: MakeTree, bare: Environment) -> None:
    store = "import sqlite3\n\n\ndef connect(path):\n    return sqlite3.connect(path)\n"
    found = await judge(the_database_validates_its_data, tree, bare, {UP: TABLES, "store.py": store})
    assert found.verdict is Outcome.FAIL
    assert found.reason.startswith("store.py: opens SQLite without PRAGMA foreign_keys = ON")


DOCUMENT = "# Users\n\nA name, an email, and if active.\n\n# Notes\n\nuser_id, body and the time created.\n"


@pytest.mark.parametrize(
    ("files", "missing"),
    [
        ({"docs/schema.md": DOCUMENT}, None),
        ({"docs/schema.md": DOCUMENT.replace("user_id", "user id")}, None),
        ({"README.md": DOCUMENT.replace("body", "text")}, "no document of table notes names body"),
        ({"docs/schema.md": DOCUMENT.replace("Notes", "Texts")}, "no document names table notes"),
        ({"CHANGELOG.md": DOCUMENT}, "no document names table users"),
        ({UP: TABLES + "/* users: name, email, active; notes: user_id, body, created */\n"}, None),
    ],
)
async def test_every_new_column_is_named_in_a_document(
    files: dict[str, str], missing: str | None, tree: MakeTree, bare: Environment
) -> None:
    found = await judge(the_schema_is_documented, tree, bare, {UP: TABLES, **files})
    assert found.verdict is (Outcome.FAIL if missing else Outcome.PASS), found.reason
    assert (missing or "") in found.reason


@pytest.mark.parametrize(
    "check", [common_queries_have_indexes, the_database_validates_its_data, the_schema_is_documented]
)
async def test_other_kinds_of_migrations_are_unknown_and_other_changes_not_applicable(
    check: Check, tree: MakeTree, bare: Environment
) -> None:
    old = {UP: TABLES}
    found = await judge(check, tree, bare, old, {**old, "README.md": "x"})
    assert found.verdict is Outcome.NOT_APPLICABLE
    found = await judge(
        check, tree, bare, {}, {"shop/migrations/0001_initial.py": "class M(migrations.Migration): ...\n"}
    )
    assert found.verdict is Outcome.UNKNOWN


MODELS = '''\
"""Users and their notes."""

from sqlalchemy import ForeignKey
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass


class User(Base):
    """Users have a name."""

    __tablename__ = "users"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


class Note(Base):
    """Notes of a user by user_id, with the day."""

    __tablename__ = "notes"
    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"), index=True)
    day: Mapped[str]
'''
QUERY = "from models import Note\nfrom sqlalchemy import select\n\n\ndef f(db, n):\n    return db.scalars({query})\n"


@pytest.mark.slow
async def test_models_and_their_queries_are_read_too(tree: MakeTree, tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("sqlalchemy\n")
    environment = await build(tmp_path, cache=tmp_path / "cache", sandbox=await probe("auto"))
    good = QUERY.format(query="select(Note).where(Note.user_id == n, Note.day == n)")
    for check in CHECKS:
        found = await judge(check, tree, environment, {"models.py": MODELS, "store.py": good})
        assert found.verdict is Outcome.PASS, found.reason
    bad = QUERY.format(query="select(Note).filter_by(day=n)")
    found = await judge(common_queries_have_indexes, tree, environment, {"models.py": MODELS, "store.py": bad})
    assert found.reason.startswith("store.py:6: the query looks for notes by day, which has no index")
    worse = MODELS.replace(", index=True", "")
    found = await judge(common_queries_have_indexes, tree, environment, {"models.py": worse})
    assert found.reason.startswith("models.py: foreign key notes (user_id) to users has no index")
