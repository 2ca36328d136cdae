"""Laws of plans: what cannot be built, and what a built one knows."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from backend_coordinator.domain.plan import Effort, Plan, Task
from backend_coordinator.errors import InvalidPlan
from backend_coordinator.nodes.plan_compiler import PlanDraft, compile_plan
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


def refused(tasks: list[Task], why: str) -> None:
    """Neither a plan nor the compiler takes these tasks."""
    with pytest.raises(ValidationError, match=why):
        Plan(tasks=tuple(tasks))
    with pytest.raises(InvalidPlan, match=why):
        compile_plan(PlanDraft(tasks=tuple(tasks)), ROSTER)


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
    ring = data.draw(st.lists(st.sampled_from([each.id for each in tasks]), min_size=1, unique=True))
    follows = dict(zip(ring, [*ring[1:], ring[0]], strict=True))
    bent = [
        each.model_copy(update={"needs": tuple({*each.needs, follows[each.id]})}) if each.id in follows else each
        for each in tasks
    ]
    refused(bent, "cycle")


@given(sound(), st.data())
def test_a_need_nobody_has_is_refused(tasks: list[Task], data: st.DataObject) -> None:
    chosen = data.draw(st.sampled_from(tasks))
    dangling = chosen.model_copy(update={"needs": (*chosen.needs, "backend-T999")})
    refused([dangling if each is chosen else each for each in tasks], f"{chosen.id} needs backend-T999")


@given(sound(), st.data())
def test_a_doubled_id_is_refused(tasks: list[Task], data: st.DataObject) -> None:
    chosen = data.draw(st.sampled_from(tasks))
    refused([*tasks, chosen.model_copy(update={"title": "Another"})], f"doubled task ids: {chosen.id}")


@given(sound())
def test_a_compiled_plan_compiles_to_itself_without_repairs(tasks: list[Task]) -> None:
    once = compile_plan(PlanDraft(tasks=tuple(tasks)), ROSTER)
    again = compile_plan(PlanDraft(tasks=once.plan.tasks), ROSTER)
    assert again.plan == once.plan
    assert again.repairs == ()
