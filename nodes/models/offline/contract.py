"""The OpenAPI contract of a service."""

from collections.abc import Mapping

import yaml

from backend_coordinator.nodes.models.offline.kinds import ID, KINDS, LARGEST, Shape
from backend_coordinator.nodes.models.offline.model import Field, Resource, ServiceSpec
from backend_coordinator.nodes.models.offline.resource_texts import is_optional

# Also stand in the written service, which compares itself with its contract.
MEANINGS = {
    400: "The body could not be read.",
    404: "No such row or path.",
    409: "The change conflicts with other rows.",
    413: "The body is larger than 1 MB.",
    422: "A parameter or the body is not valid.",
}
TEXT: Shape = {"type": "string"}
HEAD: Shape = {
    "openapi": "3.1.0",
    "info": {
        "title": "CRUD API",
        "version": "0.1.0",
        "description": "Every error, also 404 and 405 for unknown paths and methods, is an ErrorResponse.",
    },
}


class _PlainDumper(yaml.SafeDumper):
    """Writes equal parts out instead of linking them with anchors."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def _thing(required: list[str], properties: Mapping[str, object], **extra: object) -> Shape:
    return {"type": "object", "properties": properties, "required": required, **extra}


def _ref(name: str) -> Shape:
    return {"$ref": f"#/components/schemas/{name}"}


def _json_body(name: str) -> Shape:
    return {"content": {"application/json": {"schema": _ref(name)}}}


def _answers(success: int, name: str, *statuses: int) -> Shape:
    good: Shape = {"description": "Successful Response", **(_json_body(name) if name else {})}
    if success == 201:
        good["headers"] = {"location": {"description": "The path of the new row.", "schema": TEXT}}
    errors = {str(s): {"description": MEANINGS[s], **_json_body("ErrorResponse")} for s in statuses}
    return {str(success): good, **errors}


def _property_of(field: Field, *, stored: bool) -> Shape:
    shape = KINDS[field.type].shape(field)
    if stored and field.type == "decimal":
        shape = {"type": "string", "description": "Two decimal places."}
    if field.required:
        return {**shape, "default": False} if is_optional(field) and not stored else shape
    return {"anyOf": [shape, {"type": "null"}]}


def schemas(resource: Resource) -> Shape:
    """The bodies of one resource: what is written, what is read, and a page of it."""
    name, needed = resource.type_name, [field.name for field in resource.fields if not is_optional(field)]
    stored = [field.name for field in resource.fields if field.required]
    write = {field.name: _property_of(field, stored=False) for field in resource.fields}
    read = {field.name: _property_of(field, stored=True) for field in resource.fields}
    page: Shape = {"items": {"type": "array", "items": _ref(f"{name}Read")}}
    page |= {counter: {"type": "integer"} for counter in ("total", "limit", "offset")}
    optional_flags = [f.name for f in resource.fields if f.type == "boolean" and not f.required]
    return {
        f"{name}Write": _thing(needed, write, additionalProperties=False),
        f"{name}Read": _thing([*stored, *optional_flags, "id"], {"id": ID, **read}, additionalProperties=False),
        f"{name}Page": _thing(list(page), page),
    }


def _query(name: str, schema: Shape) -> Shape:
    return {"name": name, "in": "query", "required": False, "schema": schema}


def paths(resource: Resource) -> Shape:
    """The five operations of one resource."""
    name, one = resource.type_name, resource.singular
    row: Shape = {"name": f"{one}_id", "in": "path", "required": True, "schema": ID}
    body = {"required": True, **_json_body(f"{name}Write")}
    listing = [
        _query("limit", {"type": "integer", "minimum": 1, "maximum": 100, "default": 20}),
        _query("offset", {"type": "integer", "minimum": 0, "maximum": LARGEST, "default": 0}),
        *(_query(field.name, ID) for field in resource.references),
    ]

    def operation(verb: str, responses: Shape, **parts: object) -> Shape:
        noun = resource.plural if verb == "list" else one
        return {"operationId": f"{verb}_{noun}", "tags": [resource.label], **parts, "responses": responses}

    return {
        resource.path: {
            "get": operation("list", _answers(200, f"{name}Page", 422), parameters=listing),
            "post": operation("create", _answers(201, f"{name}Read", 400, 409, 413, 422), requestBody=body),
        },
        f"{resource.path}/{{{one}_id}}": {
            "get": operation("read", _answers(200, f"{name}Read", 404, 422), parameters=[row]),
            "put": operation(
                "replace",
                _answers(200, f"{name}Read", 400, 404, 409, 413, 422),
                parameters=[row],
                requestBody=body,
            ),
            "delete": operation("delete", _answers(204, "", 404, 409, 422), parameters=[row]),
        },
    }


def _error_schemas() -> Shape:
    body: Shape = {"code": TEXT, "message": TEXT, "details": {"type": "array", "items": _ref("Problem")}}
    return {
        "Problem": _thing(["field", "message"], dict.fromkeys(("field", "message"), TEXT)),
        "ErrorBody": _thing(list(body), body),
        "ErrorResponse": _thing(["error"], {"error": _ref("ErrorBody")}),
    }


def read_contract(text: str) -> Mapping[str, Mapping[str, object]]:
    """The document of a contract; an empty one when there is none."""
    found = yaml.safe_load(text) if text else None
    return found if isinstance(found, dict) else {}


def known_schemas(text: str) -> Shape:
    """The component schemas by name of a contract in YAML, none when it declares none."""
    found = read_contract(text).get("components", {}).get("schemas")
    return found if isinstance(found, dict) else {}


def merged(existing: str, spec: ServiceSpec) -> str:
    """The contract with the resources of `spec`; other paths and schemas of `existing` stay as they are."""
    document = read_contract(existing)
    parts: Shape = dict(document.get("components", {}))
    bodies: Shape = {**known_schemas(existing), **_error_schemas()}
    routes: Shape = dict(document.get("paths", {}))
    for resource in spec.resources:
        routes |= paths(resource)
        bodies |= schemas(resource)
    whole = {**HEAD, **document, "paths": routes, "components": {**parts, "schemas": bodies}}
    return yaml.dump(whole, Dumper=_PlainDumper, sort_keys=False, allow_unicode=True, width=100)
