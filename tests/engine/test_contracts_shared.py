"""What is put to those who will use a contract: every change of a shared one, whole, and never nothing."""

import hashlib
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import AIMessage

from backend_coordinator import Coordinator, Waiting
from backend_coordinator.domain import events as e
from backend_coordinator.domain.question import Question
from backend_coordinator.graph.coordinator import Run
from backend_coordinator.testing import Script, ScriptedModel
from tests.support.climbing import author
from tests.support.contracts import DESIGN, FIRST, SECOND, contract, steps
from tests.support.department import Told, Work, department, plan, task, write_own_file
from tests.support.runs import QUICK, of, statuses


def asked_of(shop: Path, script: Script, frontend: Any) -> Run:
    """A started run whose contracts this frontend validates."""
    settings, answers = QUICK.model_copy(update={"required": ("C2",)}), {"frontend-team": frontend}
    return Coordinator(ScriptedModel(script=script), shop, settings=settings, answers=answers).start("shop")


def test_who_builds_on_an_accepted_contract_does_not_replace_it_unasked(shop: Path) -> None:
    asked: list[Question] = []

    def building(told: Told) -> AIMessage:
        given = {"backend-T001": FIRST, "backend-T002": SECOND}
        return author({"openapi.yaml": given[told.task]})(told) if told.task in given else write_own_file(told)

    def see(question: Question) -> str:
        asked.append(question)
        return "approve"

    script = department(plan(DESIGN, task(2, needs=[1], writes=("**",))), building)
    report = asked_of(shop, script, see).result()
    assert set(statuses(report).values()) == {"merged"}
    assert [question.task for question in asked] == ["backend-T001", "backend-T002"]
    last = [step for step in report.protocols if step.step == "share_contract"][-1]
    assert (last.task, last.status) == ("backend-T002", "done")
    assert hashlib.sha256(SECOND.encode()).hexdigest()[:12] in last.evidence


def too_large(told: Told) -> AIMessage:
    """A contract that nobody could read whole."""
    if told.turn == 0:
        return told.calls("write", path="openapi.yaml", content=FIRST + "# !!\n" * 500)
    if told.turn == 1:
        return told.calls("edit", path="openapi.yaml", old="!", new="!" * 1000 + "\n# ", replace_all=True)
    return told.calls("submit", summary="the work")


@pytest.mark.parametrize(
    ("path", "work"), [("docs/orders.md", author({"docs/orders.md": "GET /v1/orders\n"})), ("openapi.yaml", too_large)]
)
def test_what_cannot_be_shared_is_not_merged_past_a_bound_frontend(shop: Path, path: str, work: Work) -> None:
    design = DESIGN.model_copy(update={"writes": (path,)})
    script = department(plan(design), work, review=lambda told: {"action": "escalate", "text": "they must talk"})
    run = asked_of(shop, script, lambda question: "approve")
    with pytest.raises(Waiting):
        run.result()
    assert "gate_failure: no contract file to share" in run.questions[0].text


def test_a_persona_is_not_asked_about_a_contract_that_it_cannot_be_shown_whole(shop: Path) -> None:
    large = contract("1.0.0", *(f"/v1/resource{number}" for number in range(400)))
    script = department(plan(DESIGN), author({"openapi.yaml": large}), persona=lambda told: {"decision": "approve"})
    run = asked_of(shop, script, "persona")
    with pytest.raises(Waiting):
        run.result()
    assert "shares the contract" in run.questions[0].text
    assert any("cannot be shown whole" in event.text for event in of(e.Noticed, run.events()))


def test_a_contract_may_have_dates_for_keys(shop: Path) -> None:
    dated = SECOND.replace("{schema: {type: object}}", "{schema: {type: object}, example: {2024-01-01: 1}}")
    script = department(plan(DESIGN), author({"openapi.yaml": dated}))
    report = asked_of(shop, script, lambda question: "approve").result()
    assert steps(report)["validate_contract"] == ("done", "frontend-coordinator")
