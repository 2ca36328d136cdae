"""API Contract Coordination in whole runs: nothing is built on a contract that those who will use it did not accept."""

import asyncio
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypedDict

import pytest
from langchain_core.messages import AIMessage
from langgraph.checkpoint.memory import MemorySaver
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.types import Command

from backend_coordinator import Coordinator, Waiting
from backend_coordinator.domain import events as e
from backend_coordinator.domain.objective import Objective
from backend_coordinator.domain.question import Answer, Question
from backend_coordinator.domain.report import Report
from backend_coordinator.graph.runs import Runs, drive
from backend_coordinator.testing import ScriptedModel
from tests.support.children import at, child, die, ending, events, killed
from tests.support.climbing import Judgements, author, ladder
from tests.support.contracts import BEFORE, DESIGN, FIRST, SECOND, steps
from tests.support.department import Told, department, plan, task, write_own_file
from tests.support.runs import QUICK, cli, coordinator, git, of, result_of, statuses

REMARK = "GET /v1/orders: say what an order without a customer looks like"
PLAN = plan(DESIGN, task(2, needs=[1]))


@pytest.fixture
def shop(shop: Path) -> Path:
    """The repository with a contract of before."""
    (shop / "openapi.yaml").write_text(BEFORE)
    git(shop, "add", "openapi.yaml")
    git(shop, "commit", "--quiet", "-m", "contract", "--", "openapi.yaml")
    return shop


def work(told: Told) -> AIMessage:
    """The architect writes one contract after the other; the others their files."""
    if told.task == "backend-T001":
        return author({"openapi.yaml": FIRST}, {"openapi.yaml": SECOND})(told)
    return write_own_file(told)


def judged(question: Question) -> Answer:
    """The first contract is not for this frontend."""
    known = "/v1/customers" in question.text
    return Answer(decision="approve", by="fe") if known else Answer(decision="reject", text=REMARK, by="fe")


async def judged_later(question: Question) -> Mapping[str, object]:
    return judged(question).model_dump()


class Asked(TypedDict):
    question: dict[str, Any]
    answer: dict[str, Any]


def judging() -> Any:
    """A graph of somebody who speaks for the frontend."""
    graph = StateGraph(Asked)
    graph.add_node("judge", lambda state: {"answer": judged(Question.model_validate(state["question"])).model_dump()})
    graph.add_edge(START, "judge")
    return graph.compile()


def persona(told: Told) -> Mapping[str, object]:
    """A model in the role of the frontend; it reads the contract itself."""
    known = "title: shop, version: 1.0.1" in told.text
    return {"decision": "approve"} if known else {"decision": "reject", "text": REMARK}


def shop_with(
    shop: Path, answerer: object = None, *, judgements: Judgements | None = None, **changes: Any
) -> Coordinator:
    script = department(PLAN, work, **(judgements or {}))
    settings = QUICK.model_copy(update={"required": ("C2",), **changes})
    answers: Any = {"frontend-team": answerer} if answerer else None
    return Coordinator(ScriptedModel(script=script), shop, settings=settings, answers=answers)


def held_until_accepted(told: list[e.Event]) -> bool:
    """Whether what needs the contract began after it was accepted, and not before."""
    begun = [i for i, event in enumerate(told) if isinstance(event, e.TaskStarted) and event.task == "backend-T002"]
    said = [i for i, event in enumerate(told) if isinstance(event, e.Answered) and event.answer.decision == "approve"]
    return bool(begun and said) and said[0] < begun[0]


def assert_agreed(report: Report, told: list[e.Event]) -> None:
    assert set(statuses(report).values()) == {"merged"}
    assert ladder(report) == [(2, "api_design_conflict", "guide")]
    assert (report.escalations[0].asked, report.escalations[0].answer) == ("frontend-coordinator", REMARK)
    assert held_until_accepted(told)
    assert steps(report)["validate_contract"] == ("done", "frontend-coordinator")
    assert any("accepted the contract openapi.yaml" in d.text for d in result_of(report, 1).decisions)


@pytest.mark.parametrize(
    "means", [judged, judged_later, judging(), "persona"], ids=["callable", "async", "graph", "model"]
)
def test_the_frontend_rejects_the_first_contract_with_a_remark_and_accepts_the_second(
    shop: Path, means: object
) -> None:
    told: list[str] = []

    def reading(seen: Told) -> AIMessage:
        if seen.task == "backend-T001" and seen.turn == 0:
            told.append(seen.text)
        return work(seen)

    script = department(PLAN, reading, persona=persona)
    settings = QUICK.model_copy(update={"required": ("C2",)})
    answers: Any = {"frontend-team": means}
    run = Coordinator(ScriptedModel(script=script), shop, settings=settings, answers=answers).start("shop")
    report = run.result()
    assert_agreed(report, list(run.events()))
    assert REMARK not in told[0]
    assert REMARK in told[1]
    assert (run.folder / "contracts/backend-T001-1/openapi.yaml").read_text() == FIRST
    assert (run.folder / "contracts/backend-T001-2/openapi.yaml").read_text() == SECOND


async def test_a_parent_graph_rejects_the_first_contract_and_accepts_the_second(shop: Path) -> None:
    graph = StateGraph(MessagesState)
    graph.add_node("backend", shop_with(shop, frontend="person").as_node())
    graph.add_edge(START, "backend")
    graph.add_edge("backend", END)
    app, config = graph.compile(checkpointer=MemorySaver()), {"configurable": {"thread_id": "1"}}
    state = await app.ainvoke({"messages": [("user", "a shop")]}, config)
    (first,) = state["__interrupt__"]
    assert first.value["to"] == "frontend-coordinator"
    assert first.value["choices"] == ["approve", "reject"]
    (run,) = Runs(shop).ids()
    state = await app.ainvoke(Command(resume={first.id: {"decision": "reject", "text": REMARK, "by": "fe"}}), config)
    (second,) = state["__interrupt__"]
    assert second.id != first.id
    assert [event.task for event in of(e.TaskStarted, events(shop, run))] == ["backend-T001", "backend-T001"]
    await app.ainvoke(Command(resume={second.id: {"decision": "approve", "by": "fe"}}), config)
    report = Runs(shop).report(run)
    assert report is not None
    assert_agreed(report, events(shop, run))


def test_a_person_decides_from_another_process_and_a_rejection_needs_its_reason(shop: Path) -> None:
    run = shop_with(shop, frontend="person").start("shop")
    for answer in (["reject", "--text", REMARK], ["approve"]):
        with pytest.raises(Waiting):
            run.result()
        (asked,) = run.questions
        place = ("--workspace", str(shop), run.id, asked.id)
        if answer[0] == "reject":
            assert "reject needs a text" in cli("decide", *place, "reject", "--by", "fe").stderr
        said = cli("decide", *place, *answer, "--by", "fe")
        assert said.returncode == 0, said.stderr
    report = run.result()
    assert_agreed(report, list(run.events()))


def test_where_nobody_speaks_for_the_frontend_the_run_goes_on_and_says_so(shop: Path) -> None:
    run = shop_with(shop).start("shop")
    report = run.result()
    assert set(statuses(report).values()) == {"merged"}
    assert report.questions == ()
    assert {step.step: step.status for step in report.protocols} == {
        "share_contract": "not_done",
        "validate_contract": "not_done",
        "integration_test": "unknown",
    }
    assert "no frontend takes part" in report.protocols[0].evidence
    assert "| backend-T001 | validate contract | not done |" in (run.folder / "report.md").read_text()


def test_the_question_says_what_is_to_be_validated_and_names_what_breaks_callers(shop: Path) -> None:
    asked: list[Question] = []

    def see(question: Question) -> str:
        asked.append(question)
        return "approve"

    shop_with(shop, see).start("shop").result()
    (question,) = asked
    for word in ("formats", "errors", "types", "secure transport", "https://api.test", "application/problem+json"):
        assert word in question.text
    breaks = question.text.partition("BREAKS CALLERS")[2]
    assert "GET /v1/refunds" in breaks
    assert question.validates == ("contracts/backend-T001-1/openapi.yaml",)


def test_a_contract_that_is_rejected_again_climbs_to_the_coordinator_and_then_to_a_person(shop: Path) -> None:
    seen: list[str] = []

    def never(question: Question) -> Mapping[str, object]:
        seen.append(question.id)
        return {"decision": "reject", "text": f"still not, time {len(seen)}"}

    judgements: Judgements = {"review": lambda told: {"action": "escalate", "text": "they must talk"}}
    run = shop_with(shop, never, judgements=judgements).start("shop")
    with pytest.raises(Waiting):
        run.result()
    run.questions[0].answer("abandon", by="lead")
    report = run.result()
    assert [step[:1] + step[2:] for step in ladder(report)] == [(2, "guide"), (3, None), (4, "abandon")]
    assert len(seen) == 2
    assert set(statuses(report).values()) == {"abandoned", "skipped"}
    assert steps(report)["validate_contract"][0] == "not_done"


def test_killed_while_the_contract_s_question_is_open_it_is_asked_once_and_nothing_is_designed_again(
    shop: Path,
) -> None:
    calls: list[str] = []

    def counted(told: Told) -> AIMessage:
        calls.append(told.task)
        return work(told)

    run = killed(shop, department(PLAN, work), "question recorded", frontend="person", required=("C2",))
    going = coordinator(shop, department(PLAN, counted), frontend="person", required=("C2",)).resume(run)
    with pytest.raises(Waiting):
        going.result()
    assert calls == []
    (asked,) = going.questions
    asked.answer("approve", by="fe")
    report = going.result()
    assert "backend-T001" not in calls
    assert set(statuses(report).values()) == {"merged"}
    assert len(of(e.Asked, events(shop, run))) == 1


@pytest.mark.parametrize(("point", "times"), [("answer taken", 1), ("question recorded", 1)])
def test_a_bound_frontend_whose_answer_is_recorded_is_not_asked_again_after_kill_9(
    shop: Path, tmp_path: Path, point: Any, times: int
) -> None:
    log = tmp_path / "asked"

    def approving(question: Question) -> str:
        log.write_text((log.read_text() if log.exists() else "") + question.id)
        return "approve"

    settings = QUICK.model_copy(update={"required": ("C2",)})
    runs = Runs(
        shop, ScriptedModel(script=department(PLAN, work)), settings, answers={"frontend-coordinator": approving}
    )
    run = runs.create(Objective(text="shop"))
    assert ending(child(lambda: _until_dead(runs, run, point))) == -signal.SIGKILL
    report = coordinator_with(runs).resume(run).result()
    assert len(log.read_text()) == len("q-12345678") * times
    assert set(statuses(report).values()) == {"merged"}


def _until_dead(runs: Runs, run: str, point: Any) -> None:
    with at(point, die):
        asyncio.run(drive(runs, run))


def coordinator_with(runs: Runs) -> Coordinator:
    assert runs.settings is not None
    return Coordinator(runs.model, runs.workspace, settings=runs.settings, answers=runs.answers)
