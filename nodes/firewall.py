"""The context firewall: a pure function from what is known to what one specialist is told."""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import NamedTuple

from backend_coordinator.domain.context import ContextItem, ContextKind, ContextManifest, ManifestEntry
from backend_coordinator.domain.plan import Task
from backend_coordinator.domain.roster import Specialist
from backend_coordinator.nodes import digests
from backend_coordinator.nodes.kinds import UNIVERSAL, rule_for
from backend_coordinator.nodes.scope import out_of_scope
from backend_coordinator.nodes.screen import WITHHELD

CHARACTERS_PER_TOKEN = 4
_ORDER = {kind: number for number, kind in enumerate(ContextKind)}
_OF_A_TASK = re.compile(r"backend-T\d+")
"""The source of what a dependency decided or delivered; the rest is told to all tasks of a run alike."""
_FIELDS = {
    "API specifications": {
        ContextKind.API_REQUIREMENT,
        ContextKind.API_CONTRACT,
        ContextKind.FRONTEND_INTEGRATION,
        ContextKind.THIRD_PARTY_CONTRACT,
        ContextKind.VERSIONING_STRATEGY,
    },
    "Database schema": {ContextKind.DATABASE_SCHEMA, ContextKind.DATA_MODEL, ContextKind.DATABASE_IMPLEMENTATION},
    "Existing code patterns": {ContextKind.CODE_PATTERN, ContextKind.INTEGRATION_PATTERN},
    "Performance SLAs": {ContextKind.PERFORMANCE_REQUIREMENT},
    "Security requirements": {ContextKind.SECURITY_REQUIREMENT},
}
"""The fields of the template's CONTEXT, and the kinds that fill them."""


class Packet(NamedTuple):
    """What a specialist is told, what became of each item, and the texts of which only an outline went in.

    `whole` has these by the name that `recall` is given.
    """

    text: str
    manifest: ContextManifest
    whole: Mapping[str, str]


class Selection(NamedTuple):
    """Items in the order in which they are told, each with what is said of it, and what became of all of them."""

    told: Mapping[ContextItem, str]
    entries: tuple[ManifestEntry, ...]
    whole: Mapping[str, str]


def estimate_tokens(text: str) -> int:
    """The offline estimate used wherever this product counts tokens itself: four characters each, rounded up."""
    return -(-len(text) // CHARACTERS_PER_TOKEN)


def packet(
    specialist: Specialist,
    task: Task,
    items: Collection[ContextItem],
    *,
    blocks: Sequence[str] = (),
    budget: int,
    digest: bool = False,
) -> Packet:
    """The filled delegation template and the manifest of what went in or was withheld, and by which rule.

    Equal inputs in any order give equal bytes. `budget` is in estimated tokens of items; with `digest` long texts go
    in by their outline. (Context Filtering Rules, Task Delegation Template.)
    """
    found = select(specialist, items, budget=budget, digest=digest, other=out_of_scope(task, items))
    text = _template(specialist, task, found.told, blocks)
    manifest = ContextManifest(
        specialist=specialist.name, task=task.id, entries=found.entries, packet=estimate_tokens(text)
    )
    return Packet(text, manifest, found.whole)


def select(
    specialist: Specialist,
    items: Collection[ContextItem],
    *,
    budget: int,
    digest: bool = False,
    other: Collection[ContextItem] = (),
) -> Selection:
    """The items that a specialist is told within `budget`; `other` are those that concern other tasks.

    What dependencies hand over keeps its place longest, then what everybody must know, then kinds in their order.
    What does not fit goes in as one line where it can be recalled, else not at all.
    """
    rulings = {item: _ruling(specialist, item, other) for item in sorted(set(items), key=_position)}
    names = {item: f"item-{n}" for n, item in enumerate((i for i, ruling in rulings.items() if ruling[0]), 1)}
    told: dict[ContextItem, str] = {}
    for item in sorted(names, key=lambda i: (is_shared(i), i.kind not in UNIVERSAL, _position(i))):
        for text in _forms(item.text, names[item], digest):
            if estimate_tokens(text) <= budget:
                told[item] = text
                budget -= estimate_tokens(text)
                break
    entries = [_entry(item, *ruling, told.get(item), names.get(item, "")) for item, ruling in rulings.items()]
    whole = {names[item]: item.text for item, text in told.items() if text != item.text}
    return Selection({item: told[item] for item in names if item in told}, tuple(entries), whole)


def listed(told: Mapping[ContextItem, str]) -> str:
    """Items as they are told, under their kind and source."""
    groups = groupby(told.items(), key=lambda each: f"{each[0].kind} ({each[0].source}):")
    return "\n\n".join("\n".join((label, *(text for _, text in group))) for label, group in groups)


def is_shared(item: ContextItem) -> bool:
    """Whether all tasks of a run may be told it: no dependency decided or delivered it."""
    return _OF_A_TASK.fullmatch(item.source) is None


def _position(item: ContextItem) -> tuple[bool, bool, int, str, str]:
    """What all tasks of a run share comes first, for the provider's cache, and what may be scoped last of that."""
    scoped = item.kind is ContextKind.DATABASE_SCHEMA
    return not is_shared(item), scoped, _ORDER[item.kind], item.source, item.text


def _ruling(specialist: Specialist, item: ContextItem, other: Collection[ContextItem]) -> tuple[bool, str]:
    included, rule = rule_for(specialist, item.kind)
    if included and item in other:
        return False, "of another service or other tables than the task names"
    return included, rule


def _forms(text: str, name: str, digest: bool) -> Iterator[str]:
    """How an item may go in, the preferred form first."""
    long = estimate_tokens(text) > digests.ABOVE
    yield digests.outline(text, name) if digest and long else text
    if digest and len(text) > len(line := digests.pointer(text, name)):
        yield line


def _entry(item: ContextItem, included: bool, rule: str, told: str | None, name: str) -> ManifestEntry:
    tokens = estimate_tokens(item.text)
    digest = included and told is not None and told != item.text
    if included and told is None:
        rule = "over the packet's budget"
    elif WITHHELD in item.text and included:
        rule = f"{rule}; parts of it are withheld"
    if digest:
        rule = f"{rule}; {tokens} tokens to be read as {name}"
    return ManifestEntry(
        kind=item.kind,
        source=item.source,
        included=told is not None,
        rule=rule,
        tokens=tokens if told is None else estimate_tokens(told),
        digest=digest,
    )


def _template(specialist: Specialist, task: Task, told: Mapping[ContextItem, str], blocks: Sequence[str]) -> str:
    """Every field of the template, or "none"; what all tasks of a run share comes first, for the provider's cache."""
    shared = {item: text for item, text in told.items() if is_shared(item)}
    own = {item: text for item, text in told.items() if not is_shared(item)}
    required = dict(task.requirements)
    sections = (
        f"DELEGATION TO: @{specialist.name}",
        f"PROJECT:\n{listed(shared) or '- nothing known'}",
        f"TASK ID: {task.id}\nTITLE: {task.title}\nPRIORITY: {task.priority}",
        f"OBJECTIVE:\n{task.objective}",
        f"STEPS: {', '.join(task.steps) or 'none'}",
        "REQUIREMENTS:\n" + "\n".join(_fields(required, lambda name, lines: (f"- {name}: {line}" for line in lines))),
        _bullets("ACCEPTANCE CRITERIA", task.acceptance_criteria),
        f"DEPENDENCIES:\n- Depends on: {', '.join(task.needs) or 'none'}\n- Blocks: {', '.join(blocks) or 'none'}",
        "CONTEXT:\n" + "\n".join(_context(own, {item.kind for item in shared})),
        _bullets("PATHS YOU WRITE", task.writes),
        _bullets("EXPECTED OUTPUT", task.expected_output),
        _bullets("SUCCESS CRITERIA", task.success_criteria),
    )
    return "\n\n".join(sections)


def _context(own: Mapping[ContextItem, str], shared: Collection[ContextKind]) -> Iterator[str]:
    above = [name for name, kinds in _FIELDS.items() if not kinds.isdisjoint(shared)]
    if above:
        yield f"- see PROJECT: {', '.join(above)}"
    named = {
        name: [listed({item: text}) for item, text in own.items() if item.kind in kinds]
        for name, kinds in _FIELDS.items()
        if name not in above or not kinds.isdisjoint({item.kind for item in own})
    }
    yield from _fields(named, lambda name, found: (f"- {name}:", *found))
    if others := {i: text for i, text in own.items() if not any(i.kind in kinds for kinds in _FIELDS.values())}:
        yield f"- Other:\n{listed(others)}"


def _fields(fields: Mapping[str, Sequence[str]], say: Callable[[str, Sequence[str]], Iterable[str]]) -> Iterator[str]:
    """Fields that are filled, and one line that names those that are not."""
    for name, lines in fields.items():
        if lines:
            yield from say(name, lines)
    if empty := [name for name, lines in fields.items() if not lines]:
        yield f"- {', '.join(empty)}: none"


def _bullets(heading: str, lines: Sequence[str]) -> str:
    return f"{heading}:\n" + ("\n".join(f"- {line}" for line in lines) or "- none")
