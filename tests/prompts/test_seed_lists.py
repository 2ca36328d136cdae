"""Each line of the developers' escalation, acceptance and delegation lists, as what ladder and roster do."""

from pathlib import Path

import pytest

from backend_coordinator.domain.failure import FailureClass
from backend_coordinator.nodes import ladder
from backend_coordinator.nodes.levels import COORDINATOR
from backend_coordinator.nodes.stack import stacks
from backend_coordinator.nodes.tools.catalogue import tools_of
from backend_coordinator.nodes.workspace.trees import Tree
from tests.support.asking import ENGINEER, ROSTER, asked_of, level_of, routes

DIRECTED = [  # who says it, the words, the class, and who is among those asked and named
    ("api-developer", "anything unclear, or better given to another", "stuck", "backend-lead"),
    ("api-developer", "complex database design, migration or optimisation", "database_design", "database-specialist"),
    ("api-developer", "complex authentication or authorisation", "outside_expertise", "security-specialist"),
    ("api-developer", "authentication of one provider", "outside_expertise", "auth-modes"),
    ("api-developer", "deployment or infrastructure", "outside_expertise", "infrastructure-specialist"),
    ("api-developer", "pipelines", "outside_expertise", "cicd-specialist"),
    ("api-developer", "a bottleneck that needs deep analysis", "performance_issue", "performance-optimizer"),
    ("api-developer", "an architectural decision or conflict", "architectural_question", "technical-architect"),
    ("api-developer", "a test strategy for load and security", "outside_expertise", "qa-lead"),
    ("api-developer", "tests of whole flows", "outside_expertise", "testers"),
    ("api-developer", "formal documentation", "outside_expertise", "technical-writer"),
    ("fastapi-developer", "complex schema, migrations, advanced ORM", "database_design", "database-specialist"),
    ("fastapi-developer", "custom authentication flows", "outside_expertise", "security-specialist"),
    ("fastapi-developer", "single sign-on of Clerk", "outside_expertise", "clerk-auth-specialist"),
    ("fastapi-developer", "single sign-on of Supabase", "outside_expertise", "supabase-auth-specialist"),
    ("fastapi-developer", "deployment pipelines", "outside_expertise", "cicd-specialist"),
    ("fastapi-developer", "containers", "outside_expertise", "docker-compose-specialist"),
    ("fastapi-developer", "server configuration and cloud", "outside_expertise", "infrastructure-specialist"),
    ("django-developer", "database design beyond the ORM", "database_design", "database-specialist"),
    ("django-developer", "deployment and servers", "outside_expertise", "infrastructure-specialist"),
    ("django-developer", "pipelines", "outside_expertise", "cicd-specialist"),
    ("django-developer", "operation", "outside_expertise", "devops-lead"),
    ("django-developer", "images and orchestration", "outside_expertise", "containerization-developer"),
    ("django-developer", "containers together", "outside_expertise", "docker-compose-specialist"),
    ("django-developer", "an interface with a niche protocol", "outside_expertise", "api-developer"),
    ("django-developer", "advanced security audits", "outside_expertise", "security-specialist"),
]


@pytest.mark.parametrize(("author", "says", "kind", "to"), DIRECTED, ids=[f"{a}: {s}: {t}" for a, s, _, t in DIRECTED])
def test_escalates_to(author: str, says: str, kind: str, to: str) -> None:
    member = ROSTER.get(to).name
    assert member in routes(author, kind)
    asked = asked_of(author, says, kind)
    assert asked[0] == member or (asked[1] == member and asked[0] == ladder.rule_of(FailureClass(kind)).peer)


def test_an_api_developer_s_weakness_goes_to_security_and_up() -> None:
    assert routes("api-developer", "security_concern") == {"security-specialist"}
    assert level_of("security_concern") == 4


@pytest.mark.parametrize(
    ("author", "kind", "to"),
    [
        pytest.param(
            "fastapi-developer", "api_contract_mismatch", "react-specialist", id="FastAPI: consumption in React"
        ),
        pytest.param("fastapi-developer", "api_contract_mismatch", "vuejs-developer", id="FastAPI: consumption in Vue"),
        pytest.param(
            "django-developer", "outside_expertise", "frontend-specialist", id="Django: frontend beyond templates"
        ),
        pytest.param("django-developer", "outside_expertise", "ui-designer", id="Django: UI and UX design"),
        pytest.param("django-developer", "outside_expertise", "design-lead", id="Django: design decisions"),
    ],
)
def test_who_is_outside_the_department_is_named_and_reached_by_the_coordinator_only(
    author: str, kind: str, to: str
) -> None:
    member = ROSTER.get(to)
    assert member.role == "external"
    assert member.name in routes(author, kind)
    assert member.name not in asked_of(author, "frontend consumption, UI design", kind)


ACCEPTS = {
    "fastapi-developer": "project-onboarding technical-architect api-developer backend-modes",
    "django-developer": "discovery-agents technical-architect roo-commander project-manager backend-coordinator",
    "backend-coordinator": "claude strategic-architects",
}


@pytest.mark.parametrize(("who", "giver"), [(who, name) for who, names in ACCEPTS.items() for name in names.split()])
def test_accepts_tasks_from(who: str, giver: str) -> None:
    assert ROSTER.get(giver).name in {ROSTER.get(rule.from_).name for rule in ROSTER.get(who).accepts_from}


@pytest.mark.parametrize(
    "sign",
    [
        {"manage.py": ""},
        {"requirements.txt": "django==5.2\n"},
        {"pyproject.toml": '[project]\ndependencies=["django"]\n'},
    ],
    ids=lambda sign: "a Django developer is chosen by " + ", ".join(sign),
)
def test_invocation(tmp_path: Path, sign: dict[str, str]) -> None:
    layout = {"requirements.txt": "gunicorn\n", "shop/views.py": "x = 1\n", **sign}
    for name, text in layout.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    (found, *_) = stacks(Tree("0" * 40, tmp_path, tuple(sorted(layout))), ROSTER)
    assert found.specialist == "django-developer"


DOES_ITSELF = frozenset({
    "read", "grep", "glob", "list", "write", "edit", "bash", "webfetch", "todo", "check", "recall", "submit",
})  # fmt: skip


@pytest.mark.parametrize("name", ["api-developer", "fastapi-developer", "django-developer", ENGINEER])
def test_does_not_delegate_but_reports_the_need_to_its_lead(name: str) -> None:
    member = ROSTER.get(name)
    assert "report_need" in member.granted
    assert {tool for tool in tools_of(member) if tool not in DOES_ITSELF} <= {"report_need", "request_research"}
    assert ROSTER.get(member.reports_to or "").name == COORDINATOR
