"""How one request differs from the nearest that was recorded, for people."""

import json
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from difflib import SequenceMatcher, unified_diff

from backend_coordinator.nodes.redaction import MASK
from backend_coordinator.testing.tape import Key, Part, key_of

_MOST_LINES = 40
_WIDTH = 110
_LOOKED_AT = 12
"""Candidates whose texts are compared, once digests have said which requests are near."""


def difference(asked: Sequence[Part], recorded: Iterable[Key], parts: Mapping[str, Part]) -> str:
    """What changed, part by part, against the nearest of the requests, one at least; at most some forty lines."""
    nearest = [parts[name] for name in _nearest(asked, list(recorded), parts)]
    before, after = _named(nearest), _named(asked)
    names = [name for name in {**before, **after} if before.get(name) != after.get(name)]
    lines = [f"Against the nearest recorded request these differ: {', '.join(names)}. - recorded, + asked now:"]
    if repr(nearest).count(MASK) != repr(asked).count(MASK):
        lines.append("Not the same was masked: secrets in the environment or in .env files differ from those then.")
    for name in names:
        lines += [f"@ {name}", *_changed(before.get(name, []), after.get(name, []))]
    more = [f"... {len(lines) - _MOST_LINES} more lines"] if len(lines) > _MOST_LINES else []
    return "\n".join([*lines[:_MOST_LINES], *more])


def _nearest(asked: Sequence[Part], recorded: Sequence[Key], parts: Mapping[str, Part]) -> Key:
    """By parts that are equal, then by number of parts, then by how alike the other texts are."""
    key = key_of(asked)
    same = {name for name in key if name in parts}

    def by_parts(other: Key) -> tuple[int, int]:
        return (sum(name in same for name in other), -abs(len(other) - len(key)))

    def by_text(other: Key) -> tuple[tuple[int, int], float]:
        unlike = [" ".join(_lines(part)) for name, part in zip(key, asked, strict=True) if name not in other]
        theirs = [" ".join(_lines(parts[name])) for name in other if name not in key]
        return by_parts(other), SequenceMatcher(None, " ".join(theirs).split(), " ".join(unlike).split()).ratio()

    near = sorted(recorded, key=by_parts, reverse=True)[:_LOOKED_AT]
    return max(near, key=by_text)


def _named(request: Sequence[Part]) -> dict[str, list[str]]:
    """The lines of each part under the name people know it by."""
    first = sum("role" not in part for part in request)
    return {
        (f"message {n - first + 1} ({part['role']})" if "role" in part else next(iter(part))): _lines(part)
        for n, part in enumerate(request)
    }


def _lines(part: Part) -> list[str]:
    others = {name: value for name, value in part.items() if name not in ("role", "text")}
    text = part.get("text", "")
    shown = text if isinstance(text, str) else json.dumps(text, indent=1, ensure_ascii=False)
    long = [*shown.splitlines(), *(json.dumps(others, indent=1, ensure_ascii=False).splitlines() if others else [])]
    return [short for line in long for short in textwrap.wrap(line, _WIDTH, drop_whitespace=False) or [""]]


def _changed(before: Sequence[str], after: Sequence[str]) -> list[str]:
    if not before or not after:
        return ["only asked now" if after else "only recorded"]
    found = unified_diff(before, after, n=1, lineterm="")
    return [line for line in found if not line.startswith(("---", "+++", "@@"))]
