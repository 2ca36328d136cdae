"""Laws of plans: what cannot be built, and what a built one knows."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from backend_coordinator.domain.objective import Analysis, RepositoryFacts, Stack
from backend_coordinator.domain.plan import Effort, Plan, StepKind, Task
from backend_coordinator.errors import InvalidPlan
from backend_coordinator.nodes.plan_compiler import PlanDraft, compile_plan, examine
from backend_coordinator.prompts.loader import load_roster
from tests.support.department import task

ROSTER = load_roster()


@st.composite
def sound(draw: st.DrawFn, least: int = 1) -> list[Task]:
    size = draw(st.integers(least, 12))
    return [
        task(
            number,
            needs=sorted(draw(st.sets(st.integers(1, number - 1), max_size=3))) if number > 1 else (),
            effort=draw(st.sampled_from(Effort)),
        )
        for number in range(1, size + 1)
    ]


@given(sound(), st.randoms(use_true_random=False))
def test_groups_ranks_and_order_follow_from_the_needs_and_not_from_the_order_given(
    tasks: list[Task], random: Random
) -> None:
    plan = Plan(tasks=tuple(tasks))
    shuffled = list(tasks)
    random.shuffle(shuffled)
    assert Plan(tasks=tuple(shuffled)) == plan
    group = {name: number for number, names in enumerate(plan.groups) for name in names}
    assert group.keys() == {each.id for each in tasks}
    for each in plan.tasks:
        assert group[each.id] == 1 + max((group[need] for need in each.needs), default=-1)
        after = max((plan.ranks[name] for name in plan.blocks[each.id]), default=0)
        assert plan.ranks[each.id] == each.effort.weight + after
        assert all(each.id in plan.blocks[need] for need in each.needs)
    assert sum(plan[name].effort.weight for name in plan.critical_path) == max(plan.ranks.values())
    assert all(
        first in plan[second].needs for first, second in zip(plan.critical_path, plan.critical_path[1:], strict=False)
    )


@given(sound(), st.data())
def test_ready_are_exactly_the_undone_tasks_whose_needs_are_done(tasks: list[Task], data: st.DataObject) -> None:
    plan = Plan(tasks=tuple(tasks))
    done = data.draw(st.frozensets(st.sampled_from([each.id for each in tasks])))
    expected = {each.id for each in tasks if each.id not in done and set(each.needs) <= done}
    assert set(plan.ready(done)) == expected


@given(sound(least=2), st.data())
def test_a_cycle_of_any_length_is_refused(tasks: list[Task], data: st.DataObject) -> None:
    ring = data.draw(st.lists(st.sampled_from([each.id for each in tasks]), min_size=2, unique=True))
    follows = dict(zip(ring, [*ring[1:], ring[0]], strict=True))
    bent = [
        each.model_copy(update={"needs": tuple({*each.needs, follows[each.id]})}) if each.id in follows else each
        for each in tasks
    ]
    with pytest.raises(ValidationError, match="cycle"):
        Plan(tasks=tuple(bent))
    with pytest.raises(InvalidPlan, match="cycle"):
        compile_plan(PlanDraft(tasks=tuple(bent)), ROSTER)


@given(sound(), st.data())
def test_a_need_nobody_has_makes_no_plan_and_is_dropped(tasks: list[Task], data: st.DataObject) -> None:
    chosen = data.draw(st.sampled_from(tasks))
    dangling = chosen.model_copy(update={"needs": (*chosen.needs, "backend-T999")})
    bent = tuple(dangling if each is chosen else each for each in tasks)
    with pytest.raises(ValidationError, match=f"{chosen.id} needs backend-T999"):
        Plan(tasks=bent)
    assert compile_plan(PlanDraft(tasks=bent), ROSTER).plan == Plan(tasks=tuple(tasks))


@given(sound(), st.data())
def test_a_doubled_id_makes_no_plan_and_is_refused_where_somebody_needs_it(
    tasks: list[Task], data: st.DataObject
) -> None:
    chosen = data.draw(st.sampled_from(tasks))
    bent = (*tasks, chosen.model_copy(update={"title": "Another"}))
    with pytest.raises(ValidationError, match=f"doubled task ids: {chosen.id}"):
        Plan(tasks=bent)
    if any(chosen.id in each.needs for each in tasks):
        with pytest.raises(InvalidPlan, match=f"{chosen.id}: doubled task ids"):
            compile_plan(PlanDraft(tasks=bent), ROSTER)
    else:
        assert len(compile_plan(PlanDraft(tasks=bent), ROSTER).plan.tasks) == len(tasks) + 1


IDS = st.integers(1, 7).map(lambda number: f"backend-T{number:03d}")
ANALYSIS = Analysis(endpoints=("GET /things",), schema_changes=("table things",), monitoring_needs=("a log line",))
FACTS = RepositoryFacts(
    stacks=(
        Stack(language="Python", specialist="fastapi-developer", reason="fastapi is there"),
        Stack(root="web", language="JavaScript", specialist="nodejs-expert", reason="package.json is Node"),
    )
)


@st.composite
def drafted(draw: st.DrawFn) -> Task:
    """A task as a model that knows nothing of the others may draft it."""
    return Task(
        id=draw(IDS),
        title=draw(st.sampled_from(("Things", "Change the login"))),
        objective="do it",
        specialist=draw(st.sampled_from(("python-pro", "nodejs-expert", "api-architect", "librarian", "nobody"))),
        needs=draw(st.lists(IDS, max_size=2).map(tuple)),
        steps=tuple(draw(st.sets(st.sampled_from(STEPS), max_size=2))),
        covers=draw(st.lists(st.sampled_from(("endpoint-1", "schema-1", "auth-7")), max_size=1).map(tuple)),
        writes=draw(st.lists(st.sampled_from(("app/**", "web/x.js")), max_size=1).map(tuple)),
        effort=draw(st.sampled_from(Effort)),
    )


STEPS: tuple[StepKind, ...] = (
    "design_contract", "design_migration", "write_code", "write_tests", "document", "security_review",
    "performance_test",
)  # fmt: skip


@given(
    st.lists(drafted(), min_size=1, max_size=7),
    st.sampled_from((None, ANALYSIS)),
    st.sampled_from((None, FACTS)),
    st.randoms(use_true_random=False),
)
def test_whatever_is_drafted_one_compilation_is_enough_and_its_order_does_not_matter(
    tasks: list[Task], analysis: Analysis | None, facts: RepositoryFacts | None, random: Random
) -> None:
    found = examine(PlanDraft(tasks=tuple(tasks)), ROSTER, analysis=analysis, facts=facts)
    shuffled = list(tasks)
    random.shuffle(shuffled)
    assert examine(PlanDraft(tasks=tuple(shuffled)), ROSTER, analysis=analysis, facts=facts) == found
    if found.refused:
        return
    again = compile_plan(PlanDraft(tasks=found.tasks), ROSTER, analysis=analysis, facts=facts)
    assert again.plan == Plan(tasks=found.tasks)
    assert again.repairs == ()
    covered = {name for task in again.plan.tasks for name in task.covers}
    assert analysis is None or covered == analysis.answers.keys()


@settings(max_examples=40)
@given(st.lists(drafted(), min_size=2, max_size=7, unique_by=lambda task: task.id), st.data())
def test_what_has_begun_stays_as_it_is(tasks: list[Task], data: st.DataObject) -> None:
    begun = tuple(task for task in tasks if data.draw(st.booleans()))
    try:
        plan = compile_plan(PlanDraft(tasks=begun), ROSTER, facts=FACTS).plan
    except InvalidPlan:
        return
    more = tuple(task for task in tasks if task.id not in plan.by_id)
    found = examine(PlanDraft(tasks=(*plan.tasks, *more)), ROSTER, facts=FACTS, settled=plan.by_id)
    assert set(plan.tasks) <= set(found.tasks)
