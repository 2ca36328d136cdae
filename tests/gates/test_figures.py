"""What is measured while a project's tests run."""

from backend_coordinator.domain.report import Metric
from backend_coordinator.nodes.gates.application import application_of
from backend_coordinator.nodes.gates.project import check_project, run_tests
from backend_coordinator.nodes.gates.testrun import Request
from backend_coordinator.nodes.metrics import measured_by
from backend_coordinator.nodes.workspace.environment import Environment
from tests.gates.trees import MakeTree, inside

SERVICE = """\
import sqlite3

from fastapi import FastAPI

app = FastAPI()
inner = FastAPI()
app.mount("/inner", inner)


@inner.get("/deep")
def deep() -> str:
    return "deep"


@app.get("/books")
def books() -> list[int]:
    db = sqlite3.connect(":memory:")
    db.execute("CREATE TABLE book (id integer)")
    db.executemany("INSERT INTO book VALUES (?)", [(1,), (2,)])
    found = [row[0] for row in db.execute("SELECT id FROM book ORDER BY id")]
    db.close()
    return found


@app.get("/books/{book}")
def book(book: int) -> int:
    return book


@app.delete("/books/{book}")
def remove(book: int) -> None:
    raise RuntimeError
"""
TEST = """\
from fastapi.testclient import TestClient

from main import app

client = TestClient(app, raise_server_exceptions=False)


def test_requests() -> None:
    assert client.get("/books").json() == [1, 2]
    assert client.get("/inner/deep").json() == "deep"
    assert client.delete("/books/1").status_code == 500
"""


async def test_requests_and_statements_are_timed_once_each(tree: MakeTree, environment: Environment) -> None:
    head = tree({"main.py": SERVICE, "test_main.py": TEST, "pytest.ini": "[pytest]\nfilterwarnings = error\n"})
    run = await run_tests(head.path, inside(environment, head))
    assert run.green, run.output
    assert Request("DELETE", "/books/1", 500) in run.requests
    sent = [(timing.method, timing.path) for timing in run.timings]
    assert sent == [("GET", "/books"), ("GET", "/inner/deep"), ("DELETE", "/books/1")]
    assert all(timing.ms > 0 for timing in run.timings)
    assert len(run.statements) == 2
    figures = measured_by(run, await application_of(head, inside(environment, head)))
    assert [figure.name for figure in figures] == [
        "api_endpoint_coverage", "test_coverage", "database_query_performance", "api_response_time_p95",
    ]  # fmt: skip
    assert figures[0] == Metric(
        name="api_endpoint_coverage",
        value=66.667,
        unit="%",
        how="2 of 3 operations were sent a request",
        part=2,
        whole=3,
    )
    assert figures[2].value == max(run.statements)
    assert figures[3].value == max(timing.ms for timing in run.timings)


async def test_a_project_s_own_class_of_connection_stays(tree: MakeTree, environment: Environment) -> None:
    test = (
        "import sqlite3\nimport threading\n\n\nclass Own(sqlite3.Connection):\n    pass\n\n\ndef test_it() -> None:\n"
        "    with sqlite3.connect(':memory:', factory=Own) as own:\n        assert type(own) is Own\n"
        "        assert type(own.execute('select 1')) is sqlite3.Cursor\n"
        "    plain = sqlite3.connect(':memory:')\n    assert repr(plain).startswith('<sqlite3.Connection object at')\n"
        "    plain.row_factory = sqlite3.Row\n    assert plain.execute('select 1 as one').fetchone()['one'] == 1\n"
        "    plain.execute('pragma user_version')\n    plain.close()\n    own.close()\n"
    )
    head = tree({"test_it.py": test})
    run = await run_tests(head.path, inside(environment, head))
    assert run.green, run.output
    assert len(run.statements) == 1


async def test_figures_that_tests_record_are_read(tree: MakeTree, environment: Environment) -> None:
    test = (
        "import pytest\n\n\n@pytest.mark.parametrize('ms', [1.5, 2.25])\ndef test_it(record_property, ms) -> None:\n"
        "    record_property('login_p95_ms', ms)\n    record_property('Not A Name', 1)\n"
        "    record_property('endless', float('inf'))\n    record_property('word', 'fast')\n"
    )
    head = tree({"test_calc.py": test, "pytest.ini": "[pytest]\nfilterwarnings = error\n"})
    done = await check_project(head.path, inside(environment, head))
    assert done.tests.green, done.tests.output
    assert done.tests.measured == {"login_p95_ms": 2.25}
    assert done.text.splitlines()[1] == "measured: login_p95_ms=2.25"
