"""Pairs of contracts, each judged by the rules that it must and must not break, and the command that does so."""

import copy
import json
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml
from typer.testing import CliRunner

from backend_coordinator.cli import app
from backend_coordinator.domain.verdict import Outcome
from backend_coordinator.errors import ConfigurationError
from backend_coordinator.nodes.gates.checks.versioning import versions_tell_breaking_changes
from backend_coordinator.nodes.gates.contract_diff import contract_changes, read_contract
from backend_coordinator.nodes.workspace.environment import Environment
from backend_coordinator.nodes.workspace.git import run_git
from tests.gates.trees import MakeTree, judged

HERE = Path(__file__).parent / "contract_pairs"
OPENAPI = yaml.safe_load((HERE / "openapi.yaml").read_text())
GRAPHQL = yaml.safe_load((HERE / "graphql.yaml").read_text())
SWAGGER = yaml.safe_load((HERE / "swagger.yaml").read_text())
Patch = dict[str, object]


class Side(NamedTuple):
    name: str
    text: str


def patched(data: dict[str, object], patch: Patch) -> str:
    document = copy.deepcopy(data["base"])
    for words, value in patch.items():
        first, *rest = words.split()
        *path, last = [*data.get("places", {}).get(first, first).split(), *rest]
        node = document
        for step in path:
            node = node[int(step)] if isinstance(node, list) else node[int(step) if step.isdigit() else step]
        key = int(last) if last.isdigit() else last
        if value is None:
            del node[key]
        elif isinstance(node, list) and key == len(node):
            node.append(value)
        else:
            node[key] = value
    return json.dumps(document)


def found(before: Side, after: Side) -> tuple[set[str], set[str]]:
    changes = contract_changes(read_contract(*before), read_contract(*after))
    assert len(changes) == len(set(changes))
    return {c.rule for c in changes if c.breaking}, {c.rule for c in changes if not c.breaking}


def cases(data: dict[str, object]) -> list[object]:
    return [pytest.param(case, id=case["name"]) for case in data["cases"]]


@pytest.mark.parametrize("case", cases(OPENAPI))
def test_openapi(case: dict[str, object]) -> None:
    sides = [Side("openapi.json", patched(OPENAPI, case.get(side, {}))) for side in ("before", "after")]
    assert found(*sides) == (set(case.get("breaking", [])), set(case.get("info", [])))


@pytest.mark.parametrize("case", cases(SWAGGER))
def test_swagger(case: dict[str, object]) -> None:
    sides = [Side("swagger.json", patched(SWAGGER, case.get(side, {}))) for side in ("before", "after")]
    assert found(*sides) == (set(case.get("breaking", [])), set(case.get("info", [])))


@pytest.mark.parametrize("case", cases(GRAPHQL))
def test_graphql(case: dict[str, object]) -> None:
    before = GRAPHQL["base"]
    after = before.replace(case.get("old", before), case.get("new", before))
    assert found(Side("a.graphql", before), Side("b.graphqls", after)) == (
        set(case.get("breaking", [])),
        set(case.get("info", [])),
    )


def test_swagger_and_openapi_of_one_api_are_the_same() -> None:
    content = {"text/csv": {"schema": {"$ref": "#/components/schemas/Row"}}}
    answer = {"200": {"description": "x", "content": content}}
    new = {"openapi": "3.0.0", "paths": {"/a": {"get": {"responses": answer}}}}
    new |= {"servers": [{"url": "https://a.test/v1"}], "components": {"schemas": {"Row": {"type": "string"}}}}
    old = {"swagger": "2.0", "basePath": "/v1", "definitions": {"Row": {"type": "string"}}, "produces": ["text/csv"]}
    schema = {"$ref": "#/definitions/Row"}
    old["paths"] = {"/a": {"get": {"responses": {"200": {"description": "x", "schema": schema}}}}}
    found = contract_changes(read_contract("a.json", json.dumps(old)), read_contract("b.json", json.dumps(new)))
    assert [change.rule for change in found] == ["server-removed"]


def test_circles_end_and_order_is_always_the_same() -> None:
    node = {"type": "object", "properties": {"next": {"$ref": "#/components/schemas/Node"}, "name": {"type": "string"}}}
    wider = {**node, "properties": {**node["properties"], "name": {"type": "integer"}}}
    sides = [
        patched(OPENAPI, {"got": {"$ref": "#/components/schemas/Node"}, "components schemas Node": n})
        for n in (node, wider)
    ]
    runs = [contract_changes(*(read_contract("a.json", side) for side in sides)) for _ in range(2)]
    assert runs[0] == runs[1]
    assert [str(change) for change in runs[0]] == [
        "GET /v1/books: field name of an item of the answer 200 may now be integer",
        "POST /v1/books: field name of the answer 201 may now be integer",
    ]


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("a.yaml", "openapi: [", "while parsing"),
        ("a.json", "[]", "no mapping"),
        ("a.yaml", "openapi: 4.0.0", "its version is 4.0.0"),
        ("a.yaml", "title: x", "its version is missing"),
        ("a.yaml", "openapi: 3.1.0\npaths: {/a: {$ref: 'b.yaml#/a'}}", "$ref b.yaml#/a leaves the document"),
        ("a.yaml", "openapi: 3.1.0\npaths: {/a: {$ref: '#/x/a'}}", "$ref #/x/a leads nowhere"),
        ("a.yaml", "openapi: 3.1.0\nx: .nan", "no JSON"),
        ("a.graphql", "type Query {", "Syntax Error"),
        ("a.graphql", "type Query { a: Missing }", "Missing"),
    ],
)
def test_what_cannot_be_compared_is_refused_by_name(name: str, text: str, reason: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        read_contract(name, text)
    assert str(refused.value).startswith(f"{name} cannot be compared: ")
    assert reason in str(refused.value)


def test_what_is_too_wrong_to_compare_is_refused() -> None:
    wrong = read_contract("a.json", patched(OPENAPI, {"q in": {"a": 1}}))
    with pytest.raises(ConfigurationError, match=r"a\.json and a\.json cannot be compared"):
        contract_changes(wrong, wrong)


def test_schemas_without_an_end_in_sight_are_refused() -> None:
    ways = [{"type": "object", "required": [f"f{n}"], "properties": {"x": {"type": "string"}}} for n in range(240)]
    patch = {"sent": {"oneOf": ways}}, {"sent": {"oneOf": [{**way, "minProperties": 5} for way in ways]}}
    sides = [read_contract("a.json", patched(OPENAPI, side)) for side in patch]
    with pytest.raises(ConfigurationError, match="cannot be compared: more than"):
        contract_changes(*sides)


def test_a_mark_of_byte_order_is_no_part_of_a_document() -> None:
    sides = [read_contract("a.json", f"{mark}{patched(OPENAPI, {})}") for mark in ("", "\ufeff")]
    assert contract_changes(*sides) == ()


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    narrower = {"q schema maxLength": 5, "list parameters 2": {"name": "n", "in": "query", "schema": {}}}
    wider = {"q schema maxLength": 50}
    for name, patch in (("old", {}), ("wide", wider), ("new", narrower)):
        (tmp_path / f"{name}.json").write_text(patched(OPENAPI, patch))
    (tmp_path / "a.graphql").write_text(GRAPHQL["base"])
    return tmp_path


def ran(*words: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["contract", "diff", *words])
    return done.exit_code, done.stdout


def test_the_command_tells_one_line_for_each_change(files: Path) -> None:
    assert ran("old.json", "new.json") == (
        1,
        "breaking  request-bound-tightened  GET /v1/books: query parameter q has a tighter maxLength\n"
        "info  parameter-added  GET /v1/books: query parameter n is new\n"
        "1 breaking changes of 2\n",
    )
    assert ran("old.json", "wide.json")[0] == 0
    assert ran("old.json", "old.json") == (0, "0 breaking changes of 0\n")


def test_the_command_tells_the_same_as_json(files: Path) -> None:
    code, told = ran("old.json", "new.json", "--json")
    where = "GET /v1/books: query parameter "
    first = {"rule": "request-bound-tightened", "where": f"{where}q", "message": "has a tighter maxLength"}
    second = {"rule": "parameter-added", "where": f"{where}n", "message": "is new"}
    listed = [{**first, "breaking": True}, {**second, "breaking": False}]
    assert code == 1
    assert json.loads(told) == {"format": "backend-coordinator/contract-diff/1", "breaking": True, "changes": listed}


def test_a_contract_may_come_from_a_revision(files: Path) -> None:
    for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "x"]):
        assert run_git("-c", "user.name=a", "-c", "user.email=a@b.test", *words, cwd=files).returncode == 0
    (files / "old.json").write_text((files / "new.json").read_text())
    assert ran("old.json", "--base", "HEAD")[0] == 1
    assert ran("HEAD:old.json", "old.json")[0] == 1
    assert ran("HEAD:old.json", "HEAD:wide.json")[0] == 0


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["missing.json", "old.json"], "missing.json cannot be read: No such file or directory"),
        (["HEAD:old.json", "old.json"], "HEAD:old.json cannot be read: git finds no such file"),
        (["old.json"], "give OLD and NEW"),
        (["old.json", "a.graphql"], "one contract is OpenAPI and the other GraphQL"),
    ],
)
def test_what_the_command_cannot_read_is_named(files: Path, words: list[str], reason: str) -> None:
    done = CliRunner().invoke(app, ["contract", "diff", *words])
    assert isinstance(done.exception, ConfigurationError)
    assert done.exception.exit_code == 2
    assert reason in str(done.exception)


@pytest.mark.parametrize(("field", "fails"), [("lang: String", True), ("title: String! lang: String", False)])
async def test_a_break_of_a_graphql_schema_fails_the_gate(
    field: str, fails: bool, tree: MakeTree, bare: Environment
) -> None:
    text = "type Query { book: Book } type Book { %s }"
    sides = [tree({"api.graphql": text % fields, "query.graphql": "{ book }"}) for fields in ("title: String!", field)]
    verdict = await judged(versions_tell_breaking_changes, sides[1], bare, sides[0])
    assert (verdict.verdict is Outcome.FAIL) is fails
    assert ("Field Book.title was removed." in verdict.reason) is fails
