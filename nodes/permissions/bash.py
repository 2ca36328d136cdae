"""The judgement on one bash line: as allowed as the least allowed thing it runs."""

from collections.abc import Iterator
from itertools import chain

from backend_coordinator.nodes.permissions.programs.effects import Concern, Effects
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

DEEPEST = 10
"""How many commands may stand inside one another."""
MOST = 50
"""Commands of one line that are judged; a line with more is ask, unless one is denied."""
HARMLESS = frozenset({
    "APP_ENV", "CI", "COLUMNS", "DEBUG", "FORCE_COLOR", "HOST", "LANG", "LC_ALL", "LINES", "LOG_LEVEL", "NODE_ENV",
    "NO_COLOR", "PORT", "PYTHONDONTWRITEBYTECODE", "PYTHONHASHSEED", "PYTHONUNBUFFERED", "TERM", "TZ",
})  # fmt: skip
"""Variables that a line may set for its command: they change what a program says, not what it runs."""


def judge_bash(line: str, rules: Rules) -> Ruling:
    """Decides one bash line under `rules` (pattern -> decision); their order has no meaning.

    Allowed is only a line of the safe part whose commands, and all that these start, are allowed. A deny rule bites
    in every other line too, wherever the command it names can be read off. The rest is ask.
    """
    return _line(line, rules, DEEPEST)


def _line(line: str, rules: Rules, depth: int) -> Ruling:
    try:
        commands = recognise(line)
    except NotRecognised as error:
        return _unread(line, rules, depth, str(error))
    if len(commands) > MOST:
        return _unread(line, rules, depth, f"more than {MOST} commands in one line")
    if not commands:
        return Ruling("ask", "nothing to run")
    return strictest(chain.from_iterable(_command(command, rules, depth) for command in commands))


def _unread(line: str, rules: Rules, depth: int, why: str) -> Ruling:
    """Ask, unless a rule denies something that the line may run."""
    suspects = suspected(line) if "deny" in rules.values() else ()
    rulings = (_words(words, rules, depth) for words in suspects)
    return next((ruling for ruling in rulings if ruling.decision == "deny"), Ruling("ask", why))


def _command(command: Command, rules: Rules, depth: int) -> Iterator[Ruling]:
    for name, _ in command.assignments:
        if name not in HARMLESS:
            yield Ruling("ask", f"it sets {name}, which may change what runs")
    if command.words:
        yield _words(command.words, rules, depth)
    else:
        yield Ruling("ask", "it sets variables for later commands")


def _words(words: tuple[str, ...], rules: Rules, depth: int) -> Ruling:
    done = effects(words)
    own = _own(words, done, rules)
    if not done.runs and not done.lines and not done.perhaps:
        return own
    if not depth:
        return strictest((own, Ruling("ask", "commands stand too deep inside one another")))
    runs = (_words(run, rules, depth - 1) for run in done.runs if run)
    lines = (_line(line, rules, depth - 1) for line in done.lines)
    perhaps = (_words(run, rules, depth - 1) for run in done.perhaps if run)
    return strictest((own, *runs, *lines, *(ruling for ruling in perhaps if ruling.decision == "deny")))


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
