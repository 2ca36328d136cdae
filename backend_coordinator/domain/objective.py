"""What the user wants, and what the coordinator found out about it."""

from datetime import UTC, date, datetime, time

from pydantic import Field

from backend_coordinator.domain.base import Value
from backend_coordinator.domain.context import ContextItem


class Objective(Value):
    """One objective: `deadline` is ISO 8601 text, `origin` names who asked.

    `context` is what the user gives to know with it; each item reaches those specialists only who see its kind.
    """

    text: str = Field(min_length=1)
    constraints: tuple[str, ...] = ()
    deadline: str | None = None
    origin: str = "user"
    context: tuple[ContextItem, ...] = ()

    def overdue(self, now: datetime) -> bool:
        """Whether the deadline has passed (When to Escalate, timeline); never one that is no ISO 8601 text."""
        try:
            return self.deadline is not None and now > moment(self.deadline)
        except ValueError:
            return False


def moment(deadline: str) -> datetime:
    """When a deadline passes: a day at its end, a time without a zone in UTC. Raises ValueError for other text."""
    try:
        end = datetime.combine(date.fromisoformat(deadline), time.max)
    except ValueError:
        end = datetime.fromisoformat(deadline)
    return end if end.tzinfo else end.replace(tzinfo=UTC)


class Stack(Value):
    """One package or service of the repository and what it is built with; `root` is its folder, empty for the top.

    `specialist` is the member of the roster who writes its code, `reason` the fact that chose it.
    """

    root: str = ""
    language: str
    frameworks: tuple[str, ...] = ()
    package_manager: str | None = None
    test_runner: str | None = None
    databases: tuple[str, ...] = ()
    migration_tool: str | None = None
    contracts: tuple[str, ...] = ()
    specialist: str | None = None
    reason: str = ""


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
    stacks: tuple[Stack, ...] = ()
    """The repository's packages and services, the shallowest first."""


class Analysis(Value):
    """The seven questions asked of every objective (Backend Objective Analysis); empty means: none needed."""

    endpoints: tuple[str, ...] = ()
    schema_changes: tuple[str, ...] = ()
    auth_requirements: tuple[str, ...] = ()
    performance_requirements: tuple[str, ...] = ()
    scalability_constraints: tuple[str, ...] = ()
    third_party_integrations: tuple[str, ...] = ()
    monitoring_needs: tuple[str, ...] = ()

    @property
    def answers(self) -> dict[str, str]:
        """Every answer by its id, `endpoint-1`, `schema-1` and so on: what the tasks of a plan have to cover."""
        return {
            f"{name}-{number}": text
            for name, field in ANSWERS.items()
            for number, text in enumerate(getattr(self, field), 1)
        }


ANSWERS = {
    "endpoint": "endpoints",
    "schema": "schema_changes",
    "auth": "auth_requirements",
    "performance": "performance_requirements",
    "scalability": "scalability_constraints",
    "integration": "third_party_integrations",
    "monitoring": "monitoring_needs",
}
"""The first part of an answer's id, and the question that it answers."""
