"""The rule about the paths that tasks may change."""

import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from functools import lru_cache
from itertools import combinations

from backend_coordinator.domain.plan import Finding
from backend_coordinator.nodes.plan_draft import Draft
from backend_coordinator.nodes.tools.paths import DEEPEST, judge_path

_MOST_NAMED = 5
_BRACES = re.compile(r"\{[^{}]*,[^{}]*\}")
_ONE_LETTER = re.compile(r"\[(.)\]")


def writes(draft: Draft) -> Iterator[Finding]:
    """Every glob names paths inside the repository and none of git's (EXPECTED OUTPUT names files of it).

    Braces are not read, and would leave a task without what it means. What a glob with wildcards stands for is judged
    path by path when a tool touches it. Tasks that may run at once and write the same paths are a remark: the merge
    queue settles what they do.
    """
    for task in draft.open:
        for glob in task.writes:
            if why := _refused(glob):
                yield Finding(rule="writes", task=task.id, reason=f"may not write {glob!r}: {why}")
    upstream = {task.id: draft.upstream(task.id) for task in draft}
    clashes: dict[str, dict[str, list[str]]] = {}
    for one, other in combinations(draft, 2):
        if one.id in upstream[other.id] or other.id in upstream[one.id]:
            continue
        if shared := [glob for glob in one.writes if any(overlap(glob, each) for each in other.writes)]:
            clashes.setdefault(one.id, {})[other.id] = shared
    for task_id, others in clashes.items():
        named = ", ".join(list(others)[:_MOST_NAMED]) + (", ..." if len(others) > _MOST_NAMED else "")
        paths = ", ".join(dict.fromkeys(glob for shared in others.values() for glob in shared))
        reason = f"may run at the same time as {named} and write the same: {paths}"
        yield Finding(rule="writes", task=task_id, reason=reason, remark=True)


def _refused(glob: str) -> str:
    """Why a glob cannot stand; empty where it can."""
    if _BRACES.search(glob):
        return "braces are not read: write a glob for each"
    rulings = (judge_path(each) for each in (glob, _ONE_LETTER.sub(r"\1", glob)))
    return next((ruling.reason for ruling in rulings if ruling.decision == "deny"), "")


def overlap(one: str, other: str) -> bool:
    """Whether some path may fit both globs; a plain name covers what lies below it.

    Globs deeper than any path may be are taken to meet.
    """
    first, second = (tuple(part for part in glob.split("/") if part not in ("", ".")) for glob in (one, other))
    return max(len(first), len(second)) > DEEPEST or _meet(first, second)


@lru_cache(maxsize=65_536)  # each pair of rests is looked at once, however many ways lead to it
def _meet(first: tuple[str, ...], second: tuple[str, ...]) -> bool:
    if not first or not second:  # the shorter one covers all below it
        return True
    if "**" in (first[0], second[0]):
        if first[0] != "**":
            first, second = second, first
        below = "." not in second[-1]  # a folder holds what may fit, a file does not
        return not first[1:] or any(_meet(first[1:], second[n:]) for n in range(len(second) + below))
    return _alike(first[0], second[0]) and _meet(first[1:], second[1:])


def _alike(one: str, other: str) -> bool:
    if "*" in one and "*" in other:
        return one.partition("*")[0].startswith(head := other.partition("*")[0]) or head.startswith(
            one.partition("*")[0]
        )
    return fnmatchcase(one, other) or fnmatchcase(other, one)
