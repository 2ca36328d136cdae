"""What is written: services that pass their own checks, alone, extended, and beside a foreign application."""

from pathlib import Path

import pytest

from backend_coordinator.nodes.models.offline.delivery import deliver, notes
from backend_coordinator.nodes.models.offline.model import Field, Resource, ServiceSpec
from backend_coordinator.nodes.models.offline.understanding import understand
from tests.offline.mutants import sample
from tests.offline.specs import NOUNS, STEPS, on_disk, problems, random_spec, run, written

FEW, MANY = range(1), range(1, 13)
LIBRARY = "CRUD API for authors with name and birth date, and books with title, price, pages, done and author"


@pytest.mark.parametrize("seed", [*FEW, *(pytest.param(seed, marks=pytest.mark.slow) for seed in MANY)])
def test_a_written_service_passes_its_own_checks(seed: int, tmp_path: Path) -> None:
    assert problems(on_disk(written(random_spec(seed)), tmp_path / "service")) == ""


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_a_second_objective_extends_what_the_first_one_left(seed: int, tmp_path: Path) -> None:
    first = written(random_spec(seed, NOUNS[:5]))
    both = written(random_spec(seed + 100, NOUNS[5:]), first)
    assert problems(on_disk(both, tmp_path / "service")) == ""
    kept = [path for path in first if path.startswith(("migrations/", "app/schemas/", "tests/"))]
    assert [path for path in kept if both[path] != first[path]] == []


@pytest.mark.parametrize("seed", [*range(4), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(4, 20))])
def test_the_same_specification_gives_the_same_bytes_and_a_second_delivery_changes_nothing(seed: int) -> None:
    once = written(random_spec(seed))
    assert written(random_spec(seed)) == once
    assert written(random_spec(seed), once) == once


@pytest.mark.parametrize("entry", ["main.py", pytest.param("app/main.py", marks=pytest.mark.slow), "src/shop/main.py"])
def test_a_foreign_application_keeps_its_files_and_gets_the_routers(entry: str, tmp_path: Path) -> None:
    source = (
        '"""Shop."""\n\nfrom fastapi import FastAPI\n\nservice = FastAPI(\n    title="shop",\n)\n\n\n'
        '@service.get("/ping")\ndef ping() -> str:\n    return "pong"\n'
    )
    ping_test = "def test_ping():\n    assert 1 + 1 == 2\n"
    theirs = {entry: source, "tests/test_ping.py": ping_test, "README.md": "# Shop\n"}
    spec = understand(LIBRARY)
    assert spec is not None
    files = written(spec, theirs)
    added = [line for line in files[entry].splitlines() if line not in source.splitlines()]
    assert len(added) == 2
    assert [line for line in files[entry].splitlines() if line not in added] == source.splitlines()
    assert files["tests/test_ping.py"] == theirs["tests/test_ping.py"]
    assert files["README.md"].startswith("# Shop\n")
    folder = on_disk(files, tmp_path / "shop")
    arguments = ("pytest", "-q", "-p", "no:cacheprovider", "-o", "pythonpath=. src", "tests")
    done = run(folder, *arguments)
    assert done.returncode == 0, done.stdout
    assert written(spec, files) == files


def test_a_field_that_names_a_resource_of_the_repository_refers_to_it() -> None:
    categories, products = (
        understand(text)
        for text in ("CRUD API for categories with name", "CRUD API for products with name and category")
    )
    assert categories is not None
    assert products is not None
    repository = written(categories)
    migrations = deliver("schema", products, repository)
    assert 'REFERENCES "categories"' in migrations["migrations/0002_products.up.sql"]
    assert 'REFERENCES "categories"' not in deliver("schema", products, {})["migrations/0001_products.up.sql"]


def test_a_relation_to_a_resource_nobody_has_is_refused() -> None:
    spec = ServiceSpec((Resource("book", "books", (Field("author").referring("authors"),)),))
    with pytest.raises(ValueError, match="no resource authors"):
        deliver("contract", spec, {})


def test_a_resource_of_the_repository_is_not_written_again_with_other_fields() -> None:
    first, other = (understand(f"CRUD API for books with {fields}") for fields in ("title", "title and pages"))
    assert first is not None
    assert other is not None
    with pytest.raises(ValueError, match="already has books"):
        deliver("implementation", other, written(first))


def test_every_step_says_what_it_did_and_why() -> None:
    spec = understand(LIBRARY)
    assert spec is not None
    for step in STEPS:
        summary, decisions = notes(step, spec)
        assert "authors, books" in summary
        assert decisions
    assert any("exact text" in decision for decision in notes("schema", spec)[1])


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_the_tests_of_a_service_notice_most_mutants(seed: int, tmp_path: Path) -> None:
    files = written(random_spec(seed))
    folder = on_disk(files, tmp_path / "service")
    code = {path: text for path, text in files.items() if path.startswith("app/") and path.endswith(".py")}
    alive = []
    for path, text, change in sample(code, 20, seed):
        (folder / path).write_text(text, encoding="utf-8")
        if run(folder, "pytest", "-q", "-x", "-p", "no:cacheprovider").returncode == 0:
            alive.append(f"{path} {change}")
        (folder / path).write_text(files[path], encoding="utf-8")
    assert len(alive) <= 4, alive
