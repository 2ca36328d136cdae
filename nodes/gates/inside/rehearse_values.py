"""Values of a column's type: ordinary ones, and ones at the edge of it, so that what narrows it loses something."""

import json
import re
from typing import NamedTuple

ROWS = 4
"""Rows per table: two at the edges of their types, one that repeats the second of them, one with NULLs."""
_REPEATS = 3
repeats = [True]
"""Whether a row is repeated; without one a rule that wants distinct rows finds nothing in the way."""
_LONG = 2000
_UNLIMITED = 300
_LARGEST = ((r"tiny", 2**7), (r"small|int2", 2**15), (r"big|int8", 2**63), (r"", 2**31))


class Column(NamedTuple):
    """`given` columns get their value from the database itself, `fallback` says that there is a default."""

    name: str
    type: str
    required: bool
    given: bool = False
    fallback: bool = False
    choices: tuple[str, ...] = ()


def repeated(number: int, keyed: bool) -> int:
    """The row whose values the row `number` has in columns that need not be distinct."""
    return number - 1 if number == _REPEATS and not keyed and repeats[0] else number


def ordinary(column: Column, number: int) -> object:
    """Another value for each row."""
    if column.choices:
        return column.choices[(number - 1) % len(column.choices)]
    for pattern, value in _ORDINARY:
        if re.search(pattern, column.type.lower()):
            return value(number)
    text, most = f"{column.name} {number} ", min(_length(column) or 40, 40)
    return text.ljust(most, "x") if most >= len(text) else str(number).rjust(most, "0")[-most:]


def edge(column: Column, number: int, keyed: bool) -> object:
    """Full length and mixed case between spaces, next to the largest number, negative, full scale, microseconds.

    A `keyed` column is distinct, and its numbers are positive.
    """
    kind, row = column.type.lower(), repeated(number, keyed)
    sign = -1 if row == 2 and not keyed else 1
    if column.choices or re.search(r"\[\]$|^_|bool", kind):
        return ordinary(column, row)
    if re.search(r"interval", kind):
        return f"{row} days 00:00:00.123456"
    if re.search(r"int|serial", kind):
        largest = next(size for pattern, size in _LARGEST if re.search(pattern, kind)) - 1
        return ordinary(column, row) if keyed and row < _REPEATS else sign * (largest - row)
    if re.search(r"timestamp|datetime|^time", kind):
        return f"{ordinary(column, row)}.123456"
    if found := re.search(r"(?:dec|numeric)\w*\s*\((\d+)(?:\s*,\s*(\d+))?\)", kind):
        scale = int(found[2] or 0)
        whole = max(0, 10 ** max(0, int(found[1]) - scale) - row)
        # Digits that round down, so that a shorter scale loses them and does not overflow.
        return f"{'-' * (sign < 0)}{whole}.{('1234' * scale)[:scale]}".rstrip(".")
    if re.search(r"real|floa|doub|dec|numeric|money", kind):
        return sign * (row + 123456789.123456)
    return ordinary(column, row) if re.search(_NO_TEXT, kind) else _text(column, row)


def _text(column: Column, row: int) -> str:
    most = min(_length(column) or _UNLIMITED, _LONG)
    text = f"{column.name.title()} Ab{row}"
    return f" {text.ljust(most - 2, 'x')} " if most >= len(text) + 2 else f"{'aB' * most}{row}"[-most:]


def _length(column: Column) -> int:
    limit = re.search(r"\((\d+)\)", column.type)
    return int(limit[1]) if limit else 0


_NO_TEXT = r"date|uuid|json|bytea|blob|inet|cidr|year"
_ORDINARY = (
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
