"""The judgement on one bash line: as allowed as the least allowed thing it runs."""

from collections import deque
from collections.abc import Iterable, Iterator
from itertools import chain

from backend_coordinator.nodes.permissions.programs.effects import Concern, Effects
from backend_coordinator.nodes.permissions.programs.shells import SHELLS
from backend_coordinator.nodes.permissions.programs.table import effects
from backend_coordinator.nodes.permissions.rules import (
    Decision,
    Rules,
    Ruling,
    literal_words,
    most_specific,
    rank,
    strictest,
)
from backend_coordinator.nodes.permissions.shell import Command, NotRecognised, recognise
from backend_coordinator.nodes.permissions.suspects import suspected

EFFORT = 300_000
"""Characters that are judged at most of all that one line starts; beyond them it is ask, unless one was denied."""
_STEP = 5
"""What judging one part costs besides its characters."""
MOST = 50
"""Commands of one line that are judged; a line with more is ask, unless one is denied."""
HARMLESS = frozenset({
    "APP_ENV", "CI", "COLUMNS", "DEBUG", "FORCE_COLOR", "GIT_TERMINAL_PROMPT", "HOST", "LANG", "LC_ALL", "LINES",
    "LOG_LEVEL", "NODE_ENV", "NO_COLOR", "PORT", "PYTHONDONTWRITEBYTECODE", "PYTHONHASHSEED", "PYTHONUNBUFFERED",
    "TERM", "TZ",
})  # fmt: skip
"""Variables that a line may set for its command: they change what a program says, not what it runs."""


Part = str | tuple[str, ...]
"""A line, or the words of one command."""
Further = Iterator[tuple[Part, bool]]
"""What a part may run, and whether it does: what is not sure counts only where a rule denies it."""


def judge_bash(line: str, rules: Rules) -> Ruling:
    """Decides one bash line under `rules` (pattern -> decision); their order has no meaning.

    Allowed is only a line of the safe part whose commands, and all that these start, are allowed. A deny rule bites
    in every other line too, wherever the command it names can be read off. The rest is ask.
    """
    denies = "deny" in rules.values()
    queue, seen, rulings = deque[tuple[Part, bool]]([(line, True)]), set[tuple[Part, bool]](), list[Ruling]()
    effort = EFFORT
    while queue:
        part, sure = queue.popleft()
        ruling, further = _line(part, rules) if isinstance(part, str) else _words(part, rules, sure=sure)
        if ruling and ruling.decision == "deny":
            return ruling
        rulings += [ruling] if ruling and sure else []
        for inner, certain in further:
            effort -= _STEP + sum(map(len, inner))
            each = (inner, sure and certain)
            if effort > 0 and inner and (denies or each[1]) and each not in seen:
                seen.add(each)
                queue.append(each)
            elif effort <= 0:
                rulings.append(Ruling("ask", "too many commands stand inside one another"))
                break
    return strictest(rulings)


def _line(line: str, rules: Rules) -> tuple[Ruling | None, Further]:
    """The ruling on a line as such, None where its commands decide."""
    try:
        commands = recognise(line)
    except NotRecognised as error:
        return Ruling("ask", str(error)), _unsure(suspected(line))
    if not commands:
        return Ruling("ask", "nothing to run"), iter(())
    if len(commands) > MOST:
        return Ruling("ask", f"more than {MOST} commands in one line"), _unsure(suspected(line))
    return next(filter(None, map(_set, commands)), None), _commands(commands)


def _set(command: Command) -> Ruling | None:
    """The ruling on what stands before a command's words, None where it changes nothing."""
    if not command.words:
        return Ruling("ask", "it sets variables for later commands")
    names = (name for name, _ in command.assignments if name not in HARMLESS)
    name = next(names, None)
    return Ruling("ask", f"it sets {name}, which may change what runs") if name else None


def _commands(commands: tuple[Command, ...]) -> Further:
    yield from ((command.words, True) for command in commands if command.words)
    yield from ((value, False) for command in commands for name, value in command.assignments if name not in HARMLESS)
    if any(command.words and command.words[0] in SHELLS for command in commands):
        yield from ((word, False) for command in commands for word in command.words[1:])


def _unsure(parts: Iterable[tuple[str, ...]]) -> Further:
    """One word that holds blanks may be a line."""
    return ((words[0] if len(words) == 1 and " " in words[0] else words, False) for words in parts)


def _words(words: tuple[str, ...], rules: Rules, *, sure: bool) -> tuple[Ruling, Further]:
    done = effects(words)
    certain: Iterator[Part] = chain(done.runs, done.lines)
    unsure = _unsure(chain(done.perhaps, done.guesses if sure else ()))
    return _own(words, done, rules), chain(((part, True) for part in certain), unsure)


def _own(words: tuple[str, ...], done: Effects, rules: Rules) -> Ruling:
    """The ruling on a command itself, whatever it starts."""
    bare = (words[0].rpartition("/")[2], *words[1:])
    named = {form: most_specific(form, rules) for form in (words, done.plain, bare, (bare[0], *done.plain[1:]))}
    exact = [pattern for form, pattern in named.items() if pattern and form[0] == words[0]]
    stricter = [pattern for pattern in named.values() if pattern and rules[pattern] != "allow"]
    pattern = max((*exact, *stricter), key=lambda each: rank(each, rules), default=None)
    if pattern is None:
        return Ruling("ask", f"no rule names {words[0]}")
    decision: Decision = rules[pattern]
    if decision == "allow" and (open_ := [concern for concern in done.concerns if not _named(concern, pattern)]):
        return Ruling("ask", open_[0].reason)
    return Ruling(decision, f"rule {pattern!r}")


def _named(concern: Concern, pattern: str) -> bool:
    literal = literal_words(pattern)
    if not concern.named_by:
        return len(literal) == len(pattern.split())
    return set(concern.named_by) <= set(literal)
