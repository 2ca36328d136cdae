"""What a specialist's bash lines may do: allow, ask or deny, the most specific rule deciding."""

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import translate
from typing import Literal

Decision = Literal["allow", "ask", "deny"]
_STRICTNESS: Mapping[Decision, int] = {"allow": 0, "ask": 1, "deny": 2}
_PLAIN = re.compile(r"[A-Za-z0-9_@%+=:,./ '\"-]+")
"""The characters of a line that the shell gives no meaning to, quotes apart."""


@dataclass(frozen=True)
class Ruling:
    """A decision with its reason, in one line."""

    decision: Decision
    reason: str


def judge_bash(command: str, rules: Mapping[str, Decision]) -> Ruling:
    """Decides one bash line under `rules` (pattern -> decision); their order has no meaning.

    Allowed is only one simple command without any shell metacharacter whose most specific rule says allow. A deny
    rule bites wherever one of the line's parts fits it. Everything else is ask.
    """
    for part in _parts(command):
        pattern = most_specific(part, rules)
        if pattern is not None and rules[pattern] == "deny":
            return Ruling("deny", f"{pattern!r} is denied")
    words = _simple(command)
    if words is None:
        return Ruling("ask", "not one simple command without shell metacharacters")
    pattern = most_specific(" ".join(words), rules)
    if pattern is None:
        return Ruling("ask", "no rule names this command")
    return Ruling(rules[pattern], f"rule {pattern!r}")


def most_specific(text: str, rules: Mapping[str, Decision]) -> str | None:
    """The fitting pattern with the most literal characters; among equals the strictest."""
    fitting = [pattern for pattern in rules if _fits(text, pattern)]
    return max(fitting, key=lambda p: (_literal(p), _STRICTNESS[rules[p]], p), default=None)


def _fits(text: str, pattern: str) -> bool:
    bare = pattern.endswith(" *") and text == pattern[:-2]
    return bare or re.match(translate(pattern), text) is not None


def _literal(pattern: str) -> int:
    return sum(letter not in "*?[]" for letter in pattern)


def _simple(command: str) -> list[str] | None:
    if not _PLAIN.fullmatch(command):
        return None
    try:
        words = shlex.split(command)
    except ValueError:
        return None
    return None if not words or "=" in words[0] else words


def _parts(command: str) -> list[str]:
    pieces = re.split(r"[;&|\n(){}`]|\$\(", command)
    return [" ".join(piece.split()) for piece in pieces if piece.strip()]
