"""Reads one field of an objective: its name, type and rules."""

import re
from collections.abc import Callable
from dataclasses import replace

from backend_coordinator.nodes.models.offline.kinds import LARGEST
from backend_coordinator.nodes.models.offline.model import Field
from backend_coordinator.nodes.models.offline.vocabulary import (
    BEYOND,
    CHOICES,
    NAMES,
    NEVER,
    NOT_NEGATIVE,
    PREPOSITIONS,
    PURE_TYPES,
    SECRET,
    STRUCTURE,
    TYPES,
    VERBS,
)
from backend_coordinator.nodes.models.offline.words import plural_of, singular_of, snake

NO_NAME = r"with|having|has|have|that|which|where|each|contains?|containing|includ\w+|consist\w*"
WORD = rf"(?!(?:{NO_NAME})\b)[A-Za-z][\w-]*"
NAME = rf"{WORD}(?: {WORD}){{0,4}}?"
LONGEST_NAME = 32


class Refusal(Exception):
    """A sentence about the part of an objective that is not understood."""


Change = Callable[[Field, re.Match[str]], Field]


def _pointing(field: Field, found: re.Match[str]) -> Field:
    return replace(field, type="reference", references=plural_of(singular_of(snake(found["to"]))), inferred=False)


def _of_type(field: Field, found: re.Match[str]) -> Field:
    return replace(field, type=TYPES[found["type"].lower()], inferred=False)


def _of_length(field: Field, found: re.Match[str]) -> Field:
    return replace(field, maximum_length=int(found["length"]))


TYPE_WORDS = "|".join(sorted(TYPES, key=len, reverse=True))
POINTING = (
    r"(?:an? )?(?:fk|foreign key|reference|references|referencing|relation|relationship|link|linked|points?|"
    r"pointing|belongs|refers|referring)(?: to| of)?(?: the| an?)?"
)


def _of_sized_type(field: Field, found: re.Match[str]) -> Field:
    return _of_length(_of_type(field, found), found)


def _between(field: Field, found: re.Match[str]) -> Field:
    bounds = {name: int(text) for name, text in found.groupdict().items() if text}
    return replace(field, minimum=bounds.get("low", field.minimum), maximum=bounds.get("high", field.maximum))


# In this order: a rule that begins like another one comes first.
RULES: tuple[tuple[str, Change], ...] = (
    (rf"(?P<type>{TYPE_WORDS})\s*\((?P<length>\d+)\)", _of_sized_type),
    (r"max(?:imum)?[ _-]?length\s*(?:of|=|:)?\s*(?P<length>\d+)", _of_length),
    (r"(?:max(?:imum)?|up to|at most|limited to)\s*(?P<length>\d+) (?:characters|chars|letters)", _of_length),
    (r"(?P<low>-?\d+)\.\.(?P<high>-?\d+)", _between),
    (r"(?:>=|≥|at least|min(?:imum)?(?: of)?)\s*[:=]?\s*(?P<low>-?\d+)", _between),
    (r"(?:<=|≤|at most|up to|max(?:imum)?(?: of)?)\s*[:=]?\s*(?P<high>-?\d+)", _between),
    (r"non-?negative|not negative", lambda f, _: replace(f, minimum=0)),
    (r"required|mandatory|not null|non-?null(?:able)?", lambda f, _: replace(f, required=True)),
    (r"optional|nullable", lambda f, _: replace(f, required=False)),
    (r"unique", lambda f, _: replace(f, unique=True)),
    (rf"{POINTING} (?P<to>{NAME})(?=$|[,;)])", _pointing),
    (r"fk|foreign key|reference|relation", lambda f, _: replace(f, type="reference", inferred=False)),
    (rf"(?:an? )?(?P<type>{TYPE_WORDS})\b(?:\s*\(\s*\))?", _of_type),
)


def with_rules(field: Field, text: str) -> Field | None:
    """The field with every rule in `text` applied; None when a part of it is not a rule."""
    rest = text.strip()
    while rest:
        for pattern, change in RULES:
            found = re.match(rf"(?:{pattern})(?=\W|$)", rest, re.IGNORECASE)
            if found:
                field = change(field, found)
                rest = re.sub(r"^\s*(?:[,;]|and\b)?\s*", "", rest[found.end() :])
                break
        else:
            return None
    return field


def is_rule(text: str) -> bool:
    """Whether `text` holds nothing but types and rules, so that it cannot be the name of a field."""
    return with_rules(Field("x"), text) is not None


def _with_choices(field: Field, text: str) -> Field:
    listed = re.split(r"\s*[|/]\s*" if re.search(r"[|/]", text) else r"\s*,\s*(?:or |and )?|\s+or\s+|\s+and\s+", text)
    values = tuple(value.strip(" '\"") for value in listed)
    if len(set(values)) < 2 or not all(re.fullmatch(r"[A-Za-z0-9][\w -]{0,39}", value) for value in values):
        raise Refusal(f'The choices "{text}" of {field.name} are not understood.')
    return replace(field, type="choice", choices=tuple(dict.fromkeys(values)), inferred=False)


def noun(text: str) -> str:
    """A name in snake_case, once nothing in it asks for more than a stored value."""
    name = snake(text)
    words = name.split("_")
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or len(name) > LONGEST_NAME or len(words) > 5:
        raise Refusal(f'"{text}" is not understood as the name of a field or resource.')
    if len(words) > 1 and (words[0] in VERBS or STRUCTURE & set(words[1:]) or PREPOSITIONS & set(words[1:-1])):
        raise Refusal(f'"{text}" asks for something else than fields and relations.')
    return name


def named(text: str) -> Field:
    """A field with what its name alone tells."""
    field = Field("x")
    text = re.sub(r"^(?:(?:an?|the|its|their|his|her|one|exactly one|also|each|with)\s+)+(?=\S)", "", text, flags=re.I)
    while found := re.match(rf"(optional|required|unique|mandatory|nullable|{PURE_TYPES})\s+(?=\w)", text, re.I):
        field = with_rules(field, found[1]) or field
        text = text[found.end() :]
    name = noun(text)
    if SECRET.fullmatch(name):
        raise Refusal(f'"{text}" is a secret, and keeping secrets needs more than CRUD.')
    if name.split("_")[-1] in BEYOND or NEVER & set(name.split("_")):
        raise Refusal(f'"{text}" asks for more than CRUD.')
    return replace(field, name=name)


def split_rules(text: str) -> tuple[str, str]:
    """The name of a field, and the rules written behind it without any punctuation."""
    words = text.split()
    for end in range(1, len(words)):
        rules = " ".join(words[end:])
        ambiguous = re.fullmatch(rf"(?!(?:{PURE_TYPES})$)(?:{TYPE_WORDS}|link|reference|relation)", rules, re.I)
        if not ambiguous and is_rule(rules):
            return " ".join(words[:end]), rules
    return text, ""


def field_of(text: str) -> Field:
    """The field that `text` describes; raises Refusal for anything that it cannot read completely."""
    inside = re.findall(r"\(([^()]*)\)", re.sub(r"\b\w+\(\d+\)", "", text))
    plain = re.sub(r"(?<!\w)\s*\([^()]*\)|(?<=\w)\s+\([^()]*\)|(?<=\w)\((?!\d+\))[^()]*\)", "", text).strip()
    name, *rules = re.split(
        r"\s*(?::|→|->|(?<![<>!])=(?!=)|\bas an?\b|\bas\b|\bof type\b|\bis an?\b)\s*", plain, maxsplit=1
    )
    if not rules:
        name, written = split_rules(plain)
        rules = [written]
    field = named(name)
    for rule in [*rules, *inside]:
        changed = with_rules(field, rule)
        if changed is None and (re.search(r"[|/]", rule) or field.name.split("_")[-1] in CHOICES):
            changed = _with_choices(field, rule)
        if changed is None:
            raise Refusal(f'"{rule.strip()}" of {field.name} is not understood.')
        field = changed
    return checked(inferred(field))


def with_length(field: Field) -> Field:
    """What "max 100" means for a text."""
    if field.minimum is not None or field.maximum is None:
        return field
    return replace(field, maximum=None, maximum_length=field.maximum)


def inferred(field: Field) -> Field:
    """The field with the type and the bounds that its name suggests, where none are written."""
    if field.inferred:
        kind = next((kind for pattern, kind in NAMES if re.fullmatch(pattern, field.name)), "string")
        if kind in ("string", "text"):
            field = with_length(field)
        if kind == "string" and (field.minimum, field.maximum) != (None, None):
            kind = "integer"
        if kind == "string" and singular_of(field.name) != field.name and not field.name.endswith("_id"):
            kind = "list"
        field = replace(field, type=kind)
    elif field.type in ("string", "text"):
        field = with_length(field)
    if field.type in ("integer", "number", "decimal") and field.minimum is None and NOT_NEGATIVE.fullmatch(field.name):
        field = replace(field, minimum=0)
    if field.type == "reference" and not field.references:
        field = replace(field, references=plural_of(singular_of(field.name.removesuffix("_id"))))
    if field.type == "reference":
        field = field.referring(field.references or "")
    return field


def checked(field: Field) -> Field:
    """The field itself, once its rules can all be kept."""
    numeric = field.type in ("integer", "number", "decimal")
    bounds = [bound for bound in (field.minimum, field.maximum) if bound is not None]
    span = (field.maximum if field.maximum is not None else LARGEST) - (field.minimum or 0)
    for wrong, why in (
        (bounds and not numeric, "bounds are for numbers"),
        (any(abs(bound) > 10**9 for bound in bounds), "its bounds are too large"),
        (span < 1, "its bounds leave no room"),
        (field.maximum_length and field.type not in ("string", "text"), "lengths are for texts"),
        (not 1 <= (field.maximum_length or 1) <= 10_000, "its length must be 1 to 10000"),
        (field.unique and field.type in ("boolean", "choice"), "it has too few values to be unique"),
        (field.unique and numeric and span < 10, "it has too few values to be unique"),
    ):
        if wrong:
            raise Refusal(f"The rules of {field.name} do not fit: {why}.")
    return field
