"""The context firewall: a pure function from what is known to what one specialist is told."""

from collections.abc import Collection, Iterator, Sequence

from backend_coordinator.domain.context import ContextItem, ContextKind, ContextManifest, ManifestEntry
from backend_coordinator.domain.plan import Task
from backend_coordinator.domain.roster import Specialist
from backend_coordinator.nodes.kinds import rule_for

CHARACTERS_PER_TOKEN = 4
_ORDER = {kind: number for number, kind in enumerate(ContextKind)}
_SHARED = frozenset({"repository", "analysis"})
"""Sources of what all tasks of a run are told alike."""
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


def estimate_tokens(text: str) -> int:
    """The offline estimate used wherever this product counts tokens itself: four characters each, rounded up."""
    return -(-len(text) // CHARACTERS_PER_TOKEN)


def packet(
    specialist: Specialist,
    task: Task,
    items: Sequence[ContextItem],
    *,
    blocks: Sequence[str] = (),
    budget: int,
) -> tuple[str, ContextManifest]:
    """The filled delegation template and the manifest of what went in or was withheld, and by which rule.

    Equal inputs in any order give equal bytes. `budget` is in estimated tokens of context items; items beyond it
    are left out, what all tasks share last. (Context Filtering Rules, Task Delegation Template.)
    """
    entries: list[ManifestEntry] = []
    shown: list[ContextItem] = []
    spent = 0
    for item in sorted(set(items), key=lambda i: (i.source not in _SHARED, _ORDER[i.kind], i.source, i.text)):
        tokens = estimate_tokens(item.text)
        included, rule = rule_for(specialist, item.kind)
        if included and spent + tokens > budget:
            included, rule = False, f"over the packet's budget of {budget} tokens"
        if included:
            shown.append(item)
            spent += tokens
        entries.append(ManifestEntry(kind=item.kind, source=item.source, included=included, rule=rule, tokens=tokens))
    manifest = ContextManifest(specialist=specialist.name, task=task.id, entries=tuple(entries))
    return _template(specialist, task, shown, blocks), manifest


def _template(specialist: Specialist, task: Task, items: Sequence[ContextItem], blocks: Sequence[str]) -> str:
    """Every field of the template, or "none"; what all tasks of a run share comes first, for the provider's cache."""
    shared = [item for item in items if item.source in _SHARED]
    own = [item for item in items if item.source not in _SHARED]
    sections = (
        f"DELEGATION TO: @{specialist.name}",
        "PROJECT:\n" + ("\n\n".join(map(_told, shared)) or "- nothing known"),
        f"TASK ID: {task.id}\nTITLE: {task.title}\nPRIORITY: {task.priority}",
        f"OBJECTIVE:\n{task.objective}",
        f"STEPS: {', '.join(task.steps) or 'none given'}",
        _bullets(
            "REQUIREMENTS", [f"{name}: {text}" for name, found in task.requirements for text in found or ["none"]]
        ),
        _bullets("ACCEPTANCE CRITERIA", task.acceptance_criteria),
        f"DEPENDENCIES:\n- Depends on: {', '.join(task.needs) or 'none'}\n- Blocks: {', '.join(blocks) or 'none'}",
        "CONTEXT:\n" + "\n".join(_context(own, {item.kind for item in shared})),
        _bullets("PATHS YOU WRITE", task.writes),
        _bullets("EXPECTED OUTPUT", task.expected_output),
        _bullets("SUCCESS CRITERIA", task.success_criteria),
    )
    return "\n\n".join(sections)


def _context(items: Sequence[ContextItem], shared: Collection[ContextKind]) -> Iterator[str]:
    for field, kinds in _FIELDS.items():
        found = [_told(item) for item in items if item.kind in kinds]
        otherwise = "none" if kinds.isdisjoint(shared) else "as told under PROJECT"
        yield "\n".join((f"- {field}:", *found)) if found else f"- {field}: {otherwise}"
    if others := [_told(item) for item in items if not any(item.kind in kinds for kinds in _FIELDS.values())]:
        yield "\n".join(("- Other:", *others))


def _told(item: ContextItem) -> str:
    return f"{item.kind} ({item.source}):\n{item.text}"


def _bullets(heading: str, lines: Sequence[str]) -> str:
    return f"{heading}:\n" + ("\n".join(f"- {line}" for line in lines) or "- none")
