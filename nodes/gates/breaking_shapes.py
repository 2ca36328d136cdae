"""JSON schemas of an OpenAPI document brought into one form, so that two of them can be compared."""

import json
from collections.abc import Mapping
from fractions import Fraction

from backend_coordinator.nodes.gates.openapi import Document, Node, as_list, as_node

ANY = frozenset({"array", "boolean", "integer", "null", "number", "object", "string"})
_DEEP, _DEEP_KINDS = 12, 5
_UPPER = ("maximum", "maxLength", "maxItems", "maxProperties", "maxContains")
_LOWER = ("minimum", "minLength", "minItems", "minProperties", "minContains")
_PYTHON = {str: "string", bool: "boolean", int: "integer", float: "number", dict: "object", list: "array"}
WAYS = ("anyOf", "oneOf")


def whole(document: Document, schema: object, deep: int = 0) -> Node:
    """A schema with references followed, `allOf` merged in, and `null` among alternatives said as `nullable`.

    A single alternative stands for the whole; several stay under `oneOf`.
    """
    node = dict(_followed(document, schema))
    parts = [whole(document, part, deep + 1) for part in as_list(node.pop("allOf", []))] if deep < _DEEP else []
    for part in parts:
        node = _both(part, node)
    ways = [way for name in WAYS for way in as_list(node.pop(name, None))]
    real = [way for way in ways if document.resolve(way).get("type") != "null"]
    if len(real) < len(ways):
        node["nullable"] = True
    if len(real) == 1 and deep < _DEEP:
        only = whole(document, real[0], deep + 1)
        null = {"nullable": True} if node.get("nullable") or only.get("nullable") else {}
        return {**_both(only, node), **null}
    return {**node, "oneOf": real} if real else node


def with_way(node: Node, way: object) -> Node:
    """What `node` is when it takes the form `way`."""
    return {"allOf": [{key: value for key, value in node.items() if key not in (*WAYS, "nullable")}, way]}


def kinds(document: Document, schema: Node, deep: int = 0) -> frozenset[str]:
    """The kinds of JSON values a schema in its one form lets through."""
    named = schema.get("type")
    found = {str(kind) for kind in named} if isinstance(named, list) else {str(named)} if named else set()
    ways = as_list(schema.get("oneOf"))
    if not found and ways and deep < _DEEP_KINDS:
        found = set().union(*(kinds(document, whole(document, way), deep + 1) for way in ways))
    if not found and (limited := values(schema)):
        found = {_PYTHON.get(type(json.loads(value)), "null") for value in limited}
    if not found and ("properties" in schema or schema.get("required")):
        found = {"object"}
    return frozenset(found | ({"null"} if schema.get("nullable") else set())) if found else ANY


def values(schema: Node) -> tuple[str, ...] | None:
    """The values a schema is limited to, as JSON, null left out; None where it is not limited."""
    listed = schema.get("enum", schema.get("x-extensible-enum"))
    if "const" in schema:
        listed = [schema["const"]]
    if not isinstance(listed, list):
        return None
    return tuple(json.dumps(value, sort_keys=True, ensure_ascii=False) for value in listed if value is not None)


def needed(schema: Node) -> tuple[str, ...]:
    """The fields a schema requires."""
    return tuple(name for name in as_list(schema.get("required")) if isinstance(name, str))


def tighter(given: Node, taken: Node) -> tuple[str, ...]:
    """The bounds by which `taken` refuses some of what `given` lets through."""
    found = [name for name in _UPPER if _limit(taken, name, 1) < _limit(given, name, 1)]
    found += [name for name in _LOWER if _limit(taken, name, -1) < _limit(given, name, -1)]
    if taken.get("uniqueItems") is True and given.get("uniqueItems") is not True:
        found.append("uniqueItems")
    if not _divides(taken.get("multipleOf"), given.get("multipleOf")):
        found.append("multipleOf")
    return tuple(found)


def _followed(document: Document, schema: object) -> Node:
    """What a reference leads to; from OpenAPI 3.1 on what stands beside it holds too."""
    node = as_node(schema)
    beside = {key: value for key, value in node.items() if key != "$ref"}
    if "$ref" in node and beside and not str(document.content.get("openapi")).startswith("3.0"):
        return {**beside, "allOf": [{"$ref": node["$ref"]}, *as_list(beside.get("allOf"))]}
    return document.resolve(node)


def _both(one: Node, other: Node) -> dict[str, object]:
    """What fits two schemas; of what cannot be joined, `other` wins."""
    known, more = as_node(one.get("properties")), as_node(other.get("properties"))
    fields = {name: {"allOf": [known[name], more[name]]} if name in more else known[name] for name in known}
    merged = {**one, **other}
    if known or more:
        merged["properties"] = {**more, **fields}
    if required := [*needed(one), *needed(other)]:
        merged["required"] = list(dict.fromkeys(required))
    for name in (*_UPPER, *_LOWER):
        if name in one and name in other:
            merged[name] = (min if name in _UPPER else max)(one[name], other[name], key=_number)
    if isinstance(one.get("enum"), list) and isinstance(other.get("enum"), list):
        merged["enum"] = [value for value in as_list(one["enum"]) if value in as_list(other["enum"])]
    return merged


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


def _limit(schema: Mapping[str, object], name: str, sign: int) -> tuple[float, int]:
    """How far values may go, less being tighter; a bound that is itself excluded is tighter than one that is not."""
    nothing = 0.0 if sign < 0 and name != "minimum" else float("inf")
    value = schema.get(name)
    found = [(value * sign, 1)] if isinstance(value, int | float) else [(nothing, 1)]
    exclusive = schema.get(f"exclusive{name[0].upper()}{name[1:]}") if name in {"maximum", "minimum"} else None
    if exclusive is True:
        found = [(found[0][0], 0)]
    elif isinstance(exclusive, int | float) and exclusive is not False:
        found.append((exclusive * sign, 0))
    return min(found)


def _divides(step: object, given: object) -> bool:
    """Whether every multiple of `given` is one of `step`."""
    if not isinstance(step, int | float) or not step:
        return True
    return isinstance(given, int | float) and (Fraction(str(given)) / Fraction(str(step))).denominator == 1
