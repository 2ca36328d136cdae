"""Where SQL text comes from: constants of the program, values put into it, or something that cannot be traced."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from enum import IntEnum

from backend_coordinator.nodes.gates import syntax
from backend_coordinator.nodes.gates.syntax import Function, Sources, called, words

_Comprehension = ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp


_SINKS = words("exec_driver_sql execute executemany executescript fetch fetchrow fetchval raw")
_TEXTS = words("RawSQL read_sql read_sql_query text")
# Query builders quote and bind by themselves; numbers cannot carry SQL.
_SAFE = words(
    "select insert update delete union union_all exists SQL Identifier Literal Placeholder CreateTable "
    "DDL int float len bool"
)
_KEEPS = words(
    "join format strip lower upper replace removesuffix removeprefix values items keys get copy split splitlines"
)
_WRAPS = words("sorted tuple list set reversed str dict enumerate zip dedent frozenset text cast")
SQL = re.compile(
    r"(?is)^\s*(?:select|insert|update|delete|create|drop|alter|replace|with|pragma|merge|call|truncate)\b"
)
# What stands behind one of these is a value, so it should have been a parameter.
_VALUE = re.compile(
    r"(?is)(?:[=<>]|\b(?:i?like|between|limit|offset)\b|\b(?:in|values)\s*\((?:[^()]*,)?)\s*['\"%]*$|'[^']*$"
)


# An index, a condition or a format does not become part of the text.
_LEFT_OUT: Mapping[type[ast.expr], str] = {ast.Subscript: "slice", ast.IfExp: "test", ast.FormattedValue: "format_spec"}
_MADE_OF_PARTS = (
    *(ast.Constant, ast.JoinedStr, ast.Starred, ast.BoolOp, ast.BinOp, ast.Tuple, ast.List, ast.Set, ast.Dict),
    *(ast.ListComp, ast.SetComp, ast.GeneratorExp, ast.DictComp, *_LEFT_OUT),
)


class Taint(IntEnum):
    """How far a text can be trusted, the worst last."""

    CONSTANT = 0
    UNTRACED = 1
    FORMATTED = 2


class Program:
    """A project's modules by path; a parameter is known by what callers pass, a field by what is stored in it."""

    def __init__(self, modules: Mapping[str, ast.Module]) -> None:
        self._modules = modules
        self._parents: dict[ast.AST, ast.AST] = {}
        self.calls: defaultdict[str, list[ast.Call]] = defaultdict(list)
        self.functions: defaultdict[str, list[Function]] = defaultdict(list)
        self.fields: defaultdict[str, list[ast.expr]] = defaultdict(list)
        self._outside: set[str] = set()
        classes = []
        for module in modules.values():
            for node in ast.walk(module):
                self._parents.update((child, node) for child in ast.iter_child_nodes(node))
                if isinstance(node, ast.Call):
                    self.calls[called(node)].append(node)
                elif isinstance(node, Function):
                    self.functions[node.name].append(node)
                elif isinstance(node, ast.ClassDef):
                    classes.append(node)
                elif isinstance(node, ast.Assign):
                    for target in node.targets:
                        if isinstance(target, ast.Attribute):
                            self.fields[target.attr].append(node.value)
        for node in classes:
            self._declare(node)

    def sql_calls(self, path: str) -> Iterator[tuple[int, str, Taint]]:
        """(line, function, taint) of each call in the module at `path` that is handed SQL text."""
        for node in self.handed(path):
            yield node.lineno, called(node), self._judge(node.args[0])

    def handed(self, path: str) -> Iterator[ast.Call]:
        """The calls in the module at `path` whose first argument is SQL text."""
        for node in ast.walk(self._modules[path]):
            if isinstance(node, ast.Call) and node.args and called(node) in _SINKS | _TEXTS:
                opening = next((part for part in self._parts(node.args[0]) if isinstance(part, str)), "")
                sure = called(node) in _SINKS - {"raw", "fetch"} and isinstance(node.func, ast.Attribute)
                if sure or SQL.match(opening):
                    yield node

    def _judge(self, expression: ast.expr) -> Taint:
        worst, seen, todo = Taint.CONSTANT, set(), [expression]
        while todo:
            node = todo.pop()
            if node in seen:
                continue
            seen.add(node)
            whole = self._sources(node) if isinstance(node, ast.Name | ast.Call | ast.IfExp) else None
            if whole is not None and not (isinstance(node, ast.Call) and called(node) in _KEEPS):
                todo += whole
            else:
                worst = max(worst, self._judge_text(node))
        return worst

    def _judge_text(self, node: ast.expr) -> Taint:
        worst, before = Taint.CONSTANT, ""
        for part in self._parts(node):
            if isinstance(part, str):
                before += part
            elif not self._traced(part):
                value = before and _VALUE.search(before)
                worst = max(worst, Taint.FORMATTED if value else Taint.UNTRACED)
        return worst

    def _parts(self, node: ast.expr) -> Iterator[str | ast.expr]:
        """The pieces of a text in order: constant ones as strings, the rest as expressions."""
        match node:
            case ast.Constant(value=value):
                yield str(value)
            case ast.JoinedStr(values=values):
                for value in values:
                    yield from self._parts(value)
            case ast.FormattedValue(value=value):
                yield value
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                yield from self._parts(left)
                yield from self._parts(right)
            case ast.BinOp(left=ast.Constant(value=str(template)), op=ast.Mod(), right=right):
                values = list(right.elts) if isinstance(right, ast.Tuple) else [right]
                yield from syntax.filled(re.split(r"%(?:\(\w+\))?[sdrif]", template), values)
            case ast.Call(func=ast.Attribute(value=ast.Constant(value=str(template)), attr="format")):
                yield from syntax.filled(re.split(r"\{[^{}]*\}", template), syntax.arguments(node))
            case ast.Call(args=[first, *_]) if called(node) in {"text", "dedent"}:
                yield from self._parts(first)
            case ast.Name() if len(found := self._sources(node) or []) == 1 and not isinstance(found[0], ast.Name):
                yield from self._parts(found[0])
            case _:
                yield node

    def _traced(self, expression: ast.expr) -> bool:
        """True if nothing but constants of the program can flow into `expression`."""
        seen, todo = set(), [expression]
        while todo:
            node = todo.pop()
            if node not in seen:
                seen.add(node)
                if (sources := self._sources(node)) is None:
                    return False
                todo += sources
        return True

    def _sources(self, node: ast.expr) -> Sources:
        """The expressions `node` is made of; None if that cannot be told."""
        if isinstance(node, ast.Call):
            return self._call_sources(node)
        if isinstance(node, ast.Name):
            return self.bound(node)
        if isinstance(node, ast.Attribute):
            return None if node.attr in self._outside else self.fields.get(node.attr)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
            return [node.left]
        if not isinstance(node, _MADE_OF_PARTS):
            return None
        left_out = getattr(node, _LEFT_OUT.get(type(node), ""), None)
        return [part for part in ast.iter_child_nodes(node) if isinstance(part, ast.expr) and part is not left_out]

    def _call_sources(self, node: ast.Call) -> Sources:
        name = called(node)
        receiver = [node.func.value] if isinstance(node.func, ast.Attribute) else []
        if name == "read_text" and receiver and self._belongs_to_program(receiver[0]):
            return []
        if name in _KEEPS and receiver:
            return [*receiver, *syntax.arguments(node)]
        if name == "field":
            values = {keyword.arg: keyword.value for keyword in node.keywords}
            factory = values.get("default_factory")
            empty = factory is None or syntax.last(factory) in {"dict", "list", "tuple", "set", "frozenset"}
            return [values["default"]] if "default" in values else [] if empty else None
        if name in _WRAPS:
            return syntax.arguments(node)
        if name in self.functions:
            return [value for function in self.functions[name] for value in syntax.returned(function)] or None
        if name in _SAFE or any(isinstance(r, ast.Call) and self._sources(r) == [] for r in receiver):
            return []
        return None

    def _belongs_to_program(self, path: ast.expr) -> bool:
        """True for a path that starts at `__file__`: what stands there is as constant as the code."""
        for _ in range(20):
            match path:
                case ast.Name(id="__file__"):
                    return True
                case ast.Name():
                    found = self.bound(path) or []
                    if len(found) != 1:
                        return False
                    path = found[0]
                case ast.BinOp(left=value, op=ast.Div()) | ast.Attribute(value=value) | ast.Subscript(value=value):
                    path = value
                case ast.Call(func=ast.Attribute(value=value, attr=method)) if method != "Path":
                    path = value
                case ast.Call(args=[value, *_]):
                    path = value
                case _:
                    return False
        return False

    def bound(self, name: ast.Name) -> Sources:
        """Everything that may be bound to `name`, from the innermost scope that binds it."""
        scope: ast.AST = name
        while scope in self._parents:
            scope = self._parents[scope]
            if isinstance(scope, _Comprehension):
                for generator in scope.generators:
                    if name.id in syntax.names(generator.target):
                        return [generator.iter]
            elif isinstance(scope, Function | ast.Module):
                found = list(syntax.assigned(scope, name.id))
                if isinstance(scope, Function) and name.id in syntax.parameters(scope):
                    passed = self._passed(scope, name.id)
                    return None if passed is None else syntax.told([*found, *passed])
                if found:
                    return syntax.told(found)
                if isinstance(scope, ast.Module):
                    return self._imported(scope, name.id)
        return None

    def _imported(self, module: ast.Module, name: str) -> Sources:
        for node in ast.walk(module):
            for alias in node.names if isinstance(node, ast.ImportFrom) else ():
                if name == (alias.asname or alias.name):
                    file = (getattr(node, "module", None) or "").replace(".", "/")
                    trees = [t for p, t in self._modules.items() if syntax.module_path(p).endswith(file)]
                    found = [value for tree in trees for value in syntax.assigned(tree, alias.name)]
                    return syntax.told(found) if found else None
        return None

    def _passed(self, function: Function, name: str) -> Sources:
        decorators = {*map(syntax.last, function.decorator_list)}
        if decorators and decorators.isdisjoint({"staticmethod", "classmethod"}):
            return None
        names = [argument.arg for argument in (*function.args.posonlyargs, *function.args.args)]
        names = names[1:] if names[:1] in (["self"], ["cls"]) else names
        defaults = dict(zip(reversed(names), reversed(function.args.defaults), strict=False))
        calls = self.calls.get(function.name, [])
        given = [syntax.given(call, names) for call in calls]
        if not calls or any(arguments is None for arguments in given):
            return None
        values = [(arguments or {}).get(name, defaults.get(name)) for arguments in given]
        return syntax.told(values)

    def _declare(self, node: ast.ClassDef) -> None:
        """Note what instances and the body of a class store in its fields."""
        fields = [s.target.id for s in node.body if isinstance(s, ast.AnnAssign) and isinstance(s.target, ast.Name)]
        if {"BaseModel", "TypedDict", "BaseSettings"} & set(map(syntax.last, node.bases)):
            self._outside.update(fields)
        for call in self.calls.get(node.name, []):
            arguments = syntax.given(call, fields)
            if arguments is None:
                self._outside.update(fields)
            for name, value in (arguments or {}).items():
                self.fields[name].append(value)
        for statement in node.body:
            if isinstance(statement, Function):
                self.fields[statement.name].extend(syntax.returned(statement))
        for name in {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}:
            self.fields[name].extend(value for value in syntax.assigned(node, name) if value)


def mentions_sql(text: str) -> bool:
    """False for a module that surely hands no SQL to anything."""
    return any(name in text for name in _SINKS | _TEXTS)
