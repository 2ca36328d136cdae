"""What the user wants, and what the coordinator found out about it."""

from pydantic import Field

from backend_coordinator.domain.base import Value


class Objective(Value):
    """One objective: `deadline` is ISO 8601 text, `origin` names who asked."""

    text: str = Field(min_length=1)
    constraints: tuple[str, ...] = ()
    deadline: str | None = None
    origin: str = "user"


class RepositoryFacts(Value):
    """What was found in the repository without a model: names of files that decide, never their text."""

    languages: tuple[str, ...] = ()
    frameworks: tuple[str, ...] = ()
    manifests: tuple[str, ...] = ()
    contracts: tuple[str, ...] = ()
    migrations: tuple[str, ...] = ()
    applications: tuple[str, ...] = ()
    """Modules that make a FastAPI application, the shallowest first."""
    test_directories: tuple[str, ...] = ()
    detected: tuple[str, ...] = ()
    """Specialists whose `detects` rules hold here, the most specific first."""


class Analysis(Value):
    """The seven questions asked of every objective (Backend Objective Analysis); empty means: none needed."""

    endpoints: tuple[str, ...] = ()
    schema_changes: tuple[str, ...] = ()
    auth_requirements: tuple[str, ...] = ()
    performance_requirements: tuple[str, ...] = ()
    scalability_constraints: tuple[str, ...] = ()
    third_party_integrations: tuple[str, ...] = ()
    monitoring_needs: tuple[str, ...] = ()
