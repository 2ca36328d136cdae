"""Reads an objective of the form "CRUD API for <resources> with <fields and relations>"."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from backend_coordinator.nodes.models.offline.fields import (
    NAME,
    Refusal,
    checked,
    field_of,
    is_rule,
    noun,
    with_rules,
)
from backend_coordinator.nodes.models.offline.model import Field, ServiceSpec
from backend_coordinator.nodes.models.offline.relations import related
from backend_coordinator.nodes.models.offline.vocabulary import OTHER_KINDS, PROVIDED
from backend_coordinator.nodes.models.offline.words import is_plural, plural_of, singular_of, snake

HEAD = re.compile(
    r"(?:please\s+)?(?:(?:can|could) you (?:please )?)?"
    r"(?:(?:i|we)(?: would like| want| need|'d like)(?: to (?:have|build|create))?|let'?s|create|"
    r"build|implement|add|write|make|"
    r"develop|design|provide|generate|set up|expose)?\s*(?:me\s+|us\s+)?(?:an?\s+|the\s+|some\s+|new\s+)*"
    r"(?P<domain>(?:[a-z]+\s+){0,2}?)(?P<kind>(?:(?:simple|small|basic|new|minimal|tiny|little|full|"
    r"complete|restful|rest|crud|http|json|web|backend|"
    r"fastapi|python|sql|sqlite|sql-backed|management|standard|api|apis|service|services|endpoints?|"
    r"server|application|"
    r"app|microservice|routes|operations|resources?)[\s,/+-]*(?:\band\s+(?=sql))?)+)"
    r"(?:for managing|for|to manage|to handle|that manages|that handles|managing|exposing|with|on|"
    r":)\s*:?\s*(?:the\s+)?",
    re.IGNORECASE,
)
TOOLS = r"(?:fast ?api|python(?: 3(?:\.\d+)?)?|sqlite|sql|an sqlite database|a sqlite database|openapi)"
TAIL = re.compile(
    rf"[\s,]+(?:using|in|on|with|built with|backed by) {TOOLS}(?:(?:,| and| on| with|,? plus)+ "
    rf"{TOOLS})*(?=$|[.;,])",
    re.I,
)
HAVE = (
    r"(?:each |all |both )?(?:with|having|has|have|contains?|containing|includes?|including|consists? "
    r"of|consisting of|"
    r"(?:that|which) (?:has|have|contains?))(?: (?:the )?(?:following )?(?:fields|columns|attributes|"
    r"properties))?:?"
)
RELATION = (
    r"(?:(?:that |which |who |and )?(?:is |are )?(?:belongs?|belonging|linked|related|tied|attached|"
    r"associated|connected|"
    r"assigned|links?|relates?) (?:to|with)|referencing|references?|refers? to|referring to|(?:is |"
    r"are )?owned by|"
    r"(?:is |are )?written by|(?:is |are )?placed by|with an? (?:reference|foreign key|link|relation) to)"
)
ARTICLE = r"(?:(?:exactly |at most )?(?:an?|one|the|its|their|a single|another|some)\s+)?"
SUBJECT = rf"(?:(?:and|where|in which|whereby|while|the|an?|each|every|all|also)\s+)*(?P<subject>{NAME})"
OPENING = re.compile(rf"{SUBJECT}\s+{HAVE}\s+(?P<rest>.+)", re.I | re.S)
RELATED = re.compile(
    rf"(?:{SUBJECT}\s+)?{RELATION}\s+{ARTICLE}(?P<target>{NAME})(?P<rest>\s+{HAVE}\s+.+)?", re.I | re.S
)
LISTED = re.compile(rf"{SUBJECT}\s*(?:\((?P<inside>.*)\)|:\s*(?P<rest>.+))", re.I | re.S)
MANY = re.compile(
    rf"(?:many|multiple|several|zero or more|one or more|any number of|a list of)\s+(?P<target>{NAME})", re.I
)

FLAGS = re.compile(r"(?:unique|required|mandatory|optional|nullable|not null)(?: (?:and )?(?:unique|required))?", re.I)
SEPARATORS = r"\s*[,/|]\s*(?:or |and )?|\s+or\s+|\s+and\s+"


@dataclass
class Draft:
    """What has been read so far; `open` is the resource to which a bare field belongs."""

    resources: dict[str, list[Field]] = field(default_factory=dict)
    collections: list[tuple[str, str]] = field(default_factory=list)
    open: str = ""
    listed: bool = False
    relating: bool = False

    def resource(self, name: str) -> str:
        """The singular of a resource, which is added when it is new."""
        singular = singular_of(name)
        self.resources.setdefault(singular, [])
        return singular


def understand(objective: str) -> ServiceSpec | None:
    """The specification of an objective, or None when any part of it is not understood (see `why_not`)."""
    try:
        return _parse(objective)
    except Refusal:
        return None


def why_not(objective: str) -> str:
    """One sentence on the part of an objective that is not understood; an empty text when all of it is."""
    try:
        _parse(objective)
    except Refusal as refusal:
        return str(refusal)
    return ""


def _parse(objective: str) -> ServiceSpec:
    text = " ".join(re.sub(r"[\"`\u201c\u201d]", "", re.sub(r"\n\s*[-*\u2022]\s+", "; ", objective)).split()).rstrip(
        ".!"
    )
    head = HEAD.match(text)
    if (
        not head
        or OTHER_KINDS & set(head["domain"].lower().split())
        or not re.search(r"crud|rest|api|endpoint|service|routes", head["kind"], re.I)
    ):
        raise Refusal("It is not of the form: CRUD API for <resources> with <fields>.")
    draft = Draft()
    for item in items(normalised(text[head.end() :])):
        if not PROVIDED.fullmatch(re.sub(r"^(?:with|includ(?:e|ing)|add)\s+", "", item.lower())):
            read_item(draft, item)
    return related(draft.resources, draft.collections)


def normalised(text: str) -> str:
    """The same text with ranges and lists of choices in one spelling each."""
    text = re.sub(r"[\[{]", "(", TAIL.sub("", text))
    text = re.sub(r"[\]}]", ")", text)
    number = r"(-?\d+(?:\.\d+)?)"
    text = re.sub(rf"\b(?:between|from)\s+{number}\s+(?:and|to)\s+{number}", r"\1..\2", text)
    text = re.sub(rf"(?<=\d)\s*(?:to|\u2013|\u2014|\.\.\.?)\s*{number}", r"..\1", text)
    text = re.sub(r"\b(\d+)-(\d+)\b(?!-)", r"\1..\2", text)
    text = re.sub(r"\b(decimal|numeric)\s*\(\s*\d+\s*,\s*\d\s*\)", r"\1", text, flags=re.I)
    word = r"[A-Za-z][\w-]*"
    last = rf"(?:\s*,?\s+or\s+{word}|\s*,?\s+and\s+{word}(?=\s*(?:$|[;.)])))?"
    listing = rf"({word}(?:\s*[,/|]\s*(?!(?:and|or)\b){word})*{last})"
    text = re.sub(r"\(\s*(?:one of|either|any of)\s*:?\s*([^()]*)\)", _choices, text, flags=re.I)
    text = re.sub(rf":?\s*\b(?:one of|either|any of|enum(?: of)?)\s*:?\s+{listing}", _choices, text, flags=re.I)
    text = re.sub(rf":\s*({word}(?:\s*[|/]\s*{word})+|{word}(?:, {word})* or {word})", _choices, text)
    return re.sub(r":?\s*\b(?:one of|enum)\s*:?\s*\(([^()]*)\)", _choices, text, flags=re.I)


def _choices(found: re.Match[str]) -> str:
    return f" ({'|'.join(re.split(SEPARATORS, found[1]))})"


def items(text: str) -> Iterator[str]:
    """Parts between commas, semicolons, full stops and `and`, outside of parentheses."""
    depth, start = 0, 0
    for found in re.finditer(r"[()]|[,;]|\.(?=\s|$)|\s&\s|\s(?:and|plus|where|whereby|as well as|along with)\s", text):
        mark = found[0]
        depth += (mark == "(") - (mark == ")")
        if mark not in "()" and depth == 0:
            yield from filter(None, [text[start : found.start()].strip()])
            start = found.end()
    if depth:
        raise Refusal("Its parentheses do not match.")
    yield from filter(None, [text[start:].strip()])


def read_item(draft: Draft, item: str) -> None:
    """Add what one part of the objective says to the draft."""
    item = re.sub(r"^(?:and|where|in which|whereby|also)\s+", "", item, flags=re.I)
    relating, draft.relating = draft.relating, False
    if relating and continues(draft, item):
        return
    for pattern, read in ((RELATED, _read_relation), (LISTED, _read_list), (OPENING, _read_opening)):
        found = pattern.fullmatch(item)
        if found and read(draft, found):
            return
    many = MANY.fullmatch(item)
    if many and draft.open:
        draft.collections.append((draft.open, _draft_noun(many["target"])))
    elif draft.open and draft.resources[draft.open] and FLAGS.fullmatch(item):
        last = draft.resources[draft.open].pop()
        draft.resources[draft.open].append(checked(with_rules(last, item) or last))
    elif not draft.open and re.fullmatch(rf"(?:the |all )?{NAME}", item) and is_plural(noun(item)):
        draft.resource(noun(re.sub(r"^(?:the|all) ", "", item)))
    elif not draft.open:
        raise Refusal(f'"{item}" is not understood.')
    else:
        draft.resources[draft.open].append(field_of(item))


def continues(draft: Draft, item: str) -> bool:
    """The next target of a relation: `referencing students and courses with grade`."""
    found = re.fullmatch(rf"{ARTICLE}(?P<target>{NAME})(?:\s+(?:with|having)\s+(?P<rest>.+))?", item, re.I)
    if not found or singular_of(snake(found["target"])) not in draft.resources:
        return False
    target = _draft_noun(found["target"])
    draft.resources[draft.open].append(Field(target).referring(plural_of(target)))
    if found["rest"]:
        read_item(draft, found["rest"])
    return True


def _draft_noun(text: str) -> str:
    return singular_of(noun(text))


def subject_of(draft: Draft, text: str | None) -> str:
    """The resource that a part speaks about, or an empty text when its first words are no resource."""
    if text is None:
        return draft.open
    name = noun(text)
    if singular_of(name) in draft.resources or is_plural(name):
        return draft.resource(name)
    return "" if draft.resources else draft.resource(name)


def _read_relation(draft: Draft, found: re.Match[str]) -> bool:
    subject = subject_of(draft, found["subject"])
    if not subject:
        return False
    target = _draft_noun(found["target"])
    draft.resources[subject].append(Field(target).referring(plural_of(target)))
    draft.open, draft.listed, draft.relating = subject, False, not found["rest"]
    if found["rest"]:
        read_item(draft, f"{plural_of(subject).replace('_', ' ')}{found['rest']}")
    return True


def _read_list(draft: Draft, found: re.Match[str]) -> bool:
    """`orders (customer, total)` or `orders: customer`, which may also be a field with its rules."""
    inside, rest = found["inside"], found["rest"]
    name = noun(found["subject"])
    known = singular_of(name) in draft.resources
    field_like = is_rule(inside or rest) or re.search(r"^[^,]*[|]", inside or "")
    if field_like or not (known or is_plural(name)):
        return False
    draft.open, draft.listed = draft.resource(name), inside is not None
    for item in items(inside or rest):
        read_item(draft, item)
    draft.open = "" if draft.listed else draft.open
    return True


def _read_opening(draft: Draft, found: re.Match[str]) -> bool:
    subject = subject_of(draft, found["subject"])
    if not subject:
        return False
    draft.open, draft.listed = subject, False
    rest = found["rest"]
    for item in items(rest[1:-1] if re.fullmatch(r"\([^()]*\)", rest) else rest):
        read_item(draft, item)
    return True
