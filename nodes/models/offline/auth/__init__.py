"""The offline model's authentication service for FastAPI: passwords, sessions, JWT and an OAuth2 provider."""

from collections.abc import Mapping

from backend_coordinator.nodes.models.offline.auth.code import code
from backend_coordinator.nodes.models.offline.auth.contract import contract
from backend_coordinator.nodes.models.offline.auth.others import beside
from backend_coordinator.nodes.models.offline.auth.papers import NOTES, paper
from backend_coordinator.nodes.models.offline.auth.place import Files, Part, Place
from backend_coordinator.nodes.models.offline.auth.schema import schema
from backend_coordinator.nodes.models.offline.templates import template

__all__ = ["Part", "Place", "deliver", "notes"]


def deliver(part: Part, place: Place, files: Files, measured: Mapping[str, float] | None = None) -> Mapping[str, str]:
    """The full text of every file that `part` writes into a repository with these text files.

    `measured` has the figures of a load test in milliseconds by name, such as `login_p95_ms`; without them
    docs/performance.md says that nothing was measured. Raises ValueError, with a sentence for the user, when the
    part does not fit the repository.
    """
    if part == "contract":
        return {"openapi.yaml": contract(files.get("openapi.yaml", ""))}
    if part == "schema":
        return schema(place, files)
    written = paper(part, place, files, measured or {})
    if part == "load":
        test = {"tests/load/test_auth_load.py": place.filled(template("auth/load/test_auth_load"))}
        return {**written, **beside(place, files, test)}
    return written if part == "review" else {**code(part, place, files), **written}


def notes(part: Part) -> tuple[str, tuple[str, ...]]:
    """What `part` did, in a sentence, and the decisions that others should know."""
    return NOTES[part]
