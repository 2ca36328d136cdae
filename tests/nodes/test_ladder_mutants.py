"""Every way of breaking the ladder's rows or the conditions of its functions breaks one of its laws."""

import inspect
from collections.abc import Iterator
from random import Random
from types import ModuleType

from backend_coordinator.nodes import ladder
from tests.support.ladder_laws import BUDGETS, LEVEL, Walk, peer_law, table_law

SOURCE = inspect.getsource(ladder)
RUNGS = {level.value: f"L.{level.name}" for level in ladder.Level}
WALKS = 3_000
CONDITIONS = {
    "a budget is ignored": ("if used[step] < budget.of(step)", "if step"),
    "a budget is exceeded by one": ("used[step] < budget.of(step)), None", "used[step] <= budget.of(step)), None"),
    "one use of a budget is lost": ("used[step] < budget.of(step)), None", "used[step] + 1 < budget.of(step)), None"),
    "a helpless rung is taken again": ("and step > helpless", "and step >= helpless"),
    "who had no help may go down": ("if step >= lowest and step > helpless", "if step > helpless"),
    "a class goes down again": (
        "*(step.level for step in steps if step.failure is failure.kind)",
        "*(step.level for step in steps[:0])",
    ),
    "a class is lifted by the steps of others": (" if step.failure is failure.kind", ""),
    "stuck takes the same rung": ("steps[-1].level + 1, Level", "steps[-1].level, Level"),
    "stuck is no reason to climb": ("if steps and failure.kind is FailureClass.STUCK", "if False"),
    "stuck climbs over the last rung": ("min(steps[-1].level + 1, Level.STRATEGIC_ESCALATION)", "steps[-1].level + 1"),
    "the highest rung comes first": ("path = [step for step in Level", "path = [step for step in reversed(Level)"),
    "what Level 1 could not mend goes to a peer": ("or step >= beyond]", "or step]"),
    "what Level 1 could not mend never goes up": ("is Level.SELF_RECOVERY or step >= beyond", "is Level.SELF_RECOVERY"),
    "Level 1 gives up one try early": (">= budget.of(Level.SELF_RECOVERY)", ">= budget.of(Level.SELF_RECOVERY) - 1"),
    "Level 1 tries once too often": (">= budget.of(Level.SELF_RECOVERY)", "> budget.of(Level.SELF_RECOVERY)"),
    "Level 1 repeats what it said": ("grave if spent or repeated", "grave if spent"),
    "spent tries are no reason to rise": ("grave if spent or repeated", "grave if repeated"),
    "each attempt is its own repetition": ("dossier.attempts[:-1]", "dossier.attempts"),
    "a conflict counts as a repetition": (" and failure.kind is not FailureClass.MERGE_CONFLICT", ""),
    "a class keeps its name when it rises": ("grave if spent or repeated else failure.kind", "failure.kind"),
    "grave and stuck stays with the coordinator": ("if failure.kind is FailureClass.STUCK and", "if False and"),
    "stuck always takes the class of its evidence": (
        " and rule_of(grave, rules).level is Level.STRATEGIC_ESCALATION",
        "",
    ),
    "the mildest of several items decides": ("return max(kinds", "return min(kinds"),
    "of several items only the first counts": ("for item in failure.items)]", "for item in failure.items[:1])]"),
    "no failed item has a class": ("item.startswith(row.items)", "False"),
    "what was found does not matter": (" if re.search(row.sign, failure.detail)", ""),
    "a passed deadline is ignored": ("if late and not told", "if False and not told"),
    "a passed deadline is told without end": ("if late and not told", "if late"),
    "everything is a timeline concern": ("if late and not told", "if not told"),
    "a passed deadline hides what is graver": ("and rule_of(kind, rules).level < Level.STRATEGIC_ESCALATION", ""),
    "conflicts use the tries of others": ("frozenset({F.MERGE_CONFLICT, F.M", "frozenset({F.M"),
    "dependencies use the tries of others": (", F.MISSING_DEPENDENCY})", "})"),
    "own tries count on every rung": ("step.level > Level.SELF_RECOVERY or step.failure in own", "step.failure in own"),
    "the author asks itself": ("{author.name, *asked}", "{*asked}"),
    "a peer is asked twice": ("{author.name, *asked}", "{author.name}"),
    "somebody outside is consulted": (' and m.role != "external"', ""),
    "the author's own table comes first": (
        "named = [*([roster.get(first)] if first and first in roster else []), *(member for member, _ in members)]",
        "named = [*(m for m, _ in members), *([roster.get(first)] if first and first in roster else [])]",
    ),
    "the author's own table is not read": ("for route in author.escalates_to", "for route in ()"),
    "any row of the author's table serves": ("if route.failure is failure.kind for", "for"),
    "the least fitting row of the author's table comes first": ("row: -len(about", "row: len(about"),
    "no row of the author's table fits better": ("row: -len(about", "row: -0 * len(about"),
    "the first of two rows wins": ("for rule in reversed(rules)", "for rule in rules"),
}  # fmt: skip


def rows() -> Iterator[tuple[str, str]]:
    """Every row of both tables removed or changed, as a name and the mutated source."""
    for rule in ladder.RULES:
        peer = f', "{rule.peer}"' if rule.peer else ""
        row = f"    Rule(F.{rule.failure.name}, {RUNGS[rule.level]}{peer}),\n"
        yield f"{rule.failure}: row removed", SOURCE.replace(row, "")
        for level in {rule.level - 1, rule.level + 1} & RUNGS.keys():
            yield f"{rule.failure}: level {level}", SOURCE.replace(row, row.replace(RUNGS[rule.level], RUNGS[level]))
        if rule.peer:
            yield f"{rule.failure}: no peer", SOURCE.replace(row, row.replace(peer, ""))
            yield f"{rule.failure}: another peer", SOURCE.replace(row, row.replace(rule.peer, "qa-lead"))
    for number, survivor in enumerate(ladder.SURVIVING):
        rest = f"SURVIVING = SURVIVING[:{number}] + SURVIVING[{number + 1}:]"
        name = f"{survivor.items} ({survivor.sign}) after Level 1"
        yield f"{name}: row dropped", f"{SOURCE}\n{rest}\n"
        changed = f"SURVIVING[{number}]._replace(failure=F.STUCK)"
        other = f"SURVIVING = (*SURVIVING[:{number}], {changed}, *SURVIVING[{number + 1}:])"
        yield f"{name}: another class", f"{SOURCE}\n{other}\n"


def test_no_mutant_of_the_ladder_survives_its_laws_and_the_ladder_itself_does() -> None:
    assert broken(SOURCE) is None
    mutants = dict(rows())
    for name, (old, new) in CONDITIONS.items():
        assert SOURCE.count(old) == 1, name
        mutants[name] = SOURCE.replace(old, new)
    assert all(text != SOURCE for text in mutants.values())
    assert len(mutants) >= len(LEVEL) * 2 + len(CONDITIONS)
    assert [name for name, text in mutants.items() if broken(text) is None] == []


def broken(source: str) -> str | None:
    """The law that a ladder of this source breaks, None where it keeps all."""
    made = ModuleType("mutant")
    exec(compile(source, "mutant", "exec"), made.__dict__)
    try:
        table_law(made)
        peer_law(made)
        for seed in range(WALKS):
            dice = Random(seed)
            Walk(made, BUDGETS[seed % len(BUDGETS)], dice.choice).end()
    except (AssertionError, StopIteration, ValueError, TypeError) as error:
        return f"{type(error).__name__}: {error}"
    return None
