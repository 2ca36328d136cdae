"""Methods and versions of an API, and what no check of one may blame."""

import pytest

from backend_coordinator.domain.verdict import Outcome
from backend_coordinator.nodes.gates.breaking import breaks
from backend_coordinator.nodes.gates.checks.api_design import methods_fit_operations
from backend_coordinator.nodes.gates.checks.cors import other_origins_stay_out
from backend_coordinator.nodes.gates.checks.performance import handlers_do_not_block
from backend_coordinator.nodes.gates.checks.statuses import seen_statuses_are_declared, statuses_fit_operations
from backend_coordinator.nodes.gates.checks.versioning import broken_between, versions_tell_breaking_changes
from backend_coordinator.nodes.gates.openapi import Document
from backend_coordinator.nodes.workspace.environment import Environment
from tests.gates.clean import FACTORY, LAYERED, PAGES, SINGLE
from tests.gates.trees import BODY, FIXTURES, MakeTree, contract, inside, judged, read

CHECKS = (
    methods_fit_operations,
    statuses_fit_operations,
    versions_tell_breaking_changes,
    other_origins_stay_out,
    handlers_do_not_block,
)


@pytest.mark.slow
@pytest.mark.parametrize("files", [LAYERED, FACTORY, SINGLE, PAGES], ids=["layered", "factory", "single", "pages"])
async def test_clean_applications_of_any_style_raise_no_alarm(
    files: dict[str, str], tree: MakeTree, environment: Environment
) -> None:
    head = tree(files)
    for check in (*CHECKS, seen_statuses_are_declared):
        found = await judged(check, head, environment)
        assert found.verdict in {Outcome.PASS, Outcome.NOT_APPLICABLE}, found.reason


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (contract("get", requestBody=BODY), "takes a request body"),
        (contract("get", "/getBooks"), "has the verb getBooks in its path"),
        (contract("post", "/books/delete", requestBody=BODY), "has the verb delete in its path"),
        (contract("post", operationId="list_books", requestBody=BODY), None),
        (contract("post", "/books/bulk/delete", operationId="bulk_delete", requestBody=BODY), None),
        (contract("post", "/delete-requests", operationId="request_deletion", requestBody=BODY), None),
        (contract("post", "/auth/login", operationId="login", requestBody=BODY), None),
        (contract("get", "/updates", operationId="list_updates"), None),
    ],
)
async def test_methods_say_what_operations_do(text: str, words: str | None, tree: MakeTree, bare: Environment) -> None:
    found = await judged(methods_fit_operations, tree({"openapi.json": text}), bare)
    assert found.verdict is (Outcome.FAIL if words else Outcome.PASS), found.reason
    assert words is None or words in found.reason


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (contract("get", operationId="create_book"), "is named create_book"),
        (contract("post", operationId="deleteBook", requestBody=BODY), "has the method DELETE"),
        (contract("post", operationId="list_books"), "reading has the method GET"),
        (contract("get", "/get-books"), "has the verb get-books in its path"),
    ],
)
async def test_a_name_alone_proves_nothing(text: str, words: str, tree: MakeTree, bare: Environment) -> None:
    base = tree({"openapi.json": text})
    found = await judged(methods_fit_operations, base, bare)
    assert found.verdict is Outcome.UNKNOWN
    assert words in found.reason
    assert words in found.evidence[0].findings[0].message
    found = await judged(methods_fit_operations, tree({"openapi.json": text, "a.py": "X = 1\n"}), bare, base)
    assert found.verdict is Outcome.PASS, found.reason


@pytest.mark.slow
async def test_what_was_wrong_before_is_not_blamed(tree: MakeTree, environment: Environment) -> None:
    for check in (methods_fit_operations, statuses_fit_operations, seen_statuses_are_declared):
        files = read(FIXTURES / check.name / "failing")
        found = await judged(check, tree({**files, "more.py": "X = 1\n"}), environment, tree(files))
        assert found.verdict is Outcome.PASS, found.reason


FIELDS = {"title": {"type": "string"}, "pages": {"type": "integer"}}


def shelf(sent: dict[str, object] | None = None, got: dict[str, object] | None = None, **operation: object) -> Document:
    """A document whose operation takes `sent` and answers `got`."""
    schemas = [{"type": "object", "properties": FIELDS, "required": ["title"], **(s or {})} for s in (sent, got)]
    bodies = [{"content": {"application/json": {"schema": schema}}} for schema in schemas]
    described = {"requestBody": bodies[0], "responses": {"200": {"description": "x", **bodies[1]}}, **operation}
    return Document("openapi.json", {"openapi": "3.1.0", "info": {}, "paths": {"/a/{id}": {"put": described}}})


def fields(**changed: object) -> dict[str, object]:
    """The usual fields, changed; None takes one away."""
    return {"properties": {name: field for name, field in {**FIELDS, **changed}.items() if field}}


def parameter(**more: object) -> dict[str, object]:
    return {"parameters": [{"name": "q", "in": "query", "schema": {"type": "string"}, **more}]}


NULLABLE = {"anyOf": [{"type": "string"}, {"type": "null"}]}


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        (shelf(), shelf(), ()),
        (shelf(), shelf({"required": ["title", "pages"]}), ("field pages of the body became required",)),
        (shelf({"required": []}), shelf(fields(pages={"type": "string"})),
         ("field title of the body became required", "field pages of the body may no longer be integer")),
        (shelf(), shelf(fields(pages={"type": "number"})), ()),
        (shelf(), shelf(fields(title=NULLABLE)), ()),
        (shelf(fields(title=NULLABLE)), shelf(), ("field title of the body may no longer be null",)),
        (shelf(), shelf({**fields(pages=None), "additionalProperties": False}),
         ("field pages of the body is refused",)),
        (shelf(), shelf(fields(title={"type": "string", "enum": ["a"]})),
         ("field title of the body is now limited to some values",)),
        (shelf(), shelf(got=fields(title=None)), ("field title of the answer 200 is gone",)),
        (shelf(), shelf(got={"required": []}), ("field title of the answer 200 may now be absent",)),
        (shelf(), shelf(got=fields(title=NULLABLE)), ("field title of the answer 200 may now be null",)),
        (shelf(), shelf(got=fields(pages={"type": "number"})), ("field pages of the answer 200 may now be number",)),
        (shelf(), shelf(got=fields(author={"type": "string"})), ()),
        (shelf(), shelf(**parameter()), ()),
        (shelf(), shelf(**parameter(required=True)), ("query parameter q is new and required",)),
        (shelf(**parameter()), shelf(**parameter(required=True)), ("query parameter q became required",)),
        (shelf(**parameter(schema={"type": "integer", "maximum": 100})),
         shelf(**parameter(schema={"type": "integer", "maximum": 50})), ("query parameter q has a tighter maximum",)),
        (shelf(), shelf(responses={"201": {"description": "Made"}}), ("no longer answers 200",)),
        (shelf(), shelf(security=[{"token": []}]), ("now asks for credentials",)),
    ],
)  # fmt: skip
def test_each_way_to_break_a_caller_is_named(old: Document, new: Document, found: tuple[str, ...]) -> None:
    assert breaks(old, new) == tuple(f"PUT /a/{{id}}: {place}" for place in found)


def test_a_schema_that_holds_itself_ends() -> None:
    node = {"type": "object", "properties": {"child": {"$ref": "#/components/schemas/Node"}}}
    media = {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Node"}}}}
    paths = {"/tree": {"get": {"responses": {"200": {"description": "x", **media}}}}}
    document = Document("a.json", {"openapi": "3.1.0", "paths": paths, "components": {"schemas": {"Node": node}}})
    assert breaks(document, document) == ()


@pytest.mark.parametrize(
    ("before", "after", "verdict"),
    [
        ("1.4.0", "1.5.0", Outcome.FAIL),
        ("1.4.0", "2.0.0", Outcome.PASS),
        ("0.4.0", "0.4.1", Outcome.FAIL),
        ("0.4.0", "0.5.0", Outcome.PASS),
        ("2026-01-31", "2026-02-01", Outcome.PASS),
        ("1.0.0", "latest", Outcome.FAIL),
    ],
)
async def test_a_break_takes_a_step_of_the_version(
    before: str, after: str, verdict: Outcome, tree: MakeTree, bare: Environment
) -> None:
    base = tree({"openapi.json": contract("get", "/v1/books", version=before)})
    head = tree({"openapi.json": contract("get", "/v1/titles", version=after)})
    found = await judged(versions_tell_breaking_changes, head, bare, base)
    assert found.verdict is verdict, found.reason
    if after == "1.5.0":
        assert "GET /v1/books is gone, while the version is still 1.5.0" in found.reason


SDL = 'type Query { book: Book, old: Int }\ntype Book @key(fields: "id") { id: ID!, pages: Int }\n'
SUBGRAPH = SDL.replace("type Query", 'extend schema @link(url: "https://x.test")\nextend type Query')
SWAGGER = contract("get").replace('"openapi": "3.1.0"', '"swagger": "2.0"')
Files = dict[str, str]


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ({"a.gql": SDL}, {"a.gql": SDL.replace(", old: Int", "")},
         (Outcome.FAIL, "a.gql: Field Query.old was removed.")),
        ({"a.gql": SUBGRAPH}, {"a.gql": SUBGRAPH.replace(", old: Int", "").replace("pages: Int", "pages: Float")},
         (Outcome.FAIL, "a.gql: Field Book.pages changed type from Int to Float.",
          "a.gql: Field Query.old was removed.")),
        ({"a.gql": SDL}, {"a.gql": SUBGRAPH}, (Outcome.NOT_APPLICABLE,)),
        ({"a.gql": SDL}, {}, (Outcome.FAIL, "a.gql: is gone")),
        ({"a.gql": SDL}, {"api/b.graphqls": SDL + "enum Kind { NOVEL }"}, (Outcome.NOT_APPLICABLE,)),
        ({"a.gql": SDL}, {"api/b.graphqls": SDL.replace(", pages: Int", "")},
         (Outcome.FAIL, "a.gql: Field Book.pages was removed.")),
        ({"a.gql": SDL}, {"a.gql": SDL + "type More { of: Elsewhere }"},
         (Outcome.UNKNOWN, "a.gql: was a schema and can no longer be read as one")),
        ({"queries.gql": "query { book { id } }", "tests/a.gql": SDL}, {}, (Outcome.NOT_APPLICABLE,)),
        ({"a.json": SWAGGER}, {"a.json": SWAGGER.replace("get", "put")}, (Outcome.FAIL, "a.json: GET /books is gone")),
        ({"a.json": SWAGGER}, {"b.json": contract("get")}, (Outcome.PASS,)),
        ({"a.json": SWAGGER}, {}, (Outcome.NOT_APPLICABLE, "a.json is gone")),
    ],
    ids=["field gone", "field of a subgraph gone", "said by extensions", "schema gone", "moved and more",
         "moved and less", "in part", "no schemas", "swagger", "swagger said as openapi", "swagger gone"],
)  # fmt: skip
async def test_graphql_and_swagger_break_callers_too(
    before: Files, after: Files, told: tuple[object, ...], tree: MakeTree, bare: Environment
) -> None:
    base, head = tree({"notes.txt": "", **before}), tree({"notes.txt": "", **after})
    found = await judged(versions_tell_breaking_changes, head, bare, base)
    assert (found.verdict, *await broken_between(base, head, inside(bare, head))) == told
    assert found.verdict not in {Outcome.FAIL, Outcome.UNKNOWN} or str(told[1]) in found.reason


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        (contract("get", version="1.0.0"), Outcome.UNKNOWN),
        (contract("get", "/api/v2/books", version="2.1.0"), Outcome.PASS),
        (contract("get", version="1.0.0", description="Versions are chosen by the Accept header."), Outcome.PASS),
        (contract("get"), Outcome.PASS),
    ],
)
async def test_a_stable_api_says_how_its_versions_are_reached(
    text: str, verdict: Outcome, tree: MakeTree, bare: Environment
) -> None:
    found = await judged(versions_tell_breaking_changes, tree({"openapi.json": text}), bare)
    assert found.verdict is verdict, found.reason


async def test_an_application_needs_a_version_of_its_own(tree: MakeTree, environment: Environment) -> None:
    text = "from fastapi import FastAPI\napp = FastAPI()\n@app.get('/books')\ndef books() -> str: return 'Emma'\n"
    base = tree({"main.py": text})
    found = await judged(versions_tell_breaking_changes, base, environment)
    assert found.reason.startswith("main.py: the application is given no version; ")
    found = await judged(versions_tell_breaking_changes, tree({"main.py": text + "X = 1\n"}), environment, base)
    assert found.verdict is Outcome.UNKNOWN
    found = await judged(
        versions_tell_breaking_changes, tree({"main.py": text.replace("-> str", "-> int")}), environment, base
    )
    assert "GET /books: the answer 200 may now be integer" in found.reason


async def test_programs_without_an_api_are_left_alone(tree: MakeTree, bare: Environment) -> None:
    for text, verdict in (("print(1)\n", Outcome.NOT_APPLICABLE), ("from flask import Flask\n", Outcome.UNKNOWN)):
        head = tree({"app.py": text})
        for check in CHECKS:
            found = await judged(check, head, bare)
            assert found.verdict is verdict, found.reason
