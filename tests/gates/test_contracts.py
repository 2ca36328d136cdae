"""Contracts, routes and pagination."""

import pytest

from backend_coordinator.domain.verdict import Outcome
from backend_coordinator.nodes.gates.checks.api_design import list_endpoints_are_paginated
from backend_coordinator.nodes.gates.checks.documentation import (
    contract_equals_routes,
    contract_is_valid_and_complete,
)
from backend_coordinator.nodes.gates.checks.testing import tests_reach_every_route
from backend_coordinator.nodes.workspace.environment import Environment
from tests.gates.trees import FIXTURES, MakeTree, changes, inside, read

APP = read(FIXTURES / "contract_equals_routes" / "passing")
REACHED = read(FIXTURES / "tests_reach_every_route" / "passing")
FACTORY = (
    "from fastapi import APIRouter, FastAPI\n\nrouter = APIRouter(prefix='/v1')\n\n\n@router.get('/ping')\n"
    "def ping() -> str:\n    return 'pong'\n\n\ndef create_app() -> FastAPI:\n    app = FastAPI()\n"
    "    app.include_router(router)\n    return app\n"
)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "  /books/{book_id}:\n    get:",
            "  /books/{book_id}:\n    put:",
            "GET /books/{book_id} is not in the contract",
        ),
        ("required: false, schema: {type: integer}", "required: true, schema: {type: integer}", "required on one side"),
        ('"422": {description: Refused}', '"404": {description: Gone}', "does not declare status 404"),
    ],
)
async def test_a_contract_that_differs_from_the_routes_fails(
    old: str, new: str, message: str, tree: MakeTree, environment: Environment
) -> None:
    head = tree({**APP, "openapi.yaml": APP["openapi.yaml"].replace(old, new)})
    found = await contract_equals_routes.run(None, head, changes(None, head), inside(environment, head))
    assert found.verdict is Outcome.FAIL
    assert message in found.reason


async def test_a_route_without_contract_fails_at_delivery_and_a_promised_one_may_come_later(
    tree: MakeTree, environment: Environment
) -> None:
    document = APP["openapi.yaml"]
    cut = document[: document.index("  /books/{book_id}")]
    more = tree({**APP, "openapi.yaml": cut})
    less = tree({**APP, "main.py": APP["main.py"].partition('@app.get("/books/{')[0]})
    found = await contract_is_valid_and_complete.run(None, more, changes(None, more), inside(environment, more))
    assert found.verdict is Outcome.FAIL
    assert "GET /books/{book_id} is not in the contract" in found.reason
    found = await contract_is_valid_and_complete.run(None, less, changes(None, less), inside(environment, less))
    assert found.verdict is Outcome.PASS


async def test_differences_that_were_there_before_are_not_blamed(tree: MakeTree, environment: Environment) -> None:
    old = {**APP, "openapi.yaml": APP["openapi.yaml"].replace("name: offset", "name: skip")}
    base, head = tree(old), tree({**old, "README.md": "# Shelf\n"})
    found = await contract_equals_routes.run(base, head, changes(base, head), inside(environment, head))
    assert found.verdict is Outcome.PASS


@pytest.mark.parametrize(
    "text",
    ["openapi: 3.1.0\ninfo: [", "openapi: 3.1.0\ninfo: {title: x, version: '1'}\n", "openapi: 3.0.3\npaths: 1\n"],
)
async def test_a_broken_contract_fails(text: str, tree: MakeTree, bare: Environment) -> None:
    head = tree({"api/openapi.yaml": text})
    found = await contract_is_valid_and_complete.run(None, head, changes(None, head), inside(bare, head))
    assert found.verdict is Outcome.FAIL
    assert found.reason.startswith("api/openapi.yaml: ")


async def test_references_to_other_files_are_not_followed(tree: MakeTree, bare: Environment) -> None:
    text = "openapi: 3.1.0\ninfo: {title: x, version: '1'}\npaths: {/a: {$ref: 'file:///etc/passwd'}}\n"
    head = tree({"openapi.yaml": text})
    found = await contract_is_valid_and_complete.run(None, head, changes(None, head), inside(bare, head))
    assert found.verdict is Outcome.UNKNOWN
    assert "file:///etc/passwd" in found.reason


async def test_a_yaml_bomb_is_refused(tree: MakeTree, bare: Environment) -> None:
    lines = ["openapi: 3.1.0", "a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    head = tree({"openapi.yaml": "\n".join(lines)})
    found = await contract_is_valid_and_complete.run(None, head, changes(None, head), inside(bare, head))
    assert found.verdict is Outcome.FAIL


async def test_an_application_that_cannot_be_imported_is_unknown(tree: MakeTree, environment: Environment) -> None:
    head = tree({**APP, "main.py": APP["main.py"] + "\nraise RuntimeError('no database')\n"})
    found = await contract_is_valid_and_complete.run(None, head, changes(None, head), inside(environment, head))
    assert found.verdict is Outcome.UNKNOWN
    assert "no database" in found.reason


async def test_a_factory_with_included_routers_is_understood(tree: MakeTree, environment: Environment) -> None:
    test = (
        "from fastapi.testclient import TestClient\n\nfrom shop.app import create_app\n\n\ndef test_ping() -> None:\n"
        "    assert TestClient(create_app()).get('/v1/ping').json() == 'pong'\n"
    )
    head = tree({"src/shop/__init__.py": "", "src/shop/app.py": FACTORY, "tests/test_ping.py": test})
    found = await contract_is_valid_and_complete.run(None, head, changes(None, head), inside(environment, head))
    assert found.verdict is Outcome.PASS, found.reason
    found = await tests_reach_every_route.run(None, head, changes(None, head), inside(environment, head))
    assert found.verdict is Outcome.PASS, found.reason


@pytest.mark.slow
async def test_routes_nobody_tested_before_are_not_blamed(tree: MakeTree, environment: Environment) -> None:
    untested = REACHED["main.py"] + "\n\n@app.get('/old')\ndef old() -> str:\n    return 'x'\n"
    base = tree({**REACHED, "main.py": untested})
    head = tree({**REACHED, "main.py": untested + "\n\nX = 1\n"})
    found = await tests_reach_every_route.run(base, head, changes(base, head), inside(environment, head))
    assert found.verdict is Outcome.PASS, found.reason
    newer = tree({**REACHED, "main.py": untested + "\n\n@app.post('/new')\ndef new() -> str:\n    return 'x'\n"})
    found = await tests_reach_every_route.run(base, newer, changes(base, newer), inside(environment, newer))
    assert found.verdict is Outcome.FAIL
    assert found.reason == "main.py: no test sends POST /new; add a test that calls it"


async def test_a_page_size_without_maximum_fails(tree: MakeTree, bare: Environment) -> None:
    head = tree({"openapi.yaml": APP["openapi.yaml"].replace(", maximum: 100", "")})
    found = await list_endpoints_are_paginated.run(None, head, changes(None, head), inside(bare, head))
    assert found.reason.startswith("openapi.yaml: GET /books returns a list without a maximum for limit")


async def test_documents_without_an_api_need_no_contract(tree: MakeTree, bare: Environment) -> None:
    head = tree({"README.md": "x"})
    for check in (contract_is_valid_and_complete, contract_equals_routes, list_endpoints_are_paginated):
        found = await check.run(None, head, changes(None, head), inside(bare, head))
        assert found.verdict is Outcome.NOT_APPLICABLE


@pytest.mark.parametrize(
    ("files", "verdict"),
    [
        ({"app.py": "print(1)\n"}, Outcome.NOT_APPLICABLE),
        ({"app.py": "from flask import Flask\n"}, Outcome.UNKNOWN),
        ({"server.js": "const express = require('express')\n"}, Outcome.UNKNOWN),
        ({"docs.txt": "we may use flask\n"}, Outcome.NOT_APPLICABLE),
    ],
)
async def test_without_a_contract_only_code_that_serves_something_leaves_a_question(
    tree: MakeTree, environment: Environment, files: dict[str, str], verdict: Outcome
) -> None:
    head = tree(files)
    found = await contract_is_valid_and_complete.run(None, head, changes(None, head), inside(environment, head))
    assert found.verdict is verdict
