"""Shells, the builtins that read text as commands or change their shell, and find."""

import re
from collections.abc import Iterator
from itertools import pairwise

from backend_coordinator.nodes.permissions.programs.effects import Concern, Effects
from backend_coordinator.nodes.permissions.programs.options import grammar, outside, read, words

_SHELL = grammar("-o= -O= -c --norc --noprofile --posix --login !-s !-i !--rcfile= !--init-file= !--init-command= !-C=")
SHELLS = words("sh bash dash zsh ksh mksh ash fish csh tcsh rbash")
_END = frozenset({";", "+"})
_RUNS = frozenset({"-exec", "-execdir", "-ok", "-okdir"})
_CHANGES = frozenset({"-delete", "-fprint", "-fprint0", "-fprintf", "-fls"})
_MATCHES = frozenset(
    {"-name", "-iname", "-path", "-ipath", "-wholename", "-iwholename", "-regex", "-iregex", "-lname", "-printf"}
)


def shell(argv: tuple[str, ...]) -> Effects:
    """A shell: the line behind `-c`, a script, or whatever comes in."""
    found = read([re.sub(r"^\+(?=[A-Za-z])", "-", word) for word in argv[1:]], _SHELL, leading=True)
    concerns = list(found.concerns(argv[0], operands=found.operands[:1]))
    if found.value("-c") is not None and found.operands:
        line, *rest = found.operands
        perhaps = (tuple(rest), tuple(rest[1:]))
        return Effects(argv, lines=(line,), concerns=found.concerns(argv[0], operands=()), perhaps=perhaps)
    if not found.operands and found.value("--version", "--help") is None:
        concerns.append(Concern(f"{argv[0]} runs whatever comes in"))
    return Effects(argv, concerns=tuple(concerns))


def evaluated(argv: tuple[str, ...]) -> Effects:
    """eval: its words, joined, are read once more."""
    return Effects(argv, lines=(" ".join(word for word in argv[1:] if word != "--"),))


def trap(argv: tuple[str, ...]) -> Effects:
    """trap: its first word is a line for later."""
    words = [word for word in argv[1:] if word != "--"]
    return Effects(argv, lines=tuple(words[:1]) if words[1:] and words[0] != "-" else ())


def unsettling(argv: tuple[str, ...]) -> Effects:
    """A builtin that may change what later commands of the line run."""
    concern = Concern(f"{argv[0]} may change what later commands run")
    values = tuple((word.partition("=")[2],) for word in argv[1:] if "=" in word)
    return Effects(argv, concerns=(concern, *outside(*argv[1:])), perhaps=values)


def printf(argv: tuple[str, ...]) -> Effects:
    """printf and echo: text, or with `-v` a variable."""
    return unsettling(argv) if argv[1:2] and argv[1].startswith("-v") else Effects(argv)


def find(argv: tuple[str, ...]) -> Effects:
    """find: commands behind -exec and its like, and actions that delete or write."""
    return Effects(argv, runs=tuple(_executed(argv)), concerns=tuple(_acts(argv)))


def _executed(argv: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    end = 0
    for place, word in enumerate(argv):
        if word in _RUNS and place >= end:
            end = next((at for at in range(place, len(argv)) if argv[at] in _END), len(argv))
            yield argv[place + 1 : end]


def _acts(argv: tuple[str, ...]) -> Iterator[Concern]:
    for before, word in pairwise(argv):
        if word in _CHANGES:
            yield Concern(f"{argv[0]} {word} deletes or writes files", (word,))
        if before not in _MATCHES:
            yield from outside(word)
