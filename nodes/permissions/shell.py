"""A recogniser of the safe part of bash: lines whose programs and arguments are all written out."""

import re
from dataclasses import dataclass, field

LONGEST = 10_000
"""Characters of a line that are read as commands; a longer one is not recognised."""
_QUOTED = "\0"
"""Stands for what was quoted, where a word is looked at as bash's expansions see it."""
_RESERVED = re.compile(r"if|then|elif|else|fi|for|while|until|do|done|case|esac|select|function|time|coproc|\[\[|[{}!]")
_INVISIBLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0e\uffa0\U000e0100-\U000e01ef]"
)
"""What str.isprintable takes for visible although nobody sees it."""
_PARTS = r"""
    '(?P<single>[^']*)'
  | "(?P<double>(?:[^"\\$`] | \\. | \$(?=["\ ]))*+)"
  | \\(?P<escaped>.)
  | (?P<plain>[^\s'"\\$`;&|<>()]+)
"""
_PART = re.compile(_PARTS, re.VERBOSE | re.DOTALL)
_TOKEN = re.compile(
    r"""
    (?P<blank>(?:[ \t]|\\\n)+)
  | (?P<comment>\#[^\n]*)
  | (?P<redirection>[0-9]?[<>]&[0-9-] | (?:[0-9]?(?:>>?|<)|&>>?)[ \t]*/dev/null)(?=[\s;&|()<>]|\Z)
  | (?P<operator>\|\||&&|\|&|\((?!\()|[;&|)\n])(?!(?:\\\n)+[;&|()<>])
  | (?P<word>(?:"""
    + re.sub(r"\?P<\w+>", "?:", _PARTS)
    + ")++)",
    re.VERBOSE | re.DOTALL,
)
_REASONS = {
    "$": "an expansion ($)",
    "`": "a command substitution (`)",
    "'": "a quote that is not closed",
    '"': "an expansion in double quotes, or a quote that is not closed",
    "<": "a redirection",
    ">": "a redirection",
    "\\": "a backslash at its end",
    "(": "an arithmetic command ((",
}


@dataclass(frozen=True)
class Command:
    """One simple command of a line as bash will run it, quotes removed; `assignments` stand before its words."""

    words: tuple[str, ...]
    assignments: tuple[tuple[str, str], ...] = ()


class NotRecognised(Exception):
    """A line outside the safe part; the text says what stands in it, for whoever is asked."""


def recognise(line: str) -> tuple[Command, ...]:
    """All commands that bash runs for `line`, in the order in which they stand.

    Raises NotRecognised for anything that bash would expand, redirect to a file, or read otherwise. A pattern for
    files below a named folder stays in a word as it is: whatever it fits is neither an option nor a subcommand.
    """
    if len(line) > LONGEST:
        raise NotRecognised(f"it has more than {LONGEST} characters")
    if strange := next((char for char in line if not _visible(char)), None):
        raise NotRecognised(f"it holds the character U+{ord(strange):04X}, which nobody sees")
    reading, end = _Reading(), 0
    while end < len(line):
        token = _TOKEN.match(line, end)
        if not token:
            raise NotRecognised(f"it holds {_REASONS.get(line[end], f'{line[end]!r} where no command ends')}")
        end = token.end()
        if token.lastgroup == "word":
            reading.word(token[0], line[end : end + 1])
        elif token.lastgroup == "operator":
            reading.operator(token[0])
        elif token.lastgroup == "redirection":
            reading.redirection()
    return reading.done()


def _visible(char: str) -> bool:
    return char in "\t\n" or (char.isprintable() and not _INVISIBLE.match(char))


@dataclass
class _Reading:
    """The commands so far, and what may come next.

    `place` is "must" or, behind a bar, "piped" where a command has to come, "may" where one can, "inside" one, or
    "after" a closed group.
    """

    commands: list[Command] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    assignments: list[tuple[str, str]] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)
    place: str = "may"

    @property
    def between(self) -> bool:
        return self.place not in ("inside", "after")

    def word(self, raw: str, following: str) -> None:
        value, bare = _unquoted(raw)
        if following in ("<", ">") and (bare.isdigit() or bare.endswith("}")):
            raise NotRecognised("it holds a redirection")
        if not self.words and _RESERVED.fullmatch(bare):
            self._reserved(bare)
        elif self.place == "after":
            raise NotRecognised("a word follows a group of commands")
        else:
            self.place = "inside"
            self._add(value, bare)

    def _add(self, value: str, bare: str) -> None:
        assigned = None if self.words else re.match(r"([A-Za-z_]\w*)(\+?)=", bare, re.ASCII)
        _check(value, bare, head=not self.words, assigned=bool(assigned))
        if not assigned:
            self.words.append(value)
        elif assigned[2]:
            raise NotRecognised("it adds to a variable")
        else:
            self.assignments.append((assigned[1], value[assigned.end() :]))

    def _reserved(self, word: str) -> None:
        if word == "}" and self.place == "may":
            self._close("{")
        elif self.between and (word == "{" or (word == "!" and self.place != "piped")):
            self.groups += [word] if word == "{" else []
            self.place = "must"
        else:
            raise NotRecognised(f"it holds the keyword {word!r}")

    def redirection(self) -> None:
        if self.place != "after":
            self.place = "inside"

    def operator(self, text: str) -> None:
        if text == "(" and self.between:
            self.groups.append("(")
            self.place = "must"
        elif text == ")" and self.place not in ("must", "piped"):
            self._finish()
            self._close("(")
        elif text == "\n" and self.between:
            return
        elif text == "(" or self.between:
            raise NotRecognised(f"it holds {text!r} where no command ends")
        else:
            self._finish()
            self.place = {"&&": "must", "||": "must", "|": "piped", "|&": "piped"}.get(text, "may")

    def _close(self, group: str) -> None:
        if not self.groups or self.groups.pop() != group:
            raise NotRecognised("it closes a group that is not open")
        self.place = "after"

    def _finish(self) -> None:
        if self.place != "inside":
            return
        if not self.words and not self.assignments:
            raise NotRecognised("it redirects without a command")
        self.commands.append(Command(tuple(self.words), tuple(self.assignments)))
        self.words, self.assignments = [], []

    def done(self) -> tuple[Command, ...]:
        self._finish()
        if self.groups or self.place in ("must", "piped"):
            raise NotRecognised("it ends before it is complete")
        return tuple(self.commands)


def _unquoted(raw: str) -> tuple[str, str]:
    """A word without its quotes, and as bash's expansions see it, with what was quoted left out."""
    value, bare = "", ""
    for part in _PART.finditer(raw):
        kind, text = part.lastgroup, part[part.lastgroup or 0]
        if kind == "escaped" and text == "\n":
            continue
        value += re.sub(r'\\([$`"\\]|\n)', lambda pair: pair[1].strip("\n"), text) if kind == "double" else text
        bare += text if kind == "plain" else _QUOTED
    return value, bare


def _check(value: str, bare: str, *, head: bool, assigned: bool) -> None:
    """Raises NotRecognised where bash makes something else of a word than its characters."""
    if re.search(r"(?:^|[=:])~", bare):
        raise NotRecognised("it holds a home folder (~)")
    braces = re.sub(r"\{(?:(?!\.\.)[^{},])*+\}", "", bare).partition("{")[2]
    if "," in braces or ".." in braces:
        raise NotRecognised("it holds braces that may expand")
    pattern = re.search(r"[*?[]", bare)
    if not pattern or assigned:
        return
    if head or value.startswith("-") or "/" not in bare[: pattern.start()]:
        raise NotRecognised("it holds a pattern that file names may fill with anything (*, ?, [)")
    if re.search(r"(?:^|/)\.[^/]*[*?[]", value):
        raise NotRecognised("it holds a pattern that may lead to the folder above")
