"""The tests that every written service has; `APP` stands for the import path of `app`."""

CONFTEST = '''"""A fresh database for every test."""

import pytest
from fastapi.testclient import TestClient

from APP import app

pytest.register_assert_rewrite(f"{__package__}.crud_tests")


@pytest.fixture
def database_path(tmp_path, monkeypatch):
    path = tmp_path / "test.db"
    monkeypatch.setenv("DATABASE_PATH", str(path))
    return path


@pytest.fixture
def client(database_path):
    with TestClient(app) as client:
        yield client
'''

CRUD_TESTS = (
    '''"""What every resource does; a test class per resource says what is special about it."""

import itertools

LARGEST = 2**53 - 1
NUMBERS = itertools.count(1)


def error_of(response, status, code):
    """The refused fields, once status, code and shape are as expected."""
    error = response.json()["error"]
    assert (response.status_code, error["code"]) == (status, code)
    assert (list(response.json()), sorted(error)) == (["error"], ["code", "details", "message"])
    return [problem["field"] for problem in error["details"]]


class CrudTests:
    """`good` holds (field, sent, returned), `bad` holds (field, sent); other names say what they list."""

    path = ""
    required = ()
    defaults = {}
    unique = ()
    good = ()
    bad = ()

    @classmethod
    def sample(cls, number):
        return {}

    @classmethod
    def parents(cls):
        return {}

    @classmethod
    def body(cls, client):
        """A body that is accepted, and of optional fields has none."""
        needed = {name: parent for name, parent in cls.parents().items() if name in cls.required}
        ids = {name: parent.create(client)["id"] for name, parent in needed.items()}
        return {**cls.sample(next(NUMBERS)), **ids}

    @classmethod
    def create(cls, client, **changes):
        response = client.post(cls.path, json={**cls.body(client), **changes})
        assert response.status_code == 201, response.text
        return response.json()

    def test_a_created_row_can_be_read(self, client):
        body = self.body(client)
        response = client.post(self.path, json=body)
        row = response.json()
        assert response.status_code == 201
        assert row == {**self.defaults, **body, "id": row["id"]}
        assert response.headers["location"] == f"{self.path}/{row['id']}"
        assert client.get(response.headers["location"]).json() == row

    def test_every_good_value_is_stored_and_returned(self, client):
        body = self.body(client)
        row = client.post(self.path, json=body).json()
        for field, sent, returned in self.good:
            response = client.put(f"{self.path}/{row['id']}", json={**body, field: sent})
            assert response.status_code == 200, (field, sent, response.text)
            assert response.json() == {**row, field: returned}
            assert client.get(f"{self.path}/{row['id']}").json() == response.json()

    def test_every_bad_value_is_refused_with_its_field(self, client):
        body = self.body(client)
        for field, sent in self.bad:
            response = client.post(self.path, content=json_of({**body, field: sent}), headers=JSON)
            assert error_of(response, 422, "invalid") == [field], (field, sent)

    def test_a_required_field_cannot_be_left_out(self, client):
        body = self.body(client)
        for field in self.required:
            rest = {name: value for name, value in body.items() if name != field}
            assert error_of(client.post(self.path, json=rest), 422, "invalid") == [field]

    def test_an_unknown_field_is_refused(self, client):
        body = {**self.body(client), "no_such_field": 1}
        assert error_of(client.post(self.path, json=body), 422, "invalid") == ["no_such_field"]

    def test_an_unknown_row_is_not_found(self, client):
        body = self.body(client)
        for response in (
            client.get(f"{self.path}/{LARGEST}"),
            client.put(f"{self.path}/{LARGEST}", json=body),
            client.delete(f"{self.path}/{LARGEST}"),
        ):
            assert error_of(response, 404, "not_found") == []

    def test_an_impossible_id_is_refused(self, client):
        for row_id in (0, LARGEST + 1, "one"):
            assert len(error_of(client.get(f"{self.path}/{row_id}"), 422, "invalid")) == 1

    def test_a_list_comes_in_pages_ordered_by_id(self, client):
        rows = [self.create(client) for _ in range(3)]
        everything = client.get(self.path)
        assert everything.status_code == 200
        assert everything.json() == {"items": rows, "total": 3, "limit": 20, "offset": 0}
        part = client.get(self.path, params={"limit": 1, "offset": 1}).json()
        assert part == {"items": rows[1:2], "total": 3, "limit": 1, "offset": 1}
        assert client.get(self.path, params={"limit": 100, "offset": LARGEST}).json()["items"] == []

    def test_a_page_has_bounds(self, client):
        for name, value in (("limit", 0), ("limit", 101), ("offset", -1), ("offset", LARGEST + 1)):
            assert error_of(client.get(self.path, params={name: value}), 422, "invalid") == [name]

    def test_a_deleted_row_is_gone(self, client):
        url = f"{self.path}/{self.create(client)['id']}"
        response = client.delete(url)
        assert (response.status_code, response.content) == (204, b"")
        assert error_of(client.get(url), 404, "not_found") == []

    def test_a_unique_value_is_accepted_once(self, client):
        row = self.create(client)
        for field in self.unique:
            body = {**self.body(client), field: row[field]}
            assert error_of(client.post(self.path, json=body), 409, "conflict") == [field]

    def test_a_reference_needs_its_row(self, client):
        for field in self.parents():
            body = {**self.body(client), field: LARGEST}
            assert error_of(client.post(self.path, json=body), 422, "invalid") == [field]

    def test_a_list_can_be_filtered_by_a_reference(self, client):
        for field, parent in self.parents().items():
            row, _other = (self.create(client, **{field: parent.create(client)["id"]}) for _ in range(2))
            found = client.get(self.path, params={field: row[field]}).json()
            assert (found["items"], found["total"]) == ([row], 1)
            for value in (0, LARGEST + 1):
                assert error_of(client.get(self.path, params={field: value}), 422, "invalid") == [field]

    def test_a_referenced_row_cannot_be_deleted(self, client):
        for field, parent in self.parents().items():
            row = self.create(client, **{field: parent.create(client)["id"]})
            assert error_of(client.delete(f"{parent.path}/{row[field]}"), 409, "conflict") == []
'''.replace("import itertools\n\n", "import itertools\nimport json\n\n")
    .replace(
        "NUMBERS = itertools.count(1)\n",
        'NUMBERS = itertools.count(1)\nJSON = {"content-type": "application/json"}\n',
    )
    .replace("json_of(", "json.dumps(")
)

DATABASE_TESTS = '''"""Migrations and connections."""

import runpy
import sqlite3
import sys

import pytest

from PKG import database


def schema():
    with database.transaction() as connection:
        return connection.execute("SELECT name, sql FROM sqlite_master ORDER BY name").fetchall()


def test_every_migration_can_be_taken_back_and_applied_again(database_path):
    versions = database.upgrade()
    full = schema()
    assert len(versions) > 0
    assert versions == sorted(versions) == database.status()
    assert database.upgrade() == []
    assert [database.downgrade() for _ in versions] == [[version] for version in reversed(versions)]
    assert [row["name"] for row in schema() if not row["name"].startswith("sqlite_")] == ["schema_migrations"]
    assert (database.downgrade(), database.status()) == ([], [])
    assert database.upgrade() == versions
    assert schema() == full


def test_taking_back_one_migration_restores_the_schema_before_it(database_path):
    versions = database.upgrade()
    steps = []
    for _ in versions:
        steps.append(schema())
        database.downgrade()
    for step in reversed(steps):
        with database.transaction() as connection:
            missing = versions[len(database.applied(connection))]
            database.run(connection, f"{missing}.up.sql")
            connection.execute("INSERT INTO schema_migrations (version) VALUES (?)", (missing,))
        assert schema() == step


def test_a_failing_upgrade_changes_nothing(database_path, tmp_path, monkeypatch):
    (tmp_path / "0001_good.up.sql").write_text("CREATE TABLE good (\\n    id INTEGER\\n);\\n")
    bad = tmp_path / "0002_bad.up.sql"
    bad.write_text("CREATE TABLE bad (id INTEGER);\\nINSERT INTO nowhere VALUES (1);\\n")
    monkeypatch.setattr(database, "MIGRATIONS", tmp_path)
    with pytest.raises(sqlite3.OperationalError):
        database.upgrade()
    assert schema() == []
    bad.unlink()
    assert database.upgrade() == ["0001_good"]


def test_foreign_keys_are_enforced(database_path):
    with database.transaction() as connection:
        assert connection.execute("PRAGMA foreign_keys").fetchone()[0] == 1


def test_an_error_rolls_back(database_path):
    with database.transaction() as connection:
        connection.execute("CREATE TABLE rows (id INTEGER)")
    with pytest.raises(ZeroDivisionError), database.transaction() as connection:
        connection.execute("INSERT INTO rows VALUES (1)")
        _ = 1 / 0
    with database.transaction() as connection:
        assert connection.execute("SELECT count(*) FROM rows").fetchone()[0] == 0


def test_without_a_setting_the_database_is_a_file_here(tmp_path, monkeypatch):
    monkeypatch.delenv("DATABASE_PATH", raising=False)
    monkeypatch.chdir(tmp_path)
    database.status()
    assert [path.name for path in tmp_path.iterdir()] == ["service.db"]


@pytest.mark.filterwarnings("ignore:.*found in sys.modules:RuntimeWarning")
def test_the_command_line_prints_the_versions(database_path, monkeypatch, capsys):
    def run(command):
        monkeypatch.setattr(sys, "argv", ["database", command])
        runpy.run_module("PKG.database", run_name="__main__")
        return capsys.readouterr().out.split()

    upgraded = run("upgrade")
    assert upgraded == database.status()
    assert upgraded
    assert run("downgrade") == upgraded[-1:]
    assert run("status") == upgraded[:-1]
    with pytest.raises(SystemExit):
        run("vanish")
    assert "usage: database" in capsys.readouterr().err
'''

STORE_TESTS = '''"""Reading and writing rows, on tables of the test's own."""

import pytest
from pydantic import BaseModel

from PKG import store
from PKG.database import transaction
from PKG.errors import ApiError

CHILDREN = store.Table(
    insert="INSERT INTO children (a_id, b_id, tag) VALUES (:a_id, :b_id, :tag) RETURNING *",
    select="SELECT * FROM children",
    update="UPDATE children SET a_id = :a_id, b_id = :b_id, tag = :tag WHERE id = :id RETURNING *",
    delete="DELETE FROM children WHERE id = ? RETURNING *",
    count="SELECT count(*) FROM children",
    filters={"a_id": "a_id = ?", "b_id": "b_id = ?"},
    parents={"a_id": "SELECT 1 FROM a WHERE id = ?", "b_id": "SELECT 1 FROM b WHERE id = ?"},
)


class Child(BaseModel):
    a_id: int
    b_id: int | None
    tag: str


@pytest.fixture(autouse=True)
def tables(database_path):
    with transaction() as connection:
        for name in ("a", "b"):
            connection.execute(f"CREATE TABLE {name} (id INTEGER PRIMARY KEY)")
            connection.execute(f"INSERT INTO {name} VALUES (1), (2)")
        connection.execute(
            "CREATE TABLE children (id INTEGER PRIMARY KEY, a_id INTEGER REFERENCES a,"
            " b_id INTEGER REFERENCES b, tag TEXT UNIQUE)"
        )


def refused(call, *arguments):
    with pytest.raises(ApiError) as caught:
        call(*arguments)
    return caught.value.status_code, [(problem.field, problem.message) for problem in caught.value.details]


def test_filters_combine():
    rows = [store.create(CHILDREN, Child(a_id=a, b_id=b, tag=f"{a}{b}")) for a in (1, 2) for b in (1, 2)]
    assert store.page(CHILDREN, 10, 0, {"a_id": 2, "b_id": 1}) == {
        "items": [rows[2]],
        "total": 1,
        "limit": 10,
        "offset": 0,
    }
    assert store.page(CHILDREN, 1, 1, {"a_id": None, "b_id": 2})["items"] == [rows[3]]
    assert store.page(CHILDREN, 1, 1, {"a_id": None, "b_id": None})["total"] == 4


def test_a_taken_value_is_named():
    first = store.create(CHILDREN, Child(a_id=1, b_id=1, tag="x"))
    second = store.create(CHILDREN, Child(a_id=1, b_id=1, tag="y"))
    body = Child(a_id=1, b_id=1, tag=first["tag"])
    assert refused(store.create, CHILDREN, body) == (409, [("tag", "already taken")])
    assert refused(store.replace, CHILDREN, second["id"], body) == (409, [("tag", "already taken")])
    assert store.read(CHILDREN, second["id"]) == second


def test_only_the_missing_parents_are_named():
    problem = "refers to no row"
    assert refused(store.create, CHILDREN, Child(a_id=1, b_id=3, tag="x")) == (422, [("b_id", problem)])
    assert refused(store.create, CHILDREN, Child(a_id=3, b_id=None, tag="x")) == (422, [("a_id", problem)])
    both = [("a_id", problem), ("b_id", problem)]
    assert refused(store.create, CHILDREN, Child(a_id=3, b_id=3, tag="x")) == (422, both)


def test_rows_are_replaced_and_removed():
    row = store.create(CHILDREN, Child(a_id=1, b_id=1, tag="x"))
    changed = store.replace(CHILDREN, row["id"], Child(a_id=2, b_id=1, tag="y"))
    assert changed == {"id": row["id"], "a_id": 2, "b_id": 1, "tag": "y"}
    store.remove(CHILDREN, row["id"])
    assert refused(store.remove, CHILDREN, row["id"]) == (404, [])
    assert refused(store.read, CHILDREN, row["id"]) == (404, [])
'''

ERRORS_TESTS = '''"""The shape of refusals, and what is refused before an endpoint runs."""

from typing import Annotated

import pytest
from fastapi import APIRouter, FastAPI, HTTPException, Query
from fastapi.testclient import TestClient

from PKG import errors

router = APIRouter(route_class=errors.ApiRoute)


@router.post("/size")
def size(body: list[int], low: Annotated[int, Query(ge=0)] = 0) -> int:
    return len(body) + low


@router.get("/tea")
def tea() -> None:
    raise HTTPException(418, "teapot", headers={"x-pot": "short"})


@pytest.fixture
def plain():
    app = FastAPI()
    app.include_router(router)
    return TestClient(app)


def refusal(plain, content):
    response = plain.post("/size", content=content, headers={"content-type": "application/json"})
    return response.status_code, response.json()


def test_a_body_may_be_as_large_as_the_limit_and_no_larger(plain):
    full = b"[1]" + b" " * 999_997
    assert refusal(plain, full) == (200, 1)
    message = "The body is larger than 1 MB."
    assert refusal(plain, full + b" ") == (
        413,
        {"error": {"code": "body_too_large", "message": message, "details": []}},
    )


def test_a_body_that_is_not_json_is_refused(plain):
    status, body = refusal(plain, b"[1,")
    assert (status, body["error"]["message"]) == (422, "A parameter or the body is not valid.")
    assert body["error"]["details"] == [{"field": "body", "message": "JSON decode error"}]
    assert refusal(plain, b"[" + b"9" * 5000 + b"]")[0] == 400
    assert refusal(plain, b"\\xff")[1]["error"]["code"] == "bad_request"


def test_every_problem_is_named_without_its_value(plain):
    response = plain.post("/size", json=["secret"], params={"low": -1})
    names = [problem["field"] for problem in response.json()["error"]["details"]]
    assert sorted(names) == ["body", "low"]
    assert "secret" not in response.text


def test_an_error_without_a_meaning_of_its_own_keeps_its_message_and_headers(plain):
    response = plain.get("/tea")
    assert response.json() == {"error": {"code": "error", "message": "teapot", "details": []}}
    assert (response.status_code, response.headers["x-pot"]) == (418, "short")


def test_the_codes_are_a_promise_to_clients():
    assert {status: code for status, (code, _) in errors.MEANINGS.items()} == {
        400: "bad_request",
        404: "not_found",
        405: "method_not_allowed",
        409: "conflict",
        413: "body_too_large",
        422: "invalid",
    }
'''

MAIN_TESTS = '''"""The application as a whole."""


def test_an_unknown_path_has_the_same_error_shape(client):
    response = client.get("/no-such-path")
    assert response.status_code == 404
    message = "No such row or path."
    assert response.json() == {"error": {"code": "not_found", "message": message, "details": []}}


def test_a_method_that_a_path_does_not_have_is_refused(client):
    path = next(iter(client.get("/openapi.json").json()["paths"]))
    response = client.patch(path)
    message = "The path does not allow this method."
    assert response.status_code == 405
    assert "GET" in response.headers["allow"]
    error = {"code": "method_not_allowed", "message": message, "details": []}
    assert response.json() == {"error": error}


def test_the_application_is_named_as_in_its_contract(client):
    assert client.get("/openapi.json").json()["info"] == {"title": "CRUD API", "version": "0.1.0"}
'''

CONTRACT_TESTS = '''"""The application does what its contract says."""

from pathlib import Path

import pytest
import yaml
from fastapi import FastAPI

from PKG.api import api

FOLDERS = Path(__file__).resolve().parents
CONTRACT = next(folder / "openapi.yaml" for folder in FOLDERS if (folder / "openapi.yaml").is_file())


def outline(document):
    """Operations with parameters, bodies and answers; then the properties of every schema that they use."""
    operations = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            operations[f"{method} {path}"] = {
                "tags": operation.get("tags", []),
                "parameters": [named(parameter) for parameter in operation.get("parameters", [])],
                "body": schema_of(operation.get("requestBody", {})),
                "answers": {
                    status: (answer["description"], schema_of(answer))
                    for status, answer in operation["responses"].items()
                },
            }
    schemas = {
        name: (
            sorted(schema.get("properties", [])),
            sorted(schema.get("required", [])),
            schema.get("additionalProperties"),
        )
        for name, schema in document["components"]["schemas"].items()
    }
    return operations, schemas


def named(parameter):
    return parameter["name"], parameter["in"], parameter.get("required", False)


def schema_of(holder):
    return holder.get("content", {}).get("application/json", {}).get("schema", {}).get("$ref")


@pytest.fixture(scope="module")
def outlines():
    app = FastAPI()
    app.include_router(api)
    return outline(yaml.safe_load(CONTRACT.read_text(encoding="utf-8"))), outline(app.openapi())


def test_operations_are_those_of_the_contract(outlines):
    (contract, _), (application, _) = outlines
    tags = {tag for operation in application.values() for tag in operation["tags"]}
    assert application == {key: value for key, value in contract.items() if tags & set(value["tags"])}


def test_schemas_are_those_of_the_contract(outlines):
    (_, contract), (_, application) = outlines
    assert application == {name: contract.get(name) for name in application}
'''
