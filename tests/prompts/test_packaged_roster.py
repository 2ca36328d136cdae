"""The packaged roster answers to every name of the department and its surroundings, with the right powers."""

import pytest

from backend_coordinator.domain.context import ContextKind
from backend_coordinator.domain.roster import Roster
from backend_coordinator.prompts.loader import load_roster

SPECIALISTS = {
    "api-architect": ["@api-architect", "API architects"],
    "backend-architect": ["@backend-architect"],
    "nodejs-expert": ["@nodejs-expert"],
    "python-pro": ["@python-pro"],
    "java-expert": ["@java-expert"],
    "graphql-architect": ["@graphql-architect"],
    "database-optimizer": [
        "@database-optimizer", "database-specialist", "Database Specialist", "database specialists",
        "DB modes", "specific DB modes",
    ],
    "database-admin": ["@database-admin"],
    "api-developer": ["api-developer", "API Developer"],
    "fastapi-developer": ["fastapi-developer"],
    "django-developer": ["django-developer"],
    "backend-engineer": [
        "backend-engineer", "Backend Engineer", "backend developers", "backend team", "general backend modes",
        "backend specialists", "backend implementation specialist", "integration specialists",
    ],
}  # fmt: skip
CONSULTANTS = {
    "backend-coordinator": [
        "backend-coordinator", "backend-lead", "delegating lead", "invoking coordinator", "coordinators",
        "orchestrator", "lead", "coordinator", "Backend Department Coordinator", "backend department manager",
    ],
    "librarian": ["librarian", "Librarian"],
    "technical-architect": ["technical-architect", "Architect"],
    "security-specialist": [
        "security-specialist", "Security Specialist", "Auth Specialists", "Auth modes",
        "clerk-auth-specialist",
        "supabase-auth-specialist", "OAuth expert", "specialized OAuth expert", "provider-specific mode",
    ],
    "performance-optimizer": ["performance-optimizer"],
    "qa-lead": [
        "qa-lead", "e2e-tester", "E2E Tester", "integration-tester", "Integration Tester", "Testers",
        "Testing Modes",
    ],
    "infrastructure-specialist": [
        "infrastructure-specialist", "Infrastructure Specialist", "cicd-specialist", "CI/CD Specialist",
        "devops-lead", "DevOps Lead", "docker-compose-specialist", "Docker Compose Specialist",
        "Containerization Developer", "Infrastructure/Deployment Modes", "deployment",
    ],
    "technical-writer": ["technical-writer"],
}  # fmt: skip
EXTERNALS = {
    "frontend-coordinator": [
        "frontend-coordinator", "frontend-developer", "Frontend Developer", "Frontend Engineer",
        "engineer-fe",
        "Frontend Modes", "frontend mode", "frontend team", "Frontend Specialist", "Framework Specialists",
        "react-specialist", "vuejs-developer", "Vue Specialist", "angular-developer", "svelte-developer",
    ],
    "ui-designer": ["UI Designer", "Design Lead"],
    "tech-lead-orchestrator": ["@tech-lead-orchestrator", "tech-lead", "strategic architects"],
    "project-manager": [
        "project-manager", "project-onboarding", "roo-commander", "discovery agents", "Claude",
    ],
}  # fmt: skip
COLLABORATES = {
    "api-developer": "frontend-developer framework-specialists database-specialist db-modes security-specialist "
    "auth-specialists qa-lead e2e-tester integration-tester technical-architect performance-optimizer "
    "infrastructure-specialist cicd-specialist devops-lead technical-writer",
    "fastapi-developer": "frontend-modes database-specialist security-specialist infrastructure-specialist "
    "cicd-specialist docker-compose-specialist e2e-tester integration-tester",
    "django-developer": "frontend-developer framework-specialists api-developer database-specialist "
    "infrastructure-specialist cicd-specialist devops-lead containerization-developer docker-compose-specialist "
    "e2e-tester integration-tester security-specialist",
    "backend-engineer": "librarian architect engineer-fe",
    "backend-coordinator": "frontend-coordinator database-admin",
}
ACCEPTS = {
    "fastapi-developer": "project-onboarding technical-architect api-developer backend-modes",
    "django-developer": "discovery-agents backend-coordinator roo-commander technical-architect project-manager",
    "api-developer": "backend-lead django-developer",
    "backend-coordinator": "claude strategic-architects",
}
LANGUAGE_EXPERT = {
    "performance_issue": "backend-architect",
    "database_design": "database-optimizer",
    "api_contract_mismatch": "api-architect",
}
ESCALATES = {
    "api-developer": {
        "stuck": "backend-lead",
        "database_design": "database-specialist",
        "security_concern": "security-specialist",
        "performance_issue": "performance-optimizer",
        "architectural_question": "technical-architect",
        "outside_expertise": "security-specialist auth-modes infrastructure-specialist cicd-specialist qa-lead testers "
        "technical-writer",
    },
    "fastapi-developer": {
        "database_design": "database-specialist",
        "api_contract_mismatch": "frontend-modes react-specialist vuejs-developer",
        "outside_expertise": "security-specialist clerk-auth-specialist supabase-auth-specialist "
        "infrastructure-specialist cicd-specialist docker-compose-specialist",
    },
    "django-developer": {
        "database_design": "database-specialist",
        "outside_expertise": "frontend-specialist infrastructure-specialist cicd-specialist devops-lead "
        "containerization-developer docker-compose-specialist api-developer ui-designer design-lead "
        "security-specialist",
    },
    "backend-engineer": {
        "outside_expertise": "librarian",
        "architectural_question": "architect",
        "database_design": "architect",
        "performance_issue": "architect",
        "api_contract_mismatch": "engineer-fe",
        "api_design_conflict": "engineer-fe",
        "security_concern": "tech-lead-orchestrator",
        "stability_threat": "tech-lead-orchestrator",
        "api_security_infeasible": "tech-lead-orchestrator",
    },
    "backend-coordinator": dict.fromkeys(
        ("architecture_mismatch", "performance_unachievable", "security_concern", "breaking_change",
         "cross_service_conflict", "database_conflict", "timeline"),
        "tech-lead-orchestrator",
    ),
    "python-pro": LANGUAGE_EXPERT,
    "nodejs-expert": LANGUAGE_EXPERT,
    "java-expert": LANGUAGE_EXPERT,
}  # fmt: skip
TABLE = [
    pytest.param(spelling, name, role, id=spelling)
    for role, names in (("specialist", SPECIALISTS), ("consultant", CONSULTANTS), ("external", EXTERNALS))
    for name, spellings in names.items()
    for spelling in spellings
]
LANGUAGE_KINDS = ["api_contract", "business_logic", "database_schema", "error_handling", "code_pattern"]
LANGUAGE_NEVER = ["frontend_markup", "database_administration"]
LANGUAGE_ROLES = [
    "nodejs-expert", "python-pro", "java-expert", "api-developer", "fastapi-developer", "django-developer",
    "backend-engineer",
]  # fmt: skip


@pytest.fixture(scope="module")
def roster() -> Roster:
    return load_roster()


@pytest.mark.parametrize(("spelling", "name", "role"), TABLE)
def test_every_name_stands_for_one_member_with_its_role(roster: Roster, spelling: str, name: str, role: str) -> None:
    found = roster.get(spelling)
    assert (found.name, found.role) == (name, role)


def test_the_table_names_every_member(roster: Roster) -> None:
    assert set(roster.names) == SPECIALISTS.keys() | CONSULTANTS.keys() | EXTERNALS.keys()
    assert {c.name for c in roster.consultants} == CONSULTANTS.keys()


@pytest.mark.parametrize("name", COLLABORATES)
def test_everybody_a_role_works_with_stands_in_its_file(roster: Roster, name: str) -> None:
    assert set(COLLABORATES[name].split()) - dict(roster.get(name).collaborates_with).keys() == set()


@pytest.mark.parametrize("name", ACCEPTS)
def test_everybody_a_role_takes_work_from_stands_in_its_file(roster: Roster, name: str) -> None:
    assert set(ACCEPTS[name].split()) - {rule.from_ for rule in roster.get(name).accepts_from} == set()


@pytest.mark.parametrize(
    ("name", "failure", "to"),
    [(name, failure, to) for name, rows in ESCALATES.items() for failure, to in rows.items()],
)
def test_every_row_of_an_escalation_table_stands_in_the_role_s_file(
    roster: Roster, name: str, failure: str, to: str
) -> None:
    routes = roster.get(name).escalates_to
    assert set(to.split()) - {each for route in routes if route.failure == failure for each in route.to} == set()


@pytest.mark.parametrize("name", SPECIALISTS)
def test_no_specialist_delegates(roster: Roster, name: str) -> None:
    assert "You never hand work on. `report_need` takes what you need" in roster.get(name).prompt


@pytest.mark.parametrize("name", LANGUAGE_ROLES)
def test_language_and_framework_roles_share_one_view(roster: Roster, name: str) -> None:
    member = roster.get(name)
    assert (list(member.sees), list(member.never_sees)) == (LANGUAGE_KINDS, LANGUAGE_NEVER)


def test_the_graphql_architect_sees_what_api_architect_and_language_expert_see(roster: Roster) -> None:
    both = {*roster.get("api-architect").sees, *roster.get("python-pro").sees}
    assert set(roster.get("graphql-architect").sees) == both


def test_database_roles_see_no_logic_and_the_administrator_sees_operations_too(roster: Roster) -> None:
    optimizer, admin = roster.get("database-optimizer"), roster.get("database-admin")
    assert optimizer.never_sees == admin.never_sees == (ContextKind.BUSINESS_LOGIC, ContextKind.API_IMPLEMENTATION)
    more = {ContextKind.OPERATIONS, ContextKind.DATABASE_ADMINISTRATION}
    assert set(admin.sees) - set(optimizer.sees) == more


@pytest.mark.parametrize("name", ["backend-architect", "api-architect", "database-optimizer", "database-admin"])
def test_designers_write_files_and_have_no_shell(roster: Roster, name: str) -> None:
    member = roster.get(name)
    assert member.writes_code
    assert "bash" not in member.granted


@pytest.mark.parametrize("name", [*LANGUAGE_ROLES, "graphql-architect"])
def test_who_writes_code_has_a_shell_that_asks_for_what_it_does_not_know(roster: Roster, name: str) -> None:
    member = roster.get(name)
    rules = dict(dict(member.permission)["bash"])
    assert "bash" in member.granted
    assert rules["*"] == "ask"
    assert rules["sudo *"] != "allow"


@pytest.mark.parametrize("name", SPECIALISTS)
def test_every_specialist_is_told_how_to_ask_how_to_end_and_how_to_refuse(roster: Roster, name: str) -> None:
    prompt = roster.get(name).prompt
    for word in ("`submit`", "`refusal`", "`report_need`", "`check`", "`recall`"):
        assert word in prompt


def test_frameworks_are_detected_by_what_a_repository_holds(roster: Roster) -> None:
    detects = {s.name: s.detects for s in roster.specialists if s.detects}
    assert detects == {
        "django-developer": ("manage.py", "django in requirements.txt", "django in pyproject.toml"),
        "fastapi-developer": ("fastapi in pyproject.toml", "fastapi in requirements.txt"),
        "graphql-architect": ("schema.graphql",),
        "java-expert": ("pom.xml", "build.gradle", "build.gradle.kts"),
        "nodejs-expert": ("package.json",),
        "python-pro": ("pyproject.toml", "requirements.txt", "setup.py"),
    }
