"""Who is bound to a name answers before a person does; what does not fit, or breaks, is left to a person."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, TypedDict

import pytest
from langgraph.checkpoint.memory import MemorySaver
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.types import interrupt

from backend_coordinator import Coordinator, Waiting
from backend_coordinator.domain import events as e
from backend_coordinator.domain.question import Answer, Question
from backend_coordinator.errors import ConfigurationError
from backend_coordinator.graph.coordinator import Run
from backend_coordinator.settings import Approval
from backend_coordinator.testing import ScriptedModel
from tests.support.climbing import Judgements, ladder
from tests.support.department import Told, Work, department, plan, refuse, task, write_own_file
from tests.support.runs import QUICK, of, statuses

HARSH = (StopIteration(), SystemExit(1), KeyboardInterrupt(), asyncio.CancelledError())
GUIDE = {"decision": "guide", "text": "just write it"}


def climbing(told: Told) -> Any:
    """Hands its task back until the lead has spoken."""
    return write_own_file(told) if "GUIDANCE from" in told.text else refuse(told)


def bound_to(
    shop: Path,
    answers: Mapping[str, Any],
    work: Work = climbing,
    *,
    judgements: Judgements | None = None,
    **changes: Any,
) -> Run:
    """A started run of one task whose questions are answered by these."""
    script = department(plan(task(1)), work, **(judgements or {}))
    settings = QUICK.model_copy(update={"required": ("C2",), **changes})
    return Coordinator(ScriptedModel(script=script), shop, settings=settings, answers=answers).start("one file")


def noticed(run: Run) -> str:
    return "\n".join(event.text for event in of(e.Noticed, run.events()))


class Asked(TypedDict):
    question: dict[str, Any]
    answer: Any


def graph(answer: Any, *, saver: Any = None) -> Any:
    """A graph that answers like this."""
    made = StateGraph(Asked)
    made.add_node("lead", lambda state: {"answer": answer(state["question"]) if callable(answer) else answer})
    made.add_edge(START, "lead")
    return made.compile(checkpointer=saver)


async def awaited(question: Question) -> Answer:
    return Answer.model_validate({**GUIDE, "by": "lead"})


@pytest.mark.parametrize(
    "means",
    [lambda question: GUIDE, awaited, graph(GUIDE), graph(GUIDE, saver=MemorySaver()), "persona"],
    ids=["callable", "async", "graph", "graph with memory", "persona"],
)
def test_a_strategic_question_is_answered_by_who_is_bound_to_its_name(shop: Path, means: Any) -> None:
    judgements: Judgements = {"persona": lambda told: GUIDE}
    run = bound_to(shop, {"Tech Lead Orchestrator": means}, judgements=judgements)
    report = run.result()
    assert statuses(report) == {"001": "merged"}
    assert ladder(report)[-1] == (4, "outside_expertise", "guide")
    (question,) = report.questions
    assert question.answer is not None
    assert question.answer.by in ("lead", "tech-lead-orchestrator", "tech-lead-orchestrator (persona)")


def test_a_word_is_a_decision(shop: Path) -> None:
    report = bound_to(shop, {"tech-lead-orchestrator": lambda question: "abandon"}).result()
    assert statuses(report) == {"001": "abandoned"}
    assert report.questions[0].answer == Answer(decision="abandon", by="tech-lead-orchestrator")


def test_a_plan_is_approved_by_who_is_bound_as_user(shop: Path) -> None:
    asked: list[str] = []

    def user(question: Question) -> str:
        asked.append(question.text)
        return "approve"

    run = bound_to(shop, {"user": user}, write_own_file, approval=Approval(plan="ask"))
    assert statuses(run.result()) == {"001": "merged"}
    assert len(asked) == 1


async def test_a_person_who_answers_while_the_bound_code_thinks_is_not_kept_waiting(shop: Path) -> None:
    over, waiting = threading.Event(), threading.Event()

    def thinking(question: Question) -> None:
        waiting.set()
        over.wait()

    run = bound_to(shop, {"user": thinking}, write_own_file, approval=Approval(plan="ask"))
    driving = asyncio.create_task(asyncio.to_thread(run.result))
    await asyncio.to_thread(waiting.wait)
    run.questions[0].answer("approve", by="lead")
    assert statuses(await driving) == {"001": "merged"}
    over.set()


def broken(question: Question) -> str:
    msg = "the chat is down"
    raise RuntimeError(msg)


def raising(error: BaseException) -> Callable[[Question], object]:
    def means(question: Question) -> object:
        raise error

    return means


def raising_later(error: BaseException) -> Callable[[Question], Awaitable[object]]:
    async def means(question: Question) -> object:
        raise error

    return means


def interrupting(question: Mapping[str, object]) -> object:
    return interrupt("who decides?")


@pytest.mark.parametrize(
    ("means", "why"),
    [
        (broken, "RuntimeError: the chat is down"),
        *((raising(error), f"{type(error).__name__}: ") for error in HARSH),
        *((raising_later(error), f"{type(error).__name__}: ") for error in HARSH if type(error) is not StopIteration),
        (lambda question: "reject", "abandon, abort, not reject"),
        (lambda question: "yes", "must answer"),
        (lambda question: 7, "must answer"),
        (lambda question: {"decision": "guide"}, "needs a text"),
        (lambda question: {"text": "no decision"}, "must answer"),
        (graph("maybe"), "must answer"),
        ("persona", "stayed malformed"),
        (lambda question: None, ""),
        (lambda question: "later", ""),
        (graph(None), ""),
        (graph(interrupting, saver=MemorySaver()), ""),
    ],
)
def test_what_does_not_fit_or_breaks_is_told_and_the_question_waits_for_a_person(
    shop: Path, means: Any, why: str
) -> None:
    judgements: Judgements = {"persona": lambda told: {"decision": "waive", "text": "it will do"}}
    run = bound_to(shop, {"tech-lead-orchestrator": means}, judgements=judgements)
    with pytest.raises(Waiting):
        run.result()
    told = noticed(run)
    assert why in told
    assert ("a person is asked" in told) == bool(why)
    run.questions[0].answer("guide", "just write it", by="lead")
    assert statuses(run.result()) == {"001": "merged"}


def test_who_gave_no_answer_is_not_asked_again_when_the_run_goes_on(shop: Path) -> None:
    asked: list[str] = []

    def later(question: Question) -> None:
        asked.append(question.id)

    run = bound_to(shop, {"tech-lead-orchestrator": later})
    for _ in range(2):
        with pytest.raises(Waiting):
            run.result()
        run = Coordinator("offline", shop, settings=QUICK, answers={"tech-lead-orchestrator": later}).resume(run.id)
    with pytest.raises(Waiting):
        run.result()
    assert len(asked) == 1


def test_a_persona_is_not_asked_what_a_person_has_to_approve(shop: Path) -> None:
    asked: list[str] = []

    def persona(told: Told) -> Mapping[str, object]:
        asked.append(told.text)
        return {"decision": "guide", "text": "just write it"}

    run = bound_to(
        shop, {"tech-lead-orchestrator": "persona"}, approval=Approval(plan="ask"), judgements={"persona": persona}
    )
    with pytest.raises(Waiting):
        run.result()
    assert asked == []
    run.questions[0].answer("approve", by="user")
    assert statuses(run.result()) == {"001": "merged"}
    assert len(asked) == 1
    assert "DECISIONS YOU CAN TAKE: guide, abandon, later" in asked[0]


@pytest.mark.parametrize(
    ("answers", "why"),
    [
        ({"nobody-here": broken}, "no specialist is called 'nobody-here'"),
        ({"python-pro": broken}, "works in this department"),
        ({"frontend-team": broken, "frontend-coordinator": broken}, "are both frontend-coordinator"),
        ({"user": "persona"}, "bind a callable or a graph"),
        ({"frontend-team": "person"}, "bind a callable or a graph"),
        ({"frontend-team": 7}, "bind a callable or a graph"),
    ],
)
def test_a_name_of_nobody_and_what_cannot_answer_are_refused_at_once(
    shop: Path, answers: Mapping[str, Any], why: str
) -> None:
    with pytest.raises(ConfigurationError, match=why):
        Coordinator("offline", shop, settings=QUICK, answers=answers)


async def test_a_bound_graph_answers_within_a_parent_graph_and_leaves_its_checkpoints_alone(shop: Path) -> None:
    script = department(plan(task(1)), climbing)
    settings = QUICK.model_copy(update={"required": ("C2",)})
    answers: Any = {"tech-lead-orchestrator": graph(GUIDE)}
    inner = Coordinator(ScriptedModel(script=script), shop, settings=settings, answers=answers)
    parent, saver = StateGraph(MessagesState), MemorySaver()
    parent.add_node("backend", inner.as_node())
    parent.add_edge(START, "backend")
    parent.add_edge("backend", END)
    app: Any = parent.compile(checkpointer=saver)
    state = await app.ainvoke({"messages": [("user", "a file")]}, {"configurable": {"thread_id": "1"}})
    assert "accepted" in state["messages"][-1].text
    assert set(saver.storage) == {"1"}
    assert not any("lead" in namespace for namespace in saver.storage["1"])
