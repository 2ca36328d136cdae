"""The screen before one specialist: what is withheld from it is left out of every text on its way there."""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Set
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import TypeVar

from pydantic import BaseModel

from backend_coordinator.nodes.coded import decoded

V = TypeVar("V", bound=BaseModel)
WITHHELD = "[withheld]"
FEWEST_WORDS, SHORTEST_LINE = 4, 20
"""A line of fewer words or characters is said by chance."""
MOST_WORDS = 12
"""Words of one phrase; a longer line is several."""
SHORTEST_NAME, PIECE = 16, 10
"""Characters of a name that is nobody's word, and of a piece by which it is known."""
SHORTEST_LETTERS = 24
"""Letters of one case that are no compound."""
LAYERS = 2
"""How often something may have been coded."""
_WORDS = re.compile(r"[^\W_]+|\\[nrt]|\n[ \t]*\d+\t")
"""Words; after ends of lines as JSON has them, and numbers of lines, others go on."""
_BETWEEN = re.compile(r"[^\W_]|\n")
_IN_WORDS = re.compile(
    r"(?=[A-Za-z][a-z]*[aeiouy])(?![A-Za-z]?[a-z]*(?:[b-df-hj-np-tv-xz]{4}|q[^u]|[jvz][b-df-hj-np-tv-x]))"
    r"(?:[A-Z][a-z]{3,}|[a-z]{4,})|By|Or|ID|UR[LI]|HTTPS?|XML|JSON|API|SQL|SMS|SHA|JWT|RSA"
)
"""What can be said in a name, and what is usual instead of words."""
_UNSPEAKABLE = re.compile(r"[^aeiouy]{6}", re.IGNORECASE)
_NAMES = re.compile(r"[A-Za-z0-9_-]{10,}")

Phrases = dict[str, "Phrases"]
"""Phrases word by word; `_END` stands behind the last one."""
Key = tuple[str, ...]
_END = ""


def _no_texts() -> Iterable[str]:
    return ()


@dataclass(frozen=True)
class Screen:
    """Puts `[withheld]` for what is withheld: lines, and names that look random, such as keys, plain or coded.

    A line is known by its words, however it is wrapped, quoted or numbered; nothing is known that was put in other
    words, reversed, compressed or encrypted. `seen` gives texts that the specialist may read anyway: asked for once,
    and only when something was found.
    """

    phrases: Phrases
    pieces: Set[str]
    seen: Callable[[], Iterable[str]] = _no_texts

    def __call__(self, text: str) -> str:
        clean, done = [], 0
        for start, end in self._spans(text):
            clean += [text[done:start], WITHHELD]
            done = end
        return "".join((*clean, text[done:]))

    def value(self, value: V) -> V:
        """The same value with every text in it screened."""
        whole = value.model_dump(mode="json")
        clean = self._each(whole)
        return value if clean == whole else type(value).model_validate_json(json.dumps(clean))

    def _each(self, part: object) -> object:
        if isinstance(part, str):
            return self(part)
        if isinstance(part, dict):
            return {name: self._each(inner) for name, inner in part.items()}
        return [self._each(inner) for inner in part] if isinstance(part, list) else part

    def _spans(self, text: str) -> list[tuple[int, int]]:
        """What to leave out: places that touch, or have only blanks and signs of one line between them, are one."""
        spans: list[tuple[int, int]] = []
        found = ((start, end) for start, end, keys in self.found(text) if keys - self._harmless)
        for start, end in sorted(found):
            if spans and (start <= spans[-1][1] or not _BETWEEN.search(text, spans[-1][1], start)):
                spans[-1] = (spans[-1][0], max(end, spans[-1][1]))
            else:
                spans.append((start, end))
        return spans

    @cached_property
    def _harmless(self) -> Set[Key]:
        return _keys(self, self.seen())

    def found(self, text: str, layers: int = LAYERS) -> Iterator[tuple[int, int, Set[Key]]]:
        """Where something withheld begins and ends, and what it is."""
        if not self.phrases and not self.pieces:
            return
        yield from self._phrases(text)
        for name in _NAMES.finditer(text):
            if keys := {(piece,) for piece in _pieces(name[0]) if piece in self.pieces}:
                yield *name.span(), keys
        for start, end, plain in decoded(text) if layers else ():
            if inner := {key for _, _, keys in self.found(plain, layers - 1) for key in keys}:
                yield start, end, inner

    def _phrases(self, text: str) -> Iterator[tuple[int, int, Set[Key]]]:
        places = [place for place in _WORDS.finditer(text) if place[0][0] not in "\\\n"] if self.phrases else []
        words = [place[0].lower() for place in places]
        for first, word in enumerate(words):
            node, last = self.phrases.get(word), first
            while node:
                if _END in node:
                    yield places[first].start(), places[last].end(), {tuple(words[first : last + 1])}
                last += 1
                node = node.get(words[last]) if last < len(words) else None


def screen(hidden: Iterable[str], told: Iterable[str], seen: Callable[[], Iterable[str]] = _no_texts) -> Screen:
    """The screen that knows `hidden` texts line by line, but for what stands in those that are `told`.

    Equal texts in any order give equal screens.
    """
    texts = set(hidden)
    phrases = {phrase for text in texts for line in text.splitlines() for phrase in _phrases_of(line)}
    pieces = {piece for text in texts for name in _NAMES.findall(text) if _is_random(name) for piece in _telling(name)}
    known = _keys(Screen(_tree(phrases), pieces), told)
    return Screen(_tree(phrases - known), pieces - {piece for (piece, *_) in known}, seen)


def _keys(known: Screen, texts: Iterable[str]) -> Set[Key]:
    return {key for text in texts for _, _, keys in known.found(text, 0) for key in keys}


def _phrases_of(line: str) -> Iterator[Key]:
    """The words of a line, in pieces where they are many; none for a line that is said by chance."""
    words = [word.lower() for word in _WORDS.findall(line)]
    if sum(map(bool, map(_WORDS.search, line.split()))) < FEWEST_WORDS or len(" ".join(words)) < SHORTEST_LINE:
        return
    while words:
        most = MOST_WORDS if len(words) >= MOST_WORDS + FEWEST_WORDS else len(words)
        yield tuple(words[:most])
        words = words[most:]


def _tree(phrases: Iterable[Key]) -> Phrases:
    tree: Phrases = {}
    for phrase in phrases:
        node = tree
        for word in phrase:
            node = node.setdefault(word, {})
        node[_END] = {}
    return tree


def _pieces(name: str) -> Iterator[str]:
    return (name[start : start + PIECE] for start in range(len(name) - PIECE + 1))


def _telling(name: str) -> list[str]:
    """The pieces of a random name that are no words themselves."""
    least = min(2, _changes(name))
    return [piece for piece in _pieces(name) if _changes(piece) >= least]


def _is_random(name: str) -> bool:
    """Whether nobody would call anything so: a key or a digest, no identifier."""
    plain = re.sub("[_-]", "", name)
    whole = plain == name or re.fullmatch("[0-9A-Fa-f-]+", name) is not None
    changes, upper = _changes(name), sum(map(str.isupper, plain))
    if len(plain) < SHORTEST_NAME:
        return False
    spoken = sum(sign in "aeiouAEIOU" for sign in plain) >= 0.28 * sum(map(str.isalpha, plain))
    if upper in (0, sum(map(str.isalpha, plain))):
        unsaid = len(plain) >= SHORTEST_LETTERS and (not spoken or _UNSPEAKABLE.search(plain) is not None)
        return whole and (changes > 3 or plain.isdigit() or (plain.isalpha() and unsaid))
    if sum(map(len, _IN_WORDS.findall(plain))) >= 0.6 * len(plain):
        return False
    mixed = not plain.isalpha() or 0.35 <= upper / len(plain) <= 0.65
    return (changes * 3 >= len(plain) and mixed) or (changes * 4 >= len(plain) and not spoken)


def _changes(name: str) -> int:
    """How often lower case, upper case and digits take turns."""
    kinds = ["0" if sign.isdigit() else "A" if sign.isupper() else "a" for sign in name if sign not in "_-"]
    return sum(one != other for one, other in pairwise(kinds))
