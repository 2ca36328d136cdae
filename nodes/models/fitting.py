"""Bringing what a model gave into the shape of a schema, where that can be done in one way only."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import JsonValue

Schema = Mapping[str, Any]
"""A JSON schema as pydantic writes it."""

COMMENTARY = frozenset(
    {"reasoning", "reason", "rationale", "thought", "thoughts", "thinking", "explanation", "comment", "comments",
     "note", "notes", "confidence", "_schema"}
)  # fmt: skip
"""Keys under which models talk beside their answer."""

_NOTHING = frozenset({"", "-", "none", "null", "n/a", "nothing", "none needed", "none required"})
_BULLET = re.compile(r"\s*(?:[-*•]|\d+[.)])\s+")
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def slug(name: str) -> str:
    """A name without what models vary: case, humps, spaces, hyphens."""
    return re.sub(r"[^a-z0-9]+", "_", _HUMP.sub("_", name.strip()).lower())


@dataclass
class Fitting:
    """One answer being fitted to `schema`; `decoded` gives the one JSON value within a text, or None.

    `findings` are what stands in the way, a line each. Values of a wrong kind are left for the schema's own check.
    """

    schema: Schema
    decoded: Callable[[str], JsonValue]
    findings: list[str] = field(default_factory=list)

    def fitted(self, given: JsonValue) -> JsonValue:
        """The value with names, lists and texts as the schema spells them."""
        return self._fit(given, self.schema, "")

    def _fit(self, given: JsonValue, schema: Schema, path: str) -> JsonValue:
        schema = self._resolved(schema)
        if "anyOf" in schema:
            return self._optional(given, schema, path)
        if "enum" in schema:
            return _spelt(given, schema["enum"])
        kind = schema.get("type")
        if kind in ("object", "array") and isinstance(given, str) and given.lstrip()[:1] in ("{", "["):
            given = self.decoded(given) or given
        if kind == "object" and isinstance(given, dict) and "properties" in schema:
            return self._object(given, schema, path)
        if kind == "array":
            return self._array(given, self._resolved(schema["items"]), path)
        return _text(given) if kind == "string" else given

    def _resolved(self, schema: Schema) -> Schema:
        name = schema.get("$ref", "").rpartition("/")[2]
        return self.schema["$defs"][name] if name else schema

    def _optional(self, given: JsonValue, schema: Schema, path: str) -> JsonValue:
        kinds = [each for each in schema["anyOf"] if each.get("type") != "null"]
        if len(kinds) == len(schema["anyOf"]) or len(kinds) != 1:
            return given
        empty = given is None or (isinstance(given, str) and given.strip().lower() in _NOTHING)
        return None if empty else self._fit(given, kinds[0], path)

    def _object(self, given: dict[str, JsonValue], schema: Schema, path: str) -> JsonValue:
        fields: Mapping[str, Schema] = schema["properties"]
        names = {slug(name): name for name in fields}
        known: dict[str, JsonValue] = {}
        strange: list[str] = []
        for key, value in given.items():
            name = key if key in fields else names.get(slug(key))
            if name is None:
                strange += [key] if value not in (None, "", [], {}) and slug(key) not in COMMENTARY else []
            elif name in known and known[name] != value:
                self.findings.append(f"{_at(path, name)} is given twice with different values")
            else:
                known[name] = value
        missing = [name for name in fields if name not in known]
        strange = strange if known else list(given)
        if strange and missing:  # any of them may be meant for a field that is not there
            said = f"has no field {', '.join(map(repr, strange))}; its fields are {', '.join(fields)}"
            self.findings.append(f"{path or 'the answer'} {said}")
        needed = schema.get("required", ())
        return {
            name: self._fit(value, fields[name], _at(path, name))
            for name, value in known.items()
            if value is not None or name in needed
        }

    def _array(self, given: JsonValue, item: Schema, path: str) -> JsonValue:
        texts = item.get("type") == "string"
        if isinstance(given, str):
            given = [] if _empty(given) else _listed(given)
        elif isinstance(given, int | float) or (isinstance(given, dict) and "properties" in item):
            given = [given]
        if not isinstance(given, list):
            return given
        kept = [each for each in given if each is not None and not (texts and _empty(each))]
        return [self._fit(each, item, f"{path}.{number}") for number, each in enumerate(kept)]


def _at(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _empty(given: JsonValue) -> bool:
    return isinstance(given, str) and given.strip().rstrip(".").lower() in _NOTHING


def _spelt(given: JsonValue, allowed: list[str]) -> JsonValue:
    if isinstance(given, list) and len(given) == 1:
        (given,) = given
    if not isinstance(given, str):
        return given
    return {slug(name): name for name in allowed}.get(slug(given).strip("_"), given)


def _listed(text: str) -> list[JsonValue]:
    """A text where a list belongs: its bullets, its words between commas, else itself."""
    lines = [line for line in text.splitlines() if line.strip()]
    if lines and all(_BULLET.match(line) for line in lines):
        return [_BULLET.sub("", line, count=1).strip() for line in lines]
    words = [word.strip() for word in text.split(",")]
    if len(words) > 1 and all(word and not re.search(r"\s", word) for word in words):
        return list(words)
    return [text.strip()]


def _text(given: JsonValue) -> JsonValue:
    """Numbers, lines and small records as the text they would be; nothing is left out."""
    if isinstance(given, int | float) and not isinstance(given, bool):
        return str(given)
    if isinstance(given, list) and given and all(isinstance(each, str) for each in given):
        return "\n".join(map(str, given))
    if isinstance(given, dict) and given and all(isinstance(each, str | int | float) for each in given.values()):
        return "; ".join(f"{name}: {value}" for name, value in given.items())
    return given
