"""Which files of its tree one attempt may read and change, by rules, people and the kinds it sees."""

from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Literal

from backend_coordinator.nodes.kinds import kind_of, rule_for, sees_path
from backend_coordinator.nodes.permissions.rules import Rules
from backend_coordinator.nodes.tools.bench import Bench, ToolRefused
from backend_coordinator.nodes.tools.beneath import PathRefused, files_below
from backend_coordinator.nodes.tools.consent import permit, rules_of
from backend_coordinator.nodes.tools.paths import judge_path, relative

Deed = Literal["read", "edit"]


def reach(bench: Bench, deed: Deed, path: str) -> PurePosixPath:
    """A file's path below the tree, once it may be read or edited and its kind is seen.

    Raises ToolRefused with the rule, NeedsConsent while a person is asked.
    """
    pure = permitted(bench, deed, path)
    rules = bench.context.settings.paths
    if not sees_path(bench.specialist, bench.task, pure.as_posix(), rules):
        seen, rule = rule_for(bench.specialist, kind_of(pure.as_posix(), rules))
        raise ToolRefused(f"{pure} is withheld: {'it is of another service' if seen else rule}")
    return pure


def permitted(bench: Bench, deed: Deed, path: str) -> PurePosixPath:
    """A path below the tree that rules and people let through; it leads over no link.

    Raises ToolRefused with the rule, NeedsConsent while a person is asked.
    """
    ruling = judge_path(path, bench.tree, rules_of(bench, deed), closed=_closed(bench))
    pure = relative(path, bench.tree)
    permit(bench, deed, path if ruling.decision == "deny" else pure.as_posix(), ruling)
    return pure


def files(bench: Bench, folder: str = ".", *, readable: bool = False) -> Iterator[str]:
    """Paths of the files below a folder that this attempt sees, unordered; with `readable` those no rule holds back.

    Raises ToolRefused where the folder cannot be listed.
    """
    rules, closed = rules_of(bench, "read"), _closed(bench)
    start = permitted(bench, "read", folder)
    try:
        for parts in files_below(bench.tree, start.parts):
            path = "/".join(parts)
            if not sees_path(bench.specialist, bench.task, path, bench.context.settings.paths):
                continue
            decision = judge_path(path, rules=rules, closed=closed).decision
            if decision == "allow" or (decision == "ask" and not readable):
                yield path
    except PathRefused as error:
        raise ToolRefused(f"{folder} {error}") from error


def _closed(bench: Bench) -> Rules:
    """The files that this run's roster was read from."""
    return {(PurePosixPath(folder) / "*.md").as_posix(): "deny" for folder in bench.context.settings.roster}
