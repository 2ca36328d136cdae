"""What the approval policy makes of deliveries, without a run."""

from pathlib import Path
from typing import get_args

import pytest

from backend_coordinator.domain.delivery import Artifact, Delivery
from backend_coordinator.domain.plan import Task
from backend_coordinator.domain.question import Answer, Choice, Subject
from backend_coordinator.nodes import approval
from backend_coordinator.nodes.context import RunContext
from backend_coordinator.nodes.gates.checks.versioning import broken_between
from backend_coordinator.nodes.kinds import kind_of
from backend_coordinator.settings import Approval
from tests.support.trees import OLD, Files, tree_of

PRESETS = {
    "autonomous": set(),
    "guarded": set(get_args(Subject)) - {"plan", "architecture"},
    "strict": set(get_args(Subject)),
}


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_asks_about_its_subjects_and_single_ones_override_it(preset: str) -> None:
    policy = Approval.model_validate({"preset": preset})
    assert {subject for subject in get_args(Subject) if policy.asks(subject)} == PRESETS[preset]
    assert policy.tools == "deny"
    changed = Approval.model_validate({"preset": preset, "schema": "deny", "security": "auto"})
    assert (changed.refuses("schema"), changed.policy("security")) == ("approval.schema is deny", "auto")
    assert changed.policy("api_contract") == policy.policy("api_contract")
    assert Approval.model_validate_json(changed.model_dump_json()) == changed


def test_where_nobody_is_there_to_ask_asking_is_refusing() -> None:
    policy = Approval(preset="strict", security="auto", unattended=True)
    assert not policy.asks("schema")
    assert policy.refuses("schema") == "a batch cannot ask: approval.schema"
    assert policy.refuses("security") is None


def delivered(context: RunContext, **shas: str) -> Delivery:
    artifacts = tuple(
        Artifact(path=path, kind=kind_of(path), sha256=sha, change="modified") for path, sha in shas.items()
    )
    head = context.repository.head()
    return Delivery(
        task="backend-T001", attempt=1, specialist="python-pro", summary="the work", commit=head, artifacts=artifacts
    )


def test_an_agreement_holds_while_the_files_of_its_subject_stay_as_they_were(context: RunContext, task: Task) -> None:
    def answered(delivery: Delivery, found: approval.Found, decision: Choice) -> None:
        question = approval.question_about(context, task, context.repository.head(), delivery, found, added={})
        assert question is not None
        context.ledger.ask(question)
        context.ledger.answer(question.id, Answer(decision=decision, by="lead"))

    found: approval.Found = {"schema": {"models.py": "models.py"}, "infrastructure": {"Dockerfile": "Dockerfile"}}
    first = delivered(context, **{"models.py": "1", "Dockerfile": "1", "app.py": "1"})
    answered(first, found, "approve")
    assert approval.undecided(context, first, found) == {}
    later = delivered(context, **{"models.py": "1", "Dockerfile": "2", "app.py": "2"})
    left = approval.undecided(context, later, found)
    assert set(left) == {"infrastructure"}
    elsewhere = first.model_copy(update={"task": "backend-T002"})
    assert set(approval.undecided(context, elsewhere, found)) == {"schema", "infrastructure"}
    answered(later, left, "approve_run")
    assert set(approval.undecided(context, elsewhere, found)) == {"schema"}


CONTRACT = """openapi: 3.1.0
info: {title: shop, version: 1.2.0}
paths:
  /orders:
    get: {responses: {"200": {description: all orders}}}
"""


@pytest.mark.parametrize(
    ("after", "broken"),
    [
        ({}, ("openapi.yaml is gone",)),
        ({"openapi.yaml": CONTRACT.replace("/orders", "/sales")}, ("openapi.yaml: GET /orders is gone",)),
        ({"api/openapi.yaml": CONTRACT}, ()),
        ({"openapi.yaml": CONTRACT.replace("all orders", "the orders")}, ()),
    ],
    ids=["removed", "an operation gone", "moved", "reworded"],
)
async def test_a_breaking_change_is_told_by_the_contracts_alone(
    tmp_path: Path, context: RunContext, after: Files, broken: tuple[str, ...]
) -> None:
    old, new = tree_of(tmp_path / "old", {**OLD, "openapi.yaml": CONTRACT}), tree_of(tmp_path / "new", {**OLD, **after})
    assert await broken_between(old, new, await context.environment(new.path)) == broken


@pytest.mark.parametrize(("place", "same"), [("mail", False), (".", False), ("mai", True), ("", True)])
def test_the_state_of_a_place_is_that_of_all_files_in_it(
    context: RunContext, task: Task, place: str, same: bool
) -> None:
    found: approval.Found = {"architecture": {"a new package or service": place}}
    asked = [
        approval.question_about(
            context, task, context.repository.head(), delivered(context, **{"mail/a.py": sha}), found, added={}
        )
        for sha in "12"
    ]
    assert (asked[0] == asked[1]) is same
