"""What a draft is checked for, and what is mended."""

from collections.abc import Sequence

import pytest

from backend_coordinator.domain.context import ContextKind
from backend_coordinator.domain.objective import Analysis, RepositoryFacts, Stack
from backend_coordinator.domain.plan import Effort, Plan, Task
from backend_coordinator.domain.roster import Roster
from backend_coordinator.errors import InvalidPlan
from backend_coordinator.nodes.plan_compiler import Compiled, PlanDraft, compile_plan, reasons
from backend_coordinator.nodes.plan_writes import overlap
from backend_coordinator.prompts.loader import load_roster

T1, T2, T3, T4 = (f"backend-T00{n}" for n in range(1, 5))
FASTAPI = Stack(language="Python", frameworks=("fastapi",), specialist="fastapi-developer", reason="fastapi is there")
NODE = Stack(root="web", language="JavaScript", specialist="nodejs-expert", reason="package.json is Node")


@pytest.fixture(scope="module")
def roster() -> Roster:
    return load_roster()


def task(number: int, specialist: str = "python-pro", **more: object) -> Task:
    values = {"id": f"backend-T{number:03d}", "title": "t", "objective": "o", "specialist": specialist, **more}
    return Task.model_validate(values)


def compiled(roster: Roster, *tasks: Task, settled: Sequence[str] = (), **beside: object) -> Compiled:
    analysis, facts = beside.get("analysis"), beside.get("facts")
    assert analysis is None or isinstance(analysis, Analysis)
    assert facts is None or isinstance(facts, RepositoryFacts)
    return compile_plan(PlanDraft(tasks=tasks), roster, analysis=analysis, facts=facts, settled=settled)


def rules(found: Compiled) -> list[str]:
    return [finding.rule for finding in found.findings if finding.repair]


def test_a_sound_draft_is_left_alone(roster: Roster) -> None:
    found = compiled(roster, task(1), task(2, needs=(T1,)))
    assert found.plan == Plan(tasks=(task(1), task(2, needs=(T1,))))
    assert found.findings == ()


@pytest.mark.parametrize(
    ("tasks", "finding"),
    [
        ((task(1), task(1, title="u"), task(2, needs=(T1,))), f"{T1}: doubled task ids"),
        ((task(1, needs=(T1,)), task(1, title="u", needs=(T1,))), "doubled task ids"),
        ((task(1, needs=(T2,)), task(2, needs=(T1,))), f"{T1}: the tasks form a cycle: {T1} -> {T2} -> {T1}"),
        ((task(1, "nobody-known"),), f"{T1}: no specialist is called 'nobody-known'"),
        ((task(1, "nobody-known", steps=("write_code",)),), "no specialist is called 'nobody-known'"),
        ((task(1, "librarian"),), "librarian is a consultant and takes no tasks"),
        ((task(1, writes=("../other/**",)),), f"{T1}: may not write '../other/"),
        ((task(1, writes=("/etc/passwd",)),), "may not write '/etc/passwd'"),
        ((task(1, writes=("{a,../b}",)),), "braces are not read: write a glob for each"),
        ((task(1, writes=("[.]git/config",)),), "may not write '[.]git/config': it belongs to git"),
        ((), "the plan has no task"),
    ],
)
def test_what_cannot_be_mended_is_named(roster: Roster, tasks: tuple[Task, ...], finding: str) -> None:
    with pytest.raises(InvalidPlan) as refused:
        compiled(roster, *tasks)
    assert finding in "\n".join(refused.value.findings)


def test_an_alias_and_a_misspelt_name_become_the_name(roster: Roster) -> None:
    found = compiled(roster, task(1, "database-specialist"), task(2, "pyton-pro"))
    assert [each.specialist for each in found.plan.tasks] == ["database-optimizer", "python-pro"]
    assert found.repairs[0] == (
        f"{T1}: database-specialist is called database-optimizer in this roster: it goes to database-optimizer"
    )


@pytest.mark.parametrize(
    ("steps", "name"),
    [
        (("design_contract",), "api-architect"),
        (("design_migration",), "database-optimizer"),
        (("security_review",), "backend-architect"),
        (("performance_test", "write_tests"), "backend-architect"),
        (("write_code",), "fastapi-developer"),
    ],
)
def test_a_stranger_s_task_goes_to_whoever_does_its_steps(roster: Roster, steps: tuple[str, ...], name: str) -> None:
    found = compiled(roster, task(1, "a-stranger", steps=steps), facts=RepositoryFacts(stacks=(FASTAPI,)))
    assert found.plan[T1].specialist == name
    assert rules(found)[0] == "stranger"


def test_code_goes_to_the_expert_of_the_stack_in_which_it_lies(roster: Roster) -> None:
    facts = RepositoryFacts(stacks=(FASTAPI, NODE))
    web = task(1, "python-pro", steps=("write_code",), writes=("web/src/**",))
    app = task(2, "python-pro", steps=("write_code",), writes=("app/**",))
    right = task(3, "nodejs-expert", steps=("write_code",), writes=("web/test/**",))
    architect = task(4, "graphql-architect", steps=("write_code",), writes=("web/schema/**",))
    found = compiled(roster, web, app, right, architect, facts=facts)
    names = [found.plan[each.id].specialist for each in (web, app, right, architect)]
    assert names == ["nodejs-expert", "fastapi-developer", "nodejs-expert", "graphql-architect"]
    assert found.repairs[0] == (f"{T1}: python-pro does not fit web (package.json is Node): it goes to nodejs-expert")
    assert reasons(found.plan, roster, facts) == {
        T1: "package.json is Node (in web)",
        T2: "fastapi is there",
        T3: "package.json is Node (in web)",
        T4: "named by the plan",
    }


def test_code_outside_every_stack_stays_with_its_author(roster: Roster) -> None:
    facts = RepositoryFacts(stacks=(NODE,))
    library, anywhere = task(1, steps=("write_code",), writes=("lib/**",)), task(2, steps=("write_code",))
    plan = compiled(roster, library, anywhere, facts=facts).plan
    assert [plan[each].specialist for each in (T1, T2)] == ["python-pro", "nodejs-expert"]


@pytest.mark.parametrize("designer", ["api-architect", "backend-architect"])
def test_who_designs_and_sees_no_code_writes_none(roster: Roster, designer: str) -> None:
    facts = RepositoryFacts(stacks=(FASTAPI,))
    found = compiled(roster, task(1, designer, steps=("write_code",), writes=("app/**",)), facts=facts)
    assert found.plan[T1].specialist == "fastapi-developer"
    both = task(1, designer, steps=("design_migration", "write_code"), writes=("app/**",))
    found = compiled(roster, both, facts=facts)
    assert found.plan[T1].specialist == designer
    (remark,) = (finding for finding in found.findings if finding.remark)
    assert (remark.rule, remark.task) == ("stack-expert", T1)
    seeing = roster.get(designer).model_copy(update={"sees": (ContextKind.CODE_PATTERN,), "never_sees": ()})
    others = tuple(each for each in roster.specialists if each.name != designer)
    found = compiled(Roster(specialists=(*others, seeing)), task(1, designer, steps=("write_code",)), facts=facts)
    assert found.plan[T1].specialist == designer


def test_a_database_expert_keeps_its_code(roster: Roster) -> None:
    accounts = task(1, "database-optimizer", title="Implement user management in the database", steps=("write_code",))
    found = compiled(roster, accounts, facts=RepositoryFacts(stacks=(FASTAPI,)))
    assert (found.plan.tasks, found.findings) == ((accounts,), ())


def test_without_paths_any_expert_of_one_of_several_stacks_fits(roster: Roster) -> None:
    facts = RepositoryFacts(stacks=(FASTAPI, NODE))
    found = compiled(roster, task(1, "nodejs-expert", steps=("write_code",)), facts=facts)
    assert found.plan[T1].specialist == "nodejs-expert"


def test_twins_are_one_task_and_other_work_gets_a_number_of_its_own(roster: Roster) -> None:
    found = compiled(roster, task(1), task(1), task(1, title="u", needs=(T1,)))
    assert {(t.id, t.title, t.needs) for t in found.plan.tasks} == {(T1, "t", ()), (T2, "u", (T1,))}
    assert rules(found) == ["doubled-id", "doubled-id"]


def test_needs_that_mean_nothing_are_dropped(roster: Roster) -> None:
    found = compiled(roster, task(1, needs=(T1, "backend-T009")))
    assert found.plan[T1].needs == ()
    assert rules(found) == ["self-need", "dangling-need"]


def test_code_waits_for_contract_and_schema_and_a_review_follows(roster: Roster) -> None:
    contract = task(1, "api-architect", steps=("design_contract",))
    schema = task(2, "database-optimizer", steps=("design_migration",))
    found = compiled(roster, contract, schema, task(3, steps=("write_code",)))
    plan = found.plan
    assert plan[T3].needs == (T1, T2)
    assert plan[T1].steps == ("design_contract", "share_contract", "validate_contract")
    assert plan[T2].steps[:2] == ("design_migration", "rollback_script")
    review = plan.tasks[-1]
    assert (review.specialist, review.steps) == ("backend-architect", ("security_review",))
    assert set(review.needs) == {T1, T2, T3}
    assert set(rules(found)) == {"contract-acceptance", "rollback", "contract-first", "review"}


def test_a_contract_that_waits_for_its_code_is_turned_around(roster: Roster) -> None:
    code = task(1, steps=("write_code",))
    later = task(2, "api-architect", steps=("design_contract",), needs=(T1,))
    plan = compiled(roster, code, later).plan
    assert plan[T1].needs == (T2,)
    assert plan[T2].needs == ()


def test_a_contract_that_comes_after_its_code_by_way_of_others_is_refused(roster: Roster) -> None:
    code, between = task(1, steps=("write_code",)), task(2, needs=(T1,))
    later = task(3, "api-architect", steps=("design_contract",), needs=(T2,))
    with pytest.raises(InvalidPlan, match=f"{T1}: writes code before {T3} has done design_contract"):
        compiled(roster, code, between, later)


def test_work_in_stages_keeps_its_order(roster: Roster) -> None:
    first = task(1, "api-architect", steps=("design_contract",))
    code = task(2, steps=("write_code",), needs=(T1,))
    second = task(3, "api-architect", steps=("design_contract",), needs=(T2,))
    plan = compiled(roster, first, code, second, task(4, steps=("write_code",), needs=(T3,))).plan
    assert [plan[each].needs for each in (T1, T2, T3, T4)] == [(), (T1,), (T2,), (T3,)]


def test_code_waits_for_no_design_that_its_author_never_sees(roster: Roster) -> None:
    contract = task(1, "api-architect", steps=("design_contract",))
    schema = task(2, "database-optimizer", steps=("design_migration",))
    accounts = task(3, "database-optimizer", steps=("write_code",))
    assert compiled(roster, contract, schema, accounts).plan[T3].needs == (T2,)


def test_code_of_one_service_does_not_wait_for_another_s_contract(roster: Roster) -> None:
    orders = task(1, "api-architect", steps=("design_contract",), service="orders")
    plan = compiled(roster, orders, task(2, steps=("write_code",), service="billing")).plan
    assert plan[T2].needs == ()


def test_a_design_that_is_waited_for_already_is_not_waited_for_twice(roster: Roster) -> None:
    contract = task(1, "api-architect", steps=("design_contract",))
    first = task(2, steps=("write_code",), needs=(T1,))
    second = task(3, steps=("write_code",), needs=(T2,))
    found = compiled(roster, contract, first, second)
    assert found.plan[T3].needs == (T2,)
    assert "contract-first" not in rules(found)


def test_a_review_that_comes_too_early_waits(roster: Roster) -> None:
    login = task(1, title="Change the login", steps=("write_code",))
    found = compiled(roster, login, task(2, "backend-architect", steps=("security_review",)))
    assert found.plan[T2].needs == (T1,)
    assert len(found.plan.tasks) == 2


def test_one_task_is_a_plan_where_contract_schema_and_authentication_stay(roster: Roster) -> None:
    analysis = Analysis(endpoints=("GET /health",), monitoring_needs=("assumed: a log line",))
    found = compiled(roster, task(1, title="Add GET /health", steps=("write_code",)), analysis=analysis)
    (only,) = found.plan.tasks
    assert only.covers == ("endpoint-1", "monitoring-1")


def test_a_cycle_is_undone_where_the_steps_say_the_order(roster: Roster) -> None:
    contract = task(1, "api-architect", steps=("design_contract", "share_contract", "validate_contract"), needs=(T3,))
    code = task(2, steps=("write_code",), needs=(T1,))
    review = task(3, "backend-architect", steps=("security_review",), needs=(T2,))
    found = compiled(roster, contract, code, review)
    assert [found.plan[each].needs for each in (T1, T2, T3)] == [(), (T1,), (T2,)]
    assert rules(found) == ["cycle"]


def test_answers_go_to_the_tasks_whose_words_or_steps_fit(roster: Roster) -> None:
    analysis = Analysis(
        endpoints=("POST /invoices creates one", "GET /refunds lists them"),
        schema_changes=("table refunds with amount",),
        performance_requirements=("p95 under 200 ms",),
    )
    tasks = (
        task(1, "database-optimizer", title="Add the tables", steps=("design_migration",)),
        task(2, title="Invoices", objective="POST /invoices", steps=("write_code",), needs=(T1,), covers=("no-1",)),
        task(3, title="Refunds", objective="GET /refunds", steps=("write_code",), needs=(T1,)),
        task(4, "backend-architect", steps=("performance_test",), needs=(T2, T3)),
    )
    found = compiled(roster, *tasks, analysis=analysis)
    assert [found.plan[each].covers for each in (T1, T2, T3, T4)] == [
        ("schema-1",), ("endpoint-1",), ("endpoint-2",), ("performance-1",),
    ]  # fmt: skip


def test_an_answer_that_fits_nobody_is_refused(roster: Roster) -> None:
    analysis = Analysis(schema_changes=("table refunds",))
    tasks = (task(1, steps=("document",)), task(2, steps=("security_review",)))
    with pytest.raises(InvalidPlan, match="no task covers schema-1: table refunds"):
        compiled(roster, *tasks, analysis=analysis)


ANSWERS = ("endpoint-1", "schema-1", "auth-1")


@pytest.mark.parametrize("step", ["security_review", "document"])
def test_who_cannot_carry_answers_out_does_not_cover_them(roster: Roster, step: str) -> None:
    analysis = Analysis(endpoints=("POST /a",), schema_changes=("table a",), auth_requirements=("owners only",))
    other = task(2, "backend-architect", steps=(step,), covers=ANSWERS)
    for alone in ((), ANSWERS):
        with pytest.raises(InvalidPlan, match="no task covers endpoint-1: POST /a"):
            compiled(roster, other.model_copy(update={"covers": alone}), analysis=analysis)
    found = compiled(roster, task(1, steps=("write_code",)), other, analysis=analysis)
    assert found.plan[T1].covers == ANSWERS


def test_a_plan_that_only_designs_carries_all_out(roster: Roster) -> None:
    analysis = Analysis(endpoints=("POST /a",), monitoring_needs=("assumed: a log line",))
    found = compiled(roster, task(1, "api-architect", steps=("design_contract",)), analysis=analysis)
    assert found.plan[T1].covers == ("endpoint-1", "monitoring-1")


def test_what_one_specialist_does_in_one_go_is_one_task(roster: Roster) -> None:
    quick = {"steps": ("write_code",), "effort": Effort.QUICK}
    tasks = (
        task(1, title="a", writes=("a.py",), **quick),
        task(2, title="b", needs=(T1,), writes=("b.py",), **quick),
        task(3, title="tests", needs=(T2,), steps=("write_tests",)),
        task(4, "backend-architect", needs=(T1, T3), steps=("performance_test",)),
    )
    found = compiled(roster, *tasks, analysis=Analysis())
    assert {t.id: t.needs for t in found.plan.tasks} == {T1: (), T4: (T1,)}
    joined = found.plan[T1]
    assert (joined.title, joined.writes, joined.effort) == ("a; b; tests", ("a.py", "b.py"), Effort.LARGE)
    assert joined.steps == ("write_code", "write_tests")
    assert len(compiled(roster, *tasks).plan.tasks) == 4, "a person's plan stays as it is cut"


def test_code_that_was_cut_to_run_at_once_stays_cut(roster: Roster) -> None:
    line = (task(1, steps=("write_code",)), task(2, needs=(T1,), steps=("write_code",)))
    assert len(compiled(roster, *line, analysis=Analysis()).plan.tasks) == 1
    aside = task(3, "nodejs-expert", steps=("write_code",))
    assert len(compiled(roster, *line, aside, analysis=Analysis()).plan.tasks) == 3


@pytest.mark.parametrize(
    "second",
    [
        task(2, "nodejs-expert", needs=(T1,), steps=("write_code",)),
        task(2, needs=(T1,), steps=("write_code", "design_migration")),
        task(2, needs=(T1,), steps=("write_code",), effort=Effort.LARGE),
        task(2, needs=(T1, T3), steps=("write_code",)),
    ],
)
def test_what_is_not_one_go_stays_apart(roster: Roster, second: Task) -> None:
    others = (task(1, steps=("write_code",)), task(3, steps=()))
    assert T2 in compiled(roster, *others, second, analysis=Analysis()).plan.by_id


def test_tasks_that_have_begun_stay_as_they_are(roster: Roster) -> None:
    code = task(1, "python-pro", steps=("write_code",), title="Change the login")
    contract = task(2, "api-architect", steps=("design_contract", "share_contract", "validate_contract"))
    facts = RepositoryFacts(stacks=(NODE.model_copy(update={"root": ""}),))
    found = compiled(roster, code, contract, facts=facts, settled=(T1,))
    assert found.plan[T1] == code
    assert found.plan[T3].needs == (T2,), "the added review waits for what is new"
    again = compiled(roster, code, task(1, title="another"), settled=(T1,))
    assert again.plan[T1] == code
    assert again.plan[T2].title == "another"


def test_needs_of_new_tasks_mean_the_new_one_of_a_settled_id(roster: Roster) -> None:
    begun, waiting = task(1), task(2, needs=(T1,))
    new, tests = task(1, title="Add more", steps=("write_code",)), task(3, steps=("write_tests",), needs=(T1,))
    found = compiled(roster, begun, waiting, new, tests, settled=(T1, T2))
    assert (found.plan[T4].title, found.plan[T3].needs, found.plan[T2].needs) == ("Add more", (T4,), (T1,))
    unclear = new.model_copy(update={"needs": (T1,)})
    with pytest.raises(InvalidPlan, match="doubled task ids"):
        compiled(roster, begun, waiting, unclear, tests, settled=(T1, T2))


def test_paths_that_tasks_share_at_the_same_time_are_a_remark(roster: Roster) -> None:
    found = compiled(roster, task(1, writes=("app/**",)), task(2, writes=("app/orders/*.py",)))
    (remark,) = found.findings
    assert (remark.rule, remark.remark, remark.repair) == ("writes", True, None)
    assert compiled(roster, task(1, writes=("app/**",)), task(2, writes=("app/x.py",), needs=(T1,))).findings == ()


@pytest.mark.parametrize(
    ("one", "other", "meet"),
    [
        ("app/**", "app/x/y.py", True),
        ("app/*.py", "app/x.py", True),
        ("app/*.py", "app/x.md", False),
        ("**/*.sql", "db/a.sql", True),
        ("**/*.sql", "db/a.py", False),
        ("app/a*", "app/b*", False),
        ("app", "app/x.py", True),
        ("a.txt", "b.txt", False),
        ("**/a/" * 20 + "b.py", "**/a/" * 20 + "c.py", False),
        ("a/" * 3_000 + "b.py", "a/" * 3_000 + "c.py", True),
    ],
)
def test_globs_meet(one: str, other: str, meet: bool) -> None:
    assert overlap(one, other) is overlap(other, one) is meet
