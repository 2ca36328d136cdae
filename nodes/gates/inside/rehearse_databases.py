"""The databases of a rehearsal: SQLite in this process, and PostgreSQL through `psql`."""

import json
import re
import sqlite3
import subprocess
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from backend_coordinator.nodes.gates.inside import rehearse_rows as rows
    from backend_coordinator.nodes.gates.inside.rehearse_values import Column
else:
    import rehearse_rows as rows
    from rehearse_values import Column

_CHECK = re.compile(r"(?i)\bcheck\s*\(((?:[^()]|\([^()]*\))*)\)")
_OWN_TRANSACTION = re.compile(r"(?im)^\s*(?:begin|start\s+transaction|commit|vacuum)\b|\bconcurrently\b")
_COMMENT = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)
_OURS = "('pg_catalog', 'information_schema', 'rehearsal')"


class Sqlite:
    """A database at `path`; SQL that runs here can open no other."""

    name = "sqlite"
    version = sqlite3.sqlite_version

    def __init__(self, path: str = ":memory:") -> None:
        self.statements: list[str] = []
        self.db = sqlite3.connect(path, isolation_level=None)
        banned = {sqlite3.SQLITE_ATTACH, sqlite3.SQLITE_DETACH}
        self.db.set_authorizer(lambda action, *_: sqlite3.SQLITE_DENY if action in banned else sqlite3.SQLITE_OK)
        self.db.execute("PRAGMA foreign_keys = ON")

    def script(self, path: str) -> None:
        """Run one script. Raises Refused."""
        self.db.set_trace_callback(self.statements.append)
        try:
            self.db.executescript(Path(path).read_text())
        except sqlite3.Error as error:
            raise rows.Refused(str(error)) from error
        finally:
            self.db.set_trace_callback(None)
        if self.db.in_transaction:
            raise rows.Refused("leaves a transaction open")

    def schema(self) -> list[str]:
        """What the database consists of, without spelling that SQLite itself changes and Alembic's own table."""
        query = (
            "SELECT type, name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%' AND tbl_name != 'alembic_version'"
        )
        found = self.db.execute(query)
        return sorted(_spelled(" ".join(map(str, row))) for row in found)

    def made(self) -> list[rows.Made]:
        """Views, triggers, and indexes that are not unique."""
        found = self.db.execute(
            "SELECT type, name, iif(type = 'view', '', tbl_name), sql FROM sqlite_master "
            "WHERE type IN ('view', 'trigger', 'index') AND sql NOT LIKE 'create unique%'"
        )
        return [(kind, name, table, _spelled(sql)) for kind, name, table, sql in found]

    def tables(self) -> rows.Tables:
        """Every table but Alembic's."""
        query = "SELECT name, sql FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
        found = self.db.execute(query).fetchall()
        return {name: self._table(name, str(sql)) for name, sql in found if name != "alembic_version"}

    def _table(self, name: str, sql: str) -> rows.Table:
        found = self.db.execute("SELECT * FROM pragma_table_xinfo(?)", (name,)).fetchall()
        columns = tuple(
            Column(column, kind.lower(), bool(required or key), hidden > 0, default is not None)
            for _, column, kind, required, default, key, hidden in found
        )
        keys = tuple(column for _, column, _, _, _, key, _ in sorted(found, key=lambda row: row[5]) if key)
        references: dict[int, list[tuple[str, str, str]]] = {}
        for number, _, table, source, target, *_ in self.db.execute(
            "SELECT * FROM pragma_foreign_key_list(?)", (name,)
        ):
            references.setdefault(number, []).append((source, table, target or ""))
        pointing = tuple(self._reference(links) for links in references.values())
        checks = tuple(_CHECK.findall(_COMMENT.sub("", sql)))
        unique = [row[1] for row in self.db.execute("SELECT * FROM pragma_index_list(?)", (name,)) if row[2]]
        rules = {f"unique {self._indexed(index)}" for index in unique} | {f"check {text}" for text in checks}
        rules |= {f"{', '.join(r.columns)} references {r.table}" for r in pointing}
        return rows.Table(columns, pointing, frozenset({*rules, f"key {', '.join(keys)}"}), checks)

    def _indexed(self, index: str) -> str:
        return ", ".join(str(row[2]) for row in self.db.execute("SELECT * FROM pragma_index_info(?)", (index,)))

    def _reference(self, links: list[tuple[str, str, str]]) -> rows.Reference:
        table = links[0][1]
        keys = self.db.execute("SELECT name FROM pragma_table_info(?) WHERE pk ORDER BY pk", (table,)).fetchall()
        targets = [target or (keys[at][0] if at < len(keys) else "") for at, (_, _, target) in enumerate(links)]
        return rows.Reference(tuple(source for source, _, _ in links), table, tuple(targets))

    def content(self, table: str) -> list[rows.Row]:
        """All rows of a table."""
        found = self.db.execute(f"SELECT * FROM {_quoted(table)}")
        names = [column[0] for column in found.description]
        return [dict(zip(names, row, strict=True)) for row in found]

    def insert(self, table: str, values: rows.Row) -> rows.Row:
        """One row. Raises Refused."""
        names = ", ".join(map(_quoted, values))
        try:
            marks = ", ".join("?" * len(values))
            self.db.execute(f"INSERT INTO {_quoted(table)} ({names}) VALUES ({marks})", tuple(values.values()))
        except sqlite3.Error as error:
            raise rows.Refused(str(error)) from error
        return values

    def watch(self) -> None:
        """From now on statements count; SQLite locks the whole file, so there are no locks to look at."""
        self.statements.clear()

    def locks(self) -> None:
        """Not applicable."""


class Postgres:
    """The server that the environment variables of libpq name; every call is a session of its own."""

    name = "postgresql"

    def __init__(self) -> None:
        self.version = str(self.ask("SELECT to_json(current_setting('server_version'))"))

    @property
    def statements(self) -> list[str]:
        """What was seen to change the schema since `watch`."""
        found = self.ask("SELECT coalesce(json_agg(s.query ORDER BY s.number), '[]') FROM rehearsal.statement s")
        return [str(each) for each in found]

    def _psql(self, *words: str) -> str:
        command = ["psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", *words]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            told = next((line for line in done.stderr.splitlines() if "ERROR:" in line), done.stderr.strip())
            raise rows.Refused(told.partition("ERROR:")[2].strip() or told)
        return done.stdout

    def ask(self, query: str) -> list[object]:
        """The JSON that a query answers with. Raises Refused."""
        answer: list[object] = json.loads(self._psql("-c", query))
        return answer

    def script(self, path: str) -> None:
        """Run one script in a transaction, unless it makes its own, and look at the locks before it ends."""
        own = _OWN_TRANSACTION.search(_COMMENT.sub("", Path(path).read_text()))
        look = ["-c", "SELECT rehearsal.look()"] if self._watches() else []
        self._psql(*([] if own else ["-1"]), "-f", path, *([] if own else look))

    def _watches(self) -> bool:
        return bool(self.ask("SELECT to_json(to_regprocedure('rehearsal.look()') IS NOT NULL)"))

    def schema(self) -> list[str]:
        """The lines of `pg_dump`, each with the statement it belongs to, whatever their order."""
        words = ["pg_dump", "--schema-only", "--no-owner", "-N", "rehearsal", "-T", "alembic_version"]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if done.returncode:
            raise rows.Refused(done.stderr.strip())
        head, lines = "", []
        for line in done.stdout.splitlines():
            ours = line.startswith("CREATE EVENT TRIGGER rehearsal ") or "rehearsal.after_statement()" in line
            if line and not ours and not line.startswith(("--", "\\", "SET ")):
                head = head if line.startswith((" ", ")")) else line
                lines.append(line if line == head else f"{head} {line.strip().rstrip(',')}")
        return sorted(lines)

    def tables(self) -> rows.Tables:
        """Every table of every schema but Alembic's."""
        found = json.loads(self._psql("-c", _TABLES))
        return {
            name: rows.Table(
                tuple(Column._make((*basic, tuple(choices or ()))) for *basic, choices in columns),
                tuple(rows.Reference(tuple(a), table, tuple(b)) for a, table, b in references),
                frozenset(rules),
                tuple(rule for rule in rules if rule.startswith("CHECK")),
            )
            for name, columns, references, rules in found
        }

    def made(self) -> list[rows.Made]:
        """Views, triggers, and indexes that are not unique."""
        return [(kind, name, table, text) for kind, name, table, text in json.loads(self._psql("-c", _MADE))]

    def content(self, table: str) -> list[rows.Row]:
        """All rows of a table, fractions with all their digits."""
        found = self._psql("-c", f"SELECT coalesce(json_agg(t), '[]') FROM {table} t")
        return list(json.loads(found, parse_float=lambda digits: str(Decimal(digits).normalize())))

    def insert(self, table: str, values: rows.Row) -> rows.Row:
        """One row, as the database completed it. Raises Refused."""
        names, texts = ", ".join(map(_quoted, values)), ", ".join(map(_literal, values.values()))
        what = f"({names}) VALUES ({texts})" if values else "DEFAULT VALUES"
        query = f"WITH made AS (INSERT INTO {table} {what} RETURNING *) SELECT row_to_json(made) FROM made"
        row: rows.Row = json.loads(self._psql("-c", query))
        return row

    def watch(self) -> None:
        """From now on every statement that changes the schema leaves what locks its transaction holds."""
        self._psql("-1", "-c", _WATCH)

    def locks(self) -> list[object]:
        """Table, mode, whether the table's file was replaced, whether it was read whole; by table and mode."""
        return self.ask(_LOCKS)


def _spelled(text: str) -> str:
    return re.sub(r"\s+|[\"`\[\]]", "", text).lower()


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _literal(value: object) -> str:
    if value is None:
        return "NULL"
    return "E'" + str(value).replace("\\", "\\\\").replace("'", "''") + "'"


_TABLES = f"""
SELECT coalesce(json_agg(json_build_array(c.oid::regclass::text,
  (SELECT coalesce(json_agg(json_build_array(a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
     a.attidentity <> '' OR a.attgenerated <> '' OR coalesce(pg_get_expr(d.adbin, d.adrelid), '') LIKE 'nextval(%',
     d.adbin IS NOT NULL, (SELECT json_agg(e.enumlabel ORDER BY e.enumsortorder) FROM pg_enum e
     WHERE e.enumtypid = a.atttypid)) ORDER BY a.attnum), '[]')
   FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
   WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped),
  (SELECT coalesce(json_agg(json_build_array(
     (SELECT json_agg(a.attname ORDER BY k.at) FROM unnest(r.conkey) WITH ORDINALITY k(n, at)
      JOIN pg_attribute a ON a.attrelid = r.conrelid AND a.attnum = k.n), r.confrelid::regclass::text,
     (SELECT json_agg(a.attname ORDER BY k.at) FROM unnest(r.confkey) WITH ORDINALITY k(n, at)
      JOIN pg_attribute a ON a.attrelid = r.confrelid AND a.attnum = k.n))), '[]')
   FROM pg_constraint r WHERE r.conrelid = c.oid AND r.contype = 'f'),
  (SELECT coalesce(json_agg(rule), '[]') FROM
    (SELECT pg_get_constraintdef(r.oid) AS rule FROM pg_constraint r WHERE r.conrelid = c.oid AND r.contype <> 'n'
     UNION SELECT pg_get_indexdef(i.indexrelid) FROM pg_index i WHERE i.indrelid = c.oid AND i.indisunique) each)
)), '[]') FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND n.nspname NOT IN {_OURS} AND n.nspname NOT LIKE 'pg\\_%'
  AND c.relname <> 'alembic_version'
"""
_MADE = f"""
SELECT coalesce(json_agg(json_build_array(kind, name, of_table, text)), '[]') FROM (
  SELECT 'view' AS kind, c.oid::regclass::text AS name, '' AS of_table, pg_get_viewdef(c.oid) AS text, c.relnamespace
  FROM pg_class c WHERE c.relkind IN ('v', 'm')
  UNION ALL SELECT 'index', c.oid::regclass::text, i.indrelid::regclass::text, pg_get_indexdef(c.oid), c.relnamespace
  FROM pg_class c JOIN pg_index i ON i.indexrelid = c.oid WHERE NOT i.indisunique AND NOT i.indisexclusion
  UNION ALL SELECT 'trigger', t.tgname, c.oid::regclass::text, pg_get_triggerdef(t.oid), c.relnamespace
  FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid WHERE NOT t.tgisinternal
) each JOIN pg_namespace n ON n.oid = each.relnamespace WHERE n.nspname NOT IN {_OURS} AND n.nspname NOT LIKE 'pg\\_%'
"""
_WATCH = f"""
CREATE SCHEMA rehearsal;
CREATE TABLE rehearsal.statement (number serial, query text);
CREATE TABLE rehearsal.seen (name text, mode text, rewritten boolean, scanned boolean);
CREATE TABLE rehearsal.before AS SELECT c.oid, c.oid::regclass::text AS name, c.relfilenode
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p') AND n.nspname NOT IN {_OURS} AND c.relname <> 'alembic_version';
CREATE FUNCTION rehearsal.look() RETURNS void LANGUAGE sql AS $look$
  INSERT INTO rehearsal.seen SELECT b.name, l.mode, coalesce(c.relfilenode <> b.relfilenode, false),
    coalesce(s.seq_scan, 0) > 0
  FROM pg_locks l JOIN rehearsal.before b ON b.oid = l.relation LEFT JOIN pg_class c ON c.oid = b.oid
  LEFT JOIN pg_stat_xact_user_tables s ON s.relid = b.oid
  WHERE l.pid = pg_backend_pid() AND l.locktype = 'relation' AND l.granted $look$;
CREATE FUNCTION rehearsal.after_statement() RETURNS event_trigger LANGUAGE plpgsql AS $after$ BEGIN
  INSERT INTO rehearsal.statement (query) VALUES (left(current_query(), 500));
  PERFORM rehearsal.look();
END $after$;
CREATE EVENT TRIGGER rehearsal ON ddl_command_end EXECUTE FUNCTION rehearsal.after_statement();
"""
_LOCKS = """
SELECT coalesce(json_agg(json_build_array(name, mode, rewritten, scanned) ORDER BY name, mode), '[]') FROM
  (SELECT name, mode, bool_or(rewritten) AS rewritten, bool_or(scanned) AS scanned
   FROM rehearsal.seen WHERE mode <> 'AccessShareLock' GROUP BY name, mode) each
"""
