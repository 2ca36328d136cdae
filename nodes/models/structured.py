"""Reading a typed answer out of what a model wrote, as sloppy as it may be, without guessing."""

import json
import re
from collections.abc import Collection, Iterable
from functools import lru_cache
from typing import TypeVar

from langchain_core.messages import AIMessage
from pydantic import BaseModel, JsonValue, ValidationError

from backend_coordinator.nodes.models.fitting import COMMENTARY, Fitting, Schema, slug

T = TypeVar("T", bound=BaseModel)
NO_JSON = "there is no whole JSON object in the answer"
_THOUGHTS_END = re.compile(r"</think(?:ing)?>")
_TOKENS = re.compile(r'"(?:[^"\\]|\\.)*"|["{}\[\]]', re.DOTALL)
_LIKE_JSON = re.compile(r"""\{\s*(?:["'“/]|[A-Za-z_]\w*\s*:)|\[\s*["'“{\[/]""")
_OPENING = re.compile(r"[{\[]")
_MOST_PLACES = 50
"""Brackets in a text at which JSON is looked for."""
_DEEPEST = 40
"""Brackets within brackets that are looked into; those who mend JSON take minutes over more."""
_MOST_FINDINGS = 8
_INSIDE = frozenset(
    {"arguments", "args", "parameters", "input", "action_input", "tool_input", "function", "tool_calls", "properties"}
)
_BESIDE = frozenset({"name", "type", "id", "index", "tool", "tool_name", "action", "title", "description", "required"})
"""Keys of a tool call, or a schema, that was written where its content belongs, and those around them."""


class Unreadable(ValueError):
    """An answer that fits in no way, or in several; `findings` say where, what was there, and what may be."""

    def __init__(self, findings: Iterable[str]) -> None:
        self.findings = tuple(findings)
        super().__init__("; ".join(self.findings))


def read(reply: AIMessage, answer: type[T]) -> T:
    """The answer in a message: in its tool calls, else in its text.

    Spelling, wrapping and notation are put right where there is one way to do it; nothing that is required is made up.
    Raises Unreadable.
    """
    calls: list[JsonValue] = [call["args"] for call in reply.tool_calls]
    calls += [call["args"] or "" for call in reply.invalid_tool_calls]
    try:
        given = [value for call in calls for value in _values(call)]
        if not any(given):
            given += _values(str(reply.text))
        return _only(given, answer)
    except RecursionError as error:
        raise Unreadable([f"it is nested more than {_DEEPEST} deep"]) from error


def _only(values: list[JsonValue], answer: type[T]) -> T:
    """Empty objects count where there is nothing else."""
    good: list[T] = []
    bad: list[Unreadable] = []
    for value in sorted([v for v in values if v] or values[:1], key=lambda v: -len(str(v))):
        try:
            fitting = _fitted(value, answer)
        except Unreadable as error:
            bad.append(error)
        else:
            good += [fitting] if fitting not in good else []
    if len(good) > 1:
        raise Unreadable([f"there are {len(good)} different answers: give one"])
    if not good:
        raise bad[0] if bad else Unreadable([NO_JSON])
    return good[0]


def _fitted(value: JsonValue, answer: type[T]) -> T:
    schema = schema_of(answer)
    fitting = Fitting(schema, _decoded)
    fitted = fitting.fitted(_unwrapped(value, schema))
    if fitting.findings:
        raise Unreadable(fitting.findings)
    try:
        return answer.model_validate_json(json.dumps(fitted, ensure_ascii=False).encode(errors="replace"))
    except ValidationError as error:
        raise Unreadable(_told(error)) from error


@lru_cache
def schema_of(answer: type[BaseModel]) -> Schema:
    """The JSON schema of an answer."""
    return answer.model_json_schema()


def _told(error: ValidationError) -> list[str]:
    lines = []
    for each in error.errors(include_url=False)[:_MOST_FINDINGS]:
        where = ".".join(map(str, each["loc"])) or "the answer"
        found = " ".join(str(each["input"]).split())
        lines.append(
            f"{where} is missing" if each["type"] == "missing" else f"{where}: {each['msg']}, not {found[:80]}"
        )
    return lines


def _unwrapped(value: JsonValue, schema: Schema, depth: int = 6) -> JsonValue:
    """What is inside a tool call written as text, a single outer key, or a list, if the fields are there."""
    fields = frozenset(schema["properties"])
    inside = value
    if isinstance(value, str):
        inside = _decoded(value)
    elif isinstance(value, list):
        lists = [name for name in fields if schema["properties"][name].get("type") == "array"]
        if len(value) == 1 and _has(value[0], fields | _INSIDE):
            inside = value[0]
        elif len(lists) == 1:
            return {lists[0]: value}
    elif isinstance(value, dict) and (key := _wrapper(value, fields)):
        inside = value[key]
    if inside is value or not depth:
        return value
    inside = _unwrapped(inside, schema, depth - 1)
    return inside if _has(inside, fields) or inside == {} else value


def _wrapper(value: dict[str, JsonValue], fields: Collection[str]) -> str | None:
    """The key that holds everything, if one does."""
    said = [key for key in value if slug(key) not in COMMENTARY]
    inner = [
        key for key in said if key in _INSIDE and not (isinstance(value[key], str) and not _decoded(str(value[key])))
    ]
    if len(inner) == 1 and all(key in _BESIDE or key in _INSIDE for key in said):
        return inner[0]
    return said[0] if len(said) == 1 and slug(said[0]) not in fields else None


def _has(value: JsonValue, fields: Collection[str]) -> bool:
    return isinstance(value, dict) and any(slug(key) in fields for key in value)


def _decoded(text: str) -> JsonValue:
    """The one JSON value in a text, None where there is none or more."""
    values = _values(text)
    return values[0] if len(values) == 1 else None


def _values(given: JsonValue) -> list[JsonValue]:
    """All JSON objects and lists in a text; anything else is itself."""
    if not isinstance(given, str):
        return [given]
    text = _THOUGHTS_END.split(given)[-1]
    try:
        whole = json.loads(text, strict=False)
    except ValueError:
        return _scattered(text)
    return _values(whole) if isinstance(whole, str) and whole != given else [whole]


def _scattered(text: str) -> list[JsonValue]:
    found: list[JsonValue] = []
    at = 0
    for _ in range(_MOST_PLACES):
        if (opening := _OPENING.search(text, at)) is None:
            break
        piece, whole = _piece(text, opening.start())
        value = _parsed(piece) if whole else None
        if value is not None:
            found.append(value)
        passed = value is not None or _LIKE_JSON.match(piece)  # what is inside a broken object is not the answer
        at = opening.start() + len(piece) if passed else opening.end()
    return found


def _piece(text: str, start: int) -> tuple[str, bool]:
    """From an opening bracket to its closing one, or to the end; whole unless that is within a string, or too deep."""
    depth = 0
    for token in _TOKENS.finditer(text, start):
        if token[0] == '"' or depth > _DEEPEST:
            return text[start:], False
        depth += (token[0] in "{[") - (token[0] in "}]")
        if depth == 0:
            return text[start : token.end()], True
    return text[start:].partition("```")[0], True


def _parsed(piece: str) -> JsonValue:
    """One object or list; notation that is not quite JSON is mended, what was left out of it ("...") is not."""
    try:
        return json.loads(piece, strict=False)  # type: ignore[no-any-return]
    except ValueError:
        pass
    if not _LIKE_JSON.match(piece) or re.search(r"\.\.\.|…", re.sub(r'"(?:[^"\\]|\\.)*"', "", piece)):
        return None
    import json_repair  # loaded when first used

    try:
        value = json_repair.loads(piece, skip_json_loads=True)
    except ValueError:
        return None
    return value if isinstance(value, dict | list) and value else None
