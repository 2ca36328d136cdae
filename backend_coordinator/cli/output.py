"""What the commands print, and where: answers to standard output, progress and errors to standard error."""

import json
import re
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from backend_coordinator.errors import CoordinatorError

if TYPE_CHECKING:
    from rich.console import Console

Json = Mapping[str, object] | Sequence[object]
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def plain(text: str) -> str:
    """The text with what a terminal would act upon as its escape (`\\u001b`), except newlines and tabs."""
    return _CONTROLS.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def terminal() -> "Console":
    """Standard error as a terminal that shows texts as they are."""
    from rich.console import Console

    return Console(stderr=True, highlight=False, markup=False, emoji=False)


def say(text: str = "") -> None:
    """One line of an answer."""
    sys.stdout.write(f"{plain(text)}\n")


def say_json(value: Json) -> None:
    """A whole answer as JSON."""
    say(json.dumps(value, indent=1, ensure_ascii=False))


def tell(text: str) -> None:
    """One line of progress."""
    sys.stderr.write(f"{plain(text)}\n")
    sys.stderr.flush()


def fail(error: CoordinatorError, *, as_json: bool) -> int:
    """Says what went wrong in one line, with `as_json` on standard output too, and gives the exit code."""
    text = " ".join(str(error).split())
    tell(f"error: {text}")
    if as_json:
        say_json({"error": text})
    return error.exit_code


def columns(rows: Sequence[Sequence[str]]) -> str:
    """Rows as aligned columns."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join(lines)
