"""The rules that come from the two protocols: contracts and schemas are designed first, accepted, and reviewed."""

from collections.abc import Iterator

from backend_coordinator.domain.plan import Finding, StepKind, Task
from backend_coordinator.nodes.access import ACCESS
from backend_coordinator.nodes.kinds import rule_for
from backend_coordinator.nodes.plan_draft import DESIGNS, Draft

AUDITOR = "backend-architect"
_ACCEPTANCE: tuple[StepKind, ...] = ("share_contract", "validate_contract")
_CHANGE: tuple[StepKind, ...] = ("rollback_script", "rehearsal", "deployment_handover", "rollout_plan", "monitoring")


def contract_acceptance(draft: Draft) -> Iterator[Finding]:
    """A contract is shared with who will use it and validated by them (API Contract Coordination): steps are added."""
    yield from _completed(draft, "contract-acceptance", "design_contract", _ACCEPTANCE)


def rollback(draft: Draft) -> Iterator[Finding]:
    """A migration comes with its way back, rehearsal, handover, rollout and monitoring: steps are added.

    Database Change Coordination.
    """
    yield from _completed(draft, "rollback", "design_migration", _CHANGE)


def _completed(draft: Draft, rule: str, design: StepKind, steps: tuple[StepKind, ...]) -> Iterator[Finding]:
    for task in draft.open:
        missing = [step for step in steps if step not in task.steps]
        if design in task.steps and missing:
            draft.change(task.id, steps=(*task.steps, *missing))
            reason = f"has {design} without {', '.join(missing)}"
            yield Finding(rule=rule, task=task.id, reason=reason, repair="these steps are added")


def contract_first(draft: Draft) -> Iterator[Finding]:
    """Code waits for the contract and the schema that its author sees (API Contract and Database Change Coordination).

    Where it waits for one of that kind already, or designs itself, its drafter has thought of it. A design that its
    author never sees cannot be what it is built on. A design that waits for the code is turned around where it does
    so directly; where others stand between, it is not for us to say what has to give way.
    """
    turned = True
    while turned:
        turned = False
        for code, step, designs in _early(draft):
            free = [d for d in designs if code.id not in draft.upstream(d)]
            for design in free or [d for d in designs if _turn(draft, code.id, d)]:
                needs = draft.tasks[code.id].needs
                draft.change(code.id, needs=(*needs, design))
                turned = True
                reason = f"writes code before {design} has done {step}"
                repair = f"it now needs {design}" if free else f"it now needs {design}, and not the other way round"
                yield Finding(rule="contract-first", task=code.id, reason=reason, repair=repair)
    for code, step, designs in _early(draft):
        reason = f"writes code before {', '.join(designs)} has done {step}, and others stand between them"
        yield Finding(rule="contract-first", task=code.id, reason=reason)


def _early(draft: Draft) -> Iterator[tuple[Task, str, list[str]]]:
    """Code that waits for no design of a kind that its author sees, the step, and the designs there are."""
    for task in draft.open:
        if "write_code" not in task.steps or DESIGNS.keys() & task.steps or task.specialist not in draft.roster:
            continue
        author, before = draft.roster.get(task.specialist), draft.upstream(task.id)
        for step, kind in DESIGNS.items():
            designs = [
                d.id for d in draft if step in d.steps and (d.service or task.service) == (task.service or d.service)
            ]
            if designs and before.isdisjoint(designs) and rule_for(author, kind)[0]:
                yield task, step, designs


def _turn(draft: Draft, code: str, design: str) -> bool:
    """Lets a design wait for the code no more, where that is enough; whether it was done."""
    needs = draft.tasks[design].needs
    if code not in needs or design in draft.settled:
        return False
    draft.change(design, needs=tuple(need for need in needs if need != code))
    if code in draft.upstream(design):
        draft.change(design, needs=needs)
        return False
    return True


def review(draft: Draft) -> Iterator[Finding]:
    """A change of contract, schema or authentication is reviewed for security after it.

    The backend architect audits what was built (Task Breakdown Example). Without a review one is added; one that comes
    too early waits for what it has to look at.
    """
    reviews = [task.id for task in draft if "security_review" in task.steps]
    before = {name: draft.upstream(name) for name in reviews}
    unseen = [t for t in draft.open if _changes(t) and not any(t.id in before[name] for name in reviews)]
    later = [name for name in reviews if name not in draft.settled]
    for task in list(unseen):
        ahead = draft.upstream(task.id)
        if chosen := next((name for name in reversed(later) if name not in ahead and name != task.id), None):
            draft.change(chosen, needs=(*draft.tasks[chosen].needs, task.id))
            unseen.remove(task)
            reason = f"changes {_changes(task)} and no security review comes after it"
            yield Finding(rule="review", task=task.id, reason=reason, repair=f"{chosen} now needs it")
    if unseen:
        yield _added(draft, unseen)


def _changes(task: Task) -> str:
    """What a task changes that is reviewed for security; empty for nothing."""
    named = {"design_contract": "the contract", "design_migration": "the schema"}
    auth = any(answer.startswith("auth-") for answer in task.covers) or ACCESS.search(task.title)
    found = [what for step, what in named.items() if step in task.steps]
    return " and ".join([*found, *(["authentication"] if auth and "write_code" in task.steps else [])])


def _added(draft: Draft, unseen: list[Task]) -> Finding:
    names = ", ".join(task.id for task in unseen)
    what = " and ".join(dict.fromkeys(_changes(task) for task in unseen))
    reason = f"{names} changes {what} and no security review comes after"
    free, auditor = draft.free(), draft.member(AUDITOR)
    if free is None or auditor is None:
        return Finding(
            rule="review", reason=f"{reason}; {'no number is left' if auditor else f'no {AUDITOR} is there'}"
        )
    draft.tasks[free] = Task(
        id=free,
        title="Security review",
        objective="Review the delivered contract, schema and evidence for security, and record what is not covered.",
        specialist=auditor,
        needs=tuple(task.id for task in draft.open),
        steps=("security_review",),
        writes=("docs/security.md",),
        acceptance_criteria=("docs/security.md names for each endpoint what protects it and what does not",),
        expected_output=("docs/security.md",),
    )
    return Finding(rule="review", task=free, reason=reason, repair="this task is added")
