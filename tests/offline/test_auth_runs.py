"""The written authentication service at work: every part alone, all of them merged, and in existing repositories."""

import itertools
import subprocess
import sys
from pathlib import Path

import pytest

from backend_coordinator.nodes.models.offline.auth import Part, Place
from backend_coordinator.nodes.models.offline.auth_planning import place_for
from backend_coordinator.nodes.models.offline.understanding import understand
from tests.offline.auth_places import BESIDE, COUNTING, FOREIGN, NEW, PARTS, SHOP, extended
from tests.offline.specs import on_disk, problems, run, written

SIDE_BY_SIDE: tuple[Part, ...] = ("endpoints", "oauth", "accounts")


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=Test", "-c", "user.email=test@example.com")
    command = ["git", *identity, *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout.strip()


def committed(folder: Path, files: dict[str, str], message: str) -> None:
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", message)


@pytest.mark.slow
def test_accounts_pass_their_own_checks_without_the_endpoints(tmp_path: Path) -> None:
    folder = on_disk(extended(NEW, {}, ("schema", "accounts")), tmp_path / "service")
    done = run(folder, "pytest", "-q", "-x", "-p", "no:cacheprovider", "-W", "error")
    assert done.returncode == 0, done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("part", SIDE_BY_SIDE)
def test_a_part_alone_passes_its_own_checks(part: Part, tmp_path: Path) -> None:
    folder = on_disk(extended(NEW, {}, ("contract", "schema", part)), tmp_path / "service")
    assert problems(folder) == ""


@pytest.mark.parametrize(("place", "files"), [(NEW, {}), (FOREIGN, SHOP)])
def test_parts_written_side_by_side_merge_in_any_order_into_equal_trees(
    place: Place, files: dict[str, str], tmp_path: Path
) -> None:
    git(tmp_path, "init", "-q", "-b", "main")
    base = extended(place, files, ("contract", "schema"))
    committed(tmp_path, base, "base")
    for part in SIDE_BY_SIDE:
        git(tmp_path, "checkout", "-q", "-b", part, "main")
        committed(tmp_path, extended(place, base, (part,)), part)
    trees = set()
    for number, order in enumerate(itertools.permutations(SIDE_BY_SIDE)):
        git(tmp_path, "checkout", "-q", "-b", f"merged-{number}", "main")
        for part in order:
            git(tmp_path, "merge", "-q", "--no-edit", part)
        trees.add(git(tmp_path, "rev-parse", "HEAD^{tree}"))
    assert len(trees) == 1
    whole = extended(place, files, PARTS[:5])
    assert {path: (tmp_path / path).read_text() for path in whole} == whole


@pytest.mark.slow
def test_the_whole_service_passes_its_own_checks(tmp_path: Path) -> None:
    folder = on_disk(extended(NEW, {}), tmp_path / "service")
    assert problems(folder) == ""


@pytest.mark.slow
def test_a_foreign_application_and_its_tests_go_on(tmp_path: Path) -> None:
    folder = on_disk(extended(FOREIGN, SHOP), tmp_path / "shop")
    done = run(folder, "pytest", "-q", "-p", "no:cacheprovider")
    assert done.returncode == 0, done.stdout
    assert run(folder, "mypy", "--strict", "--cache-dir=/dev/null", "src/shop/auth").stdout.startswith("Success")


@pytest.mark.slow
def test_a_service_for_rows_gets_accounts_and_then_more_rows(tmp_path: Path) -> None:
    spec = understand("CRUD API for books with title and pages")
    assert spec is not None
    files = extended(BESIDE, written(spec))
    more = understand("CRUD API for shelves with name and width")
    assert more is not None
    folder = on_disk(written(more, files), tmp_path / "service")
    # Its lines may be longer than ours are, so its formatter joins some.
    assert run(folder, "ruff", "format", "--no-cache", ".").returncode == 0
    assert problems(folder) == ""


BOTH = """
import sys
from fastapi.testclient import TestClient
from app.main import app
from app.auth import accounts, database

def items():
    assert TestClient(app).get("/items/count").json() == 0

def users():
    accounts.create("ada@example.com", "a" * 12)
    assert [user.email for user in accounts.page(9, 0)] == ["ada@example.com"]

for step in sys.argv[1].split():
    globals()[step]()
assert database.status() == database.downgrade() == ["0001_auth"]
items()
"""


@pytest.mark.parametrize("order", ["items users", "users items"])
@pytest.mark.parametrize("names", [{}, {"DATABASE_PATH": "one.db", "AUTH_DATABASE_PATH": "one.db"}])
def test_an_application_goes_on_applying_its_own_migrations_only(
    order: str, names: dict[str, str], tmp_path: Path
) -> None:
    there = sorted(path for path in COUNTING if path.startswith("migrations/"))
    place = place_for({"applications": ["app/main.py"], "test_directories": [], "migrations": there})
    folder = on_disk(extended(place, COUNTING), tmp_path)
    command = [sys.executable, "-B", "-c", BOTH, order]
    done = subprocess.run(command, cwd=folder, env=names, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_the_load_test_tells_its_figures(tmp_path: Path) -> None:
    folder = on_disk(extended(NEW, {}), tmp_path / "service")
    done = run(folder, "pytest", "-q", "-p", "no:cacheprovider", "tests/load", "--junitxml=load.xml")
    assert done.returncode == 0, done.stdout
    report = (folder / "load.xml").read_text()
    for name in ("login", "refresh", "me"):
        assert f'name="{name}_p95_ms"' in report
