"""Which subjects of the approval policy paths, lines and plans touch."""

from pathlib import Path

import pytest

from backend_coordinator.domain.plan import Task
from backend_coordinator.domain.question import Subject
from backend_coordinator.nodes.kinds import kind_of
from backend_coordinator.nodes.subjects import by_path, in_diff, in_plan
from tests.support.trees import OLD, Files, tree_of


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
        ("deploy/chart/Chart.yaml", {"infrastructure"}),
        ("Chart.yaml", {"infrastructure"}),
        ("Pulumi.yaml", {"infrastructure"}),
        ("Pulumi.prod.yaml", {"infrastructure"}),
        (".drone.yml", {"infrastructure"}),
        ("vercel.json", {"infrastructure"}),
        ("netlify.toml", {"infrastructure"}),
        ("scripts/deploy.sh", {"infrastructure"}),
        ("docs/architecture/queue.md", {"architecture"}),
        ("docs/adr/0007-queue.md", {"architecture"}),
        ("app/auth/tokens.py", {"security"}),
        ("src/middleware/authGuard.ts", {"security"}),
        ("app/permissions.py", {"security"}),
        ("config/cors.yaml", {"security"}),
        ("app/token.py", {"security"}),
        ("app/guards.ts", {"security"}),
        ("id_rsa", {"security"}),
        ("alembic/versions/0002_drop_ab_test.py", {"schema"}),
        ("shop/migrations/0002_ab_test.py", {"schema"}),
        ("app/tokenizer.py", set()),
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
        ("db/versions/2_ab_test.py", "down_revision = None\n\n\ndef upgrade():\n    pass\n", "schema"),
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


GUARDED = """@delete("/users")
@login_required
def drop():
    pass


@get("/health")
def health():
    pass
"""


@pytest.mark.parametrize(
    ("old", "new", "moved"),
    [
        (
            GUARDED,
            GUARDED.replace("@login_required\n", "").replace("def health", "@login_required\ndef health"),
            "@login_required",
        ),
        ("use(jwt)\ndelete(users)\nget(health)\n", "delete(users)\nuse(jwt)\nget(health)\n", "use(jwt)"),
        (
            GUARDED,
            '@post("/users")\ndef make():\n    pass\n\n\n' + GUARDED.replace("    pass", "    return 1", 1),
            None,
        ),
    ],
    ids=["to another route", "below a route", "lines around it"],
)
def test_a_guard_that_moves_past_other_lines_is_seen(tmp_path: Path, old: str, new: str, moved: str | None) -> None:
    found = between(tmp_path, {**OLD, "app/main.py": old}, {**OLD, "app/main.py": new})
    assert found == ({"security": [f"app/main.py: {moved}"]} if moved else {})
