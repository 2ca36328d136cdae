"""Rules by pattern: the most specific one decides, deny beats ask beats allow, their order has no meaning."""

import fnmatch
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

Decision = Literal["allow", "ask", "deny"]
Rules = Mapping[str, Decision]
_STRICTNESS: Mapping[Decision, int] = {"allow": 0, "ask": 1, "deny": 2}
_WILD = re.compile(r"\[[!^]?\]?[^]]*\]|[*?]")
_BETWEEN = "\0"


@dataclass(frozen=True)
class Ruling:
    """A decision with its reason, in one line."""

    decision: Decision
    reason: str


def strictest(rulings: Iterable[Ruling]) -> Ruling:
    """The first of the strictest rulings; there must be one."""
    return max(rulings, key=lambda ruling: _STRICTNESS[ruling.decision])


def most_specific(words: Sequence[str], rules: Rules) -> str | None:
    """The fitting pattern with the most literal characters, among these one without wildcards, then the strictest.

    A pattern is compared word by word: `git *` fits `git` and all it is given, and never `gitk`. A `*` at the end of
    a pattern stands for any words, elsewhere too; `?` and `[...]` stand for one character.
    """
    text = _BETWEEN.join(words)
    fitting = [pattern for pattern in rules if _regex(pattern).fullmatch(text)]
    return max(fitting, key=lambda pattern: rank(pattern, rules), default=None)


def rank(pattern: str, rules: Rules) -> tuple[int, bool, int, str]:
    """What puts patterns in order, the most specific last."""
    literal = _WILD.sub("", pattern)
    return len("".join(literal.split())), literal == pattern, _STRICTNESS[rules[pattern]], pattern


def literal_words(pattern: str) -> tuple[str, ...]:
    """The words of a pattern that hold no wildcard."""
    return tuple(word for word in pattern.split() if not _WILD.search(word))


@lru_cache(maxsize=1024)
def _regex(pattern: str) -> re.Pattern[str]:
    """One that never tries a second place for what stands between two stars: the first will do."""
    words = pattern.split()
    open_end = words[-1:] == ["*"]
    first, *rest = _pieces(_BETWEEN.join(words[:-1] if open_end else words))
    if open_end and len(words) == 1:
        return re.compile(".*", re.DOTALL)
    stars = [f"(?>.*?{piece})" for piece in rest[:-1] if piece] + [f".*{piece}" for piece in rest[-1:]]
    return re.compile("".join((first, *stars)) + (f"(?:{_BETWEEN}.*)?" if open_end else ""), re.DOTALL)


def _pieces(text: str) -> list[str]:
    """What stands between the stars, as regular expressions."""
    pieces, end = [""], 0
    for wild in _WILD.finditer(text):
        pieces[-1] += re.escape(text[end : wild.start()])
        if wild[0] == "*":
            pieces.append("")
        else:
            pieces[-1] += f"[^{_BETWEEN}]" if wild[0] == "?" else _bracket(wild[0])
        end = wild.end()
    pieces[-1] += re.escape(text[end:])
    return pieces


def _bracket(wild: str) -> str:
    bracket = fnmatch.translate(wild.replace("[^", "[!", 1)).removeprefix("(?s:")[: -len(r")\Z")]
    return f"(?!{_BETWEEN}){bracket}"
