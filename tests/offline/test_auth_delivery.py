"""What each part of the authentication service writes, and how the parts fit together and into a repository."""

import ast
import itertools
import re

import pytest
import yaml

from backend_coordinator.nodes.models.offline.auth import Part, Place, deliver, notes
from backend_coordinator.nodes.models.offline.auth.entry import with_api
from backend_coordinator.nodes.models.offline.understanding import understand
from tests.offline.auth_places import BESIDE, FOREIGN, NEW, PARTS, SHOP, extended
from tests.offline.specs import written

SIDE_BY_SIDE: tuple[Part, ...] = ("endpoints", "oauth", "accounts")


@pytest.mark.parametrize(("place", "files"), [(NEW, {}), (FOREIGN, SHOP)])
def test_parts_written_side_by_side_share_equal_files_only(place: Place, files: dict[str, str]) -> None:
    base = extended(place, files, ("contract", "schema"))
    trees = {part: deliver(part, place, base) for part in SIDE_BY_SIDE}
    for first, second in itertools.combinations(SIDE_BY_SIDE, 2):
        shared = trees[first].keys() & trees[second].keys()
        assert f"{place.package}/sessions.py" in shared
        assert [path for path in shared if trees[first][path] != trees[second][path]] == []


@pytest.mark.parametrize(("place", "files"), [(NEW, {}), (FOREIGN, SHOP)])
def test_parts_that_follow_change_no_file_of_the_others(place: Place, files: dict[str, str]) -> None:
    base = extended(place, files, PARTS[:5])
    for part in PARTS[5:]:
        found = deliver(part, place, base)
        assert not found.keys() & base.keys()
        base |= found


@pytest.mark.parametrize(("place", "files"), [(NEW, {}), (FOREIGN, SHOP)])
def test_equal_input_gives_equal_bytes_and_a_second_delivery_changes_nothing(
    place: Place, files: dict[str, str]
) -> None:
    once = extended(place, files)
    assert extended(place, files) == once
    assert extended(place, once) == once


def test_a_part_that_sees_little_writes_what_it_would_write_seeing_everything() -> None:
    base = extended(FOREIGN, SHOP, ("contract", "schema"))
    visible = {path: text for path, text in base.items() if "requirements" in path or path == "pyproject.toml"}
    assert deliver("accounts", FOREIGN, visible) == deliver("accounts", FOREIGN, base)


def test_an_existing_application_gets_two_lines_and_what_it_needs() -> None:
    files = extended(FOREIGN, SHOP)
    changed = {path for path in SHOP if files[path] != SHOP[path]}
    assert changed == {"src/shop/main.py", "requirements.txt", "README.md"}
    old, new = (text.splitlines() for text in (SHOP["src/shop/main.py"], files["src/shop/main.py"]))
    assert [line for line in new if line not in old] == [
        "from shop.auth.api import api as auth_api",
        "    service.include_router(auth_api)",
    ]
    assert new.index("from shop.auth.api import api as auth_api") == new.index("from shop.prices import FULL") - 1
    assert new[new.index("    service.include_router(auth_api)") - 1] == "    service.include_router(router)"
    assert files["requirements.txt"].splitlines()[2:] == ["argon2-cffi>=23.1", "httpx2>=2", "pyjwt>=2.10"]
    assert files["README.md"].startswith("# Shop\n")
    assert {path for path in files if "migrations/0" in path} == {
        "auth_migrations/0001_auth.up.sql",
        "auth_migrations/0001_auth.down.sql",
    }


@pytest.mark.parametrize(
    ("project", "expected"),
    [
        (
            '[project]\nname = "x"\ndependencies = ["fastapi[all]>=0.1", "uvicorn"] # a ] here\n',
            'dependencies = ["fastapi[all]>=0.1", "uvicorn", "argon2-cffi>=23.1", "httpx2>=2", "pyjwt>=2.10"] # a ]',
        ),
        (
            "[project]\ndependencies = [\n    'fastapi', # web ]\n    'uvicorn', 'PyJWT'\n]\n",
            "    'uvicorn', 'PyJWT',\n    \"argon2-cffi>=23.1\",\n    \"httpx2>=2\",\n]\n",
        ),
        ("[project]\ndependencies = []\n", '["argon2-cffi>=23.1", "fastapi>=0.165", "httpx2>=2", "pyjwt'),
        ('[tool.poetry.dependencies]\nfastapi = "0.1"\nuvicorn = "*"\n', 'fastapi = "0.1"\nargon2-cffi = ">=23.1"\n'),
        ('[project]\ndependencies = ["fastapi", "httpx"]\n', '"httpx", "argon2-cffi>=23.1", "pyjwt'),
        ('[project]\ndependencies = ["fastapi<0.100"]\n', '"argon2-cffi>=23.1", "httpx", "pyjwt'),
    ],
)
def test_dependencies_go_where_the_project_declares_its_own(project: str, expected: str) -> None:
    files = deliver("accounts", NEW, {"pyproject.toml": project})
    assert expected in files["pyproject.toml"]
    assert files["requirements-dev.txt"] == "pytest>=8\n"


@pytest.mark.parametrize(
    "files",
    [
        {"setup.py": "setup()"},
        {"requirements.txt": "fastapi==1 --hash=sha256:ab\n"},
        {"pyproject.toml": 'project = {dependencies = ["fastapi"]}\n'},
    ],
)
def test_a_project_that_cannot_be_extended_is_told_what_to_add(files: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"add argon2-cffi>=23\.1"):
        deliver("accounts", NEW, files)


def test_an_older_client_is_used_where_the_project_has_it() -> None:
    for listed, line in (("httpx", "import httpx\n"), ("httpx2", "import httpx2 as httpx\n")):
        files = {**SHOP, "requirements-dev.txt": f"{listed}\npytest\n", "requirements.txt": "fastapi\n"}
        assert f"\n{line}" in deliver("oauth", FOREIGN, files)["src/shop/auth/provider.py"]


def test_an_application_made_elsewhere_is_refused() -> None:
    files = {**SHOP, "src/shop/main.py": "from shop.other import app\n"}
    with pytest.raises(ValueError, match="makes the application"):
        deliver("endpoints", FOREIGN, files)


@pytest.mark.parametrize(
    "rest",
    [
        "for router in ():\n    app.include_router(router)\n",
        "DEBUG = False\nif DEBUG:\n    app.include_router(APIRouter())\n",
        "def other() -> None:\n    app = FastAPI()\n    app.include_router(APIRouter())\n",
    ],
)
def test_the_routes_are_included_once_whatever_else_is(rest: str) -> None:
    text = f"from fastapi import APIRouter, FastAPI\n\napp = FastAPI()\n{rest}"
    found = with_api(text, "shop.auth")
    assert "\napp = FastAPI()\napp.include_router(auth_api)\n" in found
    assert found.endswith(rest)


def test_an_application_made_without_imports_before_it_gets_the_routes() -> None:
    made = "def create():\n    from fastapi import FastAPI\n    app = FastAPI()\n"
    imported, included = "from shop.auth.api import api as auth_api\n", "    app.include_router(auth_api)\n"
    assert with_api(made, "shop.auth") == f"{imported}{made}{included}"
    assert with_api(f'"""Shop."""\n{made}', "shop.auth") == f'"""Shop."""\n{imported}{made}{included}'
    late = "import fastapi\napp = fastapi.FastAPI()\nfrom shop import routes\n"
    assert with_api(late, "shop.auth").startswith(f"import fastapi\n{imported}app = ")


def test_an_application_made_in_branches_is_refused() -> None:
    text = "from fastapi import FastAPI\nif __debug__:\n    app = FastAPI(debug=True)\nelse:\n    app = FastAPI()\n"
    with pytest.raises(ValueError, match="makes the application"):
        with_api(text, "shop.auth")


@pytest.mark.parametrize(
    ("part", "path", "text"),
    [
        ("endpoints", "src/shop/auth/__init__.py", '"""Who may buy."""\n'),
        ("accounts", "src/shop/auth/__init__.py", '"""Who may buy."""\n'),
        ("endpoints", "src/shop/auth/errors.py", "class Denied(Exception):\n    pass\n"),
        ("endpoints", "src/shop/auth/clock.py", "def now(:\n"),
        ("oauth", "src/shop/auth/buyers.py", "BUYERS = 3\n"),
        ("oauth", "src/shop/auth.py", "USER = 'ada'\n"),
        ("accounts", "tests/auth/test_buyers.py", "def test_nothing() -> None:\n    pass\n"),
        ("tokens", "src/shop/auth/verification.py", '"""Ours."""\n'),
        ("accounts", "docs/accounts.md", "# Accounts\n\nOf our customers.\n"),
        ("load", "docs/performance.md", "# Performance\n\nOf the tills.\n"),
        ("load", "tests/load/test_auth_load.py", "LOAD = 3\n"),
    ],
)
def test_nothing_of_the_repository_is_replaced(part: Part, path: str, text: str) -> None:
    with pytest.raises(ValueError, match=f"its own {re.escape(path)}, .* first"):
        deliver(part, FOREIGN, {**SHOP, path: text})


def test_what_a_formatter_or_a_reader_did_to_our_files_stays() -> None:
    once = extended(FOREIGN, SHOP)
    ours = {path: text for path, text in once.items() if path not in SHOP and path.endswith((".py", "oauth.md"))}
    mended = {path: text.replace('"""\n\nimport', '"""\n# Mended.\nimport', 1) for path, text in ours.items()}
    mended["docs/oauth.md"] += "\nOurs is called Keycloak.\n"
    assert len({path for path in ours if mended[path] != ours[path]}) > 9
    assert extended(FOREIGN, {**once, **mended}) == {**once, **mended}


def test_a_package_that_is_there_keeps_its_docstring() -> None:
    assert extended(NEW, {"app/__init__.py": '"""Ours."""\n'})["app/__init__.py"] == '"""Ours."""\n'


@pytest.mark.parametrize("name", ["0001_items.up.sql", "0003_auth.up.sql"])
def test_the_folder_of_another_tool_gets_no_script_of_ours(name: str) -> None:
    with pytest.raises(ValueError, match=f"migrations/{name} belongs to another tool"):
        deliver("schema", NEW, {f"migrations/{name}": "CREATE TABLE items (id INTEGER);\n"})


def test_the_record_of_tables_tells_how_to_bring_them_in() -> None:
    for place, script in ((NEW, "migrations/0001_auth"), (BESIDE, "auth_migrations/0001_auth")):
        text = deliver("schema", place, {})["docs/schema.md"]
        for heading in ("Rehearsal", "Handover to database-admin", "Rollout and the way back", "After it"):
            assert f"\n### {heading}\n" in text
        assert f"`{script}.down.sql`" in text


def test_the_contract_says_that_the_frontend_has_not_validated_it() -> None:
    told = yaml.safe_load(deliver("contract", NEW, {})["openapi.yaml"])["info"]["description"]
    assert "frontend, which has not validated this contract yet" in told
    summary, decisions = notes("contract")
    assert "validated" in summary
    assert "validated" in decisions[0]


def test_a_table_of_the_repository_is_not_made_again() -> None:
    theirs = {"migrations/0001_people.up.sql": "create table users (id INTEGER);\n"}
    with pytest.raises(ValueError, match="already has a table users"):
        deliver("schema", NEW, theirs)


def test_contracts_are_joined_and_conflicts_are_refused() -> None:
    spec = understand("CRUD API for books with title and pages")
    assert spec is not None
    theirs = written(spec)["openapi.yaml"]
    both = yaml.safe_load(deliver("contract", NEW, {"openapi.yaml": theirs})["openapi.yaml"])
    before = yaml.safe_load(theirs)
    assert both["info"] == before["info"]
    assert {path: both["paths"][path] for path in before["paths"]} == before["paths"]
    assert "/auth/login" in both["paths"]
    with pytest.raises(ValueError, match="/auth/login"):
        deliver("contract", NEW, {"openapi.yaml": "openapi: 3.1.0\npaths: {/auth/login: {}}\n"})


def test_the_review_and_the_record_of_tables_follow_what_is_there() -> None:
    theirs = {"docs/security.md": "# Security review\n\nOurs.\n", "docs/schema.md": "# Schema\n\nOurs.\n"}
    review = deliver("review", NEW, theirs)["docs/security.md"]
    schema = deliver("schema", NEW, theirs)["docs/schema.md"]
    for text in (review, schema):
        assert text.partition("\n\n")[2].startswith("Ours.\n\n## ")
        assert len(re.findall(r"(?m)^# ", text)) == 1
    assert "No person" in review
    again = {"docs/security.md": review, "docs/schema.md": schema}
    assert deliver("review", NEW, again)["docs/security.md"] == review


def test_figures_are_told_only_when_they_were_measured() -> None:
    assert "Not measured" in deliver("load", NEW, {})["docs/performance.md"]
    figures = {"login_p95_ms": 250.04, "me_p95_ms": 3.0}
    text = deliver("load", NEW, {}, figures)["docs/performance.md"]
    assert "| login | 250.0 ms | missed |\n| me | 3.0 ms | met |\n" in text
    assert "Not measured" not in text


@pytest.mark.parametrize("place", [NEW, FOREIGN, Place("auth", "tests/auth_tests", "main.py", "migrations")])
def test_no_placeholder_is_left(place: Place) -> None:
    for path, text in extended(place, SHOP if place is FOREIGN else {}).items():
        left = re.search(
            r"\b(?:PKG|FOLDER|MAIN|TESTS|DEPTH|MIGRATIONS_DIR|VERSIONS_TABLE|SCRIPT|FILE_\w+|TOP|FIGURES|CORS_ROW|START|WITHOUT_KEYS)\b",
            text,
        )
        assert left is None, (path, left)
        if path.endswith(".py"):
            ast.parse(text)


def test_every_part_says_what_it_did_and_why() -> None:
    for part in PARTS:
        summary, decisions = notes(part)
        assert summary.endswith(".")
        assert decisions
