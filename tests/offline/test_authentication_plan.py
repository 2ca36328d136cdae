"""The plan for the coordinator's own example: eight tasks, whatever the stack."""

import subprocess
from pathlib import Path

import pytest

from backend_coordinator import Coordinator
from backend_coordinator.nodes.models.offline.auth_planning import asks_for_authentication, place_for

OBJECTIVE = "Add user authentication system with OAuth2 and JWT"
A, B, C, D, E, F, G, H = (f"backend-T{number:03d}" for number in range(1, 9))
FASTAPI = {"pyproject.toml": '[project]\nname = "shop"\nversion = "1"\ndependencies = ["fastapi"]\n',
           "src/shop/main.py": "from fastapi import FastAPI\n\napp = FastAPI()\n"}  # fmt: skip
DJANGO = {"manage.py": "", "requirements.txt": "django\n"}
NODE = {"package.json": '{"name": "shop", "dependencies": {"express": "5"}}'}


def workspace(folder: Path, files: dict[str, str]) -> Path:
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    return folder


@pytest.mark.parametrize(
    ("files", "author"),
    [({}, "python-pro"), (FASTAPI, "fastapi-developer"), (DJANGO, "django-developer"), (NODE, "nodejs-expert")],
)
def test_the_example_is_eight_tasks_with_its_groups(tmp_path: Path, files: dict[str, str], author: str) -> None:
    plan = Coordinator("offline", workspace(tmp_path, files), init=True).plan(OBJECTIVE)
    assert {task.id: (task.specialist, set(task.needs)) for task in plan.tasks} == {
        A: ("api-architect", set()),
        B: ("database-optimizer", set()),
        C: (author, {A, B}),
        D: (author, {A, B}),
        E: (author, {C}),
        F: ("database-optimizer", {B}),
        G: ("backend-architect", {C, D, E, F}),
        H: ("backend-architect", {G}),
    }
    assert plan.groups == ((A, B), (C, D, F), (E,), (G,), (H,))
    assert plan[A].steps == ("design_contract", "share_contract", "validate_contract")
    assert plan[B].steps[:3] == ("design_migration", "rollback_script", "rehearsal")
    assert plan[B].steps[3:] == ("deployment_handover", "rollout_plan", "monitoring")
    assert all(task.expected_output and task.acceptance_criteria for task in plan.tasks)


def test_the_code_goes_beside_the_application_there_is(tmp_path: Path) -> None:
    plan = Coordinator("offline", workspace(tmp_path, FASTAPI), init=True).plan(OBJECTIVE)
    assert "package src/shop/auth, tests tests/auth, application src/shop/main.py" in str(plan[C].requirements)
    assert "src/shop/auth/**" in plan[C].writes


@pytest.mark.parametrize(
    ("there", "folder"),
    [
        ([], "migrations"),
        (["migrations/0001_auth.down.sql", "migrations/0001_auth.up.sql", "docs/schema.md"], "migrations"),
        (["migrations/0001_items.up.sql"], "auth_migrations"),
        (["db/changes.sql"], "auth_migrations"),
        (["auth_migrations/0001_auth.up.sql", "migrations/env.py"], "auth_migrations"),
    ],
)
def test_migrations_of_others_get_none_of_ours(there: list[str], folder: str) -> None:
    place = place_for({"applications": [], "test_directories": [], "migrations": there})
    assert place.migrations == folder


@pytest.mark.parametrize(
    "objective",
    [OBJECTIVE, "Add user authentication with OAuth2 and JWT.", "Implement OAuth 2.0 login with PKCE and JWT tokens",
     "add JWT authentication to our API"],
)  # fmt: skip
def test_wordings_that_mean_the_example(objective: str) -> None:
    assert asks_for_authentication(objective)


@pytest.mark.parametrize(
    "objective",
    ["Add SAML authentication", "Add authentication with OAuth2, JWT and passkeys", "CRUD API for users with email",
     "Add refresh tokens", "Add login with two-factor codes"],
)  # fmt: skip
def test_an_objective_that_asks_for_more_or_something_else_is_not_taken_for_it(objective: str) -> None:
    assert not asks_for_authentication(objective)


def test_a_workspace_of_another_stack_gets_the_plan_and_an_honest_refusal(tmp_path: Path) -> None:
    report = Coordinator("offline", workspace(tmp_path, NODE), init=True).start(OBJECTIVE).result()
    assert not report.accepted
    assert "it writes FastAPI services, and this repository holds another stack" in report.summary
    branches = subprocess.run(["git", "branch", "--list"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert report.branch in branches.stdout
