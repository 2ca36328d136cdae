"""A project's database schema as SQLite builds it from migrations, models or statements, with its query plans."""

import ast
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from backend_coordinator.domain.verdict import Evidence
from backend_coordinator.nodes.gates.evidence import one_line
from backend_coordinator.nodes.gates.files import is_test, product_python
from backend_coordinator.nodes.gates.scratch import QUICK, copied, shadowed
from backend_coordinator.nodes.gates.shared import once
from backend_coordinator.nodes.gates.source import modules_of
from backend_coordinator.nodes.gates.sqlqueries import Query, queries_of
from backend_coordinator.nodes.gates.syntax import module_path
from backend_coordinator.nodes.workspace.environment import Environment
from backend_coordinator.nodes.workspace.trees import Tree

OTHER_DIALECT = re.compile(
    r"(?i)\b(?:BIG|SMALL)?SERIAL\b|\bJSONB\b|\bTIMESTAMPTZ\b|\bBYTEA\b|::\s*\w+|\$\$|\bCREATE\s+(?:EXTENSION|TYPE|SCHEMA|"
    r"SEQUENCE|DOMAIN|FUNCTION|OR\s+REPLACE)\b|\bALTER\s+COLUMN\b|\bUSING\s+(?:gin|gist|btree|hash)\b|"
    r"\bgen_random_uuid\b|\bnow\s*\(|\bAUTO_INCREMENT\b|\bENGINE\s*=|\bIDENTITY\s*\(|\bNVARCHAR\s*\(\s*MAX|"
    r"\bGENERATED\s+(?:BY\s+DEFAULT|ALWAYS)\s+AS\s+IDENTITY\b|\bCONCURRENTLY\b|\bADD\s+CONSTRAINT\b"
)
COMMENT = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)
_CREATES = re.compile(r"(?i)\s*(?:--[^\n]*\n\s*)*CREATE\s+(?:UNIQUE\s+)?(?:TABLE|INDEX)\b")
_WAY_BACK = re.compile(r"(?im)^--\s*(?:migrate:down|\+goose\s+down|\+migrate\s+down)")
_MODELS = re.compile(r"__tablename__|\bTable\(|\btable=True\b")
_LIBRARY = re.compile(r"(?m)^\s*(?:from|import)\s+sql(?:alchemy|model)\b")


class Column(NamedTuple):
    """`key` is its place in the primary key from 1, 0 outside of it."""

    name: str
    type: str
    required: bool
    key: int


class Index(NamedTuple):
    """An index, also of a PRIMARY KEY or UNIQUE; an expression among `columns` is empty, `sql` tells it."""

    columns: tuple[str, ...]
    unique: bool
    sql: str


class Reference(NamedTuple):
    """A foreign key."""

    columns: tuple[str, ...]
    table: str


class Table(NamedTuple):
    """One table; `path` is the file that makes it."""

    name: str
    path: str
    sql: str
    columns: tuple[Column, ...]
    indexes: tuple[Index, ...]
    references: tuple[Reference, ...]

    @property
    def key(self) -> tuple[str, ...]:
        """The columns of the primary key in order."""
        return tuple(column.name for column in sorted(self.columns, key=lambda c: c.key) if column.key)


@dataclass(frozen=True)
class Schema:
    """Tables by name; with a `problem`, they are not all.

    `sources` are the files that make them. `missing` has for each query the (table, column) an index on which
    would save reading the whole table. `unplanned` are queries that could not be read or prepared, with the reason.
    """

    tables: Mapping[str, Table] = field(default_factory=dict)
    problem: str | None = None
    sources: tuple[str, ...] = ()
    queries: tuple[Query, ...] = ()
    missing: tuple[tuple[Query, str, str], ...] = ()
    unplanned: tuple[tuple[Query, str], ...] = ()
    evidence: tuple[Evidence, ...] = ()


class _Sources(NamedTuple):
    revisions: tuple[str, ...]
    models: tuple[str, ...]
    scripts: tuple[tuple[str, str], ...]
    bookkeeping: tuple[str, ...]

    @property
    def paths(self) -> tuple[str, ...]:
        return (*self.revisions, *self.models, *(path for path, _ in self.scripts))


async def schema_of(tree: Tree, environment: Environment) -> Schema:
    """Build the tree's schema in its environment; without tables an empty `Schema`."""
    return await once(("schema", tree.oid), lambda: _schema(tree, environment))


def _sources(tree: Tree) -> _Sources:
    """Migrations where there are some, else models, else statements in files and code."""
    ups = tuple((path, tree.read(path) or "") for path in sorted(tree.files) if path.endswith(".up.sql"))
    revisions = tuple(path for path in tree.files if is_revision(tree, path))
    python = [(path, tree.read(path) or "") for path in product_python(tree, frozenset(tree.files))]
    creating = tuple(path for path, text in python if re.search(r"(?i)\bCREATE\b", text))
    stated = [(path, sql) for path, module in modules_of(tree, creating).items() for sql in _statements(module)]
    if ups or revisions:
        return _Sources(revisions, (), ups, tuple(sql for _, sql in stated if "NOT EXISTS" in sql.upper()))
    models = tuple(p for p, text in python if _LIBRARY.search(text) and _MODELS.search(text))
    files = [path for path in sorted(tree.files) if path.endswith(".sql") and not path.endswith(".down.sql")]
    texts = [(path, _WAY_BACK.split(tree.read(path) or "")[0]) for path in files if not is_test(path)]
    scripts = [(path, text) for path, text in texts if re.search(r"(?i)\bCREATE\s+TABLE\b", text)]
    return _Sources((), models, () if models else (*scripts, *stated), ())


def is_revision(tree: Tree, path: str) -> bool:
    """Whether `path` is an Alembic migration."""
    if not path.endswith(".py") or "versions" not in PurePosixPath(path).parts:
        return False
    text = tree.read(path) or ""
    return "down_revision" in text and "def upgrade" in text


def foreign_migration(tree: Tree, changed: frozenset[str]) -> str | None:
    """The first changed file that looks like a migration of a tool that D3 cannot rehearse."""
    for path in sorted(changed.intersection(tree.files)):
        pure = PurePosixPath(path)
        known = pure.suffix in {".sql", ".py", ".js", ".ts", ".java", ".xml", ".rb"} and pure.name != "__init__.py"
        ours = path.endswith((".up.sql", ".down.sql")) or is_revision(tree, path)
        folder = {"migrations", "migrate", "alembic"}.intersection(pure.parts[:-1])
        if known and folder and not ours and _moves_schema(tree, path):
            return path
    return None


def _moves_schema(tree: Tree, path: str) -> bool:
    text = tree.read(path) or ""
    return path.endswith(".sql") or re.search(r"(?i)migrations\.Migration|create_?table|add_?column", text) is not None


def _statements(module: ast.Module) -> Iterator[str]:
    for node in ast.walk(module):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and _CREATES.match(node.value):
            yield node.value


async def _schema(tree: Tree, environment: Environment) -> Schema:
    sources = _sources(tree)
    if not sources.paths:
        return Schema()
    for path, script in sources.scripts:
        if foreign := OTHER_DIALECT.search(COMMENT.sub("", script)):
            told = one_line(foreign.group())
            return Schema(problem=f"{path} is not written for SQLite ({told})", sources=sources.paths)
    inside = [u for u in environment.units if PurePosixPath(sources.paths[0]).is_relative_to(u.root)]
    unit = max(inside, key=lambda u: len(u.root), default=environment.units[0])
    runs_code = sources.revisions or sources.models
    if runs_code and (problem := unit.problem or shadowed(tree.path / unit.root)):
        return Schema(problem=f"the schema cannot be built: {problem}", sources=sources.paths)
    queries = queries_of(tree)
    wanted = {
        "alembic": bool(sources.revisions),
        "models": [_module(path, unit.root) for path in sources.models],
        "scripts": sources.scripts,
        "bookkeeping": sources.bookkeeping,
        "queries": sorted({text for query in queries for text in query.texts}),
    }
    async with copied(tree.path, environment) as scratch:
        request, answer = scratch.results / "wanted.json", scratch.results / "schema.json"
        request.write_text(json.dumps(wanted))
        paths = [str(scratch.results / "db.sqlite"), str(request), str(answer)]
        command = ["python", *([] if runs_code else ["-I"]), scratch.script("rehearse_schema"), *paths]
        done = await scratch.run(command, unit.root, QUICK)
        if not answer.exists():
            return Schema(problem=f"the schema cannot be built: {scratch.last_line(done)}", sources=sources.paths)
        output = answer.read_text()
    found = json.loads(output)
    tables = {table["name"]: _table(tree, table, sources.paths) for table in found["tables"]}
    summary = found["problem"] or f"built the tables {', '.join(tables)}; planned {len(found['plans'])} queries"
    evidence = scratch.evidence("sqlite", found["sqlite"], replace(done, output=output), summary)
    problem = f"the schema cannot be built on SQLite: {one_line(found['problem'], 200)}" if found["problem"] else None
    return _planned(Schema(tables, problem, sources.paths, queries, evidence=(evidence,)), found["plans"])


def _module(path: str, root: str) -> str:
    parts = list(PurePosixPath(module_path(path)).relative_to(root).parts)
    return ".".join(parts[1:] if parts[:1] == ["src"] else parts)


def _table(tree: Tree, found: Mapping[str, Any], sources: Sequence[str]) -> Table:
    return Table(
        found["name"],
        _place(tree, found["name"], sources),
        found["sql"],
        tuple(Column(**column) for column in found["columns"]),
        tuple(Index(tuple(index["columns"]), index["unique"], index["sql"]) for index in found["indexes"]),
        tuple(Reference(tuple(key["columns"]), key["table"]) for key in found["references"]),
    )


def _place(tree: Tree, table: str, sources: Sequence[str]) -> str:
    made = re.compile(
        rf"(?i)(?:create[_ ]table\W+(?:if\s+not\s+exists\W+)?|tablename__\W+|\bTable\(\W*){re.escape(table)}\b"
    )
    return next((path for path in sources if made.search(tree.read(path) or "")), sources[0])


def _planned(schema: Schema, plans: Mapping[str, Any]) -> Schema:
    missing, unplanned = [], []
    for query in schema.queries:
        if not query.texts:
            unplanned.append((query, "its text is not made of constants"))
        for text in query.texts:
            if isinstance(plan := plans[text], str):
                unplanned.append((query, plan))
            else:
                missing += [(query, table, column) for table, column, how in plan if _counts(text, how)]
    return replace(schema, missing=tuple(missing), unplanned=tuple(unplanned))


def _counts(text: str, how: str) -> bool:
    """A clean-up by a range alone may read the whole table: nobody waits for it."""
    return "=" in how or not re.match(r"(?i)\s*(?:delete|update)\b", text)
