"""Rows that satisfy a schema's constraints, and what a migration made of tables and rows."""

import json
import random
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import NamedTuple, Protocol

ROWS = 3
"""Rows per table; in the last one every column that may be NULL is NULL."""
_TRIES = 300
Row = dict[str, object]


class Refused(Exception):
    """The database did not take a statement, and why."""


class Column(NamedTuple):
    """`given` columns get their value from the database itself, `fallback` says that there is a default."""

    name: str
    type: str
    required: bool
    given: bool = False
    fallback: bool = False
    choices: tuple[str, ...] = ()


class Reference(NamedTuple):
    """A foreign key: its columns, and the table and columns it names."""

    columns: tuple[str, ...]
    table: str
    targets: tuple[str, ...]


class Table(NamedTuple):
    """One table; `rules` are its keys and constraints as text, `checks` those that limit single values."""

    columns: tuple[Column, ...]
    references: tuple[Reference, ...]
    rules: frozenset[str]
    checks: tuple[str, ...] = ()


Tables = Mapping[str, Table]


class Database(Protocol):
    """What a rehearsal needs of a database."""

    def tables(self) -> Tables:
        """Every table but those of the tool that migrates."""

    def schema(self) -> list[str]:
        """Its definitions, in an order that does not depend on how they came about."""

    def content(self, table: str) -> list[Row]:
        """All rows of a table."""

    def insert(self, table: str, values: Row) -> Row:
        """One row, as the database completed it. Raises Refused."""


class State(NamedTuple):
    """A database at one moment."""

    tables: Tables
    schema: list[str]
    rows: Mapping[str, list[Row]]


def state(db: Database) -> State:
    """What `db` holds now."""
    tables = db.tables()
    return State(tables, db.schema(), {name: db.content(name) for name in tables})


def fill(db: Database) -> dict[str, str]:
    """Gives every table rows, the ones it refers to first; the tables that took none, with the reason."""
    tables, refused, held = db.tables(), dict[str, str](), dict[str, list[Row]]()
    for name in _in_order(tables):
        held[name] = []
        try:
            for number in range(1, ROWS + 1):
                held[name].append(_insert(db, name, tables[name], number, held))
        except Refused as error:
            if not held[name]:
                refused[name] = str(error)
    return refused


def _in_order(tables: Tables) -> list[str]:
    order: dict[str, None] = {}

    def visit(name: str, above: tuple[str, ...]) -> None:
        for reference in tables[name].references:
            if reference.table in tables and reference.table not in (*above, name):
                visit(reference.table, (*above, name))
        order[name] = None

    for name in sorted(tables):
        visit(name, ())
    return list(order)


def _insert(db: Database, name: str, table: Table, number: int, held: Mapping[str, list[Row]]) -> Row:
    """One more row; where a CHECK refuses it, the constants of the CHECKs are tried, always in the same order."""
    last: Refused | None = None
    for values in _candidates(name, table, number, held):
        try:
            return db.insert(name, values)
        except Refused as error:
            last = error
    raise last or Refused("no row could be made up")


def _candidates(name: str, table: Table, number: int, held: Mapping[str, list[Row]]) -> Iterator[Row]:
    plain = {c.name: _value(c, number) for c in table.columns if not c.given}
    keys = {column: value for r in table.references for column, value in _pointing(name, r, number, held, plain)}
    optional = {c.name for c in table.columns if not c.required and not c.given} if number == ROWS else set()
    yield {**plain, **keys, **dict.fromkeys(optional)}
    yield {**plain, **keys}
    constants = [
        _constant(text) for text in re.findall(r"'(?:[^']|'')*'|(?<![\w.])-?\d+(?:\.\d+)?", " ".join(table.checks))
    ]
    chance = random.Random(number)
    for _ in range(_TRIES if constants else 0):
        tried = {c: chance.choice([v, *_like(v, constants)]) for c, v in plain.items()}
        yield {**tried, **keys}


def _like(value: object, constants: list[object]) -> Iterator[object]:
    """Constants of the value's own sort, numbers with their neighbours."""
    for constant in constants:
        if isinstance(value, str) == isinstance(constant, str):
            yield constant
        if isinstance(constant, (int, float)) and not isinstance(value, str):
            yield from (constant - 1, constant + 1)


def _constant(text: str) -> object:
    return text[1:-1].replace("''", "'") if text.startswith("'") else float(text) if "." in text else int(text)


def _pointing(
    name: str, reference: Reference, number: int, held: Mapping[str, list[Row]], own: Row
) -> Iterator[tuple[str, object]]:
    rows = held.get(reference.table, [])
    row = own if reference.table == name and not rows else rows[(number - 1) % len(rows)] if rows else {}
    for column, target in zip(reference.columns, reference.targets, strict=False):
        yield column, row.get(target)


def _value(column: Column, number: int) -> object:
    """A value of the column's type, another one for each row."""
    if column.choices:
        return column.choices[(number - 1) % len(column.choices)]
    kind = column.type.lower()
    for pattern, value in _VALUES:
        if re.search(pattern, kind):
            return value(number)
    limit = re.search(r"\((\d+)\)", kind)
    text, most = f"{column.name} {number} ", min(int(limit[1]) if limit else 40, 40)
    # As long as it may be, so that a column that becomes narrower is found out.
    return text.ljust(most, "x") if most >= len(text) else str(number).rjust(most, "0")[-most:]


_VALUES = (
    (r"\[\]$|^_", lambda n: "{}"),
    (r"bool", lambda n: bool(n % 2)),
    (r"interval", lambda n: f"{n} days"),
    (r"int|serial|year", lambda n: 10 + n),
    (r"timestamp|datetime", lambda n: f"2020-01-0{n} 12:00:00"),
    (r"^date", lambda n: f"2020-01-0{n}"),
    (r"^time", lambda n: f"12:00:0{n}"),
    (r"real|floa|doub|dec|numeric|money", lambda n: n + 0.5),
    (r"uuid", lambda n: f"00000000-0000-0000-0000-00000000000{n}"),
    (r"json", lambda n: json.dumps({"n": n})),
    (r"bytea|blob", lambda n: f"\\x0{n}"),
    (r"inet|cidr", lambda n: f"10.0.0.{n}"),
)


def difference(before: State, after: State) -> str | None:
    """What `after` lacks of `before`, the first of it in words; None where nothing is missing or other."""
    for name, table in before.tables.items():
        if name not in after.tables:
            return f"does not restore the table {name}"
        kept = {column.name for column in after.tables[name].columns}
        if gone := [column.name for column in table.columns if column.name not in kept]:
            return f"does not restore the column {name}.{gone[0]}"
    if changed := sorted({*before.schema} ^ {*after.schema}):
        return f"does not restore the schema that was there before: {changed[0][:120]}"
    return next((f"does not restore {lost}" for lost in lost_values(before, after)), None)


def lost_values(before: State, after: State) -> Iterator[str]:
    """Rows and columns whose values are not what they were, in tables that are in both."""
    for name, rows in before.rows.items():
        if name not in after.rows:
            continue
        if len(rows) != len(after.rows[name]):
            yield f"the rows of {name}: there were {len(rows)}, there are {len(after.rows[name])}"
            continue
        columns = {column.name for column in before.tables[name].columns}
        for column in sorted(columns & {column.name for column in after.tables[name].columns}):
            if lost := (_values(rows, column) - _values(after.rows[name], column)).total():
                yield f"the values of {name}.{column}: {lost} of {len(rows)} rows have another one"


def _values(rows: list[Row], column: str) -> Counter[str]:
    return Counter(json.dumps(row.get(column), sort_keys=True, default=str) for row in rows)


def changes(before: State, after: State) -> Iterator[tuple[str, str]]:
    """What a migration did to the schema and to rows that were there: kind and name of each change."""
    for name in sorted({*before.tables, *after.tables}):
        if name not in before.tables:
            yield "table_added", name
        elif name not in after.tables:
            yield "table_dropped", name
        else:
            yield from _columns(name, before.tables[name], after.tables[name])
    yield from (("values_changed", lost) for lost in lost_values(before, after))
    if before.schema != after.schema:
        yield "schema_changed", f"{len({*before.schema} ^ {*after.schema})} definitions differ"


def _columns(name: str, before: Table, after: Table) -> Iterator[tuple[str, str]]:
    old, new = ({c.name: c for c in table.columns} for table in (before, after))
    for column in sorted({*old, *new}):
        place = f"{name}.{column}"
        if column not in old:
            safe = not new[column].required or new[column].fallback or new[column].given
            yield ("column_added" if safe else "column_demanded"), place
        elif column not in new:
            yield "column_dropped", place
        else:
            if old[column].type != new[column].type:
                yield "type_changed", f"{place} from {old[column].type} to {new[column].type}"
            if old[column].required != new[column].required:
                yield ("column_demanded" if new[column].required else "column_optional"), place
    gone = [column for column in old if column not in new]
    yield from (("rule_added", f"{name}: {rule}") for rule in sorted(after.rules - before.rules))
    lifted = [rule for rule in sorted(before.rules - after.rules) if not any(column in rule for column in gone)]
    yield from (("rule_removed", f"{name}: {rule}") for rule in lifted)
