"""Finds what is wrong in a folder of specialists although each file may load on its own."""

import re
from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

from backend_coordinator.domain.failure import FailureClass
from backend_coordinator.domain.roster import Roster, Specialist
from backend_coordinator.errors import UnknownSpecialist
from backend_coordinator.prompts.frontmatter import Document, FrontMatterError, Path
from backend_coordinator.prompts.loader import Folder, read_documents
from backend_coordinator.prompts.specialist_file import TOOLS, specialist_from


class Finding(NamedTuple):
    """One defect; `line` counts from 1."""

    file: str
    line: int
    rule: str
    message: str


def lint(roster: Roster, folder: Folder, tools: frozenset[str] = TOOLS) -> tuple[Finding, ...]:
    """Findings in the files of `folder`, whose references are looked up in `roster`; sorted by file and line.

    Rules: front-matter, unknown-kind, unknown-tool, dangling-reference, escalation-cycle, doubled-permission.
    """
    findings: list[Finding] = []
    for document in read_documents(folder):
        try:
            if isinstance(document, FrontMatterError):
                raise document
            specialist = specialist_from(document, tools)
        except FrontMatterError as error:
            findings.append(Finding(error.file, error.line, error.rule, error.problem))
        else:
            findings += _dangling(roster, document, specialist)
            findings += _cycles(roster, document, specialist)
            findings += _doubled(document, specialist)
    return tuple(sorted(findings))


def _dangling(roster: Roster, document: Document, specialist: Specialist) -> Iterator[Finding]:
    for path, name in _references(specialist):
        try:
            roster.get(name)
        except UnknownSpecialist as error:
            yield Finding(document.file, document.line(path), "dangling-reference", str(error))


def _references(specialist: Specialist) -> Iterator[tuple[Path, str]]:
    for name, _ in specialist.collaborates_with:
        yield ("collaborates_with", name), name
    yield from _routes(specialist)
    for index, accepted in enumerate(specialist.accepts_from):
        yield ("accepts_from", index, "from"), accepted.from_
    if specialist.reports_to is not None:
        yield ("reports_to",), specialist.reports_to


def _routes(specialist: Specialist) -> Iterator[tuple[Path, str]]:
    for index, route in enumerate(specialist.escalates_to):
        for position, name in enumerate(route.to):
            yield ("escalates_to", index, "to", position), name


def _cycles(roster: Roster, document: Document, specialist: Specialist) -> Iterator[Finding]:
    """A route whose target hands the same class of failure back, in one step or several."""
    for path, name in _routes(specialist):
        failure = specialist.escalates_to[int(path[1])].failure
        if name in roster and (way := _way(roster, name, specialist.name, failure)):
            message = f"{failure} goes round: {' -> '.join((specialist.name, *way))}"
            yield Finding(document.file, document.line(path), "escalation-cycle", message)


def _way(roster: Roster, start: str, goal: str, failure: FailureClass) -> tuple[str, ...]:
    """The shortest way of `failure` from `start` to `goal`; empty when there is none."""
    ways: deque[tuple[str, ...]] = deque([(roster.resolve(start),)])
    seen = {roster.resolve(start)}
    while ways:
        way = ways.popleft()
        if way[-1] == goal:
            return way
        for name in sorted(_targets(roster, way[-1], failure) - seen):
            seen.add(name)
            ways.append((*way, name))
    return ()


def _targets(roster: Roster, name: str, failure: FailureClass) -> set[str]:
    routes = roster.get(name).escalates_to
    return {roster.resolve(to) for r in routes if r.failure == failure for to in r.to if to in roster}


def _doubled(document: Document, specialist: Specialist) -> Iterator[Finding]:
    """Patterns that match the same commands: only one of them can ever decide."""
    for kind, rules in specialist.permission:
        first: dict[str, str] = {}
        for pattern, _ in rules:
            same = first.setdefault(re.sub(r"\*+", "*", " ".join(pattern.split())), pattern)
            if same != pattern:
                line = document.line(("permission", kind, pattern))
                message = f"{pattern!r} matches what {same!r} matches"
                yield Finding(document.file, line, "doubled-permission", message)
