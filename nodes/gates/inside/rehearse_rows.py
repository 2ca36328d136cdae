"""Rows that satisfy a schema's constraints, and what a migration made of tables and rows."""

import json
import random
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from backend_coordinator.nodes.gates.inside import rehearse_values as values
else:
    import rehearse_values as values

_TRIES = 300
Row = dict[str, object]


class Refused(Exception):
    """The database did not take a statement, and why."""


class Reference(NamedTuple):
    """A foreign key: its columns, and the table and columns it names."""

    columns: tuple[str, ...]
    table: str
    targets: tuple[str, ...]


class Table(NamedTuple):
    """One table; `rules` are its keys and constraints as text, `checks` those that limit single values."""

    columns: tuple[values.Column, ...]
    references: tuple[Reference, ...]
    rules: frozenset[str]
    checks: tuple[str, ...] = ()


Tables = Mapping[str, Table]
Made = tuple[str, str, str, str]
"""A view, trigger or index that is no rule: its kind, its name, the table that has it or nothing, its definition."""


class Database(Protocol):
    """What a rehearsal needs of a database."""

    def tables(self) -> Tables:
        """Every table but those of the tool that migrates."""

    def schema(self) -> list[str]:
        """Its definitions, in an order that does not depend on how they came about."""

    def made(self) -> list[Made]:
        """Its views, triggers, and indexes that only make queries faster."""

    def content(self, table: str) -> list[Row]:
        """All rows of a table."""

    def insert(self, table: str, values: Row) -> Row:
        """One row, as the database completed it. Raises Refused."""


class State(NamedTuple):
    """A database at one moment."""

    tables: Tables
    schema: list[str]
    rows: Mapping[str, list[Row]]
    made: frozenset[Made] = frozenset()


def state(db: Database) -> State:
    """What `db` holds now."""
    tables = db.tables()
    return State(tables, db.schema(), {name: db.content(name) for name in tables}, frozenset(db.made()))


def fill(db: Database) -> dict[str, str]:
    """Gives every table rows, the ones it refers to first; the tables that took none, with the reason."""
    tables, refused, held = db.tables(), dict[str, str](), dict[str, list[Row]]()
    for name in _in_order(tables):
        held[name] = []
        try:
            for number in range(1, values.ROWS + 1):
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
    for row in _candidates(name, table, number, held):
        try:
            return db.insert(name, row)
        except Refused as error:
            last = error
    raise last or Refused("no row could be made up")


def _candidates(name: str, table: Table, number: int, held: Mapping[str, list[Row]]) -> Iterator[Row]:
    """The row at the edge of its types first, then with other values where a CHECK names the column, then any."""
    free = [c for c in table.columns if not c.given]
    keyed = {c.name for c in free if any(_names(rule, c.name) for rule in table.rules if _DISTINCT.match(rule))}
    plain = {c.name: values.ordinary(c, number) for c in free}
    edge = {c.name: values.edge(c, number, c.name in keyed) for c in free}
    limited = {c: plain[c] for c in plain if _names(" ".join(table.checks), c)}

    def pointed(row: Row, distinct: bool = False) -> Row:
        links = ((r, values.repeated(number, distinct or not keyed.isdisjoint(r.columns))) for r in table.references)
        return {**row, **{column: value for r, at in links for column, value in _pointing(name, r, at, held, row)}}

    if number == values.ROWS:
        yield {**pointed(plain), **{c.name: None for c in free if not c.required}}
    else:
        yield pointed(edge)
        yield pointed({**edge, **limited})
    yield pointed(plain, distinct=True)
    constants = [
        _constant(text) for text in re.findall(r"'(?:[^']|'')*'|(?<![\w.])-?\d+(?:\.\d+)?", " ".join(table.checks))
    ]
    chance = random.Random(number)
    for _ in range(_TRIES if constants else 0):
        tried = {c: chance.choice([v, *_like(v, constants)]) for c, v in limited.items()}
        yield pointed({**chance.choice((edge, plain)), **tried})


_DISTINCT = re.compile(r"(?i)(?:unique|key|primary key|exclude|create unique)\b")


def _names(rule: str, column: str) -> bool:
    return bool(re.search(rf"(?i)(?<!\w){re.escape(column)}(?!\w)", rule))


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
    return next((f"does not restore {lost}" for _, lost in lost_values(before, after)), None)


def lost_values(before: State, after: State) -> Iterator[tuple[str, str]]:
    """Tables that are in both, with what of their rows is not what it was."""
    for name, rows in before.rows.items():
        if name not in after.rows:
            continue
        if len(rows) != len(after.rows[name]):
            yield name, f"the rows of {name}: there were {len(rows)}, there are {len(after.rows[name])}"
            continue
        kept = {column.name for column in after.tables[name].columns}
        columns = [column.name for column in before.tables[name].columns if column.name in kept]
        lost = [(column, _lost(rows, after.rows[name], [column])) for column in sorted(columns)]
        yield from (
            (name, f"the values of {name}.{c}: {count} of {len(rows)} rows have another one")
            for c, count in lost
            if count
        )
        if not any(count for _, count in lost) and (count := _lost(rows, after.rows[name], columns)):
            yield name, f"the rows of {name}: {count} of {len(rows)} have values of other rows"


def _lost(before: list[Row], after: list[Row], columns: list[str]) -> int:
    """How many rows of `before` are not in `after`, by these columns."""
    old, new = (
        Counter(json.dumps([row.get(c) for c in columns], sort_keys=True, default=str) for row in rows)
        for rows in (before, after)
    )
    return (old - new).total()


def changes(before: State, after: State) -> Iterator[tuple[str, str, str]]:
    """What a migration did to the schema and to rows that were there: kind and name of each change, and its table."""
    for name in sorted({*before.tables, *after.tables}):
        if name not in before.tables:
            yield "table_added", name, name
        elif name not in after.tables:
            yield "table_dropped", name, name
        else:
            yield from ((kind, what, name) for kind, what in _columns(name, before.tables[name], after.tables[name]))
    yield from ((f"{kind}_dropped", name, table) for kind, name, table, _ in sorted(before.made - after.made))
    yield from ((f"{kind}_added", name, table) for kind, name, table, _ in sorted(after.made - before.made))
    yield from (("values_changed", lost, name) for name, lost in lost_values(before, after))
    if before.schema != after.schema:
        yield "schema_changed", f"{len({*before.schema} ^ {*after.schema})} definitions differ", ""


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
            if old[column].fallback and not (new[column].fallback or new[column].given):
                yield "default_removed", place
    gone = [column for column in old if column not in new]
    yield from (("rule_added", f"{name}: {rule}") for rule in sorted(after.rules - before.rules))
    lifted = [rule for rule in sorted(before.rules - after.rules) if not any(column in rule for column in gone)]
    yield from (("rule_removed", f"{name}: {rule}") for rule in lifted)
