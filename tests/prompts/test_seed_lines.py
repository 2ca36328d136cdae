"""Each line of the department's rules on failing, asking and going up, as what the ladder and the roster do."""

from typing import NamedTuple, get_args

import pytest

from backend_coordinator.domain.delivery import Topic
from backend_coordinator.domain.failure import Dossier, Failure, Level, LevelBudget
from backend_coordinator.domain.verdict import Evidence, Finding, Outcome, Verdict
from backend_coordinator.nodes import ladder
from backend_coordinator.nodes.classify import classify
from backend_coordinator.nodes.levels import COORDINATOR
from backend_coordinator.nodes.review import Review
from tests.support.asking import ENGINEER, LEAD, ROSTER, asked_of, level_of, routes
from tests.support.ladder_laws import step

AUTHOR = "python-pro"


class Line(NamedTuple):
    """A rule in short, the class of failure that it speaks of, and the level and person that take it first."""

    says: str
    kind: str
    level: int
    whom: str


def named(lines: list[Line]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("line", lines, ids=[line.says for line in lines])


PROTOCOL = [
    Line("level 1: missing dependency, install and retry", "missing_dependency", 1, AUTHOR),
    Line("level 1: syntax error, fix and retry", "syntax_error", 1, AUTHOR),
    Line("level 1: test failure, debug and fix", "test_failure", 1, AUTHOR),
    Line("level 2: performance issue, consult the backend architect", "performance_issue", 2, "backend-architect"),
    Line("level 2: database design question, ask the database optimizer", "database_design", 2, "database-optimizer"),
    Line("level 2: API contract mismatch, clarify with the API architect", "api_contract_mismatch", 2, "api-architect"),
    Line("level 3: several retries failed", "retries_exhausted", 3, COORDINATOR),
    Line("level 3: integration issue between services", "integration_issue", 3, COORDINATOR),
    Line("level 3: blocked by an external service", "external_block", 3, COORDINATOR),
    Line("level 4: mismatch with the system's architecture", "architecture_mismatch", 4, LEAD),
    Line("level 4: security concern discovered", "security_concern", 4, LEAD),
    Line("level 4: performance requirement out of reach", "performance_unachievable", 4, LEAD),
]


@named(PROTOCOL)
def test_error_escalation_protocol(line: Line) -> None:
    assert level_of(line.kind) == line.level
    assert asked_of(AUTHOR, line.says, line.kind)[0] == line.whom


def failed(item: str, told: str) -> Failure:
    """The failure that the gates make of one failed item."""
    evidence = Evidence(tool="check", command=("check",), exit_code=1, findings=(Finding(path="app.py", message=told),))
    found = classify([Verdict(id=item, verdict=Outcome.FAIL, reason=told, evidence=(evidence,))])
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("item", "told", "kind"),
    [
        pytest.param("P5", "a handler blocks", "performance_issue", id="performance issue"),
        pytest.param("D3", "the migration has no way back", "database_design", id="database design question"),
        pytest.param("O1", "GET /orders has no route", "api_contract_mismatch", id="API contract mismatch"),
        pytest.param("C5", "2 tests fail", "retries_exhausted", id="several retries failed"),
        pytest.param("S3", "SQL is put together from text", "security_concern", id="security concern discovered"),
        pytest.param(
            "A7",
            "GET /orders is gone, while the version is still 1.0.0",
            "breaking_change",
            id="breaking change needed",
        ),
    ],
)
def test_what_the_gates_found_goes_back_to_its_author_first_and_is_then_a(item: str, told: str, kind: str) -> None:
    failure = failed(item, told)
    assert level_of(failure.kind) == Level.SELF_RECOVERY
    steps = (step(Level.SELF_RECOVERY, failure.kind, "retry"),) * LevelBudget().self_recovery
    risen = ladder.risen(Dossier(task="backend-T001", failure=failure, escalations=steps), LevelBudget())
    assert (risen.kind, risen.items) == (kind, (item,))
    assert ladder.next_level(risen, steps, LevelBudget()) == level_of(kind)


@pytest.mark.parametrize("action", ["guide", "reassign"], ids=["provide guidance", "reassign if needed"])
def test_level_3_the_coordinator_reviews_the_work_and_can(action: str) -> None:
    assert Review.model_validate({"action": action, "text": "so"}).action == action


def test_level_4_is_the_tech_lead_s() -> None:
    assert LEAD == "tech-lead-orchestrator"


@pytest.mark.parametrize(
    ("kind", "by"),
    [
        pytest.param("architecture_mismatch", "the roster", id="architectural questions arise"),
        pytest.param("performance_unachievable", "the roster", id="performance requirements are out of reach"),
        pytest.param("security_concern", "S", id="security concerns are discovered"),
        pytest.param("breaking_change", "A7", id="breaking changes are needed"),
        pytest.param("cross_service_conflict", "the roster", id="services conflict"),
        pytest.param("database_conflict", "the roster", id="the database design conflicts with other services"),
        pytest.param("timeline", "the deadline", id="the timeline is a concern"),
    ],
)
def test_when_to_escalate(kind: str, by: str) -> None:
    assert (level_of(kind), routes(COORDINATOR, kind)) == (4, {LEAD})
    assert kind in get_args(Topic), "a specialist can hand its task back for it"
    found = {row.items for row in ladder.SURVIVING if row.failure == kind}
    assert found == ({by} if by in ("S", "A7") else set())
    if by == "the deadline":
        late = Dossier(task="backend-T001", failure=failed("C5", "2 tests fail"))
        assert ladder.risen(late, LevelBudget(), late=True).kind == kind


@pytest.mark.parametrize(
    "says",
    [
        "quick look-ups fail three times or more",
        "production examples must be studied",
        "the inner workings of a library must be understood",
        "look-ups are incomplete or contradict each other",
        "open-source systems must be studied in depth",
        "a third party's integration needs deep research",
    ],
)
def test_librarian_escalation_when(says: str) -> None:
    assert level_of("outside_expertise") == Level.PEER_CONSULTATION
    assert asked_of(ENGINEER, says, "outside_expertise")[0] == "librarian"
    assert "request_research" in ROSTER.get(ENGINEER).granted


IMMEDIATE = [
    Line("a weakness is discovered in the implementation", "security_concern", 4, LEAD),
    Line("database performance threatens the system's stability", "stability_threat", 4, LEAD),
    Line("the API cannot be secured with this approach", "api_security_infeasible", 4, LEAD),
    Line("a third party's integration needs deep technical research", "outside_expertise", 2, "librarian"),
]


@named(IMMEDIATE)
def test_immediate_escalation_when(line: Line) -> None:
    assert level_of(line.kind) == line.level
    assert asked_of(ENGINEER, line.says, line.kind)[0] == line.whom
    assert line.whom in routes(ENGINEER, line.kind)
    assert line.level == 2 or line.kind in get_args(Topic)


STANDARD = [
    Line("the API's design conflicts with the frontend's needs", "api_design_conflict", 2, "api-architect"),
    Line("a new feature needs schema changes", "database_design", 2, "database-optimizer"),
    Line("optimising performance needs another architecture", "performance_issue", 2, "backend-architect"),
    Line("a review finds trouble with scale", "architectural_question", 2, "backend-architect"),
    Line("architecture or scale is ambiguous", "architectural_question", 2, "backend-architect"),
    Line("API integration or data contract do not meet", "api_contract_mismatch", 2, "api-architect"),
]


@named(STANDARD)
def test_standard_collaboration_when(line: Line) -> None:
    assert level_of(line.kind) == line.level
    assert asked_of(ENGINEER, line.says, line.kind)[0] == line.whom
    assert routes(ENGINEER, line.kind), "its own table knows the case too"


def test_standard_collaboration_when_a_review_finds_a_security_issue_of_unmerged_work() -> None:
    assert level_of(failed("S3", "SQL is put together from text").kind) == Level.SELF_RECOVERY


@pytest.mark.parametrize("kind", ["api_contract_mismatch", "api_design_conflict"])
def test_frontend_engineer_coordination_is_with_the_frontend_side(kind: str) -> None:
    assert routes(ENGINEER, kind) == {"frontend-coordinator"}


@pytest.mark.parametrize("kind", ["architectural_question", "database_design", "performance_issue"])
def test_architect_consultation_is_next_after_the_protocol_s_peer(kind: str) -> None:
    assert asked_of(ENGINEER, "x", kind)[-1] == "technical-architect"
