"""Calls that hold up the event loop."""

import pytest

from backend_coordinator.domain.verdict import Outcome, Verdict
from backend_coordinator.nodes.gates.checks.performance import handlers_do_not_block
from backend_coordinator.nodes.workspace.environment import Environment
from backend_coordinator.nodes.workspace.trees import Tree
from tests.gates.trees import MakeTree, changes, inside

APP = "from fastapi import Depends, FastAPI, Request\n\napp = FastAPI(title='x', version='1.0.0')\n"


async def judged(head: Tree, environment: Environment, base: Tree | None = None) -> Verdict:
    return await handlers_do_not_block.run(base, head, changes(base, head), inside(environment, head))


def handler(body: str, *, imports: str = "", parameters: str = "") -> str:
    return f"{imports}\n{APP}\n\n@app.get('/')\nasync def read({parameters}):\n    {body}\n"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (handler("from time import sleep as rest; rest(1)"), "time.sleep"),
        (handler("return ROOT.joinpath('x').read_text()", imports="from pathlib import Path\nROOT = Path('.')"),
         "pathlib.Path.joinpath.read_text"),
        (handler("with open('x') as file: return file.read()"), "open"),
        (handler("return Store().page()", imports="import sqlite3\nclass Base:\n    def page(self): return self._go()\n"
                 "    def _go(self): return sqlite3.connect('x')\nclass Store(Base): ..."), "sqlite3.connect"),
        (handler("return await inner()", imports="import subprocess\nasync def inner(): subprocess.run(['ls'])"),
         "subprocess.run"),
        (APP + "import time\nasync def who(): time.sleep(1)\n"
         "@app.get('/')\ndef read(w=Depends(who)): ...\n", "time.sleep"),
        (APP + "import time\n@app.middleware('http')\n"
         "async def around(request: Request, call_next):\n"
         "    time.sleep(1)\n    return await call_next(request)\n@app.get('/')\ndef read(): ...\n", "time.sleep"),
        (APP + "import time\nclass Slow:\n    def __init__(self, app): self.app = app\n"
         "    async def __call__(self, scope, receive, send): time.sleep(1)\napp.add_middleware(Slow)\n"
         "@app.get('/')\ndef read(): ...\n", "time.sleep"),
        (APP + "import time\n@app.get('/')\ndef read(): time.sleep(1)\n", None),
        (handler("return await asyncio.to_thread(time.sleep, 1)", imports="import asyncio, time"), None),
        (handler("return await run_in_threadpool(lambda: time.sleep(1))", imports="import time\n"
                 "from starlette.concurrency import run_in_threadpool"), None),
        (handler("import requests_async as requests; return await requests.get('x')"), None),
    ],
)  # fmt: skip
@pytest.mark.slow
async def test_only_what_runs_in_the_event_loop_must_not_block(
    text: str, name: str | None, tree: MakeTree, environment: Environment
) -> None:
    found = await judged(tree({"main.py": text}), environment)
    assert found.verdict is (Outcome.FAIL if name else Outcome.PASS), found.reason
    assert name is None or name in found.reason


async def test_names_are_followed_through_the_modules_of_a_package(tree: MakeTree, environment: Environment) -> None:
    files = {
        "src/shop/__init__.py": "",
        "src/shop/app.py": "from fastapi import FastAPI\nfrom shop.api import router\n\napp = FastAPI()\n"
        "app.include_router(router)\n",
        "src/shop/api.py": "from typing import Annotated\nfrom fastapi import APIRouter, Depends\n"
        "from .stores import Store\n\nrouter = APIRouter(prefix='/x')\nStored = Annotated[Store, Depends(Store)]\n\n\n"
        "@router.get('')\nasync def read(store: Stored):\n    return store.load()\n",
        "src/shop/stores/__init__.py": "from .files import Store\n",
        "src/shop/stores/files.py": "class Store:\n    def load(self):\n        return open('x').read()\n",
    }
    found = await judged(tree(files), environment)
    assert found.reason.startswith(
        "src/shop/stores/files.py:3: open() blocks the event loop in which async read runs; "
    ), found.reason


async def test_what_blocked_before_is_not_blamed(tree: MakeTree, environment: Environment) -> None:
    text = handler("time.sleep(1)", imports="import time")
    found = await judged(tree({"main.py": text + "X = 1\n"}), environment, tree({"main.py": text}))
    assert found.verdict is Outcome.PASS
    assert found.reason == "this change adds nothing to 1 blocking calls that were there"


async def test_without_an_application_the_check_decides_nothing(tree: MakeTree, bare: Environment) -> None:
    found = await judged(tree({"app.py": "from flask import Flask\n"}), bare)
    assert found.verdict is Outcome.UNKNOWN
    found = await judged(tree({"app.py": "print(1)\n"}), bare)
    assert found.verdict is Outcome.NOT_APPLICABLE
