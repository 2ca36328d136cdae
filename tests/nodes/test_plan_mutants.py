"""Valid plans pass without a finding; each way of breaking one is found by its own rule, and mended where it can be."""

from collections.abc import Callable, Mapping
from random import Random

import pytest

from backend_coordinator.domain.objective import Analysis
from backend_coordinator.domain.plan import Effort, Plan, StepKind, Task
from backend_coordinator.nodes.plan_compiler import Examined, PlanDraft, compile_plan, examine
from backend_coordinator.prompts.loader import load_roster

ROSTER = load_roster()
VALID, OF_EACH = 200, 50
AREAS = ("orders", "invoices", "refunds", "products", "carts", "shipments")
MIGRATION: tuple[StepKind, ...] = (
    "design_migration", "rollback_script", "rehearsal", "deployment_handover", "rollout_plan", "monitoring",
)  # fmt: skip
Tasks = list[Task]


def valid(seed: int) -> tuple[Tasks, Analysis]:
    """A plan as a careful drafter makes it, with the analysis that it covers."""
    random = Random(seed)
    areas = random.sample(AREAS, random.randint(1, 4))
    analysis = Analysis(
        endpoints=tuple(f"POST /{area}" for area in areas),
        schema_changes=("tables of their own",),
        auth_requirements=("a token is needed",) * random.randint(0, 1),
        performance_requirements=("p95 under 200 ms",) * random.randint(0, 1),
    )
    tasks: Tasks = []

    def add(title: str, who: str, steps: tuple[StepKind, ...], needs: Tasks, covers: tuple[str, ...] = ()) -> Task:
        number = len(tasks) + 1
        made = Task(
            id=f"backend-T{number:03d}",
            title=title,
            objective=title,
            specialist=who,
            steps=steps,
            needs=tuple(each.id for each in needs),
            covers=covers,
            writes=(f"part{number}/**",),
            effort=random.choice(list(Effort)),
        )
        tasks.append(made)
        return made

    contract = add("Contract", "api-architect", ("design_contract", "share_contract", "validate_contract"), [])
    schema = add("Schema", "database-optimizer", MIGRATION, [], ("schema-1",))
    auth = ("auth-1",) if analysis.auth_requirements else ()
    code = [
        add(
            area,
            random.choice(("python-pro", "nodejs-expert")),
            ("write_code",),
            [contract, schema],
            (f"endpoint-{n}",),
        )
        for n, area in enumerate(areas, 1)
    ]
    tasks[code[0].needs.__len__()] = code[0] = code[0].model_copy(update={"covers": (*code[0].covers, *auth)})
    review = add("Review", "backend-architect", ("security_review",), [contract, schema, *code])
    if analysis.performance_requirements:
        add("Load", "backend-architect", ("performance_test",), [review], ("performance-1",))
    if random.random() < 0.5:
        add("Runbook", "technical", ("document",), [review])
        tasks[-1] = tasks[-1].model_copy(update={"specialist": "backend-engineer"})
    return tasks, analysis


def looked_at(tasks: Tasks, analysis: Analysis) -> Examined:
    return examine(PlanDraft(tasks=tuple(tasks)), ROSTER, analysis=analysis)


@pytest.mark.parametrize("part", range(4))
def test_a_valid_plan_gives_no_alarm(part: int) -> None:
    for seed in range(part * VALID // 4, (part + 1) * VALID // 4):
        tasks, analysis = valid(seed)
        assert [str(found) for found in looked_at(tasks, analysis).findings if not found.remark] == [], seed


def changed(tasks: Tasks, which: Task, **fields: object) -> Tasks:
    return [each.model_copy(update=fields) if each.id == which.id else each for each in tasks]


def first(tasks: Tasks, step: StepKind) -> Task:
    return next(each for each in tasks if step in each.steps)


def some(tasks: Tasks, random: Random, step: StepKind) -> Task:
    return random.choice([each for each in tasks if step in each.steps])


def cyclic(tasks: Tasks, random: Random) -> Tasks:
    """A ring: undone by the steps for designs; between two pieces of code, or a design and a document, by nothing."""
    if random.random() < 0.5 and len(code := [t for t in tasks if "write_code" in t.steps]) > 1:
        one, other = random.sample(code, 2)
        tasks = changed(tasks, one, needs=(*one.needs, other.id))
        return changed(tasks, other, needs=(*other.needs, one.id))
    design = random.choice([first(tasks, "design_contract"), first(tasks, "design_migration")])
    return changed(tasks, design, needs=(first(tasks, "security_review").id,))


def selfish(tasks: Tasks, random: Random) -> Tasks:
    task = random.choice(tasks)
    return changed(tasks, task, needs=(*task.needs, task.id))


def dangling(tasks: Tasks, random: Random) -> Tasks:
    task = random.choice(tasks)
    return changed(tasks, task, needs=(*task.needs, f"backend-T{random.randint(500, 999)}"))


def doubled(tasks: Tasks, random: Random) -> Tasks:
    task = random.choice(tasks)
    return [*tasks, task if random.random() < 0.5 else task.model_copy(update={"title": f"{task.title} again"})]


def strange(tasks: Tasks, random: Random) -> Tasks:
    task = random.choice(tasks)
    return changed(tasks, task, specialist=random.choice(("rockstar", "librarian", "api-architekt", "db wizard")))


def unaccepted(tasks: Tasks, random: Random) -> Tasks:
    design, missing = first(tasks, "design_contract"), random.choice(("share_contract", "validate_contract", "both"))
    return changed(
        tasks, design, steps=tuple(s for s in design.steps if s == "design_contract" or missing not in (s, "both"))
    )


def irreversible(tasks: Tasks, random: Random) -> Tasks:
    design = first(tasks, "design_migration")
    gone = {"rollback_script", *random.sample(MIGRATION[2:], random.randint(0, 4))}
    return changed(tasks, design, steps=tuple(step for step in design.steps if step not in gone))


def unreviewed(tasks: Tasks, random: Random) -> Tasks:
    review = first(tasks, "security_review")
    if random.random() < 0.5:
        return changed(tasks, review, needs=())
    left = [each for each in tasks if each.id != review.id]
    return [each.model_copy(update={"needs": tuple(n for n in each.needs if n != review.id)}) for each in left]


def uncovered(tasks: Tasks, random: Random) -> Tasks:
    task = random.choice([each for each in tasks if each.covers])
    if len([t for t in tasks if "write_code" in t.steps]) > 1 and random.random() < 0.5 and "write_code" in task.steps:
        left = [each for each in tasks if each.id != task.id]
        return [each.model_copy(update={"needs": tuple(n for n in each.needs if n != task.id)}) for each in left]
    return changed(tasks, task, covers=())


def too_early(tasks: Tasks, random: Random) -> Tasks:
    code = some(tasks, random, "write_code")
    design = random.choice([first(tasks, "design_contract"), first(tasks, "design_migration")])
    tasks = changed(tasks, code, needs=tuple(need for need in code.needs if need != design.id))
    return changed(tasks, design, needs=(code.id,)) if random.random() < 0.5 and alone(tasks) else tasks


def alone(tasks: Tasks) -> bool:
    """Whether one task writes code: with more, turning a design around closes a ring through the others."""
    return sum("write_code" in each.steps for each in tasks) == 1


MUTATIONS: Mapping[str, tuple[Callable[[Tasks, Random], Tasks], bool]] = {
    "cycle": (cyclic, False),
    "self-need": (selfish, True),
    "dangling-need": (dangling, True),
    "doubled-id": (doubled, False),
    "stranger": (strange, False),
    "contract-acceptance": (unaccepted, True),
    "rollback": (irreversible, True),
    "review": (unreviewed, True),
    "coverage": (uncovered, True),
    "contract-first": (too_early, True),
}
"""By rule: how a plan is broken so that it has to find it, and whether there is always a remedy."""


@pytest.mark.parametrize("rule", MUTATIONS)
def test_every_mutant_is_found_by_its_rule_and_mended_where_there_is_a_remedy(rule: str) -> None:
    mutate, always = MUTATIONS[rule]
    mended = 0
    for seed in range(OF_EACH):
        tasks, analysis = valid(seed)
        mutant = mutate(tasks, Random(seed))
        Random(seed).shuffle(mutant)
        found = looked_at(mutant, analysis)
        assert rule in {each.rule for each in found.findings}, (seed, found.findings)
        if found.refused:
            assert {each.rule for each in found.refused} == {rule}, (seed, found.refused)
            continue
        mended += 1
        again = compile_plan(PlanDraft(tasks=found.tasks), ROSTER, analysis=analysis)
        assert again.repairs == (), seed
        assert again.plan == Plan(tasks=found.tasks), seed
    assert mended == OF_EACH if always else 0 < mended < OF_EACH
