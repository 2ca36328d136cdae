"""How large an objective is: closed work that one does in one go, or areas that several can work on at once."""

import re

from backend_coordinator.nodes.models.offline.survey import VERBS, items_of, parts_of, survey
from backend_coordinator.nodes.models.offline.vocabulary import words

_CLOSED = re.compile(
    r"\b(?:endpoint|route|columns?|index(?:es)?|fields?|tables?|tests?|query|queries|validations?|checks?|flags?|"
    r"settings?|headers?|parameters?|defaults?|variables?|bugs?|errors?|typos?|timeouts?|messages?|constraints?|"
    r"mutation|resolver|handler|webhook|filters?|pagination|sorting|comments?|docs|command|script)\b",
    re.I,
)
_BROAD = re.compile(
    r"\b(?:services?|microservices?|systems?|platform|gateway|engine|subsystem|pipeline|backend|marketplace|monolith|"
    r"multi-?tenan\w+|applications?|apps?|portal|hub|architecture|crm|erp|cms)\b",
    re.I,
)
_BUILDS = re.compile(
    r"(?:please |we need (?:to )?|let'?s )*(?:add|build|create|decompose|design|develop|extract|implement|introduce|"
    r"let|make|migrate|move|provide|rebuild|redesign|replace|rework|set up|split|turn|write)\b",
    re.I,
)
_DIVIDES = re.compile(r"^(?:split|break|decompose|divide)\b.*?\binto\s+", re.I)
_MOVES = re.compile(r"^(?:extract|migrate|move|carve|turn)\b.*\b(?:into|to|out)\b", re.I)
_ABOUT = re.compile(
    r"\s+(?:for|over|across|between|behind|out of|from|into|to|in|on|of|that|which|where|who|with|by|via|through|"
    r"using)\s.*",
    re.I,
)
_GENERIC = re.compile(
    r"^(?:rest |crud |http |json )*(?:endpoints|apis?|support|routes|crud)\s+(?:for|to manage)\s+", re.I
)
_OPENING = re.compile(
    rf"^(?:(?:please|we|need|want|to|let'?s|set up|let|{VERBS})\s+)*(?:(?:an?|the|our|some|new|its|full)\s+)*", re.I
)
_REMARK = re.compile(
    r"^(?:it|its|their|they|this|these|that|we|must|should|only|each|every|no|so|without|targets?|keep)\b|\d", re.I
)
_EMPTY = words("a an the our new full simple small its their with and per based aware own some existing")
_WHOLE = re.compile(
    r"[^.;!?\n]*?(?::\s|\b(?:covers?|covering|comprises?|comprising|consists? of|consisting of)\b)", re.I
)
"""What is said before its parts are named in full."""
_HOLDER = re.compile(
    r"\b(?:platform|system|backend|marketplace|monolith|apps?|applications?|portal|hub|crm|erp|cms)$", re.I
)
"""What is nothing beside its parts, unlike a service or a gateway."""
_MOST, _SEVERAL = 8, 3


def areas_of(objective: str) -> tuple[str, ...]:
    """The areas of a large objective in its own words, at most 8; none for closed work.

    Large is what builds a service, a platform and the like, or names several things that ask several questions.
    """
    parts = parts_of(objective)
    if not parts:
        return ()
    first = _DIVIDES.sub("", parts[0].text)
    verb = re.match(rf"(?:{VERBS})\b", first, re.I)
    phrase = _OPENING.sub("", first, count=1)
    subject = _ABOUT.sub("", phrase)
    if _CLOSED.search(subject) or (verb and not _BUILDS.match(first)):
        return ()
    more = [item for part in parts[1:] for item in items_of(part.text) if not _REMARK.search(item)]
    tail = _GENERIC.sub("", phrase)
    whole = len(more) > 1 and (_WHOLE.match(objective) or _HOLDER.search(subject.strip()))
    names = [name_of(text) for text in (*(() if whole else items_of(tail if tail != phrase else subject)), *more)]
    found = tuple(dict.fromkeys(filter(None, names)))[:_MOST]
    divided = first != parts[0].text or tail != phrase
    moved = _MOVES.match(first) and _BROAD.search(first)
    large = moved or _BROAD.search(subject) or (len(found) >= _SEVERAL and (divided or len(survey(objective)) > 1))
    return found if large else ()


def name_of(text: str) -> str:
    """The words that name an area: its nouns, without the verb, the articles and what it is for."""
    subject = re.sub(r"['\u2019]s\b", "", _ABOUT.sub("", _OPENING.sub("", text, count=1)))
    kept = [word for word in re.findall(r"[^\W_][\w-]*", subject) if word.lower() not in _EMPTY]
    return " ".join(kept[-3:])
