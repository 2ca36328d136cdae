"""What a model reads of a page: its text, in linear time whatever the page holds."""

import re
from collections.abc import Iterator
from html import unescape

_KIND = re.compile(r"text/[\w.+-]+|application/(?:[\w.+-]+\+)?(?:json|xml|yaml|toml|javascript)|application/x-yaml")
_CHARSET = re.compile(r"charset\s*=\s*[\"']?([\w.:-]{1,40})", re.IGNORECASE)
_READABLE = re.compile(r"(?:utf|iso|windows|cp|us|ascii|latin|gb|big5|euc|shift|koi)[\w-]*", re.IGNORECASE)
"""Names of character sets; Python knows encodings by other names that are none, and slow."""
_HEAD = 2_000
"""Bytes in which an HTML page names its character set."""
_PIECE = re.compile(r"<!--|-->|</?[a-zA-Z][^<>]*>|<!(?i:doctype)[^<>]*>|<\?[^<>]*>|<|[^<-]+|-")
_NAME = re.compile(r"</?([a-zA-Z][\w-]*)")
_LINK = re.compile(r"\shref\s*=\s*[\"']?([^\"'\s>#][^\"'\s>]*)", re.IGNORECASE)
_UNSEEN = frozenset({"script", "style", "svg", "template", "iframe", "nav", "noscript", "object", "textarea"})
_INLINE = frozenset(
    {"a", "abbr", "b", "cite", "code", "em", "font", "i", "img", "kbd", "label", "mark", "q", "s", "small", "span"}
    | {"strong", "sub", "sup", "time", "u", "var", "wbr"}
)
_MARKS = {"li": "\n- ", "td": "\t", "th": "\t", **{f"h{level}": f"\n{'#' * level} " for level in range(1, 7)}}


class NoText(Exception):
    """A page that is no text; the text says what it is."""


def text_of(kind: str, body: bytes) -> str:
    """A page as text: HTML without what is not shown, anything else as it is.

    A wrong or unknown character set never fails. Raises NoText for what is not text.
    """
    name = kind.partition(";")[0].strip().lower()
    if not _KIND.fullmatch(name):
        raise NoText(f"it is {name or 'of no named type'}, not text")
    html = name in {"text/html", "application/xhtml+xml"}
    text = _decoded(body, _CHARSET.search(kind) or (html and _CHARSET.search(body[:_HEAD].decode("latin-1"))) or None)
    return _tidied("".join(_shown(text))) if html else text


def _decoded(body: bytes, named: re.Match[str] | None) -> str:
    name = named[1] if named and _READABLE.fullmatch(named[1]) else "utf-8-sig"
    try:
        return body.decode(name, errors="replace")
    except (LookupError, ValueError):
        return body.decode("utf-8", errors="replace")


def _shown(html: str) -> Iterator[str]:
    unseen, link, kept = "", "", False
    for piece in _PIECE.findall(html):
        tag = _NAME.match(piece)
        name, closes = (tag[1].lower(), piece[1] == "/") if tag else ("", False)
        if unseen:
            unseen = "" if (closes and name == unseen) or piece == unseen else unseen
        elif piece == "<!--" or (name in _UNSEEN and not closes):
            unseen = name or "-->"
        elif not tag:
            yield "" if piece.startswith(("<!", "<?")) else _unescaped(piece if kept else re.sub(r"\s+", " ", piece))
        else:
            yield f" ({link})" if link and name == "a" and closes else _mark(name, closes)
            found = _LINK.search(piece) if name == "a" and not closes else None
            link = _unescaped(found[1]) if found else "" if name == "a" else link
            kept = not closes if name == "pre" else kept


def _mark(name: str, closes: bool) -> str:
    if name == "pre":
        return "\n```\n"
    if name in _INLINE or (closes and name in {"li", "td", "th"}):
        return ""
    return "\n" if closes else _MARKS.get(name, "\n")


def _unescaped(text: str) -> str:
    try:
        return unescape(text)
    except ValueError:  # a number of more digits than Python reads
        return text


def _tidied(text: str) -> str:
    lines = [line.rstrip() for line in text.splitlines()]
    return "\n".join(line for before, line in zip(["", *lines], lines, strict=False) if line or before).strip()
