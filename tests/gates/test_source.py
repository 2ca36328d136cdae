"""Reading source: in several threads at once, and for what it serves."""

import ast
from concurrent.futures import ThreadPoolExecutor

import pytest

from backend_coordinator.nodes.gates.files import serves
from backend_coordinator.nodes.gates.source import parse
from tests.gates.trees import MakeTree


def test_many_threads_parse_at_once() -> None:
    text = "x = [" + "(1, [2, {3: 4}]), " * 500 + "]"
    with ThreadPoolExecutor(4) as pool:
        dumps = {ast.dump(module) for module in pool.map(parse, [text] * 40)}
    assert len(dumps) == 1


@pytest.mark.parametrize(
    ("path", "text", "found"),
    [
        ("a.py", "from flask import Flask\n", True), ("a.py", "import http.server\n", True),
        ("a.py", "# uses flask one day\n", False), ("a.py", "from flaskless import x\n", False),
        ("docs/conf.py", "import flask\n", False), ("tests/test_a.py", "import flask\n", False),
        ("a.ts", "import x from 'express'\n", True), ("a.js", "const e = require(\"@nestjs/core\")\n", True),
        ("a.js", "import fs from 'fs'\n", False), ("A.java", "import org.springframework.web.bind.X;\n", True),
        ("main.go", 'import (\n\t"net/http"\n)\n', True), ("README.md", "from flask import Flask\n", False),
    ],
)  # fmt: skip
def test_what_serves_http_is_told_by_its_imports(tree: MakeTree, path: str, text: str, found: bool) -> None:
    assert serves(tree({path: text})) is found
