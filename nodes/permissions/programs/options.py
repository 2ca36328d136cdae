"""One grammar of options for all programs, and which of the words it reads are concerns."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from backend_coordinator.nodes.permissions.programs.effects import Concern

Kind = Literal["ask", "line", "text", "path", "strange"]
_MARKS: Mapping[str, Kind] = {"!": "ask", "$": "line", "/": "path"}
_OUT = re.compile(
    r"(?:^|=)(?:@?/(?!dev/(?:null|stdin|stdout|stderr)$)|@\.\./|~|file:)"
    r"|(?:^|[=/])(?:\.\.|\.git)(?:/|$)",
    re.IGNORECASE,
)
_URL = re.compile(r"(?!file:)[A-Za-z][A-Za-z0-9+.-]*://")
REMOTE = re.compile(r"(?:data|git|https?|oci|ssh):|git@|github\.com/", re.IGNORECASE)
"""What is fetched, and no file."""
_TAILS = 50


def words(text: str) -> frozenset[str]:
    """The words of a list written out with blanks between."""
    return frozenset(text.split())


@dataclass(frozen=True)
class Grammar:
    """A program's options: what each means, and which take the next word (`valued`) or the rest of theirs (`glued`).

    Behind the `last` ones nothing more is an option. `strict` makes a concern of any option that is not listed.
    """

    kinds: Mapping[str, Kind]
    valued: frozenset[str]
    glued: frozenset[str]
    last: frozenset[str] = frozenset()
    strict: bool = False


def grammar(*options: str, strict: bool = False) -> Grammar:
    """Reads the options' names: `-x` is a flag, `-x=` takes a value, `-x==` is the last one too, `-x?` glues it.

    A mark before the name says what it is: `!` a concern, `$` too, the value being a line for a shell, `/` a path;
    without a mark it is text, which is never a path. `!--net=host` says it of that value alone.
    """
    kinds: dict[str, Kind] = {}
    valued, glued, last = set[str](), set[str](), set[str]()
    for option in sorted(" ".join(options).split()):
        kind, name = _MARKS.get(option[0], "text"), option.lstrip("!$/")
        bare = name.partition("=")[0].rstrip("?")
        if name[len(bare) :].strip("=?"):
            kinds.setdefault(bare, "text")
            kinds[name] = kind
            continue
        kinds[bare] = kind
        valued |= {bare} if "=" in name else set()
        glued |= {bare} if name != bare else set()
        last |= {bare} if name.endswith("==") else set()
    return Grammar(kinds, frozenset(valued), frozenset(glued), frozenset(last), strict)


@dataclass(frozen=True)
class Given:
    """One option: its word as written, its name as the grammar has it, its value and meaning where it has them."""

    word: str
    name: str
    value: str | None
    kind: Kind | None


@dataclass(frozen=True)
class Read:
    """The words of a command line behind its program; `behind` are those after `--`."""

    given: tuple[Given, ...]
    operands: tuple[str, ...]
    behind: tuple[str, ...] = ()

    @property
    def lines(self) -> tuple[str, ...]:
        """What options give to a shell."""
        return tuple(given.value for given in self.given if given.kind == "line" and given.value)

    @property
    def guesses(self) -> tuple[tuple[str, ...], ...]:
        """What the operands run where options that nobody knows may take words of them."""
        strange = any(given.value is None and given.kind in (None, "strange") for given in self.given)
        return tails(self.operands) if strange else ()

    def value(self, *names: str) -> str | None:
        """The last value of an option under any of its names; empty for a flag, None where it is not given."""
        return next((given.value or "" for given in reversed(self.given) if given.name in names), None)

    def concerns(self, *names: str, operands: Sequence[str] | None = None) -> tuple[Concern, ...]:
        """Options that ask, and paths that lead out; `names` are the program and its subcommand.

        Of the words that are no options only `operands` are looked at where they are given.
        """
        found: list[Concern] = []
        for given in self.given:
            if given.kind in ("ask", "line", "strange"):
                reason = f"{given.word} lets {' '.join(names)} run another program or act elsewhere"
                found.append(Concern(reason, (*names[1:], given.word)))
            elif given.kind != "text" and given.value is not None:
                found += outside(given.value, written=given.word)
                if given.kind == "path" and REMOTE.match(given.value):
                    found.append(Concern(f"{given.word} takes {given.value} from elsewhere", (given.word,)))
        return (*found, *outside(*((*self.operands, *self.behind) if operands is None else operands)))


def outside(*parts: str, written: str | None = None) -> Iterator[Concern]:
    """A concern for each word that leads out of the tree or into `.git`; a URL that is no file's is data."""
    for word in parts:
        if not _URL.match(word) and _OUT.search(word):
            yield Concern(f"{word} leads out of the workspace", (written or word,))


def tails(argv: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    """Every end of a command line that may be one itself."""
    return tuple(tuple(argv[place:]) for place in range(min(len(argv), _TAILS)))


def read(argv: Sequence[str], known: Grammar, *, leading: bool = False) -> Read:
    """Reads the words behind a program; with `leading` all are operands from the first that is no option."""
    given: list[Given] = []
    operands: list[str] = []
    queue = list(reversed(argv))
    while queue:
        word = queue.pop()
        if word == "--" and not leading:
            return Read(tuple(given), tuple(operands), tuple(reversed(queue)))
        if word == "--" or (leading and not _is_option(word)):
            operands = [*([] if word == "--" else [word]), *reversed(queue)]
            break
        if not _is_option(word):
            operands.append(word)
            continue
        for name, value in _split(word, known):
            takes = queue and (_takes(word, name, known) or f"{name}={queue[-1]}" in known.kinds)
            taken = queue.pop() if value is None and takes else value
            given.append(Given(word, name, taken, _kind(name, taken, known)))
            if name in known.last:
                return Read(tuple(given), tuple(reversed(queue)))
    return Read(tuple(given), tuple(operands))


def _takes(word: str, name: str, known: Grammar) -> bool:
    """Whether an option takes the next word: written short it may be another one, and must not hide that word."""
    return name in known.valued and (not word.startswith("--") or word == name or known.kinds[name] in ("ask", "line"))


def _is_option(word: str) -> bool:
    return len(word) > 1 and word[0] == "-"


def _kind(name: str, value: str | None, known: Grammar) -> Kind | None:
    return known.kinds.get(f"{name}={value}", known.kinds.get(name, "strange" if known.strict else None))


def _split(word: str, known: Grammar) -> list[tuple[str, str | None]]:
    """The options in one word; the rest of it is a value where its letter takes one, or where it is no letter."""
    name, equals, value = word.partition("=")
    if word.startswith("--") or name in known.kinds:
        return [(_full(name, known), value if equals else None)]
    found: list[tuple[str, str | None]] = []
    for end, letter in enumerate(word[1:], 2):
        name, rest = f"-{letter}", word[end:]
        if rest and (name in known.glued or not rest[0].isalnum()):
            return [*found, (name, rest.removeprefix("="))]
        found.append((name, None))
    return found


def _full(name: str, known: Grammar) -> str:
    """A long name that getopt lets one write short, a strict program not; where it could be several, what asks."""
    if name in known.kinds or known.strict:
        return name
    return next((full for full in known.kinds if full.startswith(name) and "=" not in full), name)
