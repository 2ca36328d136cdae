"""What the commands print, and where: answers to standard output, progress and errors to standard error."""

import json
import sys
from collections.abc import Mapping, Sequence

from backend_coordinator.errors import CoordinatorError

Json = Mapping[str, object] | Sequence[object]


def say(text: str = "") -> None:
    """One line of an answer."""
    sys.stdout.write(f"{text}\n")


def say_json(value: Json) -> None:
    """A whole answer as JSON."""
    say(json.dumps(value, indent=1, ensure_ascii=False))


def tell(text: str) -> None:
    """One line of progress."""
    sys.stderr.write(f"{text}\n")
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
