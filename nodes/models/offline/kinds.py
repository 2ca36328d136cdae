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


def lowest(field: Field) -> int:
    return -LARGEST if field.minimum is None else field.minimum


def highest(field: Field) -> int:
    return LARGEST if field.maximum is None else field.maximum


def length(field: Field) -> int:
    return field.maximum_length or (10_000 if field.type == "text" else 255)


def bounds(field: Field) -> Shape:
    limits = {"minimum": field.minimum, "maximum": field.maximum}
    return {name: limit for name, limit in limits.items() if limit is not None}


def limits(field: Field) -> list[str]:
    pairs = (("ge", field.minimum), ("le", field.maximum))
    return [f"{name}={limit}" for name, limit in pairs if limit is not None]


def comparisons(field: Field, operand: str) -> str:
    pairs = ((">=", field.minimum), ("<=", field.maximum))
    checks = [f"{operand} {sign} {limit}" for sign, limit in pairs if limit is not None]
    return f" CHECK ({' AND '.join(checks)})" if checks else ""


def just_outside(field: Field, template: str) -> list[str]:
    below = [] if field.minimum is None else [template.format(field.minimum - 1)]
    return below + ([] if field.maximum is None else [template.format(field.maximum + 1)])


def at_the_bounds(field: Field, template: str) -> list[tuple[str, str]]:
    found = [template.format(limit) for limit in (field.minimum, field.maximum) if limit is not None]
    return [(text, text) for text in found]


def numbered(field: Field, template: str) -> str:
    """A value inside the bounds, a different one per row when it must be unique."""
    start = max(lowest(field), 1) if highest(field) >= 1 else lowest(field)
    span = highest(field) - start
    if not field.unique:
        return template.format(start)
    offset = f"number % {span + 1}" if span < 1000 else "number"
    amount = f"{start} + {offset}"
    return amount if template == "{}" else f"float({amount})" if template == "{}.0" else f'f"{{{amount}}}.00"'


def text_sample(field: Field) -> str:
    words = field.name.replace("_", " ")
    if field.unique:
        return f'f"{words} {{number}}"' if length(field) >= len(words) + 8 else "str(number)"
    return json.dumps(words[: length(field)].strip())


def text_kind(sql_type: str = "TEXT") -> Kind:
    return Kind(
        sql=lambda f: f'{sql_type} CHECK (length("{f.name}") BETWEEN 1 AND {length(f)})',
        annotation=lambda f: f"Annotated[str, Field(min_length=1, max_length={length(f)})]",
        shape=lambda f: {"type": "string", "minLength": 1, "maxLength": length(f)},
        good=lambda f: [('"é"', '"é"'), (f'"x" * {length(f)}', f'"x" * {length(f)}')],
        bad=lambda f: ['""', f'"x" * {length(f) + 1}', "1", '"\\ud800"'],
        sample=text_sample,
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


def annotated(name: str, field: Field) -> str:
    arguments = ", ".join(limits(field))
    return f"Annotated[{name}, Field({arguments})]" if arguments else name


def amount_shape(field: Field) -> Shape:
    text = {"type": "string", "pattern": r"^-?\d{1,10}(\.\d{1,2})?$"}
    return {
        "anyOf": [{"type": "number", **bounds(field)}, text],
        "description": "At most two decimal places.",
    }


def amount_sql(field: Field) -> str:
    bounds = comparisons(field, f'CAST("{field.name}" AS REAL)')
    return "TEXT" + (bounds or f' CHECK (length("{field.name}") > 3)')


def integer_annotation(field: Field) -> str:
    floor = "-LARGEST" if field.minimum is None else field.minimum
    ceiling = "LARGEST" if field.maximum is None else field.maximum
    return f"Annotated[StrictInt, Field(ge={floor}, le={ceiling})]"


KINDS = {
    "string": text_kind(),
    "text": text_kind(),
    "integer": Kind(
        sql=lambda f: f'INTEGER CHECK ("{f.name}" BETWEEN {lowest(f)} AND {highest(f)})',
        annotation=integer_annotation,
        shape=lambda f: {"type": "integer", "minimum": lowest(f), "maximum": highest(f)},
        good=lambda f: [(str(limit), str(limit)) for limit in (lowest(f), highest(f))],
        bad=lambda f: [str(lowest(f) - 1), str(highest(f) + 1), f'"{lowest(f)}"', "1.5"],
        sample=lambda f: numbered(f, "{}"),
    ),
    "number": Kind(
        sql=lambda f: "REAL" + comparisons(f, f'"{f.name}"'),
        annotation=lambda f: annotated("Number", f),
        shape=lambda f: {"type": "number", **bounds(f)},
        good=lambda f: [(numbered_half(f), numbered_half(f)), *at_the_bounds(f, "{}.0")],
        bad=lambda f: ['"1.5"', *just_outside(f, "{}.0")],
        sample=lambda f: numbered(f, "{}.0"),
        module="number",
    ),
    "decimal": Kind(
        sql=amount_sql,
        annotation=lambda f: annotated("Money", f),
        shape=amount_shape,
        good=lambda f: [(f'"{in_cents(f)}5"', f'"{in_cents(f)}50"'), *at_the_bounds(f, '"{}.00"')],
        bad=lambda f: ['"1.001"', '"NaN"', '"12345678901.00"', *just_outside(f, '"{}.00"')],
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
        sql=lambda f: f'TEXT CHECK ("{f.name}" IN ({", ".join(quoted(choice) for choice in f.choices)}))',
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


def quoted(choice: str) -> str:
    return "'" + choice.replace("'", "''") + "'"


def numbered_half(field: Field) -> str:
    """A fraction inside the bounds, to prove that fractions survive."""
    start = lowest(field) if field.minimum is not None else min(highest(field) - 1, 1)
    return str(start + 0.5)


def in_cents(field: Field) -> str:
    """A whole amount inside the bounds and a decimal point: one more digit must come back as two."""
    start = max(lowest(field), 0) if highest(field) > 0 else highest(field) - 1
    return f"{start}."
