"""The approval policy in whole runs: what is asked, what an answer brings about, and what a batch refuses."""

from pathlib import Path

import pytest

from backend_coordinator import Batch, Entry, Waiting
from backend_coordinator.domain import events as e
from backend_coordinator.domain.plan import Task
from backend_coordinator.domain.question import Answer
from backend_coordinator.graph.coordinator import Run
from backend_coordinator.graph.readiness import set_preset
from backend_coordinator.graph.runs import Runs
from backend_coordinator.settings import Approval
from backend_coordinator.testing import ScriptedModel
from tests.support.children import killed, resumed
from tests.support.climbing import CODING, Files, author, ladder
from tests.support.department import Told, department, plan, refuse, task
from tests.support.runs import cli_here, coordinator, finished, git, of
from tests.support.wheelhouse import add_installed, add_wheel

CONTRACT = """openapi: 3.1.0
info: {title: shop, version: 1.2.0, description: "A new major version gets a path of its own."}
paths:
  /v1/orders:
    get: {responses: {"200": {description: all orders}}}
"""
IMAGE: Files = {"Dockerfile": "FROM scratch\n"}
LOGIN: Files = {"auth/policy.txt": "admin reads all\n"}


@pytest.fixture
def shop(shop: Path) -> Path:
    """The repository with a contract that others use."""
    (shop / "openapi.yaml").write_text(CONTRACT)
    git(shop, "add", "openapi.yaml")
    git(shop, "commit", "--quiet", "-m", "contract", "--", "openapi.yaml")
    return shop


def run_of(shop: Path, *attempts: Files, told: list[str] | None = None, made: Task = CODING, **policy: str) -> Run:
    """A started run of one task under a policy."""
    settings = {"required": ("C2", "C5"), "approval": Approval.model_validate(policy)}
    return coordinator(shop, department(plan(made), author(*attempts, told=told)), **settings).start("the work")


def waits(run: Run) -> None:
    """Drives a run until a person is asked."""
    with pytest.raises(Waiting):
        run.result()


def test_one_question_names_all_subjects_with_their_reasons_and_the_diffstat(shop: Path) -> None:
    run = run_of(shop, {**IMAGE, **LOGIN, "notes.md": "nothing\n"}, preset="guarded")
    waits(run)
    (asked,) = run.questions
    assert asked.question.subjects == ("security", "infrastructure")
    assert asked.choices == ("approve", "approve_run", "reject")
    assert "- security: auth/policy.txt\n- infrastructure: Dockerfile\nWhy: the work\n" in asked.text
    assert "3 files changed, 3 insertions(+)" in asked.text
    asked.answer("approve", by="lead")
    report = run.result()
    assert report.accepted
    (question,) = report.questions
    assert question.answer is not None
    assert (question.task, question.subjects, question.answer.by) == (
        "backend-T001", ("security", "infrastructure"), "lead",
    )  # fmt: skip
    shown = cli_here("show", run.id, "-w", str(shop)).stdout
    assert "- infrastructure: Dockerfile" in shown
    assert "lead answered approve" in shown


def test_by_default_nobody_is_asked(shop: Path) -> None:
    report, _ = finished(run_of(shop, {**IMAGE, **LOGIN}))
    assert report.accepted
    assert report.questions == ()


def test_a_rejection_goes_back_to_its_author_with_the_remark_and_only_the_change_is_asked_about_again(
    shop: Path,
) -> None:
    told: list[str] = []
    run = run_of(shop, IMAGE, {"Dockerfile": "FROM busybox\n"}, told=told, infrastructure="ask")
    waits(run)
    run.questions[0].answer("reject", "start from busybox", by="lead")
    waits(run)
    assert "infrastructure is not approved (lead said no. start from busybox): Dockerfile" in told[1]
    (again,) = [each for each in run.questions if each.question.answer is None]
    again.answer("approve", by="lead")
    report = run.result()
    assert ladder(report) == [(1, "gate_failure", "retry")]
    assert report.accepted


def test_the_same_work_again_after_a_rejection_climbs(shop: Path) -> None:
    run = run_of(shop, IMAGE, infrastructure="ask")
    waits(run)
    run.questions[0].answer("reject", "no images", by="lead")
    waits(run)
    (last,) = run.questions
    assert "abandon" in last.choices
    last.answer("abandon", by="lead")
    report = run.result()
    assert ladder(report)[0] == (1, "gate_failure", "retry")
    assert ladder(report)[-1] == (4, "stuck", "abandon")
    assert len(report.questions) == 2


def test_what_is_denied_comes_back_saying_what_not_to_touch_and_which_setting_says_so(shop: Path) -> None:
    told: list[str] = []
    run = run_of(shop, {**IMAGE, **LOGIN}, {"Dockerfile": ""}, told=told, infrastructure="deny")
    with pytest.raises(Waiting):
        run.result()
    assert "infrastructure is not approved (approval.infrastructure is deny): Dockerfile\n" in told[1]
    assert "security" not in told[1].partition("is not approved")[2]
    notes = [note.text for note in of(e.Noticed, run.events())]
    assert notes.count("backend-T001: infrastructure refused: approval.infrastructure is deny") == 1


def test_approve_run_holds_for_the_other_tasks_too(shop: Path) -> None:
    def work(seen: Told) -> object:
        if seen.turn == 0:
            return seen.calls("write", path=f"Dockerfile.{seen.task[-1]}", content="FROM scratch\n")
        return seen.calls("submit", summary="an image")

    made = plan(task(1, writes=("**",)), task(2, needs=[1], writes=("**",)))
    policy = Approval(infrastructure="ask")
    run = coordinator(shop, department(made, work), approval=policy).start("images")  # type: ignore[arg-type]
    waits(run)
    run.questions[0].answer("approve_run", by="lead")
    report = run.result()
    assert report.accepted
    assert len(report.questions) == 1


def test_a_breaking_change_is_found_although_the_version_was_raised(shop: Path) -> None:
    files = {"openapi.yaml": CONTRACT.replace("/v1/orders", "/v2/orders").replace("1.2.0", "2.0.0")}
    contract = task(1, writes=("**",), steps=("design_contract",))
    run = run_of(shop, files, made=contract, breaking_changes="ask", api_contract="ask")
    waits(run)
    (asked,) = run.questions
    assert asked.question.subjects == ("api_contract", "breaking_changes")
    assert "- breaking_changes: openapi.yaml: GET /v1/orders is gone" in asked.text
    asked.answer("approve", by="lead")
    assert run.result().accepted


def test_new_dependencies_join_the_question_and_count_as_approved(shop: Path, wheels: Path) -> None:
    add_installed("coverage", wheels)
    add_wheel(wheels, "acme_tokens", "1.2", module="tokens")
    manifest = {"requirements.txt": "acme-tokens\n", **IMAGE}
    run = run_of(shop, manifest, preset="guarded")
    waits(run)
    (asked,) = run.questions
    assert asked.question.subjects == ("infrastructure", "dependencies")
    assert asked.question.items == ("acme-tokens",)
    assert "- dependencies: acme-tokens" in asked.text
    asked.answer("approve", by="lead")
    report = run.result()
    assert len(report.questions) == 1
    assert "new dependencies: acme-tokens" in [decision.text for decision in report.tasks[0].decisions]


def test_a_process_killed_with_the_question_open_asks_and_works_no_second_time(shop: Path) -> None:
    policy = {"required": ("C2", "C5"), "approval": Approval(preset="guarded")}
    script = department(plan(CODING), author(IMAGE))
    run = killed(shop, script, "question recorded", **policy)
    ledger = Runs(shop).ledger(run)
    (asked,) = ledger.open_questions()
    ledger.answer(asked.id, Answer(decision="approve", by="lead"))
    since = resumed(shop, run, script, **policy)
    assert of(e.Asked, since) == []
    assert of(e.Delivered, since) == []
    assert ledger.questions()[0].subjects == ("infrastructure",)


def test_the_question_about_a_plan_says_what_its_tasks_will_touch(shop: Path) -> None:
    made = task(1, writes=("Dockerfile",))
    run = run_of(shop, IMAGE, made=made, plan="ask")
    waits(run)
    assert run.questions[0].text.endswith("will touch: infrastructure (backend-T001)")


def test_a_denied_plan_ends_the_run(shop: Path) -> None:
    report, _ = finished(run_of(shop, IMAGE, plan="deny"))
    assert report.summary == "not accepted: the plan was refused: approval.plan is deny"


def test_a_run_goes_on_by_itself_with_another_preset(shop: Path) -> None:
    run = run_of(shop, IMAGE, preset="guarded")
    waits(run)
    set_preset(Runs(shop).ledger(run.id), "autonomous")
    report = run.result()
    assert report.accepted
    (question,) = report.questions
    assert question.answer is not None
    assert question.answer.by == "approval policy"


def test_the_command_line_takes_a_preset(shop: Path) -> None:
    first = cli_here("run", "CRUD API for notes with title", "-w", str(shop), "--approval", "strict", "-m", "offline")
    assert first.returncode == 3
    assert "Approve this plan?" in first.stdout
    assert "will touch: " in first.stdout
    run = first.stderr.partition("run ")[2].split()[0]
    again = cli_here("resume", run, "-w", str(shop), "--approval", "strict")
    assert again.returncode == 3
    assert cli_here("resume", run, "-w", str(shop), "--approval", "lax").returncode == 2


def batch(shop: Path, *attempts: Files, **options: object) -> Batch:
    model = ScriptedModel(script=department(plan(CODING), author(*attempts)))
    entries = [Entry(id="one", objective="the work", workspace=shop)]
    return Batch(entries, shop.parent / "results.jsonl", model=model, **options)  # type: ignore[arg-type]


def test_a_batch_refuses_what_it_would_have_to_ask_and_its_line_says_so(shop: Path) -> None:
    (result,) = batch(shop, {**IMAGE, "notes.md": "one\n"}, {"Dockerfile": ""}, approval="guarded")
    assert result.refused == ("infrastructure",)


def test_a_batch_carries_no_plan_out_that_it_would_have_to_ask_about(shop: Path) -> None:
    (result,) = batch(shop, LOGIN, approval="strict")
    assert (result.status, result.refused) == ("not_accepted", ("plan",))
    assert result.summary == "not accepted: the plan was refused: a batch cannot ask: approval.plan"
    (line,) = (shop.parent / "results.jsonl").read_text().splitlines()
    assert '"refused":["plan"]' in line


def test_a_run_from_a_batch_asks_again_once_a_person_gives_it_a_preset(shop: Path) -> None:
    def work(seen: Told) -> object:
        return author(IMAGE)(seen) if "GUIDANCE from" in seen.text else refuse(seen)

    model = ScriptedModel(script=department(plan(CODING), work))  # type: ignore[arg-type]
    entries = [Entry(id="one", objective="the work", workspace=shop)]
    (result,) = Batch(entries, shop.parent / "results.jsonl", model=model, approval="guarded")
    assert result.run is not None
    runs = Runs(shop, model)
    ledger = runs.ledger(result.run)
    set_preset(ledger, "guarded")
    (stuck,) = ledger.open_questions()
    ledger.answer(stuck.id, Answer(decision="guide", text="write it", by="lead"))
    run = Run(runs, result.run)
    waits(run)
    assert run.questions[-1].question.subjects == ("infrastructure",)
    run.questions[-1].answer("approve", by="lead")
    assert run.result().accepted


def test_each_new_name_is_asked_about_also_when_the_rest_of_its_question_holds_for_the_run(
    shop: Path, wheels: Path
) -> None:
    add_installed("coverage", wheels)
    add_wheel(wheels, "acme_tokens", "1.2", module="tokens")
    add_wheel(wheels, "acme_mail", "1.0", module="mail")
    names = {"1": "acme-tokens\n", "2": "acme-tokens\nacme-mail\n"}

    def work(seen: Told) -> object:
        number = seen.task[-1]
        if seen.turn == 0:
            return seen.calls("write", path=f"Dockerfile.{number}", content="FROM scratch\n")
        if seen.turn == 1:
            return seen.calls("write", path="requirements.txt", content=names[number])
        return seen.calls("submit", summary="an image")

    made = plan(task(1, writes=("**",)), task(2, needs=[1], writes=("**",)))
    policy = Approval(infrastructure="ask", dependencies="ask")
    run = coordinator(shop, department(made, work), approval=policy).start("images")  # type: ignore[arg-type]
    waits(run)
    run.questions[0].answer("approve_run", by="lead")
    waits(run)
    (again,) = [each for each in run.questions if each.question.answer is None]
    assert (again.question.subjects, again.question.items) == (("dependencies",), ("acme-mail",))
