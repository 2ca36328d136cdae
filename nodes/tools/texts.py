"""Text files as models and people see them, over bytes that stay as they are where nothing was asked."""

import mimetypes
import re
from difflib import get_close_matches

from backend_coordinator.nodes.tools.bench import ToolRefused

LONGEST_LINE = 2000
"""Characters of a line that are shown."""
_MOST_LINES = 5000
"""Lines in which near ones are looked for."""
_BOM = b"\xef\xbb\xbf"


def shown(path: str, data: bytes) -> str:
    """The text to read, with `\\n` after each line; bytes that are no UTF-8 come as replacement marks.

    Raises ToolRefused for a binary file.
    """
    if b"\0" in data:
        kind = mimetypes.guess_type(path)[0] or "of no kind its name tells"
        raise ToolRefused(f"{path} is binary ({kind}, {len(data)} bytes): there is no text to show")
    return data.removeprefix(_BOM).decode("utf-8", errors="replace").replace("\r\n", "\n")


def lines_of(text: str) -> list[str]:
    """Its lines without their ends, as git and editors count them."""
    lines = text.split("\n")
    return lines if lines[-1] else lines[:-1]


def cut(line: str) -> str:
    """The line, or its beginning where it is too long to show."""
    left = len(line) - LONGEST_LINE
    return line if left <= 0 else f"{line[:LONGEST_LINE]}[... {left} more characters]"


def rewritten(path: str, old: bytes | None, text: str) -> bytes:
    """A whole new text in the manner of the bytes it replaces: with their line ends and their mark at the start.

    Raises ToolRefused where these are no UTF-8 text, which the new text would not be true to.
    """
    if old is None:
        return text.encode(errors="surrogatepass")
    _demand_utf8(path, old, "edit it in place, or write another file")
    mark = _BOM if old.startswith(_BOM) and not text.startswith("\ufeff") else b""
    return mark + _ended(text, _ends_in_crlf(old)).encode(errors="surrogatepass")


def edited(path: str, data: bytes, old: str, new: str, *, everywhere: bool) -> tuple[bytes, int]:
    """The bytes with `old` replaced, and in how many places; a line end fits `\\r\\n` too, and is written as found.

    Raises ToolRefused where `old` does not stand there, stands there more than once, or `new` is of another encoding.
    """
    if old == new:
        raise ToolRefused("old and new are the same text: nothing to change")
    pattern = re.escape(old) if "\r" in old else "\r?\n".join(map(re.escape, old.split("\n")))
    places = list(re.finditer(pattern.encode(errors="surrogatepass"), data))
    if not places:
        raise ToolRefused(f"the old text does not stand in {path}: read it again{_nearest(path, data, old)}")
    if len(places) > 1 and not everywhere:
        told = f"the old text stands {len(places)} times in {path}"
        raise ToolRefused(f"{told}: give more of its surroundings, or replace_all")
    if not new.isascii():
        _demand_utf8(path, data, "the new text may only have ASCII letters")
    pieces, end = [], 0
    for place in places:
        crlf = b"\r\n" in place[0] or (b"\n" not in place[0] and _ends_in_crlf(data))
        pieces += [data[end : place.start()], _ended(new, crlf and "\r" not in old).encode(errors="surrogatepass")]
        end = place.end()
    return b"".join((*pieces, data[end:])), len(places)


def _demand_utf8(path: str, data: bytes, remedy: str) -> None:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ToolRefused(f"{path} is not UTF-8: {remedy}") from error


def _ends_in_crlf(data: bytes) -> bool:
    return data.count(b"\r\n") * 2 > data.count(b"\n")


def _ended(text: str, crlf: bool) -> str:
    return text.replace("\n", "\r\n") if crlf and "\r" not in text else text


def _nearest(path: str, data: bytes, old: str) -> str:
    """The lines most like the first that is looked for."""
    wanted = next((line.strip() for line in old.splitlines() if line.strip()), "")
    lines = {line.strip(): number for number, line in enumerate(lines_of(shown(path, data))[:_MOST_LINES], 1)}
    near = get_close_matches(wanted[:LONGEST_LINE], lines, n=3, cutoff=0.6)
    return "".join(("; the nearest lines:" if near else "", *(f"\n{lines[line]}\t{cut(line)}" for line in near)))
