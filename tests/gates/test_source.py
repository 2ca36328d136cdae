"""Parsing in several threads at once."""

import ast
from concurrent.futures import ThreadPoolExecutor

from backend_coordinator.nodes.gates.source import parse


def test_many_threads_parse_at_once() -> None:
    text = "x = [" + "(1, [2, {3: 4}]), " * 500 + "]"
    with ThreadPoolExecutor(4) as pool:
        dumps = {ast.dump(module) for module in pool.map(parse, [text] * 40)}
    assert len(dumps) == 1
