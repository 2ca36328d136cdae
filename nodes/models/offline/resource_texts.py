"""The files that every resource of a written service has: types, statements, endpoints and tests."""

import json
import keyword
import re
from collections.abc import Iterable

from backend_coordinator.nodes.models.offline.kinds import KINDS
from backend_coordinator.nodes.models.offline.model import Field, Resource
from backend_coordinator.nodes.models.offline.templates import template
from backend_coordinator.nodes.models.offline.vocabulary import words
from backend_coordinator.nodes.models.offline.words import camel

WIDTH = 110
# Names that pydantic or Python keep for themselves: the attribute gets another name, the JSON name stays.
TAKEN = frozenset(keyword.kwlist) | words("""
    construct copy dict fields from_orm json parse_file parse_obj parse_raw register schema schema_json
    update_forward_refs validate mro uuid
""")


def _attribute(name: str) -> str:
    return f"{name}_" if name in TAKEN or name.startswith("model_") else name


def is_optional(field: Field) -> bool:
    """Whether a request may leave the field out: nullable ones become null and booleans false."""
    return not field.required or field.type == "boolean"


def declaration(field: Field, *, stored: bool) -> str:
    """One line of a model; what is stored is always there, and SQLite keeps booleans as 0 and 1."""
    plain = "bool" if stored and field.type == "boolean" else KINDS[field.type].annotation(field)
    kind = plain if field.required else f"{plain} | None"
    alias = f'alias="{field.name}"' if _attribute(field.name) != field.name else ""
    default = "" if stored or not is_optional(field) else "None" if not field.required else "False"
    arguments = "".join(f"        {part},\n" for part in (default and f"default={default}", alias) if part)
    value = f"Field(\n{arguments}    )" if alias else default
    return f"    {_attribute(field.name)}: {kind}{value and f' = {value}'}\n"


def _choice_alias(field: Field) -> str:
    return _wrapped(f"{camel(field.name)}Choice = Literal[", map(json.dumps, field.choices), "]") + "\n"


def _wrapped(opening: str, parts: Iterable[str], closing: str, indent: int = 0) -> str:
    """The parts on one line where they fit, behind `indent` spaces with a comma too, else each on its own line."""
    parts, margin = list(parts), " " * indent
    line = f"{opening}{', '.join(parts)}{closing}"
    if len(line) <= WIDTH - indent - bool(indent):
        return line
    return f"{opening}\n" + "".join(f"{margin}    {part},\n" for part in parts) + margin + closing


def schemas(resource: Resource, pkg: str) -> str:
    """The module with the bodies of requests and responses."""
    name, fields = resource.type_name, resource.fields
    body = "".join(_choice_alias(field) for field in fields if field.choices)
    body += ("\n\n" if body else "") + f"class {name}Write(Payload):\n"
    config = "    model_config = ConfigDict(serialize_by_alias=True)\n\n"
    body += config if any(_attribute(field.name) != field.name for field in fields) else ""
    body += "".join(declaration(field, stored=False) for field in fields)
    redeclared = [field for field in fields if field.type == "boolean"]
    body += f"\n\nclass {name}Read({name}Write):\n    id: int\n"
    body += "".join(declaration(field, stored=True) for field in redeclared)
    body += f"\n\nclass {name}Page(BaseModel):\n    items: list[{name}Read]\n"
    body += "".join(f"    {counter}: int\n" for counter in ("total", "limit", "offset"))
    return f'"""What clients send and get for {resource.label}."""\n\n{_imports(resource, body, pkg)}{body}'


def _imports(resource: Resource, body: str, pkg: str) -> str:
    standard = "import uuid\n" if "uuid.UUID" in body else ""
    typing = [name for name in ("Annotated", "Literal") if f"{name}[" in body]
    standard += f"from typing import {', '.join(typing)}\n" if typing else ""
    pydantic = [
        name
        for name in ("BaseModel", "ConfigDict", "Field", "StrictBool", "StrictInt")
        if re.search(rf"\b{name}\b", body)
    ]
    modules = sorted({KINDS[field.type].module for field in resource.fields} - {""})
    own = "".join(f"from {pkg}.fields.{module} import {camel(module)}\n" for module in modules)
    shared = [name for name in ("LARGEST", "Payload") if re.search(rf"\b{name}\b", body)]
    own += f"from {pkg}.parameters import {', '.join(shared)}\n"
    gap = "\n\n" if body.startswith("class") else "\n"
    return standard + ("\n" if standard else "") + f"from pydantic import {', '.join(pydantic)}\n\n{own}{gap}"


def table(resource: Resource, pkg: str) -> str:
    """The module with the SQL statements: literal text only, so that no value can become part of one."""
    names = [field.name for field in resource.fields]
    columns = "".join(f'            "{name}"{sep}\n' for name, sep in _separated(names))
    values = "".join(f"            :{name}{sep}\n" for name, sep in _separated(names))
    changes = "".join(f'            "{name}" = :{name}{sep}\n' for name, sep in _separated(names))
    lines = [
        f'    insert="""\n        INSERT INTO "{resource.plural}" (\n{columns}        ) VALUES (\n{values}'
        f'        ) RETURNING *\n    """,\n',
        f"    select='SELECT * FROM \"{resource.plural}\"',\n",
        f'    update="""\n        UPDATE "{resource.plural}" SET\n{changes}'
        f'        WHERE "id" = :id RETURNING *\n    """,\n',
        f'    delete=\'DELETE FROM "{resource.plural}" WHERE "id" = ? RETURNING *\',\n',
        f"    count='SELECT count(*) FROM \"{resource.plural}\"',\n",
    ]
    for title, text in (("filters", FILTER), ("parents", PARENT)):
        entries = "".join(
            text.replace("NAME", field.name).replace("TABLE", field.references or "") for field in resource.references
        )
        lines += [f"    {title}={{\n{entries}    }},\n"] if entries else []
    head = f'"""The statements of {resource.label}."""\n\nfrom {pkg}.store import Table\n\nTABLE = Table(\n'
    return head + "".join(lines) + ")\n"


FILTER = '        "NAME": \'"NAME" = ?\',\n'
PARENT = '        "NAME": \'SELECT 1 FROM "TABLE" WHERE "id" = ?\',\n'


def _separated(names: list[str]) -> list[tuple[str, str]]:
    return [(name, "," if name != names[-1] else "") for name in names]


def router(resource: Resource, pkg: str) -> str:
    """The module with the endpoints."""
    names = [field.name for field in resource.references]
    filters = "".join(f"    {name}: Annotated[int | None, Query(ge=1, le=LARGEST)] = None,\n" for name in names)
    entries = "".join(f'        "{name}": {name},\n' for name in names)
    text = template("app/router").replace("FILTERED", "wanted" if names else "{}").replace("FILTERS", filters)
    text = text.replace("WANTED", f"    wanted = {{\n{entries}    }}\n" if names else "")
    if not names:
        text = text.replace("from typing import Annotated\n\n", "").replace("APIRouter, Query", "APIRouter")
        text = text.replace("LARGEST, ", "")
    return _filled(text, resource, pkg)


def _filled(text: str, resource: Resource, pkg: str) -> str:
    for mark, value in (
        ("PKG", pkg),
        ("LABEL", resource.label),
        ("PLURAL", resource.plural),
        ("SINGULAR", resource.singular),
        ("PATH", resource.path),
        ("NAME", resource.type_name),
    ):
        text = text.replace(mark, value)
    return text


def tests(resource: Resource) -> str:
    """The module with what is special about this resource; the behaviour all share stands in `crud_tests`."""
    plain = [field for field in resource.fields if not is_optional(field) and not field.references]
    sample = "".join(f'            "{field.name}": {KINDS[field.type].sample(field)},\n' for field in plain)
    good = [(field.name, *pair) for field in resource.fields for pair in KINDS[field.type].good(field)]
    bad = [(field.name, value) for field in resource.fields for value in KINDS[field.type].bad(field)]
    bad += [(field.name, "None") for field in resource.fields if field.required]
    good += [(field.name, "None", "None") for field in resource.fields if not field.required]
    required = [field.name for field in resource.fields if not is_optional(field)]
    defaults = "".join(
        f'        "{field.name}": {"None" if not field.required else "False"},\n'
        for field in resource.fields
        if is_optional(field)
    )
    unique = [field.name for field in resource.fields if field.unique]
    parents = [f'"{f.name}": {_parent_class(f, resource)}' for f in resource.references]
    modules = sorted({f"test_{f.references}" for f in resource.references if f.references != resource.plural})
    text = f'"""{resource.label.capitalize()}."""\n\n'
    text += _imported(modules)
    text += f"from .crud_tests import CrudTests\n\n\nclass Test{camel(resource.plural)}(CrudTests):\n"
    text += f'    path = "{resource.path}"\n'
    text += _assigned("required", [json.dumps(name) for name in required])
    text += f"    defaults = {{\n{defaults}    }}\n" if defaults else ""
    text += _assigned("unique", [json.dumps(name) for name in unique])
    text += _assigned("good", [_wrapped("(", [json.dumps(name), *values], ")", 8) for name, *values in good])
    text += _assigned("bad", [_wrapped("(", [json.dumps(name), value], ")", 8) for name, value in bad])
    head = "\n    @classmethod\n    def"
    text += f"{head} sample(cls, number):\n        return {{\n{sample}        }}\n" if sample else ""
    entries = "".join(f"            {parent},\n" for parent in parents)
    text += f"{head} parents(cls):\n        return {{\n{entries}        }}\n" if entries else ""
    return text


def _parent_class(field: Field, resource: Resource) -> str:
    name = f"Test{camel(field.references or '')}"
    return name if field.references == resource.plural else f"test_{field.references}.{name}"


def _imported(modules: list[str]) -> str:
    line = f"from . import {', '.join(modules)}\n"
    if len(line) > WIDTH + 1:
        return "from . import (\n" + "".join(f"    {module},\n" for module in modules) + ")\n"
    return line if modules else ""


def _assigned(name: str, entries: list[str]) -> str:
    line = f"    {name} = ({', '.join(entries)},)\n"
    if len(entries) == 1 and len(line) <= WIDTH + 1:
        return line
    return f"    {name} = (\n" + "".join(f"        {entry},\n" for entry in entries) + "    )\n" if entries else ""
