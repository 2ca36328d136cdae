"""JSON schemas of an OpenAPI document brought into one form, so that two of them can be compared."""

import json
import math
import re
from collections.abc import Mapping
from fractions import Fraction

from backend_coordinator.nodes.gates.openapi import Document, Node, as_list, as_node, referred

ANY = frozenset({"array", "boolean", "integer", "null", "number", "object", "string"})
_DEEP, _DEEP_KINDS = 12, 5
_UPPER = ("maximum", "maxLength", "maxItems", "maxProperties", "maxContains")
_LOWER = ("minimum", "minLength", "minItems", "minProperties", "minContains")
_PYTHON = {str: "string", bool: "boolean", int: "integer", float: "number", dict: "object", list: "array"}
_NOTES = frozenset({"title", "description", "example", "examples", "deprecated", "$comment"})
WAYS = ("anyOf", "oneOf")


def whole(document: Document, schema: object, deep: int = 0, path: frozenset[object] = frozenset()) -> Node:
    """A schema with references followed, `allOf` merged in, and `null` among alternatives said as `nullable`.

    A single alternative stands for the whole; several stay under `oneOf`, and `anyOf` says that more than one may
    fit. A reference that is being followed adds nothing. `exclusive` bounds are numbers, whole numbers have none.
    """
    mark = identity(document, schema)
    if mark in path:
        return {}
    deep, path = deep + 1, path | {mark}
    node = dict(_followed(document, schema))
    if not _of_3_0(document):
        node.pop("nullable", None)
    listed = {identity(document, part): part for part in as_list(node.pop("allOf", []))}
    parts = [whole(document, part, deep, path) for part in listed.values()] if deep <= _DEEP else []
    for part in parts:
        node = _both(part, node)
    several = bool(node.get("anyOf"))
    ways = [way for name in WAYS for way in as_list(node.pop(name, None))]
    real = [way for way in ways if document.resolve(way).get("type") != "null"]
    if len(real) < len(ways):
        node["nullable"] = True
    if len(real) == 1 and deep <= _DEEP:
        only = whole(document, real[0], deep, path)
        null = node.get("nullable") or only.get("nullable")
        joined = _both(only, node)
        return _plain({**joined, **_with_null(joined)} if null else joined)
    return _plain({**node, "oneOf": real, **({"anyOf": True} if several else {})} if real else node)


def identity(document: Document, schema: object) -> object:
    """What makes a schema the same when it is met again: its node, or those that were merged into it."""
    node = as_node(schema)
    if node.keys() == {"allOf"}:
        return frozenset(identity(document, part) for part in as_list(node["allOf"]))
    return id(document.resolve(node) if node.keys() == {"$ref"} else schema)


def with_way(node: Node, way: object) -> Node:
    """What `node` is when it takes the form `way`."""
    return {"allOf": [{key: value for key, value in node.items() if key not in (*WAYS, "nullable")}, way]}


def kinds(document: Document, schema: Node, deep: int = 0) -> frozenset[str]:
    """The kinds of JSON values a schema in its one form lets through."""
    found = _types(schema)
    ways = as_list(schema.get("oneOf"))
    listed = as_list(schema.get("enum")) if "const" not in schema else [schema["const"]]
    if not found and ways and deep < _DEEP_KINDS:
        found = set().union(*(kinds(document, whole(document, way), deep + 1) for way in ways))
    if not found and values(schema) is not None:
        found = {_PYTHON.get(type(json.loads(value)), "null") for value in values(schema) or ()}
        found |= {"null"} if None in listed else set()
    if not found and ("properties" in schema or schema.get("required")):
        found = {"object"}
    if not found and "items" in schema:
        found = {"array"}
    if found and schema.get("nullable"):
        found.add("null")
    # An enumeration names null or refuses it.
    return frozenset(found - {"null"} if listed and None not in listed else found) if found else ANY


def values(schema: Node) -> tuple[str, ...] | None:
    """The values a schema is limited to, as JSON, null left out; None where it is not limited."""
    listed = schema.get("enum", schema.get("x-extensible-enum"))
    if "const" in schema:
        listed = [schema["const"]]
    if not isinstance(listed, list):
        return None
    # A whole number is the same with and without a decimal point.
    same = [int(value) if isinstance(value, float) and value.is_integer() else value for value in listed]
    return tuple(json.dumps(value, sort_keys=True, ensure_ascii=False) for value in same if value is not None)


def patterns(schema: Node) -> tuple[str, ...]:
    """The patterns a text must fit, those that any text fits left out."""
    listed = schema.get("pattern")
    named = listed if isinstance(listed, list) else [listed]
    return tuple(str(pattern) for pattern in named if pattern not in (None, "", ".*", "^.*$"))


def needed(schema: Node) -> tuple[str, ...]:
    """The fields a schema requires."""
    return tuple(name for name in as_list(schema.get("required")) if isinstance(name, str))


def tighter(given: Node, taken: Node) -> tuple[str, ...]:
    """The bounds by which `taken` refuses some of what `given` lets through."""
    found = [name for name in _UPPER if _limit(taken, name, 1) < _limit(given, name, 1)]
    found += [name for name in _LOWER if _limit(taken, name, -1) < _limit(given, name, -1)]
    if taken.get("uniqueItems") is True and given.get("uniqueItems") is not True:
        found.append("uniqueItems")
    if not _divides(taken.get("multipleOf"), given.get("multipleOf", 1 if _types(given) == {"integer"} else None)):
        found.append("multipleOf")
    return tuple(found)


def split(document: Document, schema: Node) -> list[Node]:
    """A schema as alternatives: one for each value it is limited to, else one for each kind of value."""
    if (limited := values(schema)) is not None:
        return [{**schema, "enum": [json.loads(value)]} for value in limited]
    return [{**schema, "type": kind} for kind in sorted(kinds(document, schema) - {"null"})]


def all_fit(given: Node, taken: Node, name: str) -> bool:
    """Whether every value that `given` lists keeps to one rule of `taken`; False where it lists none for sure."""
    if (listed := values(given)) is None or "x-extensible-enum" in given:
        return False
    if name == "pattern":
        return all(_matches(str(taken[name]), json.loads(value)) for value in listed)
    return not any(name in tighter(_exactly(json.loads(value)), taken) for value in listed)


def _matches(pattern: str, value: object) -> bool:
    try:
        return not isinstance(value, str) or re.search(pattern, value) is not None
    except re.error:
        return False  # a pattern in another dialect


def _exactly(value: object) -> Node:
    """The bounds that one value alone keeps."""
    if isinstance(value, int | float):
        return {"minimum": value, "maximum": value, "multipleOf": value}
    name = "Length" if isinstance(value, str) else "Items" if isinstance(value, list) else "Properties"
    return {f"min{name}": len(value), f"max{name}": len(value)} if isinstance(value, str | list | dict) else {}


def written(document: Document, schema: object) -> dict[str, object]:
    """A schema as it is written without its notes, and so every schema that it refers to, by reference."""
    found: dict[str, object] = {}
    waiting = [("", schema)]
    while waiting:
        name, node = waiting.pop()
        if name not in found:
            found[name] = _noted(node)
            waiting += [(reference, document.at(reference)) for reference in referred(node)]
    return found


def _noted(node: object) -> object:
    if isinstance(node, list):
        return [_noted(item) for item in node]
    return {k: _noted(v) for k, v in node.items() if not _is_note(k, v)} if isinstance(node, dict) else node


def _is_note(name: object, value: object) -> bool:
    """A note is no mapping; what is one is a field of that name."""
    return name in _NOTES and not isinstance(value, dict)


def _plain(node: Node) -> Node:
    """Numbers for `exclusive` bounds; a whole number has none, and neither have multiples of one another name."""
    plain = dict(node)
    if "unevaluatedProperties" in plain:
        # All parts are merged by now, so nothing else evaluates a field.
        plain.setdefault("additionalProperties", plain["unevaluatedProperties"])
        del plain["unevaluatedProperties"]
    for name in ("minimum", "maximum"):
        exclusive = f"exclusive{name.title()}"
        if isinstance(plain.get(exclusive), bool) and plain.pop(exclusive) and name in plain:
            plain[exclusive] = plain.pop(name)
    step = plain.get("multipleOf")
    if _types(plain) - {"null"} == {"number"} and isinstance(step, int | float) and step and step % 1 == 0:
        plain["type"] = ["integer", *(_types(plain) & {"null"})]
    if _types(plain) - {"null"} == {"integer"}:
        for name, least, sign in (("minimum", max, 1), ("maximum", min, -1)):
            said = [value] if isinstance(value := plain.get(name), int | float) else []
            excluded = plain.pop(f"exclusive{name.title()}", None)
            whole_ones = [sign * math.ceil(sign * value) for value in said]
            if isinstance(excluded, int | float):
                whole_ones.append(sign * (math.floor(sign * excluded) + 1))
            if whole_ones:
                plain[name] = least(whole_ones)
    return plain


def _with_null(node: Node) -> dict[str, object]:
    listed = [node["const"]] if "const" in node else node.get("enum")
    named = {"enum": [*listed, None]} if isinstance(listed, list) else {}
    return {**named, "nullable": True}


def _types(schema: Node) -> set[str]:
    named = schema.get("type")
    return {str(kind) for kind in named} if isinstance(named, list) else {str(named)} if named else set()


def _of_3_0(document: Document) -> bool:
    return str(document.content.get("openapi")).startswith("3.0")


def _followed(document: Document, schema: object) -> Node:
    """What a reference leads to; from OpenAPI 3.1 on what stands beside it holds too."""
    node = as_node(schema)
    beside = {key: value for key, value in node.items() if key != "$ref"}
    if "$ref" in node and beside and not _of_3_0(document):
        return {**beside, "allOf": [{"$ref": node["$ref"]}, *as_list(beside.get("allOf"))]}
    return document.resolve(node)


def _both(one: Node, other: Node) -> dict[str, object]:
    """What fits two schemas; of what cannot be joined, `other` wins."""
    known, more = as_node(one.get("properties")), as_node(other.get("properties"))
    merged = {**one, **other}
    if known or more:
        merged["properties"] = {**more, **{n: _all(known[n], more[n]) if n in more else known[n] for n in known}}
    if required := [*needed(one), *needed(other)]:
        merged["required"] = list(dict.fromkeys(required))
    if "items" in one and "items" in other:
        merged["items"] = _all(one["items"], other["items"])
    for name in (*_UPPER, *_LOWER):
        if name in one and name in other:
            merged[name] = (min if name in _UPPER else max)(one[name], other[name], key=_number)
    if isinstance(one.get("enum"), list) and isinstance(other.get("enum"), list):
        merged["enum"] = [value for value in as_list(one["enum"]) if value in as_list(other["enum"])]
    if both := list(dict.fromkeys([*patterns(one), *patterns(other)])):
        merged["pattern"] = both
    if (was := _types(one)) and (now := _types(other)):
        whole_ones = {"integer"} if "integer" in was | now and "number" in was | now else set()
        wide = [kinds | (whole_ones if "number" in kinds else set()) for kinds in (was, now)]
        merged["type"] = sorted(wide[0] & wide[1])
        merged["nullable"] = bool(one.get("nullable") and other.get("nullable"))
    return merged


def _all(*schemas: object) -> object:
    """Schemas that hold at once, those of a merge by themselves and each once, so that circles come back to it."""
    parts = [part for s in map(as_node, schemas) for part in (as_list(s["allOf"]) if s.keys() == {"allOf"} else [s])]
    named = {json.dumps(part) if as_node(part).keys() == {"$ref"} else str(id(part)): part for part in parts}
    once = [*named.values()]
    return {"allOf": once} if len(once) > 1 else once[0]


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
