"""The causes of Levels 2 to 4 in whole runs: what happened, on which evidence, and what came of it."""

from collections.abc import Mapping
from pathlib import Path
from typing import get_args

import pytest
from langchain_core.messages import AIMessage

from backend_coordinator import Waiting
from backend_coordinator.domain.delivery import Topic
from backend_coordinator.domain.failure import FailureClass
from backend_coordinator.nodes.ladder import rule_of
from tests.support.climbing import Judgements, author, ladder, run_of
from tests.support.department import Told, Work, task, write_own_file
from tests.support.runs import finished, git, result_of

CONTRACT = """openapi: 3.1.0
info: {title: shop, version: 1.2.0, description: "A new major version gets a path of its own."}
paths:
  /v1/orders:
    get: {responses: {"200": {description: all orders}}}
"""


@pytest.fixture
def shop(shop: Path) -> Path:
    """The repository with a contract that others use."""
    (shop / "openapi.yaml").write_text(CONTRACT)
    git(shop, "add", "openapi.yaml")
    git(shop, "commit", "--quiet", "-m", "contract", "--", "openapi.yaml")
    return shop


def refusing(about: str, *, until: str = "GUIDANCE from") -> Work:
    """Hands the task back for `about` until it is guided."""

    def work(told: Told) -> AIMessage:
        if until in told.text:
            return write_own_file(told)
        return told.calls("submit", summary="nothing", refusal=f"this is about {about}", about=about)

    return work


@pytest.mark.parametrize(
    ("author_", "about", "peer"),
    [
        ("python-pro", "performance_issue", "backend-architect"),
        ("python-pro", "database_design", "database-optimizer"),
        ("python-pro", "api_contract_mismatch", "api-architect"),
        ("backend-architect", "architectural_question", "technical-architect"),
    ],
)
def test_level_2_asks_the_table_s_peer_or_where_that_is_the_author_its_own_table_s(
    shop: Path, author_: str, about: str, peer: str
) -> None:
    asked: list[str] = []

    def consultation(told: Told) -> Mapping[str, object]:
        asked.append(told.text)
        return {"can_help": True, "guidance": "do it plainly"}

    judgements: Judgements = {
        "consultation": consultation,
        "analysis": lambda told: {
            "performance_requirements": ["p95 below 100 ms"],
            "monitoring_needs": ["count logins"],
        },
    }
    run = run_of(shop, refusing(about), task(1, specialist=author_), judgements=judgements)
    report, _ = finished(run)
    (step,) = report.escalations
    assert (step.level, step.failure, step.asked, step.action) == (2, about, peer, "guide")
    (manifest,) = (run.folder / "manifests").glob("consultation-backend-T001-*.json")
    assert f'"specialist": "{peer}"' in manifest.read_text()
    assert f"this is about {about}" in asked[0]
    assert "p95 below 100 ms" in asked[0]
    assert "count logins" not in asked[0]
    assert report.accepted


def test_level_2_goes_on_to_the_coordinator_where_nobody_is_named(shop: Path) -> None:
    judgements: Judgements = {"review": lambda told: {"action": "guide", "text": "keep the contract"}}
    made = task(1, specialist="api-architect")
    report, _ = finished(run_of(shop, refusing("api_design_conflict"), made, judgements=judgements))
    assert [(step.level, step.asked, step.action) for step in report.escalations] == [
        (2, "nobody", None),
        (3, "backend-coordinator", "guide"),
    ]


def test_the_same_delivery_after_the_coordinator_s_guidance_climbs_to_a_question(shop: Path) -> None:
    def work(told: Told) -> AIMessage:
        return told.calls("submit", summary="nothing yet")

    judgements: Judgements = {"review": lambda told: {"action": "guide", "text": "write it"}}
    run = run_of(shop, work, task(1), judgements=judgements)
    with pytest.raises(Waiting):
        run.result()
    run.questions[0].answer("abandon", by="lead")
    report = run.result()
    assert ladder(report) == [
        (1, "gate_failure", "retry"),
        (3, "stuck", "guide"),
        (4, "stuck", "abandon"),
    ]


def test_guidance_that_was_given_before_is_no_help(shop: Path) -> None:
    def work(told: Told) -> AIMessage:
        number = told.text.count("GUIDANCE from")
        return told.calls("submit", summary="nothing", refusal=f"waiting, time {number}", about="external_block")

    judgements: Judgements = {"review": lambda told: {"action": "guide", "text": "wait for it"}}
    run = run_of(shop, work, task(1), judgements=judgements)
    with pytest.raises(Waiting):
        run.result()
    run.questions[0].answer("abandon", by="lead")
    report = run.result()
    assert ladder(report) == [
        (3, "external_block", "guide"),
        (3, "external_block", None),
        (4, "external_block", "abandon"),
    ]
    assert report.escalations[1].answer == "said before: wait for it"


def test_the_coordinator_may_give_up(shop: Path) -> None:
    judgements: Judgements = {"review": lambda told: {"action": "give_up", "text": "the service is gone"}}
    report, _ = finished(run_of(shop, refusing("external_block"), task(1), judgements=judgements))
    assert ladder(report) == [(3, "external_block", "give_up")]
    assert (result_of(report, 1).status, result_of(report, 1).reason) == ("given_up", "this is about external_block")


LEVEL_4 = [topic for topic in get_args(Topic) if rule_of(FailureClass(topic)).level == 4]


@pytest.mark.parametrize("about", LEVEL_4)
def test_what_has_to_go_up_becomes_a_question_with_the_dossier(shop: Path, about: str) -> None:
    run = run_of(shop, refusing(about, until="GUIDANCE from lead"), task(1))
    with pytest.raises(Waiting):
        run.result()
    (question,) = run.questions
    assert (question.question.to, question.choices) == (
        "tech-lead-orchestrator",
        ("guide", "amend", "abandon", "abort"),
    )
    assert f"FAILURE: {about}: this is about {about}" in question.text
    assert "- attempt 1 by python-pro" in question.text
    question.answer("guide", "go on", by="lead")
    report = run.result()
    assert ladder(report) == [(4, about, "guide")]
    assert report.accepted


def test_a_security_item_that_survives_its_author_is_a_security_concern(shop: Path) -> None:
    leaking = {"app.py": 'aws_secret_access_key = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYzQ7aLkP2vT"\n'}
    run = run_of(shop, author(leaking, {**leaking, "notes.md": "still there\n"}))
    with pytest.raises(Waiting):
        run.result()
    (question,) = run.questions
    assert "S7" in question.question.items
    assert "FAILURE: security_concern: " in question.text
    question.answer("abandon", by="lead")
    assert ladder(run.result()) == [(1, "gate_failure", "retry"), (4, "security_concern", "abandon")]


def test_a_contract_that_still_breaks_its_callers_is_a_breaking_change(shop: Path) -> None:
    contract = task(1, writes=("**",), steps=("design_contract",))
    other = CONTRACT.replace("/v1/orders", "/v1/sales")
    run = run_of(shop, author({"openapi.yaml": other}, {"notes.md": "callers will cope\n"}), contract)
    with pytest.raises(Waiting):
        run.result()
    (question,) = run.questions
    assert question.question.items == ("A7",)
    assert "FAILURE: breaking_change: " in question.text
    assert "GET /v1/orders" in question.text
    question.answer("waive", "nobody calls it yet", by="lead")
    report = run.result()
    assert ladder(report) == [(1, "gate_failure", "retry"), (4, "breaking_change", "waive")]
