"""Migrations and the description of the tables."""

from collections.abc import Mapping

from backend_coordinator.nodes.models.offline.kinds import KINDS
from backend_coordinator.nodes.models.offline.model import Field, Resource, ServiceSpec
from backend_coordinator.nodes.models.offline.repository import MIGRATION, Files, layout_of


def column(field: Field) -> str:
    """The definition of one column; the CHECK repeats the bounds of the contract for every other writer."""
    sql_type, _, check = KINDS[field.type].sql(field).partition(" ")
    flags = (" NOT NULL" if field.required else "") + (" UNIQUE" if field.unique else "")
    return f'"{field.name}" {sql_type}{flags}{check and " " + check}'


def _up(resource: Resource) -> str:
    columns = ['"id" INTEGER PRIMARY KEY AUTOINCREMENT', *(column(field) for field in resource.fields)]
    table = f'CREATE TABLE "{resource.plural}" (\n    ' + ",\n    ".join(columns) + "\n);\n"
    return table + "".join(
        f'CREATE INDEX "{resource.plural}_{field.name}" ON "{resource.plural}" ("{field.name}");\n'
        for field in resource.references
        if not field.unique
    )


def migrations(spec: ServiceSpec, files: Files) -> Mapping[str, str]:
    """An up and a down script per resource; one that is there already keeps its number."""
    folder = layout_of(files).migrations
    found = [MIGRATION.fullmatch(path.removeprefix(f"{folder}/")) for path in sorted(files)]
    numbers = {match[2]: int(match[1]) for match in found if match}
    written = {}
    for resource in spec.resources:
        number = numbers.setdefault(resource.plural, max(numbers.values(), default=0) + 1)
        stem = f"{folder}/{number:04}_{resource.plural}"
        written[f"{stem}.up.sql"] = _up(resource)
        written[f"{stem}.down.sql"] = f'DROP TABLE "{resource.plural}";\n'
    return written


def _rules(field: Field) -> str:
    parts = ["required" if field.required else "optional", *(["unique"] if field.unique else [])]
    parts += [f"row of {field.references}, which cannot be deleted while it is referenced"] * bool(field.references)
    parts += [f"at least {field.minimum}"] if field.minimum is not None else []
    parts += [f"at most {field.maximum}"] if field.maximum is not None else []
    parts += [f"at most {field.maximum_length} characters"] if field.maximum_length else []
    return ", ".join([*parts, *([f"one of {', '.join(field.choices)}"] if field.choices else [])])


def description(resource: Resource) -> str:
    """The section of docs/schema.md about one table."""
    rows = "".join(f"| {field.name} | {field.type} | {_rules(field)} |\n" for field in resource.fields)
    head = "| column | type | rules |\n| --- | --- | --- |\n"
    return f"{head}| id | integer | primary key, never reused |\n{rows}"
