"""How each type of field is written in SQL, in the contract, in the code and in the tests."""

import json
from collections.abc import Callable
from dataclasses import dataclass

from backend_coordinator.nodes.models.offline.model import Field
from backend_coordinator.nodes.models.offline.words import camel

LARGEST = 2**53 - 1
ID = {"type": "integer", "minimum": 1, "maximum": LARGEST}
UUID = "00000000-0000-4000-8000-000000000000"
Shape = dict[str, object]


@dataclass(frozen=True)
class Kind:
    """The spelling of one type; test values are Python expressions, `good` pairs sent and returned ones."""

    sql: Callable[[Field], str]
    annotation: Callable[[Field], str]
    shape: Callable[[Field], Shape]
    good: Callable[[Field], list[tuple[str, str]]]
    bad: Callable[[Field], list[str]]
    sample: Callable[[Field], str]
    module: str = ""


def _lowest(field: Field) -> int:
    return -LARGEST if field.minimum is None else field.minimum


def _highest(field: Field) -> int:
    return LARGEST if field.maximum is None else field.maximum


def _length(field: Field) -> int:
    return field.maximum_length or (10_000 if field.type == "text" else 255)


def _limits(field: Field, *names: str) -> list[tuple[str, int]]:
    """The bounds there are, each with the one of two `names` for it."""
    pairs = zip(names, (field.minimum, field.maximum), strict=True)
    return [(name, limit) for name, limit in pairs if limit is not None]


def _bounds(field: Field) -> Shape:
    return dict(_limits(field, "minimum", "maximum"))


def _comparisons(field: Field, operand: str) -> str:
    checks = [f"{operand} {sign} {limit}" for sign, limit in _limits(field, ">=", "<=")]
    return f" CHECK ({' AND '.join(checks)})" if checks else ""


def _just_outside(field: Field, template: str) -> list[str]:
    below = [] if field.minimum is None else [template.format(field.minimum - 1)]
    return below + ([] if field.maximum is None else [template.format(field.maximum + 1)])


def _at_the_bounds(field: Field, template: str) -> list[tuple[str, str]]:
    found = [template.format(limit) for limit in (field.minimum, field.maximum) if limit is not None]
    return [(text, text) for text in found]


def numbered(field: Field, template: str) -> str:
    """A value inside the bounds, a different one per row when it must be unique."""
    start = max(_lowest(field), 1) if _highest(field) >= 1 else _lowest(field)
    span = _highest(field) - start
    if not field.unique:
        return template.format(start)
    offset = f"number % {span + 1}" if span < 1000 else "number"
    amount = f"{start} + {offset}"
    return amount if template == "{}" else f"float({amount})" if template == "{}.0" else f'f"{{{amount}}}.00"'


def _text_sample(field: Field) -> str:
    words = field.name.replace("_", " ")
    if field.unique:
        return f'f"{words} {{number}}"' if _length(field) >= len(words) + 8 else "str(number)"
    return json.dumps(words[: _length(field)].strip())


def _text_kind() -> Kind:
    return Kind(
        sql=lambda f: f'TEXT CHECK (length("{f.name}") BETWEEN 1 AND {_length(f)})',
        annotation=lambda f: f"Annotated[str, Field(min_length=1, max_length={_length(f)})]",
        shape=lambda f: {"type": "string", "minLength": 1, "maxLength": _length(f)},
        good=lambda f: [('"é"', '"é"'), (f'"x" * {_length(f)}', f'"x" * {_length(f)}')],
        bad=lambda f: ['""', f'"x" * {_length(f) + 1}', "1", '"\\ud800"'],
        sample=_text_sample,
    )


def typed_text(module: str, sql: str, sample: str, unique: str, *, shape: Shape, bad: list[str]) -> Kind:
    """A type with a module of its own in the written service and nothing to configure per field."""
    return Kind(
        sql=lambda f: f"TEXT CHECK ({sql.format(name=f.name)})",
        annotation=lambda f: camel(module),
        shape=lambda f: shape,
        good=lambda f: [(sample, sample)],
        bad=lambda f: bad,
        sample=lambda f: unique if f.unique else sample,
        module=module,
    )


def _annotated(name: str, field: Field) -> str:
    arguments = ", ".join(f"{name}={limit}" for name, limit in _limits(field, "ge", "le"))
    return f"Annotated[{name}, Field({arguments})]" if arguments else name


def _amount_shape(field: Field) -> Shape:
    text = {"type": "string", "pattern": r"^-?\d{1,10}(\.\d{1,2})?$"}
    return {
        "anyOf": [{"type": "number", **_bounds(field)}, text],
        "description": "At most two decimal places.",
    }


def _amount_sql(field: Field) -> str:
    bounds = _comparisons(field, f'CAST("{field.name}" AS REAL)')
    return "TEXT" + (bounds or f' CHECK (length("{field.name}") > 3)')


def _integer_annotation(field: Field) -> str:
    floor = "-LARGEST" if field.minimum is None else field.minimum
    ceiling = "LARGEST" if field.maximum is None else field.maximum
    return f"Annotated[StrictInt, Field(ge={floor}, le={ceiling})]"


KINDS = {
    "string": _text_kind(),
    "text": _text_kind(),
    "integer": Kind(
        sql=lambda f: f'INTEGER CHECK ("{f.name}" BETWEEN {_lowest(f)} AND {_highest(f)})',
        annotation=_integer_annotation,
        shape=lambda f: {"type": "integer", "minimum": _lowest(f), "maximum": _highest(f)},
        good=lambda f: [(str(limit), str(limit)) for limit in (_lowest(f), _highest(f))],
        bad=lambda f: [str(_lowest(f) - 1), str(_highest(f) + 1), f'"{_lowest(f)}"', "1.5"],
        sample=lambda f: numbered(f, "{}"),
    ),
    "number": Kind(
        sql=lambda f: "REAL" + _comparisons(f, f'"{f.name}"'),
        annotation=lambda f: _annotated("Number", f),
        shape=lambda f: {"type": "number", **_bounds(f)},
        good=lambda f: [(numbered_half(f), numbered_half(f)), *_at_the_bounds(f, "{}.0")],
        bad=lambda f: ['"1.5"', *_just_outside(f, "{}.0")],
        sample=lambda f: numbered(f, "{}.0"),
        module="number",
    ),
    "decimal": Kind(
        sql=_amount_sql,
        annotation=lambda f: _annotated("Money", f),
        shape=_amount_shape,
        good=lambda f: [(f'"{in_cents(f)}5"', f'"{in_cents(f)}50"'), *_at_the_bounds(f, '"{}.00"')],
        bad=lambda f: ['"1.001"', '"NaN"', '"12345678901.00"', *_just_outside(f, '"{}.00"')],
        sample=lambda f: numbered(f, '"{}.00"'),
        module="money",
    ),
    "boolean": Kind(
        sql=lambda f: f'INTEGER CHECK ("{f.name}" IN (0, 1))',
        annotation=lambda f: "StrictBool",
        shape=lambda f: {"type": "boolean"},
        good=lambda f: [("True", "True"), ("False", "False")],
        bad=lambda f: ["1", '"yes"'],
        sample=lambda f: "True",
    ),
    "date": typed_text(
        "day", 'length("{name}") = 10', '"2024-12-31"', 'f"{2000 + number}-12-31"',
        shape={"type": "string", "format": "date"}, bad=['"2024-13-01"', '"1700000000"', "1700000000"],
    ),
    "datetime": typed_text(
        "moment", 'length("{name}") = 20', '"2024-12-31T12:00:00Z"', 'f"{2000 + number}-12-31T12:00:00Z"',
        shape={"type": "string", "format": "date-time"},
        bad=['"2024-12-31T12:00:00"', '"0001-01-01T00:00:00+01:00"', '"1700000000"', "1700000000"],
    ),
    "uuid": Kind(
        sql=lambda f: f'TEXT CHECK (length("{f.name}") = 36)',
        annotation=lambda f: "uuid.UUID",
        shape=lambda f: {"type": "string", "format": "uuid"},
        good=lambda f: [(f'"{UUID}"',) * 2],
        bad=lambda f: ['"1"', "1"],
        sample=lambda f: 'f"00000000-0000-4000-8000-{number:012}"' if f.unique else f'"{UUID}"',
    ),
    "email": typed_text(
        "email", 'length("{name}") BETWEEN 5 AND 254', '"ann@example.com"', 'f"ann{number}@example.com"',
        shape={"type": "string", "maxLength": 254, "pattern": r"^[^@\s]+@[^@\s]+\.[^@\s]+$"},
        bad=['"ann"', '"a@b@example.com"', '"a" * 243 + "@example.com"'],
    ),
    "url": typed_text(
        "link", 'length("{name}") BETWEEN 8 AND 2000', '"https://example.com/a"', 'f"https://example.com/{number}"',
        shape={"type": "string", "maxLength": 2000, "pattern": r"^https?://[^\s]+$"},
        bad=['"javascript:alert(1)"', '"https://a b"', '"https://" + "a" * 1993'],
    ),
    "choice": Kind(
        sql=lambda f: f'TEXT CHECK ("{f.name}" IN ({", ".join(_quoted(choice) for choice in f.choices)}))',
        annotation=lambda f: f"{camel(f.name)}Choice",
        shape=lambda f: {"type": "string", "enum": list(f.choices)},
        good=lambda f: [(json.dumps(choice),) * 2 for choice in f.choices],
        bad=lambda f: ['"no such choice"', "1"],
        sample=lambda f: json.dumps(f.choices[0]),
    ),
    "reference": Kind(
        sql=lambda f: f'INTEGER REFERENCES "{f.references}" ("id")',
        annotation=lambda f: "Annotated[StrictInt, Field(ge=1, le=LARGEST)]",
        shape=lambda f: {**ID, "description": f"The id of one of the {f.references}."},
        good=lambda f: [],
        bad=lambda f: ["0", str(LARGEST + 1), '"1"'],
        sample=lambda f: "1",
    ),
}  # fmt: skip


def _quoted(choice: str) -> str:
    return "'" + choice.replace("'", "''") + "'"


def numbered_half(field: Field) -> str:
    """A fraction inside the bounds, to prove that fractions survive."""
    start = _lowest(field) if field.minimum is not None else min(_highest(field) - 1, 1)
    return str(start + 0.5)


def in_cents(field: Field) -> str:
    """A whole amount inside the bounds and a decimal point: one more digit must come back as two."""
    start = max(_lowest(field), 0) if _highest(field) > 0 else _highest(field) - 1
    return f"{start}."
