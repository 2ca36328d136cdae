"""How the offline model plans authentication: the coordinator's own example, eight tasks on the stack at hand."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from backend_coordinator.nodes.models.offline.auth import Part, Place
from backend_coordinator.nodes.models.offline.vocabulary import AROUND_AUTHENTICATION, AUTHENTICATION

Draft = dict[str, object]

_WORD = re.compile(r"[a-z0-9/]+(?:[.-][a-z0-9]+)*")
_PLACE = re.compile(r"package (\S+), tests (\S+), application (\S+), migrations (\S+)")
_MIGRATION = re.compile(r"((?:auth_)?migrations)/\d{4}_auth\.up\.sql")


@dataclass(frozen=True)
class _Outline:
    part: Part
    title: str
    specialist: str
    needs: str
    steps: str
    output: tuple[str, ...]
    criteria: tuple[str, ...]
    security: tuple[str, ...] = ()
    performance: tuple[str, ...] = ()
    effort: str = "medium"
    covers: str = ""
    """Ids of the answers of `analysis_of_authentication`."""


_ACCOUNTS = ("__init__", "accounts", "clock", "context", "database", "manage", "passwords", "sessions", "settings")
AUTHOR = "the stack's expert"
_OUTLINES = (
    _Outline(
        "contract", "Design the authentication API contract", "api-architect", "",
        "design_contract share_contract validate_contract",
        ("OpenAPI contract of the /auth endpoints",),
        ("the contract is valid OpenAPI and names every /auth endpoint with its errors",),
        security=("every operation that needs a token declares the bearer scheme",),
        effort="quick",
        covers="endpoint-1 endpoint-2 endpoint-3",
    ),
    _Outline(
        "schema", "Design the database schema for users and sessions", "database-optimizer", "",
        "design_migration rollback_script rehearsal deployment_handover rollout_plan monitoring",
        ("schema DDL", "migrations with rollback", "docs/schema.md"),
        ("each migration goes up, down and up again with equal schemas", "every foreign key has an index"),
        security=("refresh tokens and passwords are stored as hashes only",),
        effort="quick",
        covers="schema-1",
    ),
    _Outline(
        "endpoints", "Implement the authentication endpoints", AUTHOR, "contract schema",
        "write_code write_tests document integration_test",
        ("login, logout and refresh endpoints", "tests", "README"),
        ("login, refresh and logout answer as the contract says", "the tests pass"),
        security=(
            "passwords are hashed by a well-kept library", "a refresh token works once; its reuse ends the session",
            "login is limited per account and address", "secrets come from the environment",
        ),
        covers="endpoint-1 auth-2 auth-3 monitoring-1",
        effort="large",
    ),
    _Outline(
        "oauth", "Implement the OAuth2 provider integration", AUTHOR, "contract schema",
        "write_code write_tests document integration_test",
        ("OAuth2 client with token exchange", "tests with a local provider"),
        ("the authorization code exchange works with PKCE and state", "a wrong or used state is refused"),
        security=("an account is linked by provider and subject, never by an unverified e-mail",),
        covers="endpoint-2 auth-1 integration-1",
    ),
    _Outline(
        "tokens", "Implement the JWT middleware", AUTHOR, "endpoints",
        "write_code write_tests document",
        ("verification of JWTs with key rotation", "session endpoints", "tests"),
        ("expired, tampered, unsigned and revoked tokens are refused", "tokens of the previous key stay valid"),
        security=("the algorithm is pinned; issuer, audience and times are checked",),
        covers="endpoint-3 auth-1",
    ),
    _Outline(
        "accounts", "Implement user management in the database", "database-optimizer", "schema",
        "write_code write_tests document",
        ("create, read, update, disable and delete users", "session management", "tests"),
        ("disabling a user revokes every session", "statements bind their values"),
        covers="schema-1 auth-2",
    ),
    _Outline(
        "review", "Audit the security of authentication", "backend-architect", "endpoints oauth tokens accounts",
        "security_review",
        ("docs/security.md",),
        ("docs/security.md names for each endpoint what protects it and what does not",),
        effort="quick",
        covers="auth-1 auth-2 auth-3",
    ),
    _Outline(
        "load", "Test the performance of authentication", "backend-architect", "review",
        "performance_test write_tests",
        ("a load test", "docs/performance.md with the measured figures"),
        ("the load test runs with the tests and records p95 times", "docs/performance.md tells them with the target"),
        performance=("p95 of each endpoint under 200 ms",),
        effort="quick",
        covers="performance-1",
    ),
)  # fmt: skip
_IDS: Mapping[str, str] = {outline.part: f"backend-T{number:03d}" for number, outline in enumerate(_OUTLINES, 1)}


def asks_for_authentication(objective: str) -> bool:
    """Whether the objective asks for user authentication and for nothing that this model does not write."""
    words = set(_WORD.findall(objective.lower()))
    return bool(words & AUTHENTICATION) and words <= AUTHENTICATION | AROUND_AUTHENTICATION


def part_of(packet: str) -> Part | None:
    """Which part of the example the task of a packet is, or None for any other task."""
    title = next((line[7:] for line in packet.splitlines() if line.startswith("TITLE: ")), "")
    return next((outline.part for outline in _OUTLINES if outline.title == title), None)


def place_in(packet: str) -> Place | None:
    """The place a packet's requirements name."""
    found = _PLACE.search(packet)
    return Place(*found.groups()) if found else None


def _told(place: Place) -> str:
    """As a requirement that a specialist reads, and `place_in` finds again."""
    return f"package {place.package}, tests {place.tests}, application {place.entry}, migrations {place.migrations}"


def place_for(facts: Mapping[str, Sequence[str]]) -> Place:
    """Beside the application there is, else in a new package `app`."""
    entry = next(iter(facts["applications"]), "app/main.py")
    folder = entry.rpartition("/")[0]
    tests = next((path for path in facts["test_directories"] if path in ("tests", "test")), "tests")
    ours = [found[1] for path in facts["migrations"] if (found := _MIGRATION.fullmatch(path))]
    return Place(
        package=f"{folder}/auth" if folder else "auth",
        # Beside a package `auth` at the top, tests in a folder of that name would be imported in its place.
        tests=f"{tests}/auth" if folder else f"{tests}/auth_tests",
        entry=entry,
        # A runner that is there would apply our scripts, and ours would apply those of others.
        migrations=next(iter(ours), "auth_migrations" if facts["migrations"] else "migrations"),
    )


def analysis_of_authentication() -> Mapping[str, list[str]]:
    """The seven questions for the example; what the objective leaves open is marked as assumed."""
    return {
        "endpoints": [
            "POST /auth/login, POST /auth/refresh, POST /auth/logout",
            "GET /auth/oauth/authorize and GET /auth/oauth/callback for the authorization code exchange",
            "GET /auth/me; list and revoke one's sessions under /auth/sessions",
        ],
        "schema_changes": ["tables for users, identities, sessions, refresh tokens, login attempts and OAuth2 states"],
        "auth_requirements": [
            "OAuth2 authorization code flow with PKCE and state; JWT access tokens with key rotation",
            "stored passwords are hashed; a refresh token works once; sessions can be revoked",
            "assumed: login is limited per account and address",
        ],
        "performance_requirements": ["assumed: p95 of each endpoint under 200 ms"],
        "third_party_integrations": ["one OAuth2 provider, configured by the environment; its failure is a 502"],
        "monitoring_needs": ["assumed: logs with a request id and without personal data"],
    }


def authentication_draft(objective: str, author: str, place: Place | None) -> list[Draft]:
    """The eight tasks, implementation by `author`; without a place, in a stack that this model does not write."""
    return [_task(outline, objective, author, place) for outline in _OUTLINES]


def _task(outline: _Outline, objective: str, author: str, place: Place | None) -> Draft:
    return {
        "id": _IDS[outline.part],
        "title": outline.title,
        "objective": f"{outline.title}. For the objective: {objective}",
        "specialist": author if outline.specialist == AUTHOR else outline.specialist,
        "needs": [_IDS[part] for part in outline.needs.split()],
        "requirements": {
            "technical": [_told(place)] if place else [],
            "security": list(outline.security),
            "performance": list(outline.performance),
        },
        "acceptance_criteria": list(outline.criteria),
        "success_criteria": ["every gate of the delivery passes"],
        "expected_output": list(outline.output),
        "writes": _writes(outline.part, place) if place else [],
        "steps": outline.steps.split(),
        "priority": "high" if outline.part in ("contract", "schema") else "normal",
        "effort": outline.effort,
        "service": "auth",
        "covers": outline.covers.split(),
    }


def _writes(part: Part, place: Place) -> list[str]:
    top = place.package.partition("/")[0]
    project = ["pyproject.toml", "requirements*.txt", ".gitignore", f"{top}/__init__.py"]
    shared = [f"{place.package}/**", f"{place.tests}/**", place.entry, *project]
    # No more than it writes: what else is in the package is code of the API, which its author never sees.
    accounts = [*(f"{place.package}/{name}.py" for name in _ACCOUNTS), f"{place.tests}/*.py", *project]
    own: Mapping[str, list[str]] = {
        "contract": ["openapi.yaml"],
        "schema": [f"{place.migrations}/**", "docs/schema.md"],
        "endpoints": [*shared, "README.md"],
        "oauth": [*shared, "docs/oauth.md"],
        "tokens": [*shared, "docs/tokens.md"],
        "accounts": [*accounts, "docs/accounts.md"],
        "review": ["docs/security.md"],
        "load": ["tests/load/**", "docs/performance.md"],
    }
    return own[part]
