"""Tests that passed before a change and no longer pass after it, without failing, or that check less than before."""

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


class Weakened(NamedTuple):
    """Tests that check less than before, as `path::name`: `emptied` ones nothing any more, `fewer` ones not as much."""

    emptied: tuple[str, ...] = ()
    fewer: tuple[str, ...] = ()


def weakened_tests(base: Tree, head: Tree, changed: frozenset[str], before: TestRun) -> Weakened:
    """The tests of changed files that passed in `before` and hold fewer assertions than their old version did."""
    emptied: list[str] = []
    fewer: list[str] = []
    for path in sorted(path for path in changed if is_test(path) and path in head.files and path.endswith(".py")):
        after = _assertions(head.read(path) or "")
        module = path.removesuffix(".py").replace("/", ".")
        passed = {test.rpartition("::")[2].partition("[")[0] for test in before.passing if test.startswith(module)}
        for name, count in _assertions(base.read(path) or "").items():
            left = after.get(name, count) if name in passed else count
            (fewer if left else emptied).extend([f"{path}::{name}"] if left < count else [])
    return Weakened(tuple(emptied), tuple(fewer))


def _assertions(text: str) -> dict[str, int]:
    """How much each test function checks; what compares constants only checks nothing."""
    try:
        functions = [node for node in ast.walk(parse(text)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    except SyntaxError:
        return {}
    return {node.name: sum(map(_asserts, ast.walk(node))) for node in functions if node.name.startswith("test")}


def _asserts(node: ast.AST) -> bool:
    if isinstance(node, ast.Assert):
        return any(isinstance(part, ast.Name | ast.Call | ast.Await) for part in ast.walk(node.test))
    called = node.func if isinstance(node, ast.Call) else None
    name = called.attr if isinstance(called, ast.Attribute) else called.id if isinstance(called, ast.Name) else ""
    return name.startswith("assert") or name in {"raises", "warns", "fail"}


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
