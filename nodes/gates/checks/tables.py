"""Checks of the tables that migrations, models or statements make."""

import re
from collections.abc import Iterator, Sequence

from backend_coordinator.domain.verdict import Finding, Verdict
from backend_coordinator.nodes.gates.evidence import fails, introduced, not_applicable, passes, unknown
from backend_coordinator.nodes.gates.files import product_python
from backend_coordinator.nodes.gates.registry import check
from backend_coordinator.nodes.gates.schema import Schema, Table, foreign_migration, schema_of
from backend_coordinator.nodes.workspace.environment import Environment
from backend_coordinator.nodes.workspace.trees import Tree

_REFERRING = re.compile(r"(?i)(\w+)_id")
_WRITTEN_AFTERWARDS = re.compile(r"(?i)audit|log|history|event|archive")
_PASSWORD = re.compile(r"(?i)password|passwd|pwd")
_OPENS_SQLITE = re.compile(r"\b(?:aio)?sqlite3?\.connect\(")


@check("D2")
async def common_queries_have_indexes(
    base: Tree | None, head: Tree, changed: frozenset[str], environment: Environment
) -> Verdict:
    """Each foreign key leads an index, and no query filters or joins a table by a column without one.

    The schema is built on SQLite and asked how it would run the code's own queries; where an index on a column
    would turn the reading of a whole table into a search, it is missing. Columns of few values are left out.
    Source: Database, indexes for common queries.
    """
    schema = await schema_of(head, environment)
    concerned = changed.intersection(schema.sources) or (schema.queries and product_python(head, changed))
    if not schema.sources or not concerned:
        return _without_schema("D2", head, changed, schema)
    findings = [*_slow_references(schema), *_slow_queries(schema)]
    before = await schema_of(base, environment) if base else Schema()
    findings = list(introduced(findings, [*_slow_references(before), *_slow_queries(before)]))
    if verdict := _faulty("D2", findings, "add an index in a migration", schema, before):
        return verdict
    known = {(query.path, query.texts) for query, _ in before.unplanned}
    if unplanned := [(query, why) for query, why in schema.unplanned if (query.path, query.texts) not in known]:
        query, why = unplanned[0]
        return unknown("D2", f"{query.path}:{query.line}: the query could not be planned: {why}", *schema.evidence)
    keys = sum(len(table.references) for table in schema.tables.values())
    return passes("D2", f"{keys} foreign keys and {len(schema.queries)} queries have their indexes", *schema.evidence)


def _without_schema(item: str, head: Tree, changed: frozenset[str], schema: Schema) -> Verdict:
    if path := foreign_migration(head, changed - {*schema.sources}):
        return unknown(item, f"{path} is a migration of a kind that cannot be run here: look at its tables")
    if not schema.sources and (query := next((q for q in schema.queries if q.path in changed), None)):
        return unknown(item, f"{query.path}:{query.line} reads tables that nothing in the project makes")
    return not_applicable(item, "the change touches neither tables nor queries")


def _faulty(item: str, findings: Sequence[Finding], fix: str, schema: Schema, before: Schema) -> Verdict | None:
    """The verdict on new findings, or on a schema that could not be built."""
    if findings and before.problem:
        return unknown(item, f"{findings[0].message}, perhaps as before: {before.problem}", *schema.evidence)
    if findings:
        return fails(item, findings, fix, *schema.evidence)
    return unknown(item, schema.problem, *schema.evidence) if schema.problem else None


def _slow_references(schema: Schema) -> Iterator[Finding]:
    for table in schema.tables.values():
        led = [*(index.columns for index in table.indexes), table.key]
        for reference in table.references:
            wanted = {*reference.columns}
            if not any({*columns[: len(wanted)]} == wanted for columns in led):
                columns = ", ".join(reference.columns)
                message = f"foreign key {table.name} ({columns}) to {reference.table} has no index"
                yield Finding(path=table.path, message=message)


def _slow_queries(schema: Schema) -> Iterator[Finding]:
    for query, table, column in dict.fromkeys(schema.missing):
        message = f"the query looks for {table} by {column}, which has no index"
        yield Finding(path=query.path, line=query.line, message=message)


@check("D5")
async def the_database_validates_its_data(
    base: Tree | None, head: Tree, changed: frozenset[str], environment: Environment
) -> Verdict:
    """New tables have a key and rules, references and natural keys are declared, and SQLite is told to enforce them.

    What the database does not refuse will be in it one day. Only clear gaps fail: whether a nullable column
    should be required is for a person. Source: Database, data validation at database level.
    """
    schema = await schema_of(head, environment)
    if not schema.sources or not changed.intersection((*schema.sources, *_openers(head))):
        return _without_schema("D5", head, changed, schema)
    before = await schema_of(base, environment) if base else Schema()
    findings = [*_gaps(schema, before), *_unenforced(head, schema)]
    if base:
        findings = list(introduced(findings, _unenforced(base, before)))
    if verdict := _faulty("D5", findings, "let the database refuse what is wrong", schema, before):
        return verdict
    tables = list(schema.tables.values())
    required = sum(column.required for table in tables for column in table.columns)
    checks = sum(len(re.findall(r"(?i)\bCHECK\b", table.sql)) for table in tables)
    unique = sum(index.unique for table in tables for index in table.indexes)
    keys = sum(len(table.references) for table in tables)
    rules = f"{required} NOT NULL, {checks} CHECK, {unique} UNIQUE, {keys} foreign keys"
    return passes("D5", f"{len(tables)} tables with primary keys, {rules}", *schema.evidence)


def _gaps(schema: Schema, before: Schema) -> Iterator[Finding]:
    for table in schema.tables.values():
        old = before.tables.get(table.name)
        known = {column.name for column in old.columns} if old else set()
        messages = [*_loose(table, schema, known), *(() if old else (*_lawless(table), *_ambiguous(table)))]
        yield from (Finding(path=table.path, message=message) for message in messages)


def _lawless(table: Table) -> Iterator[str]:
    if not table.key:
        yield f"table {table.name} has no primary key"
        return
    others = [column for column in table.columns if not column.key]
    ruled = table.references or any(index.unique for index in table.indexes) or re.search(r"(?i)\bCHECK\b", table.sql)
    if others and not ruled and not any(column.required for column in others):
        yield f"table {table.name} takes anything: no NOT NULL, CHECK, UNIQUE or foreign key"


def _loose(table: Table, schema: Schema, known: set[str]) -> Iterator[str]:
    names = {column.name for column in table.columns}
    declared = {column for reference in table.references for column in reference.columns}
    for name in sorted(names - declared - known):
        found = _REFERRING.fullmatch(name)
        if found is None or f"{found[1]}_type" in names or _WRITTEN_AFTERWARDS.search(table.name):
            continue
        word = found[1].lower()
        plurals = {word, f"{word}s", f"{word}es", f"{word.removesuffix('y')}ies"}
        target = next((other for other in schema.tables if other.lower() in plurals), None)
        if target and target != table.name:
            yield f"{table.name}.{name} refers to {target} without a foreign key"


def _ambiguous(table: Table) -> Iterator[str]:
    names = {column.name.lower() for column in table.columns}
    unique = [index for index in table.indexes if index.unique]
    texts = [table.key, *(index.columns for index in unique), *(re.findall(r"\w+", index.sql) for index in unique)]
    login = {"email", "username"} if any(map(_PASSWORD.search, names)) else set()
    for wanted in ({"provider", "subject"}, *({name} for name in sorted({"slug", *login}))):
        if wanted <= names and not any(wanted <= {*text} for text in texts):
            yield f"{table.name} ({', '.join(sorted(wanted))}) is not UNIQUE"


def _openers(tree: Tree) -> list[str]:
    paths = product_python(tree, frozenset(tree.files))
    return [path for path in paths if _OPENS_SQLITE.search(tree.read(path) or "")]


def _unenforced(tree: Tree, schema: Schema) -> list[Finding]:
    keys = [table.name for table in schema.tables.values() if table.references]
    opening = _openers(tree)
    if not keys or not opening or any("foreign_keys" in (tree.read(path) or "").lower() for path in tree.files):
        return []
    message = f"opens SQLite without PRAGMA foreign_keys = ON: the foreign keys of {keys[0]} are not enforced"
    return [Finding(path=opening[0], message=message)]
