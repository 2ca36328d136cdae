"""The context firewall: a pure function from what is known to what one specialist is told."""

from collections.abc import Sequence

from backend_coordinator.domain.context import ContextItem, ContextKind, ContextManifest, ManifestEntry
from backend_coordinator.domain.plan import Task
from backend_coordinator.domain.roster import Specialist
from backend_coordinator.nodes.kinds import rule_for

CHARACTERS_PER_TOKEN = 4
_ORDER = {kind: number for number, kind in enumerate(ContextKind)}


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
    are left out, the last in order first. (Context Filtering Rules, Task Delegation Template.)
    """
    entries: list[ManifestEntry] = []
    shown: list[ContextItem] = []
    spent = 0
    for item in sorted(set(items), key=lambda i: (_ORDER[i.kind], i.source, i.text)):
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
    asked = task.requirements
    requirements = [
        *(f"technical: {text}" for text in asked.technical),
        *(f"security: {text}" for text in asked.security),
        *(f"performance: {text}" for text in asked.performance),
        *(f"scalability: {text}" for text in asked.scalability),
    ]
    context = [f"{item.kind} ({item.source}):\n{item.text}" for item in items]
    sections = (
        f"DELEGATION TO: @{specialist.name}\nTASK ID: {task.id}\nTITLE: {task.title}\nPRIORITY: {task.priority}",
        f"OBJECTIVE:\n{task.objective}",
        f"STEPS: {', '.join(task.steps) or 'none given'}",
        _bullets("REQUIREMENTS", requirements),
        _bullets("ACCEPTANCE CRITERIA", task.acceptance_criteria),
        f"DEPENDENCIES:\n- Depends on: {', '.join(task.needs) or 'none'}\n- Blocks: {', '.join(blocks) or 'none'}",
        "CONTEXT:\n" + ("\n\n".join(context) or "- none"),
        _bullets("PATHS YOU WRITE", task.writes),
        _bullets("EXPECTED OUTPUT", task.expected_output),
        _bullets("SUCCESS CRITERIA", task.success_criteria),
    )
    return "\n\n".join(sections)


def _bullets(heading: str, lines: Sequence[str]) -> str:
    return f"{heading}:\n" + ("\n".join(f"- {line}" for line in lines) or "- none")
