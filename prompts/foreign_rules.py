"""Rules of foreign agents as tables of patterns and decisions, none looser than what the file says."""

import re
from collections.abc import Mapping
from fnmatch import fnmatchcase

from backend_coordinator.domain.roster import Decision
from backend_coordinator.prompts.frontmatter import Data

Table = dict[str, Decision]
_STRICTNESS: Mapping[Decision, int] = {"allow": 0, "ask": 1, "deny": 2}


def patterns(tool: str, pattern: str) -> list[str]:
    """As it is written here: `git *` for `git:*`, `src/**` for `./src/**`; none for a path outside the workspace."""
    if tool == "bash":
        return [re.sub(r":\*$", " *", pattern)]
    if tool == "webfetch":
        return [pattern.removeprefix("domain:") or "*"]
    outside = re.match(r"//|~|[A-Za-z]:|(?:.*/)?\.\.(?:/|$)", pattern)
    return [] if outside else [re.sub(r"^(?:\.?/)+", "", pattern) or "*"]


def decisions(tool: str, rows: Mapping[str, Data], said: list[str]) -> Table:
    """The rows in our words; a row that a later and stricter one covers is as strict."""
    table: Table = {}
    for written, given in rows.items():
        decision: Decision = given if str(given) in _STRICTNESS else "deny"  # type: ignore[assignment]
        if given is not decision:
            said.append(f"{tool} {written}: {given!r} is no decision: denied")
        for pattern in patterns(tool, written):
            table = {row: _strictest(d, decision) if fnmatchcase(row, pattern) else d for row, d in table.items()}
            table[pattern] = _strictest(decision, table.get(pattern, decision))
    return table


def stricter(one: Table, other: Table) -> Table:
    """A table that allows what both allow."""
    return {row: _strictest(_at(one, row), _at(other, row)) for row in {**one, **other}}


def _at(table: Table, row: str) -> Decision:
    found = [each for each in table if each == row or fnmatchcase(row, each)]
    return table[max(found, key=len)] if found else "allow"


def _strictest(*decisions: Decision) -> Decision:
    return max(decisions, key=_STRICTNESS.__getitem__)
