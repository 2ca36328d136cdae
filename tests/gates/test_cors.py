"""What the application answers to pages of other origins."""

import pytest

from backend_coordinator.domain.verdict import Outcome, Verdict
from backend_coordinator.nodes.gates.checks.cors import other_origins_stay_out
from backend_coordinator.nodes.workspace.environment import Environment
from backend_coordinator.nodes.workspace.trees import Tree
from tests.gates.trees import MakeTree, changes, inside

HEAD = (
    "from fastapi import FastAPI, Request\nfrom fastapi.middleware.cors import CORSMiddleware\n"
    "app = FastAPI(title='x', version='1.0.0')\n"
)
READS = "@app.get('/books')\ndef books() -> str: return 'Emma'\n"
WRITES = READS + "@app.post('/books', status_code=201)\ndef add() -> str: return 'Emma'\n"
AROUND = (
    "@app.middleware('http')\nasync def around(request: Request, call_next):\n    answer = await call_next(request)\n"
    "    origin = request.headers.get('origin', '')\n    {}\n    return answer\n"
)
REFLECTS = "answer.headers['Access-Control-Allow-Origin'] = origin"


def cors(options: str) -> str:
    return f"{HEAD}app.add_middleware(CORSMiddleware, {options})\n"


async def judged(head: Tree, environment: Environment, base: Tree | None = None) -> Verdict:
    return await other_origins_stay_out.run(base, head, changes(base, head), inside(environment, head))


@pytest.mark.parametrize(
    ("text", "verdict", "words"),
    [
        (HEAD + WRITES, Outcome.PASS, "no other origin gets access"),
        (cors("allow_origins=['https://a.example']") + WRITES, Outcome.PASS, "only the origins listed"),
        (cors("allow_origins=['*'], allow_methods=['GET']") + READS, Outcome.PASS, "any origin may read"),
        ("import os\n" + cors("allow_origins=os.environ.get('ORIGINS', '').split()") + READS,
         Outcome.PASS, "only the origins"),
        (cors("allow_origins=['http://localhost:3000'], allow_origin_regex=r'https?://localhost(:\\d+)?'") + WRITES,
         Outcome.PASS, "only the origins listed"),
        (cors("allow_origins=['*'], allow_credentials=True") + READS,
         Outcome.FAIL, "https://attacker.example get access with credentials"),
        (cors("allow_origins=['*'], allow_methods=['*']") + WRITES, Outcome.FAIL, "get access for POST /books"),
        (cors("allow_origins=['null']") + READS, Outcome.FAIL, "pages of null get access to read"),
        (cors("allow_origin_regex='.*', allow_credentials=True") + READS, Outcome.FAIL, "attacker.example"),
        (cors("allow_origin_regex=r'https://app.shop\\.example'") + READS, Outcome.FAIL, "https://appxshop.example"),
        (cors("allow_origin_regex=r'https://shop\\.example.*'") + READS, Outcome.FAIL, "shop.example.attacker.example"),
        (HEAD + READS + AROUND.format(REFLECTS), Outcome.FAIL, "main.py:10: the origin of a request is allowed"),
        (HEAD + READS + AROUND.format(f"if origin in ALLOWED: {REFLECTS}") + "ALLOWED = {'https://a.example'}\n",
         Outcome.PASS, "no other origin"),
        (HEAD + READS + AROUND.format("raise RuntimeError('no cache')"), Outcome.UNKNOWN, "RuntimeError: no cache"),
        (HEAD + "from starlette.middleware.trustedhost import TrustedHostMiddleware\n"
         "app.add_middleware(CORSMiddleware, allow_origins=['https://a.example'])\n"
         "app.add_middleware(TrustedHostMiddleware, allowed_hosts=['a.example'])\n" + READS,
         Outcome.UNKNOWN, "refuses even an origin"),
        (cors("allow_origins=['*'], allow_credentials=True") + "raise RuntimeError('no database')\n",
         Outcome.FAIL, "any origin gets access with credentials"),
        (cors("allow_origins=[]") + "raise RuntimeError('no database')\n", Outcome.UNKNOWN, "no database"),
        ("print(1)\n", Outcome.NOT_APPLICABLE, ""),
        ("from flask import Flask\n", Outcome.UNKNOWN, "no FastAPI application"),
    ],
)  # fmt: skip
async def test_an_origin_is_let_in_only_where_it_is_meant(
    text: str, verdict: Outcome, words: str, tree: MakeTree, environment: Environment
) -> None:
    found = await judged(tree({"main.py": text}), environment)
    assert (found.verdict, words in found.reason) == (verdict, True), found.reason


async def test_what_was_open_before_is_not_blamed(tree: MakeTree, environment: Environment) -> None:
    text = cors("allow_origins=['*'], allow_credentials=True") + READS
    found = await judged(tree({"main.py": text + "X = 1\n"}), environment, tree({"main.py": text}))
    assert (found.verdict, found.reason) == (Outcome.PASS, "other origins get in as they did before this change")
