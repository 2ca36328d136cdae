"""Each line of the backend engineer's formats and of its requests for research, as fields that are filled."""

from typing import get_args

import pytest
from langchain_core.messages import AIMessage, ToolMessage

from backend_coordinator.domain.failure import Attempt, Dossier, Failure, FailureClass, Level
from backend_coordinator.domain.plan import Requirements
from backend_coordinator.domain.report import Progress
from backend_coordinator.nodes.formats import ArchitecturalQuestion, FrontendCoordination, rendered, typed_question
from backend_coordinator.nodes.tools.research import LOOK_UPS, Trigger, look_ups
from tests.support.asking import ENGINEER
from tests.support.department import task
from tests.support.ladder_laws import step


@pytest.mark.parametrize(
    "trigger",
    ["production_examples", "library_internals", "conflicting_information", "open_source_analysis",
     "third_party_integration"],
)  # fmt: skip
def test_research_opens_at_once_for(trigger: str) -> None:
    assert trigger in get_args(Trigger)


def test_research_is_requested_after_recorded_attempts_in_documentation_code_and_patterns() -> None:
    tried = [("webfetch", "error"), ("grep", "success"), ("glob", "success")]
    messages = [
        message
        for number, (name, status) in enumerate(tried)
        for message in (
            AIMessage("", tool_calls=[{"id": str(number), "name": name, "args": {"of": number}}]),
            ToolMessage("no match", tool_call_id=str(number), status=status),
        )
    ]
    assert [each.partition(":")[0] for each in look_ups(messages)] == ["documentation", "code base", "pattern"]
    assert len(look_ups(messages)) == LOOK_UPS
    assert len(look_ups(messages[:4])) == LOOK_UPS - 1


DETAIL = "O1 failed: 1 problem\nopenapi.yaml:1: GET /orders/{id}: the contract does not declare status 404"


def dossier(kind: str, detail: str = DETAIL) -> Dossier:
    failure = Failure(kind=FailureClass(kind), summary="they differ", detail=detail, items=("O1",))
    attempts = (Attempt(number=1, specialist=ENGINEER, failure=failure),)
    told = step(Level.PEER_CONSULTATION, failure.kind, "guide").model_copy(update={"answer": "look at the contract"})
    return Dossier(task="backend-T001", failure=failure, attempts=attempts, escalations=(told,))


WANTED = Requirements(technical=("orders stay in one service",), performance=("p95 below 100 ms",))


@pytest.mark.parametrize(
    ("field", "holds"),
    [
        ("question", "architectural_question: they differ"),
        ("context", "write f1.txt"),
        ("reference", "orders stay in one service, p95 below 100 ms"),
        (
            "tried",
            "attempt 1 by backend-engineer: architectural_question: they differ\nx advised: look at the contract",
        ),
        ("need", "which of the possible designs"),
    ],
)
def test_architectural_questions_state(field: str, holds: str) -> None:
    question = typed_question(task(1, requirements=WANTED), dossier("architectural_question"))
    assert isinstance(question, ArchitecturalQuestion)
    assert holds in getattr(question, field)
    assert f"{field.upper()}: {getattr(question, field)}" in rendered(question)


@pytest.mark.parametrize(
    ("field", "holds"),
    [
        ("issue", "api_contract_mismatch: they differ"),
        ("endpoint", "GET /orders/{id}"),
        ("contract", "openapi.yaml"),
        ("error_details", "does not declare status 404"),
        ("request", "which side is right"),
    ],
)
def test_frontend_coordination_states(field: str, holds: str) -> None:
    question = typed_question(task(1), dossier("api_contract_mismatch"))
    assert isinstance(question, FrontendCoordination)
    assert holds in getattr(question, field)
    assert f"{field.upper().replace('_', ' ')}: {getattr(question, field)}" in rendered(question)


@pytest.mark.parametrize("kind", ["outside_expertise", "api_design_conflict"])
def test_a_field_of_a_format_without_anything_to_say_says_none(kind: str) -> None:
    bare = Dossier(task="backend-T001", failure=Failure(kind=FailureClass(kind), summary="no"))
    told = rendered(typed_question(task(1), bare)).splitlines()
    assert {"REFERENCE: none", "TRIED: none"} <= {*told} or {"ENDPOINT: none", "ERROR DETAILS: none"} <= {*told}


@pytest.mark.parametrize("field", ["task", "progress", "completed", "blockers", "next", "help_needed"])
def test_progress_reporting_states(field: str) -> None:
    assert field in Progress.model_fields
