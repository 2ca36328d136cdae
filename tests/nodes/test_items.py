"""What a user gives to know: every form of it, the kinds it gets, and what is refused."""

from pathlib import Path

import pytest

from backend_coordinator.domain.context import ContextItem, ContextKind
from backend_coordinator.errors import ConfigurationError
from backend_coordinator.nodes.items import MOST_FILES, MOST_OF_A_FILE, items_of

SPEC = """# Shop
who we are
## api_contract: Login
POST /login
### Errors
401 for a wrong password
#### Error handling
one shape for all
### After it
logged
## DATABASE  schema
users(id)
```sql
## business_logic: no heading
```
## Security requirements - Passwords
argon2
## Everything else
tea
"""


def told(folder: Path, *given: str) -> dict[tuple[str, str], str]:
    return {(item.kind.value, item.source): item.text for item in items_of(given, folder)}


def test_a_markdown_file_is_split_at_headings_that_begin_with_a_kind(tmp_path: Path) -> None:
    (tmp_path / "spec.md").write_text(SPEC)
    assert told(tmp_path, "spec.md") == {
        ("documentation", "spec.md"): "# Shop\nwho we are\n## Everything else\ntea",
        ("api_contract", "spec.md, Login"): "POST /login\n### Errors\n401 for a wrong password\n### After it\nlogged",
        ("error_handling", "spec.md"): "one shape for all",
        ("database_schema", "spec.md"): "users(id)\n```sql\n## business_logic: no heading\n```",
        ("security_requirement", "spec.md, Passwords"): "argon2",
    }


def test_a_kind_before_the_path_is_that_of_all_that_no_heading_names(tmp_path: Path) -> None:
    (tmp_path / "spec.md").write_text("be quick\n# Data model: Orders\nan order has lines\n")
    assert told(tmp_path, "performance requirement=spec.md") == {
        ("performance_requirement", "spec.md"): "be quick",
        ("data_model", "spec.md, Orders"): "an order has lines",
    }


@pytest.mark.parametrize(
    "fence",
    [
        "```SELECT 1```",
        "~~~\n```\n~~~",
        "````md\n```\nx\n```\n````",
        "```sql\n~~~\n```",
        "- ```sql\n  x\n  ```",
        "```\nleft open",
        "```left open\n\n```sql\nx\n```",
    ],
)
def test_no_fence_hides_a_heading_behind_it(tmp_path: Path, fence: str) -> None:
    (tmp_path / "a.md").write_text(f"## API contract\n{fence}\n## Database implementation\nkey\n## Operations\nx\n")
    assert told(tmp_path, "a.md") == {
        ("api_contract", "a.md"): fence,
        ("database_implementation", "a.md"): "key",
        ("operations", "a.md"): "x",
    }


@pytest.mark.parametrize(
    "title", ["1. API contract: x", "2.1) API contract - x", "**API contract**: x", "_API contract_: `x`"]
)
def test_a_numbered_or_emphasised_heading_is_one(tmp_path: Path, title: str) -> None:
    (tmp_path / "a.md").write_text(f"# {title}\nlogin\n")
    assert told(tmp_path, "a.md") == {("api_contract", "a.md, x"): "login"}


@pytest.mark.parametrize(
    ("title", "kind"),
    [
        ("Databse schema: typo", "database_schema"),
        ("Security", "security_requirement"),
        ("Performance requirments", "performance_requirement"),
    ],
)
def test_a_heading_that_is_nearly_a_kind_is_refused(tmp_path: Path, title: str, kind: str) -> None:
    (tmp_path / "a.md").write_text(f"## API contract\nlogin\n## {title}\nx\n")
    with pytest.raises(ConfigurationError, match=f"{title}' nobody would hear: did you mean {kind}"):
        items_of(["a.md"], tmp_path)
    assert told(tmp_path, "documentation=a.md")["documentation", "a.md"] == f"## {title}\nx"


def test_other_files_and_folders_get_their_kinds_by_path(tmp_path: Path) -> None:
    for name in ("api/openapi.yaml", "api/db/migrations/1.sql", "api/web.css", "api/.env", "api/.git/x", "api/id_rsa"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"{name}\r\n")
    assert told(tmp_path, "api") == {
        ("api_contract", "api/openapi.yaml"): "api/openapi.yaml",
        ("database_schema", "api/db/migrations/1.sql"): "api/db/migrations/1.sql",
        ("frontend_markup", "api/web.css"): "api/web.css",
    }
    assert set(told(tmp_path, "query_pattern=api/web.css")) == {("query_pattern", "web.css")}


def test_texts_and_items_are_taken_as_they_are_and_once(tmp_path: Path) -> None:
    (tmp_path / "a=b.sql").write_text("select 1")
    item = ContextItem(kind=ContextKind.QUERY_PATTERN, source="user", text="by id")
    given = [item, ("Query pattern", "by id"), ["query_pattern", "by id"], {"kind": "query-pattern", "text": "by id"}]
    assert items_of(given) == (item,)
    assert [each.text for each in items_of([tmp_path / "a=b.sql", str(tmp_path / "a=b.sql")])] == ["select 1"]
    assert items_of([("api_contract", " \n")]) == ()


@pytest.mark.parametrize(
    ("name", "data", "why"),
    [
        ("notes.md", b"# Notes\nnice", r"says of no part whom it is for: write KIND=notes\.md, or headings such as"),
        ("logo.png", b"\x89PNG\xff\x00", r"logo\.png is no text in UTF-8"),
        ("zero.sql", b"a\x00b", r"zero\.sql is no text in UTF-8"),
        ("long.sql", b"x" * (MOST_OF_A_FILE + 1), r"long\.sql has more than 256,000 characters"),
        ("kin=a.sql", None, "'kin' is no kind of context: use one of api_requirement, "),
        ("gone.sql", None, r"gone\.sql cannot be read \(No such file or directory\)"),
    ],
)
def test_what_cannot_be_used_is_refused_by_name(tmp_path: Path, name: str, data: bytes | None, why: str) -> None:
    if data is not None:
        (tmp_path / name).write_bytes(data)
    with pytest.raises(ConfigurationError, match=f"^context: .*{why}"):
        items_of([name], tmp_path)


def test_too_much_is_refused(tmp_path: Path) -> None:
    for number in range(MOST_FILES + 1):
        (tmp_path / f"{number}.sql").write_text("x")
    with pytest.raises(ConfigurationError, match="has more than 200 files"):
        items_of([tmp_path])
    with pytest.raises(ConfigurationError, match=r"more than 1,000,000 characters"):
        items_of([("api_contract", f"{number}" * 250_000) for number in range(5)])


def test_a_graph_s_state_names_no_paths(tmp_path: Path) -> None:
    (tmp_path / "a.sql").write_text("x")
    for given in (str(tmp_path / "a.sql"), tmp_path / "a.sql"):
        with pytest.raises(ConfigurationError, match="give a kind and a text"):
            items_of([given], folder=None)
    assert [item.text for item in items_of([("data_model", "x")], folder=None)] == ["x"]
