"""What stands in a text as hex digits, in base64, or coded for URLs."""

import re
from base64 import b64decode
from collections.abc import Iterator
from urllib.parse import unquote

_NEXT_LINE = r"(?:[\"',]{0,2}[ \t\r]*\n[ \t]*(?:\d+\t|[^\s:]{3,200}:\d+:[ \t]*)?[\"']?|\\+n)"
"""Long codes are wrapped over lines, which the tools show behind their numbers and the names of files."""
_MARK = r"(?:\\+x|0[xX]|" + _NEXT_LINE + r"|[ :,'\"-])"
_HEX = re.compile(r"[0-9A-Fa-f]+(?:" + _MARK + r"{1,4}[0-9A-Fa-f]+)*")
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{4,}={0,2}(?:" + _NEXT_LINE + r"[A-Za-z0-9+/_-]{4,}={0,2})*")
_MARKS = re.compile(_MARK)
_SHOWN = re.compile(rb"[\t\r\n -~]{10,}")
_FEWEST_DIGITS = 20
_SHORTEST = 14
"""Characters of base64 that can hold ten others."""


def decoded(text: str) -> Iterator[tuple[int, int, str]]:
    """Where something coded begins and ends, and what it says; what is no code may come too, decoded to nonsense.

    Takes time in proportion to the text.
    """
    if "%" in text:
        for found in re.finditer(r"\S+", text):
            if "%" in found[0] and (plain := unquote(found[0])) != found[0]:
                yield *found.span(), plain
    for found in _HEX.finditer(text):
        digits = _MARKS.sub("", found[0]) if len(found[0]) >= _FEWEST_DIGITS else ""
        for shift in (0, 1) if len(digits) >= _FEWEST_DIGITS else ():
            whole = digits[shift:]
            yield *found.span(), _text(bytes.fromhex(whole[: len(whole) // 2 * 2]))
    for found in _BASE64.finditer(text):
        lines = re.split(_NEXT_LINE, found[0])
        whole = "".join(lines)
        if len(whole) >= _SHORTEST:
            for part in {whole, *lines}:
                yield from ((*found.span(), plain) for plain in _from_base64(part))


def _from_base64(code: str) -> Iterator[str]:
    """What it says for each place within a group of four at which it may begin."""
    code = code.rstrip("=").replace("=", "A").translate(str.maketrans("-_", "+/"))
    for shift in range(4):
        shifted = "A" * shift + code
        yield _text(b64decode(shifted[: len(shifted) // 4 * 4] if len(shifted) % 4 == 1 else _padded(shifted)))


def _padded(code: str) -> str:
    return code + "=" * (-len(code) % 4)


def _text(data: bytes) -> str:
    """UTF-8, else the stretches that are plain letters."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return "\n".join(found.decode() for found in _SHOWN.findall(data))
