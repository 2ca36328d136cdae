"""The integration test of API Contract Coordination: what the recorded test run shows of each operation."""

from pathlib import Path

import pytest

from backend_coordinator.domain.plan import Task
from backend_coordinator.domain.protocol import ProtocolStep
from backend_coordinator.domain.report import TaskResult
from backend_coordinator.nodes import records
from backend_coordinator.nodes.gates.integration import Integration, integrated
from backend_coordinator.nodes.gates.openapi import Document
from backend_coordinator.nodes.gates.testrun import Request, TestRun
from backend_coordinator.nodes.metrics import Measured
from backend_coordinator.nodes.protocols import steps_of
from tests.support.department import task

ORDERS = Document(
    "openapi.yaml",
    {
        "openapi": "3.1.0",
        "servers": [{"url": "https://api.test/v1"}],
        "paths": {
            "/orders": {"get": {"responses": {"200": {}}}, "post": {"responses": {"201": {}, "4XX": {}}}},
            "/orders/{id}": {"get": {"responses": {"200": {}, "404": {}}}},
        },
    },
)
ALL = (Request("GET", "/v1/orders", 200), Request("POST", "/v1/orders", 422), Request("GET", "/v1/orders/7", 404))


def seen(*requests: Request, problem: str | None = None) -> Integration:
    return integrated(TestRun("pytest", problem=problem, requests=frozenset(requests)), [ORDERS])


def step(folder: Path, found: Integration | None, status: str = "merged") -> ProtocolStep:
    made: Task = task(1, steps=("integration_test",))
    result = TaskResult.model_validate({"id": made.id, "title": "t", "specialist": "python-pro", "status": status})
    measured = Measured(tree="t", metrics=(), integration=found) if found else None
    (record,) = steps_of(records.create(folder, "run", ""), [made], {made.id: result}, measured)
    return record


def test_every_operation_was_answered_as_the_contract_says(tmp_path: Path) -> None:
    found = step(tmp_path, seen(*ALL))
    assert (found.status, found.by) == ("done", "python-pro")
    assert found.evidence == "3 of 3 operations answered in tests with a status the contract has"


def test_an_operation_without_a_request_is_named(tmp_path: Path) -> None:
    found = step(tmp_path, seen(*ALL[:2]))
    assert found.status == "not_done"
    assert found.evidence.startswith("2 of 3 ")
    assert "GET /v1/orders/{id} (not requested)" in found.evidence


def test_an_answer_that_the_contract_does_not_have_is_named_even_beside_one_that_it_has(tmp_path: Path) -> None:
    found = step(tmp_path, seen(*ALL, Request("GET", "/v1/orders", 500)))
    assert found.status == "not_done"
    assert "GET /v1/orders (answered 500, which the contract does not have)" in found.evidence


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (seen(), "no test sent a request that could be seen"),
        (seen(*ALL, problem="pytest fell over"), "pytest fell over"),
        (integrated(TestRun("pytest", requests=frozenset(ALL)), []), "there is no contract with operations"),
        (None, "no merged tree was measured"),
    ],
)
def test_what_could_not_be_seen_is_unknown(tmp_path: Path, found: Integration | None, why: str) -> None:
    told = step(tmp_path, found)
    assert (told.status, told.evidence) == ("unknown", why)


def test_a_task_that_was_not_merged_was_not_tested(tmp_path: Path) -> None:
    assert step(tmp_path, seen(*ALL), "given_up").status == "not_done"
