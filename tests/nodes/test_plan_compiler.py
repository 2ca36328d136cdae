"""What a draft is checked for, and what is mended."""

import pytest

from backend_coordinator.domain.plan import Plan, Task
from backend_coordinator.domain.roster import Roster
from backend_coordinator.errors import InvalidPlan
from backend_coordinator.nodes.plan_compiler import PlanDraft, compile_plan
from backend_coordinator.prompts.loader import load_roster


@pytest.fixture(scope="module")
def roster() -> Roster:
    return load_roster()


def task(number: int, specialist: str = "python-pro", **more: object) -> Task:
    values = {"id": f"backend-T{number:03d}", "title": "t", "objective": "o", "specialist": specialist, **more}
    return Task.model_validate(values)


def test_a_sound_draft_is_left_alone(roster: Roster) -> None:
    compiled = compile_plan(PlanDraft(tasks=(task(1), task(2, needs=("backend-T001",)))), roster)
    assert compiled.plan == Plan(tasks=(task(1), task(2, needs=("backend-T001",))))
    assert compiled.repairs == ()


@pytest.mark.parametrize(
    ("tasks", "finding"),
    [
        ((task(1), task(1)), "doubled task ids: backend-T001"),
        ((task(1, needs=("backend-T009",)),), "backend-T001 needs backend-T009, which the plan does not have"),
        ((task(1, needs=("backend-T001",)),), "the tasks form a cycle"),
        ((task(1, needs=("backend-T002",)), task(2, needs=("backend-T001",))), "the tasks form a cycle"),
        ((task(1, "nobody-known"),), "no specialist is called 'nobody-known'"),
        ((task(1, "librarian"),), "librarian is a consultant and takes no tasks"),
    ],
)
def test_what_cannot_be_mended_is_named(roster: Roster, tasks: tuple[Task, ...], finding: str) -> None:
    with pytest.raises(InvalidPlan, match=finding):
        compile_plan(PlanDraft(tasks=tasks), roster)


def test_an_alias_becomes_the_name(roster: Roster) -> None:
    compiled = compile_plan(PlanDraft(tasks=(task(1, "database-specialist"),)), roster)
    assert compiled.plan.tasks[0].specialist == "database-optimizer"
    assert compiled.repairs == ("backend-T001: database-specialist is database-optimizer in this roster",)


def test_code_waits_for_contract_and_schema_and_a_review_follows(roster: Roster) -> None:
    contract = task(1, "api-architect", steps=("design_contract",))
    schema = task(2, "database-optimizer", steps=("design_migration",))
    plan = compile_plan(PlanDraft(tasks=(contract, schema, task(3, steps=("write_code",)))), roster).plan
    assert plan["backend-T003"].needs == ("backend-T001", "backend-T002")
    review = plan.tasks[-1]
    assert (review.specialist, review.steps) == ("backend-architect", ("security_review",))
    assert set(review.needs) == {"backend-T001", "backend-T002", "backend-T003"}


def test_a_design_that_itself_builds_on_code_is_not_turned_into_a_cycle(roster: Roster) -> None:
    code = task(1, steps=("write_code",))
    later = task(2, "api-architect", steps=("design_contract",), needs=("backend-T001",))
    plan = compile_plan(PlanDraft(tasks=(code, later)), roster).plan
    assert plan["backend-T001"].needs == ()


def test_code_waits_for_no_design_that_its_author_never_sees(roster: Roster) -> None:
    contract = task(1, "api-architect", steps=("design_contract",))
    schema = task(2, "database-optimizer", steps=("design_migration",))
    accounts = task(3, "database-optimizer", steps=("write_code",))
    plan = compile_plan(PlanDraft(tasks=(contract, schema, accounts)), roster).plan
    assert plan["backend-T003"].needs == ("backend-T002",)


def test_a_design_that_is_waited_for_already_is_not_waited_for_twice(roster: Roster) -> None:
    contract = task(1, "api-architect", steps=("design_contract",))
    first = task(2, steps=("write_code",), needs=("backend-T001",))
    second = task(3, steps=("write_code",), needs=("backend-T002",))
    compiled = compile_plan(PlanDraft(tasks=(contract, first, second)), roster)
    assert compiled.plan["backend-T003"].needs == ("backend-T002",)
    assert all("waits for" not in repair for repair in compiled.repairs)
