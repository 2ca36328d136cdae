"""The coordinator's context filtering rules, line by line: what reaches whom, and what does not."""

import pytest

from backend_coordinator.domain.context import ContextItem, ContextKind
from backend_coordinator.nodes.firewall import packet
from backend_coordinator.prompts.loader import load_roster
from tests.support.department import task

ROSTER = load_roster()
API = {
    "+ requirements and contracts": "api_requirement api_contract",
    "+ frontend integration points": "frontend_integration",
    "+ third-party contracts": "third_party_contract",
    "+ versioning": "versioning_strategy",
    "- database implementation": "database_implementation",
    "- DevOps configuration": "devops_configuration",
}
ARCHITECTURE = {
    "+ system design and architecture": "system_design",
    "+ performance requirements": "performance_requirement",
    "+ scalability": "scalability_constraint",
    "+ technology stack": "technology_stack",
    "+ integration patterns": "integration_pattern",
    "- detailed code": "implementation_code code_pattern",
    "- frontend requirements": "frontend_requirement",
}
CODE = {
    "+ endpoint specifications": "api_contract",
    "+ business logic": "business_logic",
    "+ schema of this service": "database_schema",
    "+ error handling": "error_handling",
    "+ existing patterns": "code_pattern",
    "- HTML and CSS": "frontend_markup",
    "- database administration": "database_administration",
}
DATA = {
    "+ data model": "data_model",
    "+ performance requirements": "performance_requirement",
    "+ query patterns": "query_pattern",
    "+ existing schema": "database_schema",
    "+ scaling": "scaling_strategy",
    "- business logic": "business_logic",
    "- API implementation": "api_implementation",
}
LISTS = {
    "api-architect": API,
    "backend-architect": ARCHITECTURE,
    "nodejs-expert": CODE,
    "python-pro": CODE,
    "database-optimizer": DATA,
    # Those whose lists the coordinator's rules leave open.
    "java-expert": CODE,
    "fastapi-developer": CODE,
    "django-developer": CODE,
    "api-developer": CODE,
    "backend-engineer": CODE,
    "graphql-architect": {**API, **CODE},
    "database-admin": {**DATA, "+ operations": "operations", "+ its own work": "database_administration"},
}
EVERYBODY = {"+ universal": "security_requirement performance_requirement technology_stack"}
AS_WELL = {
    "database-optimizer": {"+ how it is built": "database_implementation"},
    "database-admin": {"+ how it is built": "database_implementation"},
    "backend-architect": {"+ what an audit reads": "api_contract database_schema test_result"},
}
LINES = [
    pytest.param(name, kind, line[0] == "+", id=f"{name} {line} {kind}")
    for name, lists in LISTS.items()
    for line, kinds in {**lists, **EVERYBODY, **AS_WELL.get(name, {})}.items()
    for kind in kinds.split()
]


@pytest.mark.parametrize(("name", "kind", "told"), LINES)
def test_each_line_of_the_lists_holds(name: str, kind: str, told: bool) -> None:
    sources = ("user", "backend-T009")
    marked = [ContextItem(kind=ContextKind(kind), source=source, text="MARKED-TEXT") for source in sources]
    text, manifest, _ = packet(ROSTER.get(name), task(1), marked, budget=1000)
    assert text.count("MARKED-TEXT") == (2 if told else 0)
    assert [entry.included for entry in manifest.entries] == [told, told]


def test_the_five_lists_have_their_twenty_seven_lines() -> None:
    assert [len(each) for each in (API, ARCHITECTURE, CODE, DATA)] == [6, 7, 7, 7]


@pytest.mark.parametrize("name", LISTS)
def test_what_no_list_names_is_withheld(name: str) -> None:
    lists = {**LISTS[name], **EVERYBODY, **AS_WELL.get(name, {})}
    named = {kind for kinds in lists.values() for kind in kinds.split()}
    for kind in set(ContextKind) - named:
        text = packet(ROSTER.get(name), task(1), [ContextItem(kind=kind, source="user", text="MARKED")], budget=99).text
        assert "MARKED" not in text, kind
