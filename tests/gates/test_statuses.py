"""Response codes of an API, declared and seen."""

import json

import pytest

from backend_coordinator.domain.verdict import Outcome
from backend_coordinator.nodes.gates.checks.statuses import seen_statuses_are_declared, statuses_fit_operations
from backend_coordinator.nodes.workspace.environment import Environment
from tests.gates.trees import BODY, MakeTree, contract, judged

REFUSES = {"200": {"description": "Fine"}, "422": {"description": "Refused"}}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (contract("delete", responses={"201": {"description": "Made"}}), "instead of 200, 202 or 204"),
        (contract("delete", responses={"204": {"description": "x", "content": {"text/plain": {}}}}), "content for 204"),
        (contract("put", requestBody=BODY), "declares no answer to a bad one"),
        (contract("get", security=[{"token": []}]), "declares neither 401 nor 403"),
        (contract("get", security=[{"token": []}, {}]), None),
        (contract("put", requestBody=BODY, responses=REFUSES), None),
        (contract("post", requestBody=BODY, responses=REFUSES), None),
    ],
)
async def test_statuses_fit_what_operations_do(text: str, words: str | None, tree: MakeTree, bare: Environment) -> None:
    found = await judged(statuses_fit_operations, tree({"openapi.json": text}), bare)
    assert found.verdict is (Outcome.FAIL if words else Outcome.PASS), found.reason
    assert words is None or words in found.reason


async def test_a_post_to_a_collection_of_addressed_items_answers_201(tree: MakeTree, bare: Environment) -> None:
    made = json.loads(contract("post", requestBody=BODY, responses=REFUSES))
    made["paths"]["/books/{id}"] = {"get": {"responses": {"200": {"description": "Fine"}}}}
    found = await judged(statuses_fit_operations, tree({"openapi.json": json.dumps(made)}), bare)
    assert found.reason.startswith("openapi.json: POST /books creates and answers 200 instead of 201; ")


HANDLER = """from http import HTTPStatus
from fastapi import FastAPI, HTTPException, Response, status
app = FastAPI(title='x', version='1.0.0')
job = {}


def refuse(): raise HTTPException(HTTPStatus.NOT_FOUND)


@app.get('/book')
def book(response: Response):
    """


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("raise HTTPException(status.HTTP_409_CONFLICT)", "main.py:12: GET /book raises 409 and does not declare it"),
        ("refuse()", "main.py:7: GET /book raises 404 and does not declare it"),
        ("try: refuse()\n    except HTTPException: return {}", None),
    ],
)
async def test_what_a_handler_refuses_is_in_the_contract_where_there_is_one(
    body: str, words: str | None, tree: MakeTree, environment: Environment
) -> None:
    files = {"main.py": HANDLER + body}
    found = await judged(statuses_fit_operations, tree(files), environment)
    assert found.verdict is (Outcome.UNKNOWN if words else Outcome.PASS), found.reason
    assert words is None or words in found.reason
    head = tree({**files, "openapi.json": contract("get", "/book")})
    found = await judged(statuses_fit_operations, head, environment)
    assert found.verdict is (Outcome.FAIL if words else Outcome.PASS), found.reason
    assert words is None or words in found.reason


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        ("return {'error': 'no such book'}", True),
        ("why = 'no ' + 'book'\n    return {'error': why}", True),
        ("try: refuse()\n    except ValueError as error: return {'error': str(error), 'book': 1}", True),
        ("return {'success': False, 'why': 'unknown'}", True),
        ("return {'error': None}", False),
        ("return {'state': job.get('state'), 'error': job.get('error')}", False),
    ],
)
async def test_an_error_with_a_status_of_success_is_wrong_where_it_is_the_answer(
    body: str, wrong: bool, tree: MakeTree, environment: Environment
) -> None:
    files = {"main.py": HANDLER.replace("@app.get('/book'", "@app.get('/book', responses={404: {}}") + body}
    found = await judged(statuses_fit_operations, tree(files), environment)
    assert found.verdict is (Outcome.FAIL if wrong else Outcome.PASS), found.reason
    assert not wrong or "returns an error with a status of success" in found.reason


async def test_what_fastapi_leaves_out_by_itself_is_named_and_not_blamed(
    tree: MakeTree, environment: Environment
) -> None:
    text = """
from fastapi import Depends, FastAPI, HTTPException
from fastapi.security import OAuth2PasswordBearer

app = FastAPI(title="Heroes", version="1.0.0")


@app.get("/heroes/{hero_id}")
def read_hero(hero_id: int) -> int:
    if hero_id > 9:
        raise HTTPException(status_code=404, detail="Hero not found")
    return hero_id


@app.get("/me")
def me(token: str = Depends(OAuth2PasswordBearer(tokenUrl="token"))) -> int:
    return len(token)
"""
    head = tree({"main.py": text})
    found = await judged(statuses_fit_operations, head, environment)
    assert found.verdict is Outcome.UNKNOWN, found.reason
    assert "main.py:11: GET /heroes/{hero_id} raises 404" in found.reason
    assert "GET /me asks for credentials and declares neither 401 nor 403" in found.reason
    found = await judged(statuses_fit_operations, tree({"main.py": text, "a.py": "X = 1\n"}), environment, head)
    assert found.verdict is Outcome.PASS, found.reason


@pytest.mark.parametrize(
    ("body", "with_contract", "verdict"),
    [
        ("return 1 / len(job)", True, Outcome.PASS),
        ("response.status_code = 503", True, Outcome.FAIL),
        pytest.param("response.status_code = 503", False, Outcome.UNKNOWN, marks=pytest.mark.slow),
        ("response.status_code = status.HTTP_410_GONE", False, Outcome.UNKNOWN),
    ],
)
async def test_a_crash_that_a_test_provokes_is_no_status_of_the_operation(
    body: str, with_contract: bool, verdict: Outcome, tree: MakeTree, environment: Environment
) -> None:
    asks = "def test_it(): TestClient(app, raise_server_exceptions=False).get('/book')\n"
    test = "from fastapi.testclient import TestClient\nfrom main import app\n" + asks
    files = {"main.py": HANDLER + body, "test_main.py": test}
    head = tree({**files, "openapi.json": contract("get", "/book")} if with_contract else files)
    found = await judged(seen_statuses_are_declared, head, environment)
    assert found.verdict is verdict, found.reason
