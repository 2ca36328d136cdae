"""What a line may run that nobody can read for certain: commands to hold against deny rules."""

import re
from collections.abc import Iterator
from itertools import dropwhile

_EFFORT = 200_000
"""Characters that are read at most for all commands of a line together, where they overlap."""
_LONGEST_VALUE = 64
_BEFORE = re.compile(
    r"if|then|elif|else|while|until|do|time|-p|coproc|function|!|\{|\w+(?:\[[^]]*\])?\+?=.*", re.DOTALL
)
"""Words that may stand before a command's name."""
_VALUE = r"'[^']*'|\"[^\"]*\"|[^\s;&|()`<>]*"
_SET = re.compile(rf"(?<![\w$-])(\w++)(?:(\+?=)({_VALUE})|\s++in\s++([^;&|()`<>\n]*))", re.ASCII)
_PLACED = re.compile(r"(?<!\w)set\s++--\s++([^;&|()`<>\n]*)")
_ECHOED = re.compile(r"\$\(\s*+(?:echo|printf)\s++([^()`$]*+)\)")
_USED = re.compile(
    r"""\$(?:([A-Za-z_]\w*+|[\d@*])|\{[#!]?(\w++)(?::?[-=+]([^{}]*+)|[^{}()`]*+)\}|[#?!$-]|(?="))""", re.ASCII
)
_LITERAL = re.compile(r"\$'((?:[^'\\]|\\.)*+)'", re.DOTALL)
_ESCAPE = re.compile(r"\\(?:x([0-9a-fA-F]{1,2})|u([0-9a-fA-F]{1,4})|U([0-9a-fA-F]{1,8})|([0-7]{1,3})|(.))", re.DOTALL)
_START = re.compile(r"(?:\A|[;&|()`\n]|\{(?=\s)|<<<[^\S\n]*['\"]?)[\s;&|()`$]*")
_PIECE = re.compile(
    r"""
    (?P<blank>(?:[^\S\n]|\\\n)+)
  | (?P<redirection>(?:[0-9]+|\{\w+\})?(?:<<<|<<-?|<>|>>|>\||[<>]&?)|&>>?)
  | (?P<word>(?:'[^']*' | "(?:[^"\\]|\\.)*+" | \\. | [^\s;&|()`<>'"\\]++ | ['"\\])++)
    """,
    re.VERBOSE | re.DOTALL,
)
_QUOTES = re.compile(r"'([^']*)'|\"((?:[^\"\\]|\\.)*+)\"|\\(.)|['\"\\]", re.DOTALL)
_ALTERNATIVES = re.compile(r"(?<![^\s;&|(`])([^{}\s;&|(`]*+)\{([^{}\s]*+)\}([^{}\s;&|)`]*+)")


def suspected(line: str) -> Iterator[tuple[str, ...]]:
    """Words that any part of `line` may run as a command; more than bash would, never fewer that can be read off.

    A command is taken to start wherever an operator, a bracket or a new line stands, inside quotes too; variables
    hold what the line gives them, and nothing where it gives nothing.
    """
    text = _written_out(line)
    starts = [start.end() for start in _START.finditer(text)]
    reach = max(50, _EFFORT // len(starts))
    for words in filter(None, (_words(text, start, start + reach) for start in starts)):
        yield words
        if named := tuple(dropwhile(_BEFORE.fullmatch, words)) if _BEFORE.fullmatch(words[0]) else ():
            yield named


def _written_out(line: str) -> str:
    """The line with escapes, variables and alternatives in braces replaced by what they stand for."""
    text = _LITERAL.sub(lambda found: f"'{_ESCAPE.sub(_character, found[1])}'", line)
    text = _ECHOED.sub(r"\1", text).replace('"$@"', "$@")
    values = {"IFS": " ", "@": " ".join(_PLACED.findall(text)[:1])}

    def value(use: re.Match[str]) -> str:
        return values.get(use[1] or use[2] or "", use[3] or "")

    for name, how, given, listed in _SET.findall(text):
        known = values.get(name, "") if how == "+=" else ""
        values[name] = (known + _USED.sub(value, given.strip("'\"") or "\n".join(listed.split())))[:_LONGEST_VALUE]
    return _ALTERNATIVES.sub(_alternatives, _USED.sub(value, text))


def _alternatives(braces: re.Match[str]) -> str:
    before, inside, after = braces.groups()
    return " ".join(f"{before}{each}{after}" for each in inside.split(",")) if "," in inside else braces[0]


def _character(escape: re.Match[str]) -> str:
    if escape[5]:
        return {"n": "\n", "t": "\t", "'": ""}.get(escape[5], escape[5])
    code = int(escape[4], 8) if escape[4] else int(escape[1] or escape[2] or escape[3], 16)
    return chr(min(code, 0x10FFFF)).replace("'", "")


def _words(text: str, start: int, end: int) -> tuple[str, ...]:
    """The words from `start` up to an operator, without quotes and redirections."""
    words, target = [], False
    while piece := _PIECE.match(text, start, end):
        start = piece.end()
        if piece.lastgroup == "word":
            if not target:
                words.append(_QUOTES.sub(_content, piece[0]))
            target = False
        elif piece.lastgroup == "redirection":
            target = True
    return tuple(words)


def _content(quote: re.Match[str]) -> str:
    inside = re.sub(r'\\([$`"\\]|\n)', lambda pair: pair[1].strip("\n"), quote[2] or "")
    return inside or quote[1] or (quote[3] or "").strip("\n")
