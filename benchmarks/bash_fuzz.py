"""Whether real bash ever runs, for a line judged allow, what no rule allows; with a glob matcher as the control."""

import argparse
import json
import re
import sys
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from multiprocessing import Pool
from typing import NamedTuple

from bash_lines import lines
from bash_runs import HEADS, Deed, run

from backend_coordinator.nodes.permissions.bash import judge_bash
from backend_coordinator.nodes.permissions.rules import Rules
from backend_coordinator.nodes.permissions.shell import recognise

RULES: Rules = {**{f"{head} *": "allow" for head in HEADS}, "sudo *": "ask", "*": "ask"}
LOCALES = ("C.UTF-8", "C")
CHUNK = 2_500
LEAST_ALLOWED = 0.05
_PIECE = 250
"""Lines of which the control runs what it allows at a time, until it has found enough."""


class Hole(NamedTuple):
    """An allowed line, and what it did."""

    line: str
    why: str


class Chunk(NamedTuple):
    """How many lines were judged allow, the different ones among them that ran, and the holes."""

    allowed: int
    ran: int
    holes: tuple[Hole, ...]


def judged(work: tuple[str, str, int]) -> Chunk:
    """Judges a seed's lines, runs those that are allowed in a locale, and compares."""
    seed, locale, count = work
    verdicts = [(line, _allowed(line)) for line in lines(seed, count)]
    allowed = [line for line, verdict in verdicts if verdict is True]
    different = [line for line in dict.fromkeys(allowed) if "\0" not in line]
    deeds = run(different, locale)
    holes = [Hole(line, verdict) for line, verdict in verdicts if isinstance(verdict, str)]
    holes += [Hole(line, "bash cannot be given it") for line in allowed if "\0" in line]
    found = (Hole(line, why) for number, line in enumerate(different) for why in _beyond(line, deeds.get(number, ())))
    return Chunk(len(allowed), len(different), (*holes, *found))


def _allowed(line: str) -> bool | str:
    try:
        return judge_bash(line, RULES).decision == "allow"
    except Exception as error:  # noqa: BLE001 - whatever the judge raises is a finding
        return f"the judge raised {error!r}"


def _beyond(line: str, deeds: Sequence[Deed]) -> Iterator[str]:
    """What goes beyond the words that were recognised, or that none of them ran: bash reads another line then."""
    if not deeds:
        yield "nothing ran"
    commands = recognise(line)
    promised = {command.words for command in commands}
    names = {name for command in commands for name, _ in command.assignments}
    for deed in deeds:
        name = deed.words[0] if deed.words else ""
        if deed.kind == "traced" and name.partition("=")[0] in names:
            continue
        if foreign(deed):
            yield " ".join((deed.kind, *deed.words))
        elif deed.kind == "program" and not _promised(deed.words, promised):
            yield f"argv {deed.words} instead of {promised}"


def foreign(deed: Deed) -> bool:
    """Whether it is something other than running an allowed head."""
    return deed.kind in {"file", "hang"} or deed.words[:1] not in {(head,) for head in HEADS}


def _sets(deed: Deed) -> bool:
    return deed.kind == "traced" and "=" in "".join(deed.words)


def _promised(ran: tuple[str, ...], promised: set[tuple[str, ...]]) -> bool:
    """Whether it is one of them, with names of files in place of patterns below a named folder."""
    text = "".join(f"{word}\0" for word in ran)
    return any(re.fullmatch("".join(map(_fitting, words)), text, re.DOTALL) for words in promised)


def _fitting(word: str) -> str:
    start = re.split(r"[*?[]", word)[0]
    below = start != word and "/" in start and not start.startswith("-")
    return f"(?:{re.escape(start)}[^\0]*\0)+" if below else re.escape(f"{word}\0")


def least_control(count: int) -> int:
    """Holes that a control on so many lines must find: fewer would say that the lines are harmless."""
    return min(100, count // 100)


def controlled(seed: str, count: int) -> tuple[int, int]:
    """How many holes a glob on the whole line leaves, and among how many lines: it ends once that is shown."""
    patterns = [pattern for pattern, decision in RULES.items() if decision == "allow"]
    stream, holes, looked = lines(seed, count), 0, 0
    while looked < count and holes < least_control(count):
        piece = [line for line, _ in zip(stream, range(_PIECE), strict=False)]
        looked += len(piece)
        passed = [line for line in piece if "\0" not in line and any(fnmatchcase(line, each) for each in patterns)]
        done = run(passed, LOCALES[0]).values()
        holes += sum(any(foreign(deed) and not _sets(deed) for deed in deeds) for deeds in done)
    return holes, looked


def main() -> int:
    """Prints the counts and each hole; 1 on a hole, when too few lines are allowed, or when the control finds few."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=1_000_000)
    parser.add_argument("--seed", default="0")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    sizes = [min(CHUNK, asked.lines - start) for start in range(0, asked.lines, CHUNK)]
    work = [(f"{asked.seed}:{n}", LOCALES[n % len(LOCALES)], size) for n, size in enumerate(sizes)]
    allowed, ran, holes = 0, 0, list[Hole]()
    with Pool(2) as pool:
        for done, chunk in enumerate(pool.imap(judged, work), 1):
            allowed, ran, holes = allowed + chunk.allowed, ran + chunk.ran, [*holes, *chunk.holes]
            sys.stderr.write(f"\r{done} of {len(work)}: {allowed} allowed, {len(holes)} holes")
    control, looked = controlled(f"{asked.seed}:0", asked.lines)
    good = not holes and allowed >= LEAST_ALLOWED * asked.lines and control >= least_control(asked.lines)
    if asked.json:
        told = {"lines": asked.lines, "allowed": allowed, "ran": ran, "holes": [hole._asdict() for hole in holes]}
        told |= {"control_holes": control, "control_lines": looked, "good": good}
        sys.stdout.write(json.dumps(told, indent=1) + "\n")
    else:
        sys.stdout.write(f"\n{asked.lines} lines, {allowed} allowed, {ran} different ones run, {len(holes)} holes\n")
        sys.stdout.writelines(f"{hole.line!r}: {hole.why}\n" for hole in holes)
        sys.stdout.write(f"with a glob matcher in its place {control} holes in {looked} lines\n")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
