"""What of one OpenAPI document no longer holds in a later one, for callers that rely on it."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from backend_coordinator.nodes.gates.openapi import Document, Node, Operation, as_list, as_node

_ANY = frozenset({"array", "boolean", "integer", "null", "number", "object", "string"})
_DEEP = 12
_UPPER = ("maximum", "exclusiveMaximum", "maxLength", "maxItems")
_LOWER = ("minimum", "exclusiveMinimum", "minLength", "minItems")


def breaks(before: Document, after: Document) -> tuple[str, ...]:
    """The places where a caller written for `before` can fail with `after`, one line each, in order.

    What was deprecated may go. Bounds that are new are let pass, since they often only state what was so.
    """
    kept = {operation.key: operation for operation in after.operations}
    found = []
    for operation in before.operations:
        if operation.key in kept:
            found += list(_Comparison(before, after).operations(operation, kept[operation.key]))
        elif not operation.content.get("deprecated"):
            found.append(f"{operation} is gone")
    return tuple(dict.fromkeys(found))


@dataclass(frozen=True)
class _Comparison:
    before: Document
    after: Document

    def operations(self, old: Operation, new: Operation) -> Iterator[str]:
        yield from (f"{old}: {what}" for what in self._parameters(old, new))
        yield from (f"{old}: {what}" for what in self._bodies(old.content, new.content))
        if new.guarded and not old.guarded:
            yield f"{old}: now asks for credentials"
        for status in sorted(old.statuses):
            if not status.startswith("2"):
                continue
            if status not in new.statuses:
                yield f"{old}: no longer answers {status}"
            else:
                yield from (f"{old}: {what}" for what in self._answers(old.content, new.content, status))

    def _parameters(self, old: Operation, new: Operation) -> Iterator[str]:
        known = _by_place(old)
        for place, parameter in _by_place(new).items():
            was, required = known.get(place), bool(parameter.get("required"))
            where = f"{parameter.get('in')} parameter {parameter.get('name')}"
            if was is None and required:
                yield f"{where} is new and required"
            elif was and required and not was.get("required"):
                yield f"{where} became required"
            if was:
                yield from self._narrower(was.get("schema"), parameter.get("schema"), where)

    def _bodies(self, old: Node, new: Node) -> Iterator[str]:
        was = self.before.resolve(old.get("requestBody"))
        now = self.after.resolve(new.get("requestBody"))
        if now.get("required") and not was.get("required"):
            yield "the body became required"
        accepted = as_node(now.get("content"))
        for kind, media in as_node(was.get("content")).items():
            if kind not in accepted:
                yield f"the body may no longer be {kind}"
            else:
                yield from self._narrower(
                    as_node(media).get("schema"), as_node(accepted[kind]).get("schema"), "the body"
                )

    def _answers(self, old: Node, new: Node, status: str) -> Iterator[str]:
        was = self.before.resolve(as_node(old.get("responses")).get(status))
        now = self.after.resolve(as_node(new.get("responses")).get(status))
        offered = as_node(now.get("content"))
        for kind, media in as_node(was.get("content")).items():
            if kind not in offered:
                yield f"the answer {status} is no longer {kind}"
            else:
                where = f"the answer {status}"
                yield from self._wider(as_node(media).get("schema"), as_node(offered[kind]).get("schema"), where)

    def _narrower(self, old: object, new: object, where: str, deep: int = 0) -> Iterator[str]:
        """Where what callers send, fit for `old`, is refused by `new`."""
        was, now = _whole(self.before, old), _whole(self.after, new)
        if lost := _types(self.before, was) - _accepting(_types(self.after, now)):
            yield f"{where} may no longer be {', '.join(sorted(lost))}"
            return
        if "enum" in now and "enum" not in was and "const" not in was:
            yield f"{where} is now limited to some values"
        if "enum" in now and (gone := [v for v in as_list(was.get("enum")) if v not in as_list(now["enum"])]):
            yield f"{where} may no longer be {gone[0]!r}"
        yield from (f"{where} has a tighter {bound}" for bound in _tighter(was, now))
        if deep < _DEEP:
            yield from self._fields_sent(was, now, where, deep)
            if "items" in was and "items" in now:
                yield from self._narrower(was["items"], now["items"], f"an item of {where}", deep + 1)

    def _fields_sent(self, was: Node, now: Node, where: str, deep: int) -> Iterator[str]:
        fields, known = as_node(now.get("properties")), as_node(was.get("properties"))
        for name in as_list(now.get("required")):
            if name not in as_list(was.get("required")):
                yield f"field {name} of {where} became required"
        for name, schema in known.items():
            if name in fields:
                yield from self._narrower(schema, fields[name], f"field {name} of {where}", deep + 1)
            elif now.get("additionalProperties") is False:
                yield f"field {name} of {where} is refused"

    def _wider(self, old: object, new: object, where: str, deep: int = 0) -> Iterator[str]:
        """Where what callers get by `new` is nothing that `old` promised."""
        was, now = _whole(self.before, old), _whole(self.after, new)
        if gained := _types(self.after, now) - _accepting(_types(self.before, was)):
            yield f"{where} may now be {', '.join(sorted(gained))}"
            return
        if deep >= _DEEP:
            return
        fields, sure = as_node(now.get("properties")), as_list(now.get("required"))
        for name, schema in as_node(was.get("properties")).items():
            place = f"field {name} of {where}"
            if name not in fields:
                yield f"{place} is gone"
                continue
            if name in as_list(was.get("required")) and name not in sure:
                yield f"{place} may now be absent"
            yield from self._wider(schema, fields[name], place, deep + 1)
        if "items" in was and "items" in now:
            yield from self._wider(was["items"], now["items"], f"an item of {where}", deep + 1)


def _by_place(operation: Operation) -> dict[tuple[str, str], Node]:
    """Parameters by kind and name; those of the path have no name for callers, only a position."""
    positions = re.findall(r"\{([^}]*)\}", operation.path)
    found = {}
    for parameter in map(as_node, as_list(operation.content.get("parameters"))):
        place, name = str(parameter.get("in")), str(parameter.get("name"))
        found[place, str(positions.index(name)) if name in positions and place == "path" else name.lower()] = parameter
    return found


def _whole(document: Document, schema: object, deep: int = 0) -> Node:
    """A schema with `allOf` merged in, and a single alternative beside null taken for the whole."""
    node = dict(document.resolve(schema))
    parts = [_whole(document, part, deep + 1) for part in as_list(node.pop("allOf", []))] if deep < _DEEP else []
    for part in parts:
        merged = {**as_node(part.get("properties")), **as_node(node.get("properties"))}
        required = [*as_list(part.get("required")), *as_list(node.get("required"))]
        node = {**part, **node, "properties": merged, "required": required}
    ways = [document.resolve(way) for name in ("anyOf", "oneOf") for way in as_list(node.get(name))]
    real = [way for way in ways if way.get("type") != "null"]
    if len(real) == 1 and deep < _DEEP:
        nullable = len(ways) > 1 or node.get("nullable")
        return {**_whole(document, real[0], deep + 1), "nullable": nullable}
    return node


def _types(document: Document, schema: Node, deep: int = 0) -> frozenset[str]:
    """The kinds of JSON values a schema lets through."""
    ways = [document.resolve(way) for name in ("anyOf", "oneOf") for way in as_list(schema.get(name))]
    if ways and deep < _DEEP:
        return frozenset().union(*(_types(document, _whole(document, way), deep + 1) for way in ways))
    named = schema.get("type")
    kinds = {str(kind) for kind in as_list(named)} if isinstance(named, list) else {str(named)} if named else set()
    if not kinds and ("properties" in schema or schema.get("required")):
        kinds = {"object"}
    return frozenset(kinds | ({"null"} if schema.get("nullable") else set())) if kinds else _ANY


def _accepting(kinds: frozenset[str]) -> frozenset[str]:
    """Every integer is a number."""
    return kinds | {"integer"} if "number" in kinds else kinds


def _tighter(was: Mapping[str, object], now: Mapping[str, object]) -> Iterator[str]:
    for names, sign in ((_UPPER, 1), (_LOWER, -1)):
        for name in names:
            old, new = was.get(name), now.get(name)
            if isinstance(old, int | float) and isinstance(new, int | float) and new * sign < old * sign:
                yield name
