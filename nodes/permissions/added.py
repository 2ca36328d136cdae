"""Rules that people added while they answered: a file in the workspace's state folder, which specialists never see."""

from pathlib import Path

import yaml

from backend_coordinator.errors import ConfigurationError
from backend_coordinator.nodes.permissions.rules import Decision, Rules
from backend_coordinator.nodes.private import write_private
from backend_coordinator.settings import STATE_FOLDER

Added = dict[str, dict[str, dict[str, Decision]]]
"""Decisions by pattern, by kind of call, by specialist."""


def file_of(workspace: Path) -> Path:
    """Where the workspace keeps them."""
    return workspace / STATE_FOLDER / "permissions.yaml"


def with_added(own: Rules, workspace: Path, specialist: str, kind: str) -> dict[str, Decision]:
    """A specialist's own rules for one kind of calls, with those added; none undoes an own deny.

    Raises ConfigurationError where the file holds something else.
    """
    added = read(workspace).get(specialist, {}).get(kind, {})
    return {**own, **added, **{rule: decision for rule, decision in own.items() if decision == "deny"}}


def add(workspace: Path, specialist: str, kind: str, rule: str) -> None:
    """Adds an allow; a doubled one changes nothing."""
    rules = read(workspace)
    rules.setdefault(specialist, {}).setdefault(kind, {})[rule] = "allow"
    file = file_of(workspace)
    write_private(file, yaml.safe_dump(rules, allow_unicode=True))


def read(workspace: Path) -> Added:
    """All added rules.

    Raises ConfigurationError where the file holds something else.
    """
    file = file_of(workspace)
    try:
        found = yaml.safe_load(file.read_text(encoding="utf-8")) if file.is_file() else {}
        return {
            name: {kind: {str(rule): _decision(each) for rule, each in rules.items()} for kind, rules in kinds.items()}
            for name, kinds in (found or {}).items()
        }
    except (OSError, ValueError, AttributeError, yaml.YAMLError) as error:
        msg = f"{file} cannot be read ({' '.join(str(error).split())}): mend it, or remove it to forget its rules"
        raise ConfigurationError(msg) from error


def _decision(text: object) -> Decision:
    for decision in ("allow", "ask", "deny"):
        if text == decision:
            return decision
    msg = f"{text!r} is neither allow, ask nor deny"
    raise ValueError(msg)
