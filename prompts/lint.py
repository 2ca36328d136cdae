"""Finds what is wrong in folders of specialists although each file may load on its own."""

import re
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import partial
from typing import NamedTuple

from backend_coordinator.domain.failure import FailureClass
from backend_coordinator.domain.roster import Decision, Roster, Specialist
from backend_coordinator.errors import UnknownSpecialist
from backend_coordinator.prompts.frontmatter import Document, FrontMatterError, Path
from backend_coordinator.prompts.loader import Folder, extended, read_documents
from backend_coordinator.prompts.specialist_file import TOOLS, specialist_from

Decides = Mapping[str, Callable[[str, Mapping[str, Decision]], str | None]]
"""By kind of call, which of the rules decides one; None where none fits it. Others have no rules."""
_ANY = "\N{REPLACEMENT CHARACTER}"
_WILD = re.compile(r"\[(!?)([^]]+)\]|[*?]")


class Finding(NamedTuple):
    """One defect; `line` counts from 1, `message` names the way out."""

    file: str
    line: int
    rule: str
    message: str


def lint(*folders: Folder, decides: Decides, tools: frozenset[str] = TOOLS) -> tuple[Finding, ...]:
    """Findings in `folders`, each of which extends and overrides those before it; sorted by file and line.

    Rules: front-matter, unknown-kind, unknown-tool, doubled-name, dangling-reference, escalation-cycle,
    shadowed-permission, idle-permission. Raises RosterError for a folder without a specialist's file.
    """
    findings: list[Finding] = []
    members: dict[str, Specialist] = {}
    documents: dict[str, Document] = {}
    for folder in folders:
        found = _read(folder, tools, members, findings)
        documents |= {name: document for name, (document, _) in found.items()}
        members = extended(members, {name: specialist for name, (_, specialist) in found.items()})
    if members:
        roster = Roster(specialists=tuple(members.values()))
        for specialist in roster.specialists:
            document = documents[specialist.name]
            findings += _dangling(roster, document, specialist)
            findings += _cycles(roster, document, specialist)
            findings += _permissions(document, specialist, decides)
    return tuple(sorted(findings))


def _read(
    folder: Folder, tools: frozenset[str], earlier: Collection[str], findings: list[Finding]
) -> dict[str, tuple[Document, Specialist]]:
    """The specialists of one folder that load, without names that somebody else has; the rest are findings."""
    members: dict[str, tuple[Document, Specialist]] = {}
    owners: dict[str, str] = {}
    for document in read_documents(folder):
        try:
            if isinstance(document, FrontMatterError):
                raise document
            specialist = specialist_from(document, tools)
        except FrontMatterError as error:
            findings.append(Finding(error.file, error.line, error.rule, error.problem))
            continue
        own = []
        for path, name in _names(specialist):
            owner = owners.get(name) or (name if path != ("name",) and name in earlier else None)
            if owner:
                message = f"{name} stands for {owner} already: leave it out or take another name"
                findings.append(Finding(document.file, document.line(path), "doubled-name", message))
            else:
                own.append(name)
                owners[name] = specialist.name
        if own[:1] == [specialist.name]:
            members[specialist.name] = (document, specialist.model_copy(update={"aliases": tuple(own[1:])}))
    return members


def _names(specialist: Specialist) -> Iterator[tuple[Path, str]]:
    yield ("name",), specialist.name
    for index, alias in enumerate(specialist.aliases):
        yield ("aliases", index), alias


def _dangling(roster: Roster, document: Document, specialist: Specialist) -> Iterator[Finding]:
    for path, name in _references(specialist):
        try:
            roster.get(name)
        except UnknownSpecialist as error:
            message = f"{error}; take a known name, or add a file for this one"
            yield Finding(document.file, document.line(path), "dangling-reference", message)


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
            message = f"{failure} goes round: {' -> '.join((specialist.name, *way))}; take one of these routes out"
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


def _permissions(document: Document, specialist: Specialist, decides: Decides) -> Iterator[Finding]:
    """Rules that can never decide: others always do, no command fits them, or nothing asks them."""
    for tool, rules in specialist.permission:
        if tool not in decides:
            message = f"only {', '.join(sorted(decides))} have rules: take this out, and switch {tool} under `tools`"
            yield Finding(document.file, document.line(("permission", tool)), "idle-permission", message)
            continue
        letters = {_ANY, *(letter for pattern, _ in rules for found in _WILD.findall(pattern) for letter in found[1])}
        for pattern, _ in rules:
            deciding = {
                decides[tool](command, dict(rules)) for letter in letters for command in _fitting(pattern, letter)
            }
            if pattern not in deciding:
                others = " or ".join(repr(other) for other in sorted(filter(None, deciding)))
                why = f"{others} decides where it fits" if others else "nothing fits it"
                message = f"{pattern!r} never decides: {why}; take it out or make it narrower"
                line = document.line(("permission", tool, pattern))
                yield Finding(document.file, line, "shadowed-permission", message)


def _fitting(pattern: str, letter: str) -> Iterator[str]:
    """The shortest call that fits, and one longer than any pattern; commands have single blanks."""
    for stars in ("", letter * 1000):
        yield " ".join(_WILD.sub(partial(_written, letter, stars), pattern).split())


def _written(letter: str, stars: str, wild: re.Match[str]) -> str:
    if wild[0] == "*":
        return stars
    return letter if wild[0] == "?" or wild[1] or letter in wild[2] else wild[2][0]
