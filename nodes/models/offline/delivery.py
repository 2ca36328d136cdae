"""The files of each step of writing a service, and what the step says of itself."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

from backend_coordinator.nodes.models.offline import resource_texts
from backend_coordinator.nodes.models.offline.contract import known_schemas, merged, schemas
from backend_coordinator.nodes.models.offline.documents import readme, schema_document, security_document
from backend_coordinator.nodes.models.offline.kinds import KINDS
from backend_coordinator.nodes.models.offline.migrations import migrations
from backend_coordinator.nodes.models.offline.model import Field, Resource, ServiceSpec
from backend_coordinator.nodes.models.offline.repository import (
    Files,
    Layout,
    application_of,
    dotted,
    known_resources,
    layout_of,
    with_router,
)
from backend_coordinator.nodes.models.offline.templates import template

Step = Literal["contract", "schema", "implementation", "review"]

SUMMARIES = {
    "contract": "OpenAPI contract for {labels}: five operations per resource and one error shape.",
    "schema": "Migrations with rollback for {labels}, and docs/schema.md.",
    "implementation": "Endpoints for {labels} on FastAPI and SQLite, with tests and README.",
    "review": "docs/security.md records what the endpoints of {labels} enforce and what they do not.",
}


def resolved(spec: ServiceSpec, files: Files) -> ServiceSpec:
    """The specification with fields that name a resource of the repository as references to it.

    Raises ValueError when a relation leads to a resource that neither the objective nor the repository has,
    or when the repository has a resource of that name with other fields.
    """
    known = known_resources(files)
    plurals = {*known.values(), *(resource.plural for resource in spec.resources)}

    def linked(field: Field) -> Field:
        if field.references and field.references not in plurals:
            raise ValueError(f"There is no resource {field.references} that {field.name} could refer to.")
        numbered = field.type == "integer" and field.name.endswith("_id")
        if not (numbered or (field.inferred and field.type == "string")):
            return field
        name = field.name.removesuffix("_id")
        target = known.get(name) or known.get(name.rpartition("_")[2])
        return field.referring(target) if target else field

    found = [replace(resource, fields=tuple(map(linked, resource.fields))) for resource in spec.resources]
    for resource in found:
        name = f"{resource.type_name}Write"
        if known_schemas(files.get("openapi.yaml", "")).get(name) not in (None, schemas(resource)[name]):
            raise ValueError(f"The repository already has {resource.label} with other fields.")
    return ServiceSpec(tuple(found))


def deliver(step: Step, spec: ServiceSpec, files: Files) -> Mapping[str, str]:
    """The full text of every file that `step` writes into a repository with these text files.

    Raises ValueError, with a sentence for the user, when the specification does not fit the repository.
    """
    spec = resolved(spec, files)
    if step == "contract":
        return {"openapi.yaml": merged(files.get("openapi.yaml", ""), spec)}
    if step == "schema":
        path = "docs/schema.md"
        return {**migrations(spec, files), path: schema_document(files.get(path, ""), spec.resources)}
    if step == "implementation":
        return _implementation(spec, files)
    path = "docs/security.md"
    return {path: security_document(files.get(path, ""), spec.resources)}


def _implementation(spec: ServiceSpec, files: Files) -> dict[str, str]:
    layout = layout_of(files)
    shared = {**shared_code(layout), **_field_modules(spec, layout), **_shared_tests(layout, files)}
    if not layout.entry:
        shared["pyproject.toml"] = template("app/pyproject").replace("PACKAGE", layout.package)
        shared[".gitignore"] = "__pycache__/\n*.egg-info/\n.coverage\n*.db\n"
    written = {path: text for path, text in shared.items() if path not in files}
    for resource in spec.resources:
        written |= _resource_files(resource, layout)
    api = f"{layout.package}/api.py"
    written[api] = with_routers(files.get(api, shared[api]), spec.resources, layout.module)
    if layout.entry:
        written[layout.entry] = with_router(files[layout.entry], layout.module)
    written["README.md"] = readme(files.get("README.md", ""), spec.resources, layout)
    return written


def _placed(text: str, layout: Layout) -> str:
    depth = str(layout.package.count("/") + 1)
    text = text.replace("PKG", layout.module).replace("DEPTH", depth)
    return text.replace("MIGRATIONS_DIR", layout.migrations)


def shared_code(layout: Layout) -> dict[str, str]:
    """The modules every resource uses; a foreign application keeps its own `main`."""
    names = ("api", "database", "errors", "parameters", "store", *(() if layout.entry else ("main",)))
    packages = {"": "An API", "routers/": "Endpoints", "schemas/": "Bodies", "tables/": "SQL statements"}
    written = {f"{layout.package}/{name}.py": _placed(template(f"app/{name}"), layout) for name in names}
    for folder, what in packages.items():
        written[f"{layout.package}/{folder}__init__.py"] = f'"""{what}, one resource per module."""\n'
    return written


def _field_modules(spec: ServiceSpec, layout: Layout) -> dict[str, str]:
    used = {KINDS[field.type].module for resource in spec.resources for field in resource.fields} - {""}
    used |= {"iso"} if used & {"day", "moment"} else set()
    folder = f"{layout.package}/fields"
    written = {f"{folder}/{name}.py": _placed(template(f"app/fields/{name}"), layout) for name in sorted(used)}
    return {**({f"{folder}/__init__.py": '"""Types of fields."""\n'} if used else {}), **written}


def _shared_tests(layout: Layout, files: Files) -> dict[str, str]:
    names = ("conftest", "crud_tests", "test_contract", "test_database", "test_refusals", "test_store")
    texts = {name: template(f"tests/{name}") for name in (*names, *(() if layout.entry else ("test_main",)))}
    texts["__init__"] = '"""Tests of the API."""\n'
    name, _ = application_of(files.get(layout.entry, "")) or ("app", 0)
    module = dotted(layout.entry) if layout.entry else f"{layout.module}.main"
    imported = f"from {module} import {name}" + ("" if name == "app" else " as app")
    filled = {key: _placed(text, layout).replace("from APP import app", imported) for key, text in texts.items()}
    return {f"{layout.tests}/{key}.py": text for key, text in filled.items()}


def _resource_files(resource: Resource, layout: Layout) -> dict[str, str]:
    name = f"{resource.plural}.py"
    return {
        f"{layout.package}/schemas/{name}": resource_texts.schemas(resource, layout.module),
        f"{layout.package}/tables/{name}": resource_texts.table(resource, layout.module),
        f"{layout.package}/routers/{name}": resource_texts.router(resource, layout.module),
        f"{layout.tests}/test_{name}": resource_texts.tests(resource),
    }


def with_routers(text: str, resources: tuple[Resource, ...], module: str) -> str:
    """The module that joins the routers, with those of `resources` among its imports in order."""
    for resource in resources:
        line = f"from {module}.routers.{resource.plural} import router as {resource.plural}\n"
        if line in text:
            continue
        imports = re.findall(rf"^from {re.escape(module)}\..*\n", text, re.MULTILINE)
        before = [other for other in imports if other.split()[1] < line.split()[1]][-1]
        text = text.replace(before, before + line)
        text += f"api.include_router({resource.plural})\n"
    return text


def notes(step: Step, spec: ServiceSpec) -> tuple[str, list[str]]:
    """The summary of a delivery and the decisions behind it, in plain English."""
    labels = ", ".join(resource.label for resource in spec.resources)
    types = {field.type for resource in spec.resources for field in resource.fields}
    links = [(resource, field) for resource in spec.resources for field in resource.references]
    decisions = {
        "contract": [
            "Unknown body fields are refused, because a misspelt field should not be lost silently.",
            "PUT replaces a row; there is no PATCH.",
            "An unknown reference is 422 and names the field; deleting a referenced row is 409.",
        ],
        "schema": [
            "Bounds are CHECK constraints too, because not every writer comes through the application.",
            "Ids are never reused, so that an old link cannot lead to another row.",
            *(f"{r.label}.{f.name} refers to {f.references} and has an index." for r, f in links),
        ],
        "implementation": [
            "SQL statements are literal text with bound parameters.",
            "The schema is brought up to date when the application starts.",
        ],
        "review": ["No person and no judging model reviewed the code; the record says so."],
    }[step]
    if "decimal" in types and step != "review":
        decisions.append("Amounts are decimal strings with two places, stored as exact text.")
    if "datetime" in types and step != "review":
        decisions.append("Times need an offset and are kept in UTC with whole seconds.")
    return SUMMARIES[step].format(labels=labels), decisions
