"""What the functions of a project call: each other, and libraries by their full names."""

import ast
import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal, NamedTuple

from backend_coordinator.nodes.gates import syntax
from backend_coordinator.nodes.gates.files import product_python
from backend_coordinator.nodes.gates.shared import once
from backend_coordinator.nodes.gates.source import modules_of
from backend_coordinator.nodes.gates.syntax import Function
from backend_coordinator.nodes.workspace.environment import Environment
from backend_coordinator.nodes.workspace.trees import Tree

_DEEP = 20
_Binding = Function | ast.ClassDef | ast.expr | str
_NOWHERE = ast.FunctionDef("", ast.arguments([], [], None, [], [], None, []), [], [])
"""Stands for the level of a module, where a function binds nothing."""


@dataclass(frozen=True)
class Site:
    """A function, the file it stands in, and the class it belongs to."""

    path: str
    function: Function
    owner: ast.ClassDef | None = None


class Call(NamedTuple):
    """`name` is the full dotted name, an instance standing for its class; `target` is set if the project has it."""

    node: ast.Call
    name: str
    target: Site | None


def module_name(path: str, root: str) -> str:
    """The name by which the file at `path` is imported in the unit at `root`; empty for the root's own package."""
    local = PurePosixPath(path).relative_to(root).with_suffix("")
    parts = [part for part in local.parts if part != "__init__"]
    return ".".join(parts[1:] if parts[:1] == ["src"] else parts)


def executed(function: Function) -> Iterator[ast.AST]:
    """The nodes that run when `function` does: not the bodies of functions and classes it only defines."""
    todo: list[ast.AST] = [*function.body]
    while todo:
        node = todo.pop(0)
        yield node
        if not isinstance(node, Function | ast.ClassDef | ast.Lambda):
            todo = [*ast.iter_child_nodes(node), *todo]


class Code:
    """The Python of a tree, read as far as names lead; files that cannot be parsed are left out."""

    def __init__(self, tree: Tree, roots: Sequence[str]) -> None:
        self._roots = sorted(roots, key=len, reverse=True)
        self._paths: dict[tuple[str, str], str] = {}
        self._names: dict[str, dict[str, _Binding]] = {}
        self._sites: dict[tuple[str, int], Site] = {}
        for path, module in modules_of(tree, product_python(tree, frozenset(tree.files))).items():
            if (root := self._root(path)) is not None:
                self._paths[root, module_name(path, root)] = path
                self._names[path] = dict(self._bindings(path, module))
                self._sites.update(((path, _begin(site.function)), site) for site in _sites(path, module))

    def at(self, path: str, line: int) -> Site | None:
        """The function whose first line, decorators included, is `line`."""
        return self._sites.get((path, line))

    def calls(self, site: Site) -> Iterator[Call]:
        """Every call that runs when `site` does."""
        for node in executed(site.function):
            if isinstance(node, ast.Call):
                name = self._dotted(node.func, site)
                yield Call(node, name, self._target(name, site.path))

    def _root(self, path: str) -> str | None:
        return next((root for root in self._roots if PurePosixPath(path).is_relative_to(root)), None)

    def _bindings(self, path: str, module: ast.Module) -> Iterator[tuple[str, _Binding]]:
        for node in ast.walk(module):
            if isinstance(node, ast.Import):
                # `import a.b` binds only `a`.
                yield from ((a.asname, a.name) if a.asname else (a.name.partition(".")[0],) * 2 for a in node.names)
            elif isinstance(node, ast.ImportFrom):
                yield from ((a.asname or a.name, f"{self._imported(path, node)}.{a.name}") for a in node.names)
        for node in module.body:
            if isinstance(node, Function | ast.ClassDef):
                yield node.name, node
            elif isinstance(node, ast.Assign | ast.AnnAssign) and node.value:
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                yield from ((target.id, node.value) for target in targets if isinstance(target, ast.Name))

    def _imported(self, path: str, node: ast.ImportFrom) -> str:
        if not node.level:
            return node.module or ""
        package = module_name(path, self._root(path) or "").split(".")
        up = node.level - 1 if path.endswith("__init__.py") else node.level
        return ".".join([*package[: len(package) - up], *filter(None, [node.module])])

    def _dotted(self, node: ast.expr, site: Site, deep: int = 0) -> str:
        if deep > _DEEP:
            return ""
        match node:
            case ast.Attribute(value=value, attr=attr):
                owner = self._dotted(value, site, deep + 1)
                return self._canonical(f"{owner}.{attr}", site.path, deep + 1) if owner else ""
            case ast.Subscript(value=ast.Name(id="Annotated" | "Optional"), slice=inner):
                return self._dotted(inner.elts[0] if isinstance(inner, ast.Tuple) else inner, site, deep + 1)
            case ast.Call(func=value) | ast.Await(value=value) | ast.BinOp(left=value):
                return self._dotted(value, site, deep + 1)
            case ast.Name(id=name):
                return self._of_name(name, site, deep)
            case _:
                return ""

    def _of_name(self, name: str, site: Site, deep: int) -> str:
        module = module_name(site.path, self._root(site.path) or "")
        if name in {"self", "cls"} and site.owner:
            return f"{module}.{site.owner.name}"
        if (local := _bound(site.function, name)) is not False:
            return self._dotted(local, site, deep + 1) if isinstance(local, ast.expr) else ""
        return self._canonical(f"{module}.{name}", site.path, deep + 1) if name in self._names[site.path] else name

    def _canonical(self, name: str, path: str, deep: int = 0) -> str:
        """`name` with the project's own imports and assignments followed."""
        found, rest = self._module(name, path)
        binding = self._names[found].get(rest[0]) if found and rest else None
        if not found or binding is None or deep > _DEEP:
            return name
        tail = "".join(f".{part}" for part in rest[1:])
        if isinstance(binding, str):
            return self._canonical(binding + tail, path, deep + 1)
        if isinstance(binding, Function | ast.ClassDef):
            return name
        value = self._dotted(binding, Site(found, _NOWHERE), deep + 1)
        return self._canonical(value + tail, found, deep + 1) if value else ""

    def _module(self, name: str, path: str) -> tuple[str | None, list[str]]:
        """The file of the longest part of `name` that is a module of the unit, and the names that remain."""
        parts, root = name.split("."), self._root(path) or ""
        for length in range(len(parts), 0, -1):
            if found := self._paths.get((root, ".".join(parts[:length]))):
                return found, parts[length:]
        return None, parts

    def _target(self, name: str, path: str) -> Site | None:
        found, rest = self._module(name, path)
        binding = self._names[found].get(rest[0]) if found and rest else None
        if found and isinstance(binding, Function) and len(rest) == 1:
            return Site(found, binding)
        if found and isinstance(binding, ast.ClassDef) and len(rest) <= 2:
            return self._method(found, binding, [*rest, "__init__"][1])
        return None

    def _method(self, path: str, owner: ast.ClassDef, name: str, deep: int = 0) -> Site | None:
        for node in owner.body:
            if isinstance(node, Function) and node.name == name:
                return Site(path, node, owner)
        for base in owner.bases:
            found, rest = self._module(self._dotted(base, Site(path, _NOWHERE)), path)
            parent = self._names[found].get(rest[0]) if found and len(rest) == 1 else None
            if found and isinstance(parent, ast.ClassDef) and deep < _DEEP:
                return self._method(found, parent, name, deep + 1)
        return None


async def code_of(tree: Tree, environment: Environment) -> Code:
    """The tree's Python, read once for all checks of an inspection."""
    roots = [unit.root for unit in environment.units]
    return await once(("code", tree.oid), lambda: asyncio.to_thread(Code, tree, roots))


def _sites(path: str, scope: ast.AST) -> Iterator[Site]:
    for node in ast.walk(scope):
        for child in ast.iter_child_nodes(node):
            if isinstance(child, Function):
                yield Site(path, child, node if isinstance(node, ast.ClassDef) else None)


def _begin(function: Function) -> int:
    return min([function.lineno, *(decorator.lineno for decorator in function.decorator_list)])


def _bound(function: Function, name: str) -> ast.expr | Literal[False] | None:
    """What stands for a local name: a type or a value; None if that cannot be told, False if it is not local."""
    every = (*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs)
    if name in syntax.parameters(function):
        return next((argument.annotation for argument in every if argument.arg == name), None)
    for node in executed(function):
        match node:
            case ast.withitem(context_expr=value, optional_vars=ast.Name(id=bound)) if bound == name:
                return value
    values = list(syntax.assigned(function, name))
    return (values[0] if len(values) == 1 else None) if values else False
