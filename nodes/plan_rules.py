"""What a plan has to be, a function for each rule: it names what is wrong and mends what has one right remedy."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from graphlib import CycleError, TopologicalSorter

from backend_coordinator.domain.context import ContextKind
from backend_coordinator.domain.plan import Finding, StepKind, Task
from backend_coordinator.nodes.kinds import rule_for
from backend_coordinator.nodes.plan_coverage import coverage
from backend_coordinator.nodes.plan_draft import DESIGNS, Draft, free_id
from backend_coordinator.nodes.plan_protocols import contract_acceptance, contract_first, review, rollback
from backend_coordinator.nodes.plan_sizes import right_size
from backend_coordinator.nodes.plan_writes import writes
from backend_coordinator.nodes.stack import expert_for

Rule = Callable[[Draft], Iterator[Finding]]
BY_STEP: Mapping[StepKind, str] = {
    "design_contract": "api-architect",
    "design_migration": "database-optimizer",
    "security_review": "backend-architect",
    "performance_test": "backend-architect",
}
"""Who does which step where no code is written (Task Breakdown Example)."""
LANGUAGE_EXPERTS = frozenset({"python-pro", "nodejs-expert", "java-expert", "fastapi-developer", "django-developer"})
"""Those of whom the stack decides who fits; a specialist of the user's own is never among them."""
DESIGNERS = frozenset({"api-architect", "backend-architect"})
"""Those who design and write no code, unless the user's own of that name sees it."""
CODE = ContextKind.CODE_PATTERN
_LIKENESS = 0.87
_PHASES = ({"design_contract", "design_migration"}, {"write_code"}, {"security_review", "performance_test"})


def doubled_id(given: Sequence[Task], settled: frozenset[str]) -> tuple[dict[str, Task], list[Finding]]:
    """Each id names one task (Task Delegation Template).

    Of twins one is dropped. Different work gets an id of its own where it is clear whom the needs mean: nobody needs
    the id, or one of the two needs the other. Of a settled id the first one given is the one that began;
    who has not begun and needs it means the other one.
    """
    by_id: dict[str, list[Task]] = {}
    for task in given:
        by_id.setdefault(task.id, []).append(task)
    tasks = {name: _first(group, name in settled) for name, group in by_id.items()}
    findings: list[Finding] = []
    meant: dict[str, str] = {}
    for name, group in sorted(by_id.items()):
        others = sorted((t for t in set(group) if t != tasks[name]), key=Task.model_dump_json)
        if len(group) > len(others) + 1:
            findings.append(_doubled(name, "stands in the plan twice", "one of the two is dropped"))
        within = sum(name in t.needs for t in (others if name in settled else set(group)))
        outside = _needed(by_id, name, settled)
        unclear = outside and (len(others) > 1 or within) if name in settled else outside or within > (len(others) == 1)
        for other in others:
            free = free_id({*by_id, *tasks})
            if unclear or free is None:
                findings.append(_doubled(name, "doubled task ids: different tasks have it, and some need it"))
                continue
            tasks[free] = other.model_copy(update={"id": free})
            more = ", which those who have not begun need instead" if outside else ""
            findings.append(_doubled(name, f"is also the id of {other.title!r}", f"that task is now {free}{more}"))
            meant |= {name: free} if outside else {}
    for task in [t for t in tasks.values() if t.id not in settled]:
        needs = tuple(meant.get(need, need) for need in task.needs)
        tasks[task.id] = task.model_copy(update={"needs": needs}) if needs != task.needs else task
    return tasks, findings


def _needed(by_id: Mapping[str, Sequence[Task]], name: str, settled: frozenset[str]) -> bool:
    """Whether a task with another id needs the doubled one; who has begun means the one that has begun too."""
    others = (t for i, found in by_id.items() if i != name for t in found[int(name in settled and i in settled) :])
    return any(name in task.needs for task in others)


def _first(group: Sequence[Task], settled: bool) -> Task:
    """The one that keeps the id: whoever does not need it, since a need means the other one."""
    return group[0] if settled else min(group, key=lambda t: (t.id in t.needs, t.model_dump_json()))


def _doubled(task: str, reason: str, repair: str | None = None) -> Finding:
    return Finding(rule="doubled-id", task=task, reason=reason, repair=repair)


def self_need(draft: Draft) -> Iterator[Finding]:
    """A task that waits for itself never begins, and means nothing by it: the need is dropped."""
    for task in draft.open:
        if task.id in task.needs:
            draft.change(task.id, needs=tuple(need for need in task.needs if need != task.id))
            yield Finding(rule="self-need", task=task.id, reason="needs itself", repair="that need is dropped")


def dangling_need(draft: Draft) -> Iterator[Finding]:
    """What nobody does cannot be waited for (DEPENDENCIES of the delegation template): the need is dropped."""
    for task in draft.open:
        if strangers := [need for need in task.needs if need not in draft.tasks]:
            draft.change(task.id, needs=tuple(need for need in task.needs if need in draft.tasks))
            reason = f"needs {', '.join(strangers)}, which the plan does not have"
            yield Finding(rule="dangling-need", task=task.id, reason=reason, repair="that need is dropped")


def cycle(draft: Draft) -> Iterator[Finding]:
    """Tasks that wait for one another never begin.

    A need is dropped where the protocols say the order (API Contract Coordination: design, code, then review and
    measurement); any other ring has no one right remedy.
    """
    upstream = {task.id: draft.upstream(task.id) for task in draft}
    left = {task_id for task_id, before in upstream.items() if task_id in before}
    while left:
        start = min(left)
        ring = sorted(other for other in left if other in upstream[start] and start in upstream[other])
        left -= set(ring)
        wrong = [(t, n) for t in ring for n in draft.tasks[t].needs if n in ring and _before(draft, t, n)]
        kept = {t: [n for n in draft.tasks[t].needs if n in ring and (t, n) not in wrong] for t in ring}
        if around := _cycle_in(kept):
            yield Finding(rule="cycle", task=start, reason=f"the tasks form a cycle: {' -> '.join(around)}")
            continue
        for task_id, need in wrong:
            draft.change(task_id, needs=tuple(n for n in draft.tasks[task_id].needs if n != need))
            reason = f"stands in a cycle with {need}, which by its steps comes after it"
            yield Finding(rule="cycle", task=task_id, reason=reason, repair=f"it no longer needs {need}")


def _cycle_in(needs: Mapping[str, Sequence[str]]) -> Sequence[str]:
    try:
        TopologicalSorter(needs).prepare()
    except CycleError as error:
        return [str(each) for each in error.args[1]]
    return ()


def _before(draft: Draft, first: str, second: str) -> bool:
    """Whether the steps of the one task come before those of the other; undecided where a task holds several kinds."""
    one, other = (
        [n for n, steps in enumerate(_PHASES) if steps.intersection(draft.tasks[i].steps)] for i in (first, second)
    )
    return len(one) == len(other) == 1 and one < other


def stranger(draft: Draft) -> Iterator[Finding]:
    """Only members who take tasks are given any (Backend Specialist Roster).

    An alias or a name misspelled becomes the name; else the steps say who does such work.
    """
    for task in draft.open:
        name = draft.member(task.specialist) or _close(draft, task.specialist)
        if name == task.specialist:
            continue
        reason = _stranger(draft, task.specialist)
        if name := name or _by_steps(draft, task):
            draft.change(task.id, specialist=name)
            yield Finding(rule="stranger", task=task.id, reason=reason, repair=f"it goes to {name}")
        else:
            yield Finding(rule="stranger", task=task.id, reason=reason)


def _close(draft: Draft, name: str) -> str | None:
    if name in draft.roster:
        return None
    known = {each: m.name for m in draft.roster.specialists if m.role == "specialist" for each in (m.name, *m.aliases)}
    wanted = name.lower().strip().lstrip("@").replace("_", "-").replace(" ", "-")
    found = {known[near] for near in get_close_matches(wanted, known, cutoff=_LIKENESS)}
    return found.pop() if len(found) == 1 else None


def _stranger(draft: Draft, name: str) -> str:
    if name not in draft.roster:
        return f"no specialist is called {name!r}"
    member = draft.roster.get(name)
    if member.role != "specialist":
        article = "an" if member.role[0] in "aeiou" else "a"
        return f"{member.name} is {article} {member.role} and takes no tasks"
    return f"{name} is called {member.name} in this roster"


def _by_steps(draft: Draft, task: Task) -> str | None:
    if "write_code" in task.steps:
        stack = expert_for(draft.facts, task.writes) if draft.facts else None
        return draft.member(stack.specialist) if stack and stack.specialist else None
    return next((draft.member(name) for step, name in BY_STEP.items() if step in task.steps), None)


def stack_expert(draft: Draft) -> Iterator[Finding]:
    """Code is written by the expert of the stack in which it lies; a framework's own comes before the language's.

    Tactics of Execution: the best specialist for the language at hand. Where the paths do not say which of several
    stacks is meant, any expert of one of them fits; paths outside all of them leave the task where it is. Who designs
    and sees no code gets none; one task of design and code is a remark.
    """
    for task in draft.open:
        designer = _designs_only(draft, task.specialist)
        if not draft.facts or "write_code" not in task.steps or not (designer or task.specialist in LANGUAGE_EXPERTS):
            continue
        stack = expert_for(draft.facts, task.writes)
        inside = stack and any(not stack.root or f"{glob}/".startswith(f"{stack.root}/") for glob in task.writes)
        experts = {each.specialist for each in draft.facts.stacks}
        name = draft.member(stack.specialist) if stack and stack.specialist else None
        if stack is None or name in (None, task.specialist):
            continue
        if designer and (DESIGNS.keys() & task.steps or not (inside or len(experts) == 1)):
            reason = f"{task.specialist} designs and sees no code: its code is better a task of another's"
            yield Finding(rule="stack-expert", task=task.id, reason=reason, remark=True)
        elif inside or (len(experts) == 1 and task.specialist not in experts and not task.writes):
            draft.change(task.id, specialist=name)
            reason = f"{task.specialist} does not fit {stack.root or 'this repository'} ({stack.reason})"
            yield Finding(rule="stack-expert", task=task.id, reason=reason, repair=f"it goes to {name}")


def _designs_only(draft: Draft, name: str) -> bool:
    return name in DESIGNERS and name in draft.roster and not rule_for(draft.roster.get(name), CODE)[0]


RULES: Mapping[str, Rule] = {
    "self-need": self_need,
    "dangling-need": dangling_need,
    "stranger": stranger,
    "stack-expert": stack_expert,
    "contract-acceptance": contract_acceptance,
    "rollback": rollback,
    "cycle": cycle,
    "contract-first": contract_first,
    "right-size": right_size,
    "coverage": coverage,
    "review": review,
    "writes": writes,
}
"""The rules in the order in which they are applied; `doubled-id` comes before them, since they ask for tasks by id."""
