"""Parsing Python, safely from several threads."""

import ast
import threading

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
