"""How the offline model analyses and plans: what it can write as it will write it, all else by general rules."""

from collections.abc import Mapping

from backend_coordinator.domain.objective import Analysis, RepositoryFacts
from backend_coordinator.nodes.models.offline.areas import areas_of
from backend_coordinator.nodes.models.offline.auth_planning import (
    analysis_of_authentication,
    asks_for_authentication,
    authentication_draft,
    place_for,
)
from backend_coordinator.nodes.models.offline.general_planning import analysis_by_rules, draft_by_rules
from backend_coordinator.nodes.models.offline.model import ServiceSpec
from backend_coordinator.nodes.models.offline.understanding import understand

# A framework's own specialist comes before the language's, and Python before what else is there.
_EXPERTS = ("fastapi-developer", "django-developer", "python-pro", "nodejs-expert", "java-expert")
_CONTRACT = ("design_contract", "share_contract", "validate_contract")
_SCHEMA = ("design_migration", "rollback_script", "rehearsal", "deployment_handover", "rollout_plan", "monitoring")
_WRITTEN = ("fastapi-developer", "python-pro")


def analysis_of(objective: str) -> Mapping[str, object]:
    """The seven questions for an objective."""
    if asks_for_authentication(objective):
        return analysis_of_authentication()
    spec = understand(objective)
    if spec is None:
        return analysis_by_rules(objective)
    return {
        "endpoints": [f"list, create, read, replace and delete under {r.path}" for r in spec.resources],
        "schema_changes": [f"a table for {r.label}" for r in spec.resources],
    }


def draft_of(objective: str, facts: RepositoryFacts) -> Mapping[str, object]:
    """A plan for any objective; the tasks of one that is not understood will be refused."""
    author = next((name for name in _EXPERTS if name in facts.detected), "python-pro")
    answers = Analysis.model_validate(analysis_of(objective)).answers
    if asks_for_authentication(objective):
        place = place_for(facts.model_dump()) if author in _WRITTEN else None
        return {"tasks": authentication_draft(objective, author, place)}
    spec = understand(objective)
    if spec is None or author not in _WRITTEN:
        return {"tasks": draft_by_rules(objective, facts, answers, () if spec else areas_of(objective))}
    return {"tasks": _tasks(objective, spec, author, answers)}


def _tasks(objective: str, spec: ServiceSpec, author: str, answers: Mapping[str, str]) -> list[Mapping[str, object]]:
    contracted, stored = ([name for name in answers if name.startswith(kind)] for kind in ("endpoint", "schema"))
    names = " and ".join(resource.label for resource in spec.resources)
    contract = _task(1, f"Design the API contract for {names}", objective, "api-architect", _CONTRACT)
    schema = _task(2, f"Design the schema for {names}", objective, "database-optimizer", _SCHEMA)
    code = _task(3, f"Implement {names}", objective, author, ("write_code", "write_tests", "document"))
    review = _task(4, f"Record the security of {names}", objective, "backend-architect", ("security_review",))
    return [
        {
            **contract,
            "covers": contracted,
            "writes": ["openapi.yaml"],
            "acceptance_criteria": ["the contract is valid OpenAPI and names every endpoint with its errors"],
            "expected_output": ["openapi.yaml"],
            "effort": "quick",
        },
        {
            **schema,
            "covers": stored,
            "writes": ["migrations/**", "docs/schema.md"],
            "acceptance_criteria": ["each migration goes up, down and up again with equal schemas"],
            "expected_output": ["migrations with rollback", "docs/schema.md"],
            "effort": "quick",
        },
        {
            **code,
            "needs": ["backend-T001", "backend-T002"],
            "covers": [*answers],
            "writes": ["app/**", "tests/**", "pyproject.toml", "README.md", ".gitignore", "main.py", "src/**"],
            "acceptance_criteria": ["every operation of the contract answers as it says", "the tests pass"],
            "expected_output": ["endpoints, storage and tests"],
        },
        {
            **review,
            "needs": ["backend-T003"],
            "writes": ["docs/security.md"],
            "acceptance_criteria": ["docs/security.md names what protects each endpoint and what does not"],
            "expected_output": ["docs/security.md"],
            "effort": "quick",
        },
    ]


def _task(number: int, title: str, objective: str, specialist: str, steps: tuple[str, ...]) -> dict[str, object]:
    return {
        "id": f"backend-T{number:03d}",
        "title": title,
        "objective": f"{title}. For the objective: {objective}",
        "specialist": specialist,
        "steps": list(steps),
    }
