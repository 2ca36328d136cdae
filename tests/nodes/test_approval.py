"""What the approval policy makes of paths, lines, plans and deliveries, without a run."""

from collections.abc import Mapping
from pathlib import Path
from typing import get_args

import pytest

from backend_coordinator.domain.delivery import Artifact, Delivery
from backend_coordinator.domain.plan import Task
from backend_coordinator.domain.question import Answer, Choice, Subject
from backend_coordinator.nodes import approval
from backend_coordinator.nodes.context import RunContext
from backend_coordinator.nodes.gates.checks.versioning import broken_between
from backend_coordinator.nodes.kinds import kind_of
from backend_coordinator.nodes.subjects import by_path, in_diff, in_plan
from backend_coordinator.nodes.workspace.trees import Tree
from backend_coordinator.settings import Approval

Files = Mapping[str, str]
OLD: Files = {"app/main.py": "def total(rows):\n    return sum(rows)\n", "pyproject.toml": '[project]\nname = "shop"\n'}


def tree_of(folder: Path, files: Files) -> Tree:
    """These files as a tree."""
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    return Tree(oid=folder.name, path=folder, files=tuple(sorted(files)))


def between(tmp_path: Path, old: Files, new: Files) -> dict[str, list[str]]:
    """What speaks for each subject when these files become those."""
    changed = sorted(path for path in {*old, *new} if old.get(path) != new.get(path))
    found = in_diff(tree_of(tmp_path / "old", old), tree_of(tmp_path / "new", new), changed)
    return {subject: list(reasons) for subject, reasons in found.items()}


@pytest.mark.parametrize(
    ("path", "subjects"),
    [
        ("openapi.yaml", {"api_contract"}),
        ("schema/orders.graphql", {"api_contract"}),
        ("proto/orders.proto", {"api_contract"}),
        ("migrations/0002_orders.sql", {"schema"}),
        ("alembic/versions/1a_orders.py", {"schema"}),
        ("shop/models.py", {"schema"}),
        ("prisma/schema.prisma", {"schema"}),
        ("Dockerfile", {"infrastructure"}),
        ("docker-compose.yml", {"infrastructure"}),
        (".github/workflows/ci.yml", {"infrastructure"}),
        (".gitlab-ci.yml", {"infrastructure"}),
        ("k8s/api.yaml", {"infrastructure"}),
        ("main.tf", {"infrastructure"}),
        ("nginx/site.conf", {"infrastructure"}),
        ("ops/shop.service", {"infrastructure"}),
        ("Procfile", {"infrastructure"}),
        ("scripts/deploy.sh", {"infrastructure"}),
        ("docs/architecture/queue.md", {"architecture"}),
        ("docs/adr/0007-queue.md", {"architecture"}),
        ("app/auth/tokens.py", {"security"}),
        ("src/middleware/authGuard.ts", {"security"}),
        ("app/permissions.py", {"security"}),
        ("config/cors.yaml", {"security"}),
        (".env", {"security"}),
        ("certs/server.key", {"security"}),
        ("backend-coordinator.toml", {"security"}),
        ("app/orders.py", set()),
        ("app/authors.py", set()),
        ("db/session.py", set()),
        (".env.example", set()),
        ("README.md", set()),
        ("docs/auth.md", set()),
        ("docs/schema.md", set()),
        ("tests/test_auth.py", set()),
        ("tests/migrations/data.sql", set()),
    ],
)
def test_a_path_stands_for_its_subjects(path: str, subjects: set[Subject]) -> None:
    assert by_path(path) == subjects


def test_the_user_s_own_rules_for_paths_decide_here_too() -> None:
    rules = {"api/spec/**": kind_of("openapi.yaml")}
    assert by_path("api/spec/orders.txt", rules) == {"api_contract"}


@pytest.mark.parametrize(
    ("path", "text", "subject"),
    [
        ("app/main.py", "app.add_middleware(CORSMiddleware, allow_origins=['*'])\n", "security"),
        ("app/main.py", "user = Depends(get_current_user)\n", "security"),
        ("app/main.py", "import hashlib\n", "security"),
        ("app/views.py", "    permission_classes = [AllowAny]\n", "security"),
        ("app/main.py", "db.execute('ALTER TABLE orders ADD COLUMN note TEXT')\n", "schema"),
        ("app/tables.py", "    total = mapped_column(Integer)\n", "schema"),
        ("db/versions/1_start.py", "down_revision = None\n\n\ndef upgrade():\n    pass\n", "schema"),
        ("Makefile", "ship:\n\tkubectl apply -f site\n", "infrastructure"),
        ("pyproject.toml", '[tool.backend-coordinator.approval]\npreset = "autonomous"\n', "security"),
    ],
)
def test_a_changed_line_speaks_for_a_subject_also_when_it_goes(
    tmp_path: Path, path: str, text: str, subject: str
) -> None:
    with_it = {**OLD, path: OLD.get(path, "") + text}
    without = {**OLD, path: OLD.get(path, "") + "\n"}
    assert set(between(tmp_path / "comes", without, with_it)) >= {subject}
    assert set(between(tmp_path / "goes", with_it, without)) >= {subject}


def test_lines_that_stay_and_prose_and_tests_speak_for_nothing(tmp_path: Path) -> None:
    guarded = {**OLD, "app/main.py": OLD["app/main.py"] + "user = Depends(get_current_user)\n"}
    more = {
        **guarded,
        "app/main.py": guarded["app/main.py"] + "PAGE = 20\n",
        "NOTES.md": "we CREATE TABLE orders and use hashlib\n",
        "tests/test_app.py": "import hashlib\n",
    }
    assert between(tmp_path, guarded, more) == {}


def test_new_folders_with_code_and_new_packages_are_architecture(tmp_path: Path) -> None:
    new = {
        **OLD,
        "billing/core.py": "TAX = 2\n",
        "services/mail/pyproject.toml": '[project]\nname = "mail"\n',
        "services/mail/mail.py": "SENDER = 'shop'\n",
        "notes/today.txt": "nothing\n",
        "app/more.py": "MORE = 1\n",
    }
    assert between(tmp_path, OLD, new) == {
        "architecture": ["services/mail: a new package or service", "billing/: a new folder with code",
                         "services/: a new folder with code"]
    }  # fmt: skip


def test_a_plan_says_what_it_will_touch() -> None:
    def made(number: int, title: str, *steps: str, writes: tuple[str, ...] = ()) -> Task:
        known = {"id": f"backend-T{number:03d}", "title": title, "objective": "o", "specialist": "python-pro"}
        return Task.model_validate({**known, "steps": steps, "writes": writes})

    tasks = (
        made(1, "Orders contract", "design_contract"),
        made(2, "Orders table", "design_migration", "rollback_script"),
        made(3, "Login endpoint", "write_code"),
        made(4, "Image", "write_code", writes=("Dockerfile", "app/**")),
        made(5, "Review of the login", "security_review"),
    )
    assert in_plan(tasks) == {
        "api_contract": ("backend-T001",),
        "infrastructure": ("backend-T004",),
        "schema": ("backend-T002",),
        "security": ("backend-T003",),
    }


PRESETS = {
    "autonomous": set(),
    "guarded": set(get_args(Subject)) - {"plan", "architecture"},
    "strict": set(get_args(Subject)),
}


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_asks_about_its_subjects_and_single_ones_override_it(preset: str) -> None:
    policy = Approval.model_validate({"preset": preset})
    assert {subject for subject in get_args(Subject) if policy.asks(subject)} == PRESETS[preset]
    assert policy.tools == "deny"
    changed = Approval.model_validate({"preset": preset, "schema": "deny", "security": "auto"})
    assert (changed.refuses("schema"), changed.policy("security")) == ("approval.schema is deny", "auto")
    assert changed.policy("api_contract") == policy.policy("api_contract")
    assert Approval.model_validate_json(changed.model_dump_json()) == changed


def test_where_nobody_is_there_to_ask_asking_is_refusing() -> None:
    policy = Approval(preset="strict", security="auto", unattended=True)
    assert not policy.asks("schema")
    assert policy.refuses("schema") == "a batch cannot ask: approval.schema"
    assert policy.refuses("security") is None


def delivered(context: RunContext, **shas: str) -> Delivery:
    artifacts = tuple(
        Artifact(path=path, kind=kind_of(path), sha256=sha, change="modified") for path, sha in shas.items()
    )
    head = context.repository.head()
    return Delivery(
        task="backend-T001", attempt=1, specialist="python-pro", summary="the work", commit=head, artifacts=artifacts
    )


def test_an_agreement_holds_while_the_files_of_its_subject_stay_as_they_were(context: RunContext, task: Task) -> None:
    def answered(delivery: Delivery, found: approval.Found, decision: Choice) -> None:
        question = approval.question_about(context, task, context.repository.head(), delivery, found, added={})
        assert question is not None
        context.ledger.ask(question)
        context.ledger.answer(question.id, Answer(decision=decision, by="lead"))

    found: approval.Found = {"schema": {"models.py": "models.py"}, "infrastructure": {"Dockerfile": "Dockerfile"}}
    first = delivered(context, **{"models.py": "1", "Dockerfile": "1", "app.py": "1"})
    answered(first, found, "approve")
    assert approval.undecided(context, first, found) == {}
    later = delivered(context, **{"models.py": "1", "Dockerfile": "2", "app.py": "2"})
    left = approval.undecided(context, later, found)
    assert set(left) == {"infrastructure"}
    elsewhere = first.model_copy(update={"task": "backend-T002"})
    assert set(approval.undecided(context, elsewhere, found)) == {"schema", "infrastructure"}
    answered(later, left, "approve_run")
    assert set(approval.undecided(context, elsewhere, found)) == {"schema"}


CONTRACT = """openapi: 3.1.0
info: {title: shop, version: 1.2.0}
paths:
  /orders:
    get: {responses: {"200": {description: all orders}}}
"""


@pytest.mark.parametrize(
    ("after", "broken"),
    [
        ({}, ("openapi.yaml is gone",)),
        ({"openapi.yaml": CONTRACT.replace("/orders", "/sales")}, ("openapi.yaml: GET /orders is gone",)),
        ({"api/openapi.yaml": CONTRACT}, ()),
        ({"openapi.yaml": CONTRACT.replace("all orders", "the orders")}, ()),
    ],
    ids=["removed", "an operation gone", "moved", "reworded"],
)
async def test_a_breaking_change_is_told_by_the_contracts_alone(
    tmp_path: Path, context: RunContext, after: Files, broken: tuple[str, ...]
) -> None:
    old, new = tree_of(tmp_path / "old", {**OLD, "openapi.yaml": CONTRACT}), tree_of(tmp_path / "new", {**OLD, **after})
    assert await broken_between(old, new, await context.environment(new.path)) == broken
