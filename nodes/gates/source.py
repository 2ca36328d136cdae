"""Parsing Python, safely from several threads."""

import ast
import threading
from collections.abc import Iterable

from backend_coordinator.nodes.workspace.trees import Tree

_LOCK = threading.Lock()
_TRIES = 5


def parse(text: str) -> ast.Module:
    """The module's syntax tree; raises SyntaxError, ValueError or RecursionError as `ast.parse` does."""
    for _ in range(_TRIES - 1):
        try:
            with _LOCK:
                return ast.parse(text)
        except SystemError:
            # CPython 3.11 keeps one recursion counter for all threads; a parse elsewhere may upset it.
            continue
    return ast.parse(text)


def modules_of(tree: Tree, paths: Iterable[str]) -> dict[str, ast.Module]:
    """The syntax trees of those of `paths` that can be parsed."""
    found = {}
    for path in paths:
        try:
            found[path] = parse(tree.read(path) or "")
        except (SyntaxError, ValueError, RecursionError):
            continue
    return found
