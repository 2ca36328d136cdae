"""Swagger 2.0 documents said as OpenAPI 3.0, as far as it takes to compare them."""

import re
from collections.abc import Iterator, Sequence

from backend_coordinator.nodes.gates.openapi import Document, Node, as_list, as_node, marked
from backend_coordinator.nodes.workspace.trees import Tree

_METHODS = ("get", "put", "post", "delete", "options", "head", "patch")
_OUTSIDE = frozenset({"name", "in", "required", "description", "deprecated", "collectionFormat", "allowEmptyValue"})
_STYLES = {"multi": ("form", True), "ssv": ("spaceDelimited", False), "pipes": ("pipeDelimited", False)}
_FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")
_SCHEMES = {"basic": {"type": "http", "scheme": "basic"}}
_MARK = re.compile(r"""^\s*\{?\s*["']?swagger["']?\s*:\s*["']?2\.0""", re.MULTILINE)


def swagger_contracts(tree: Tree) -> tuple[Document, ...]:
    """Every Swagger 2.0 document of the tree said as OpenAPI 3.0; one that cannot be read has its problem as content.

    Apart from the other contracts: what is said here another way is compared, but not judged by how it is written.
    """
    found = marked(tree, _MARK)
    return tuple(
        Document(d.path, converted(d.content)) if "swagger" in d.content else d
        for d in found
        if "unreadable" in d.content or str(d.content.get("swagger")).startswith("2")
    )


def converted(content: Node) -> dict[str, object]:
    """The same API as OpenAPI 3.0; references stay as they are, since what they name stays where it is."""
    content = as_node(_said(content))
    schemes = as_node(content.get("securityDefinitions"))
    kept = {key: value for key, value in content.items() if key not in {"swagger", "paths"}}
    return {
        **kept,
        "openapi": "3.0.3",
        "servers": [{"url": url} for url in _urls(content)],
        "components": {
            "securitySchemes": {k: _SCHEMES.get(str(as_node(v).get("type")), v) for k, v in schemes.items()}
        },
        "paths": {
            path: _item(content, Document("", content).resolve(item))
            for path, item in as_node(content.get("paths")).items()
        },
    }


def _said(node: object) -> object:
    """The same in the words of OpenAPI: `nullable`, and a discriminator that says its field."""
    if isinstance(node, list):
        return [_said(each) for each in node]
    if not isinstance(node, dict):
        return node
    words = {"nullable" if key == "x-nullable" else key: _said(value) for key, value in node.items()}
    if isinstance(field := words.get("discriminator"), str):
        words["discriminator"] = {"propertyName": field}
    return words


def _urls(content: Node) -> list[str]:
    host, base = str(content.get("host", "")), str(content.get("basePath", "")).rstrip("/")
    rest = f"//{host}{base}" if host else base
    return [f"{scheme}:{rest}" for scheme in as_list(content.get("schemes"))] or [rest] * bool(rest)


def _item(content: Node, item: Node) -> dict[str, object]:
    shared = as_list(item.get("parameters"))
    return {method: _operation(content, shared, as_node(item[method])) for method in _METHODS if method in item}


def _operation(content: Node, shared: list[object], operation: Node) -> dict[str, object]:
    named = {
        (str(p.get("in")), str(p.get("name"))): p
        for p in _parameters(content, [*shared, *as_list(operation.get("parameters"))])
    }
    body = next((p for p in named.values() if p.get("in") == "body"), None)
    form = [p for p in named.values() if p.get("in") == "formData"]
    takes = as_list(operation.get("consumes", content.get("consumes"))) or ["application/json"]
    gives = as_list(operation.get("produces", content.get("produces"))) or ["application/json"]
    responses = {k: _response(content, v, gives) for k, v in as_node(operation.get("responses")).items()}
    found = {
        **operation,
        "parameters": [_outside(p) for p in named.values() if p.get("in") not in ("body", "formData")],
        "responses": responses,
    }
    if body:
        found["requestBody"] = {"required": body.get("required", False), "content": _media(takes, body.get("schema"))}
    elif form:
        schema = {
            "type": "object",
            "properties": {str(p.get("name")): _schema(p) for p in form},
            "required": [p.get("name") for p in form if p.get("required")],
        }
        media = [kind for kind in takes if kind in _FORMS] or [_FORMS[0]]
        found["requestBody"] = {"required": bool(schema["required"]), "content": _media(media, schema)}
    return found


def _parameters(content: Node, listed: list[object]) -> Iterator[Node]:
    known = as_node(content.get("parameters"))
    for parameter in map(as_node, listed):
        reference = str(parameter.get("$ref", ""))
        yield as_node(known.get(reference.removeprefix("#/parameters/"))) if reference else parameter


def _outside(parameter: Node) -> dict[str, object]:
    kept = {key: parameter[key] for key in ("name", "in", "required", "description", "deprecated") if key in parameter}
    usual = ("form", False) if parameter.get("in") == "query" else ("simple", False)
    style, explode = _STYLES.get(str(parameter.get("collectionFormat")), usual)
    repeating = {"style": style, "explode": explode} if parameter.get("type") == "array" else {}
    return {**kept, "schema": _schema(parameter), **repeating}


def _schema(parameter: Node) -> dict[str, object]:
    return {key: value for key, value in parameter.items() if key not in _OUTSIDE}


def _response(content: Node, response: object, gives: list[object]) -> dict[str, object]:
    node = as_node(response)
    reference = str(node.get("$ref", ""))
    node = as_node(as_node(content.get("responses")).get(reference.removeprefix("#/responses/"))) if reference else node
    headers = {name: {"schema": header} for name, header in as_node(node.get("headers")).items()}
    media = _media(gives, node["schema"]) if "schema" in node else {}
    return {"description": node.get("description", ""), "headers": headers, "content": media}


def _media(kinds: Sequence[object], schema: object) -> dict[str, object]:
    return {str(kind): {"schema": schema} for kind in kinds}
