"""Tests that passed before a change and no longer pass after it, without failing."""

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import NamedTuple

from backend_coordinator.nodes.gates.files import is_test
from backend_coordinator.nodes.gates.linters import PYTEST_SECTIONS, configured
from backend_coordinator.nodes.gates.source import parse
from backend_coordinator.nodes.gates.syntax import module_path
from backend_coordinator.nodes.gates.testrun import TestRun
from backend_coordinator.nodes.workspace.trees import Tree

_CONFIGURES_ONLY_PYTEST = frozenset({"pytest.ini", ".pytest.ini", "pytest.toml", ".pytest.toml"})


class Lost(NamedTuple):
    """Ids of tests: `removed` ones have no excuse, `moved` ones were renamed or went with the code they import."""

    removed: tuple[str, ...] = ()
    moved: tuple[str, ...] = ()


def may_lose_tests(base: Tree, head: Tree, changed: frozenset[str]) -> bool:
    """Whether the change can remove, skip or deselect tests of `base`; test files it only adds cannot."""
    tests = [PurePosixPath(path) for path in base.files if is_test(path) and path.endswith(".py")]
    return bool(tests) and any(_touches(base, head, PurePosixPath(path), tests) for path in changed)


def _touches(base: Tree, head: Tree, path: PurePosixPath, tests: list[PurePosixPath]) -> bool:
    if section := PYTEST_SECTIONS.get(path.name):
        before, after = (configured(tree.path / path).get(section) for tree in (base, head))
        return before != after
    if path.name == "conftest.py":
        return any(test.is_relative_to(path.parent) for test in tests)
    return path.name in _CONFIGURES_ONLY_PYTEST or (is_test(str(path)) and str(path) in base.files)


def lost_tests(base: Tree, head: Tree, before: TestRun, after: TestRun) -> Lost:
    """What passed in `before` and is absent or skipped in `after`; failures of `after` are the caller's affair.

    A parameter set that another one of the same test replaces was edited, as an assertion is, and not lost.
    """
    new = after.passing - before.passing
    replaced = Counter(map(_function, new))
    gone = []
    for test in sorted(before.passing - after.passing):
        if replaced[_function(test)]:
            replaced[_function(test)] -= 1
        else:
            gone.append(test)
    names = {_name(test) for test in new}
    files = set(_deleted_with_code(base, head)) if gone else set()
    moved = tuple(t for t in gone if _name(t) in names or files.intersection(_parts(t)))
    return Lost(tuple(test for test in gone if test not in moved), moved)


def _function(test: str) -> str:
    return test.partition("[")[0]


def _name(test: str) -> str:
    return test.partition("::")[2]


def _parts(test: str) -> list[str]:
    return test.partition("::")[0].replace("/", ".").split(".")


def _deleted_with_code(base: Tree, head: Tree) -> Iterator[str]:
    """Names of deleted test modules that import a module which was deleted too."""
    deleted = [path for path in {*base.files}.difference(head.files) if path.endswith(".py")]
    code = [f".{module_path(path).replace('/', '.')}" for path in deleted if not is_test(path)]
    for path in filter(is_test, deleted):
        imported = tuple(f".{name}" for name in _imported(base.read(path) or ""))
        if any(module.endswith(imported) for module in code):
            yield PurePosixPath(path).stem


def _imported(text: str) -> Iterator[str]:
    try:
        nodes = list(ast.walk(parse(text)))
    except SyntaxError:
        return
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            yield from filter(None, [module, *(f"{module}.{alias.name}".strip(".") for alias in node.names)])
