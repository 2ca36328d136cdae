"""Which values that fit one schema another refuses: the one question behind every change of a body or a parameter.

A request breaks where the new schema refuses what the old one took; an answer breaks where the old one refuses what
the new one gives. The other way round each is a change that callers bear.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from backend_coordinator.errors import ConfigurationError
from backend_coordinator.nodes.gates.breaking_shapes import (
    ANY,
    all_fit,
    identity,
    kinds,
    needed,
    patterns,
    split,
    tighter,
    values,
    whole,
    with_way,
    written,
)
from backend_coordinator.nodes.gates.openapi import Document, Node, as_list, as_node

_HELD_TO = (
    "contains",
    "contentSchema",
    "dependentRequired",
    "dependentSchemas",
    "else",
    "if",
    "not",
    "prefixItems",
    "propertyNames",
    "then",
    "unevaluatedItems",
)
_EXACT = ("contentEncoding", "contentMediaType")
_SCALARS = frozenset({"boolean", "integer", "number"})
_WIDER = {"int32": ("int64", "float", "double"), "int64": ("float", "double"), "float": ("double",)}
_MOST_PAIRS = 50_000
_TELLING = frozenset({"added", "default"})


class Refusal(NamedTuple):
    """What is refused, where, and which value of a keyword is meant."""

    kind: str
    place: str
    detail: str = ""


class _Part(NamedTuple):
    """Two schemas that are still to be compared."""

    given: object
    taken: object
    place: str
    repeated: bool = False


@dataclass(frozen=True)
class Comparison:
    """The values of `giving` against the schemas of `taking`.

    `sent` says that callers send them, `forward` that `giving` is the older document. A value of a parameter
    travels as text (`text`), and one that is a list may be repeated by name (`repeated`). `tried` asks whether one
    schema fits another at all, where nothing may be left for a better place to say it.
    """

    giving: Document
    taking: Document
    sent: bool
    forward: bool
    text: bool = False
    repeated: bool = False
    tried: bool = False
    seen: dict[tuple[object, object], tuple[object, object]] = field(default_factory=dict)
    left: Iterator[int] = field(default_factory=lambda: iter(range(_MOST_PAIRS)))

    @property
    def breaks(self) -> bool:
        """Whether a refusal breaks callers."""
        return self.sent is self.forward

    def refused(self, given: object, taken: object, place: str) -> Iterator[Refusal]:
        """Every refusal in two schemas, outer ones first; each pair is compared once, so that circles end.

        Raises ConfigurationError where there is no end in sight.
        """
        waiting = deque([_Part(given, taken, place, self.repeated)])
        while waiting:
            part = waiting.popleft()
            pair = (identity(self.giving, part.given), identity(self.taking, part.taken))
            if pair in self.seen:
                continue
            if next(self.left, None) is None:
                msg = f"schemas cannot be compared: more than {_MOST_PAIRS} pairs of schemas"
                raise ConfigurationError(msg)
            # What is kept here cannot be freed, so its id is nobody else's.
            self.seen[pair] = (part.given, part.taken)
            shapes = whole(self.giving, part.given), whole(self.taking, part.taken)
            for found in self._refused(*shapes, part.place, repeated=part.repeated):
                if isinstance(found, Refusal):
                    yield found
                else:
                    waiting.append(found)

    def _refused(self, a: Node, b: Node, place: str, *, repeated: bool) -> Iterator["Refusal | _Part"]:
        was, now = kinds(self.giving, a), kinds(self.taking, b)
        if repeated and now == {"array"} and "array" not in was:
            yield _Part(a, b.get("items", {}), place)
            return
        lost = was - _accepting(now, b, self.text)
        if real := sorted(lost - {"null"}):
            yield Refusal("type", place, ", ".join(real) if was != ANY else "just anything")
            return
        if lost:
            yield Refusal("null", place)
        forms = [as_list(node.get("oneOf")) for node in (a, b)]
        if bool(forms[0]) != bool(forms[1]):
            yield from self._reshaped(a, b, place)
            return
        if self.sent and a.get("anyOf") and not b.get("anyOf") and self._overlaps(b):
            yield Refusal("form", place)
        yield from self._limits(a, b, place)
        if "object" in was & now and ("properties" in {**a, **b} or needed(b)):
            yield from self._fields(a, b, place)
        if "object" in was & now:
            yield from self._further(a, b, place)
        if "array" in was & now and "items" in b:
            yield _Part(a.get("items", {}), b["items"], f"an item of {place}")
        yield from self._forms(forms[0], forms[1], place)
        if not self.breaks and a.get("default") != b.get("default"):
            yield Refusal("default", place)

    def _fields(self, a: Node, b: Node, place: str) -> Iterator["Refusal | _Part"]:
        given, taken = self._shown(self.giving, a), self._shown(self.taking, b)
        old, new = (given, taken) if self.forward else (taken, given)
        for name in needed(b):
            gone = name in old and name not in new
            added = not self.breaks and self.forward and name not in old
            told = (gone or added) and not self.tried
            hidden = name in as_node(b.get("properties")) and name not in taken
            sure = name in needed(a) and (name in given or name not in as_node(a.get("properties")))
            if not (told or hidden or sure):
                yield Refusal("required", f"field {name} of {place}")
        refuses = self.sent and self.forward and b.get("additionalProperties") is False
        for name in old:
            where = f"field {name} of {place}"
            if name in new:
                yield _Part(given[name], taken[name], where)
            elif self.breaks and kinds(self.taking, b) != ANY:
                yield Refusal("refused" if refuses else "gone", where)
        if not self.breaks:
            yield from (Refusal("added", f"field {name} of {place}") for name in new if name not in old)

    def _shown(self, document: Document, schema: Node) -> Node:
        """The fields of a schema without those that callers never send, or never get."""
        hidden, fields = "readOnly" if self.sent else "writeOnly", as_node(schema.get("properties"))
        return {name: field for name, field in fields.items() if whole(document, field).get(hidden) is not True}

    def _overlaps(self, schema: Node) -> bool:
        """Whether one value may fit two alternatives, as far as the kinds of values tell."""
        ways = [kinds(self.taking, whole(self.taking, way)) for way in as_list(schema.get("oneOf"))]
        return "discriminator" not in schema and sum(map(len, ways)) > len(frozenset().union(*ways))

    def _further(self, a: Node, b: Node, place: str) -> Iterator["Refusal | _Part"]:
        """Fields that have no name in the schema."""
        given, taken = a.get("additionalProperties", True), b.get("additionalProperties", True)
        gone = [name for name in as_node(a.get("properties")) if name not in as_node(b.get("properties"))]
        if given is False or taken is True:
            return
        if taken is False:
            if self.sent and not gone:
                yield Refusal("closed", place)
        elif self.sent or "additionalProperties" in a or not a.get("properties"):
            other = given if isinstance(given, dict) else {}
            yield _Part(other, taken, f"a further field of {place}")

    def _forms(self, given: list[object], taken: list[object], place: str) -> Iterator["Refusal | _Part"]:
        """Alternatives against alternatives: each has one of its name, one that takes it all, or one in its place."""
        names = {str(as_node(way).get("$ref")): way for way in taken if "$ref" in as_node(way)}
        for number, way in enumerate(given):
            name = _name(way, number)
            same = names.get(str(as_node(way).get("$ref")))
            if same is None and any(self._fits(way, other) for other in taken):
                continue
            inline = "$ref" not in as_node(way) and len(given) == len(taken) and "$ref" not in as_node(taken[number])
            if same is not None or inline:
                yield _Part(way, same or taken[number], f"{place} as {name}")
            else:
                yield Refusal("variant", place, name)

    def _reshaped(self, a: Node, b: Node, place: str) -> Iterator[Refusal]:
        """One form against several, or several against one."""
        if ways := as_list(a.get("oneOf")):
            for number, way in enumerate(ways):
                if not self._fits(with_way(a, way), b):
                    yield Refusal("variant", place, _name(way, number))
            return
        forms = [with_way(b, way) for way in as_list(b.get("oneOf"))]
        if any(self._fits(a, form) for form in forms):
            return
        if not all(any(self._fits(part, form) for form in forms) for part in split(self.giving, a)):
            yield Refusal("form", place)

    def _limits(self, a: Node, b: Node, place: str) -> Iterator["Refusal | _Part"]:
        """What a schema demands of a single value."""
        before, after = values(a), values(b)
        if before is None and kinds(self.giving, a) - {"null"} == {"boolean"}:
            before = ("true", "false")
        if after is not None:
            kind = "value" if self.sent or {"enum", "const"} & b.keys() else "extended"
            yield from (Refusal(kind, place, value) for value in before or () if value not in after)
            if before is None:
                yield Refusal("limited", place)
        bound = [*tighter(a, b)]
        yield from (Refusal("bound", place, name) for name in bound if not all_fit(a, b, name))
        for pattern in patterns(b):
            if pattern not in patterns(a) and not all_fit(a, {"pattern": pattern}, "pattern"):
                yield Refusal("pattern", place, pattern)
        form = b.get("format")
        # A password is only shown in another way.
        if form not in (None, "password", a.get("format"), *_WIDER.get(str(a.get("format")), ())):
            yield Refusal("format", place, str(form))
        yield from self._constraints(a, b, place)

    def _constraints(self, a: Node, b: Node, place: str) -> Iterator["Refusal | _Part"]:
        """Keywords that hold schemas of their own."""
        for name in _HELD_TO:
            unlike = written(self.giving, a.get(name)) != written(self.taking, b.get(name))
            if b.get(name) not in (None, True, {}) and unlike:
                yield Refusal("constraint", place, name)
        given = as_node(a.get("patternProperties"))
        for name, taken in as_node(b.get("patternProperties")).items():
            if name in given:
                yield _Part(given[name], taken, f"a field {name} of {place}")
            else:
                yield Refusal("constraint", place, "patternProperties")
        yield from (Refusal("constraint", place, name) for name in _EXACT if a.get(name) != b.get(name))
        yield from _told_apart(as_node(a.get("discriminator")), as_node(b.get("discriminator")), place)

    def _fits(self, given: object, taken: object) -> bool:
        """Whether a schema takes all of another; inside of that question, whether it does so at first sight."""
        if self.tried:
            a, b = whole(self.giving, given), whole(self.taking, taken)
            accepted = _accepting(kinds(self.taking, b), b, self.text)
            return kinds(self.giving, a) <= accepted and not [*self._limits(a, b, "")]
        tried = replace(self, repeated=False, tried=True, seen=dict(self.seen))
        return all(refusal.kind in _TELLING for refusal in tried.refused(given, taken, ""))


def _told_apart(a: Node, b: Node, place: str) -> Iterator[Refusal]:
    if a and b and a.get("propertyName") != b.get("propertyName"):
        yield Refusal("discriminator", place)
    known = as_node(b.get("mapping"))
    yield from (Refusal("mapping", place, name) for name in as_node(a.get("mapping")) if known and name not in known)


def _accepting(taken: frozenset[str], schema: Node, text: bool) -> frozenset[str]:
    """Every integer is a number, and as text every scalar is a string, if no rule of the string refuses it."""
    free = not any(name in schema for name in ("enum", "const", "pattern", "format", "maxLength", "minLength"))
    more = _SCALARS if text and free and "string" in taken else frozenset[str]()
    return taken | more | ({"integer"} if "number" in taken else frozenset())


def _name(way: object, number: int) -> str:
    node = as_node(way)
    return str(node.get("$ref", node.get("title", f"form {number + 1}"))).rpartition("/")[2]
