"""The texts of the queries a project executes, as far as its source tells them."""

import ast
import re
from collections.abc import Iterator, Mapping
from itertools import product
from typing import NamedTuple

from backend_coordinator.nodes.gates import syntax
from backend_coordinator.nodes.gates.files import product_python
from backend_coordinator.nodes.gates.ormqueries import filtered
from backend_coordinator.nodes.gates.source import modules_of
from backend_coordinator.nodes.gates.sqltext import SQL, Program, mentions_sql
from backend_coordinator.nodes.gates.syntax import called
from backend_coordinator.nodes.workspace.trees import Tree

MOST_TEXTS = 200
_DEPTH = 12
_PLANNED = re.compile(r"(?is)\s*(?:select|with|update|delete)\b")
_PLACEHOLDER = re.compile(r"%s|%\(\w+\)s")
_OF_OWNER = frozenset({"strip", "lstrip", "rstrip", "split", "splitlines", "removesuffix"})
_OF_ARGUMENT = frozenset({"cleandoc", "dedent", "text", "str", "cast"})
_BUILDERS = frozenset({"select", "insert", "update", "delete", "where", "values", "filter_by", "order_by"})
_Fields = Mapping[str, ast.expr]


class Query(NamedTuple):
    """One call that executes SQL, with every text it may execute; None of them could be read if `texts` is empty."""

    path: str
    line: int
    texts: tuple[str, ...]


class Unreadable(Exception):
    """A text that is not made of constants alone."""


def queries_of(tree: Tree) -> tuple[Query, ...]:
    """Every call of the tree's product code that reads, changes or deletes rows."""
    paths = product_python(tree, frozenset(tree.files))
    if not any(mentions_sql(text := tree.read(path) or "") or "filter" in text for path in paths):
        return ()
    modules = modules_of(tree, paths)
    texts = _Texts(Program(modules), modules)
    written = (query for path in modules for query in texts.queries(path))
    return (*written, *(Query(path, line, (text,)) for path, line, text in filtered(modules)))


class _Texts:
    def __init__(self, program: Program, modules: Mapping[str, ast.Module]) -> None:
        self._program = program
        # Texts kept in one record belong together: those of two tables must not be mixed.
        self._worlds: list[_Fields] = list(_records(program, modules)) or [{}]

    def queries(self, path: str) -> Iterator[Query]:
        for call in self._program.handed(path):
            try:
                texts = {text for fields in self._worlds for text in self._read(call.args[0], fields, 0)}
            except Unreadable:
                if not _builds(call.args[0]):
                    yield Query(path, call.lineno, ())
                continue
            planned = tuple(sorted(_PLACEHOLDER.sub("?", text) for text in texts if _PLANNED.match(text)))
            if planned:
                yield Query(path, call.lineno, planned)

    def _read(self, node: ast.expr, fields: _Fields, depth: int) -> set[str]:
        if depth > _DEPTH:
            raise Unreadable
        texts = self._texts(node, fields, depth + 1)
        if len(texts) > MOST_TEXTS:
            raise Unreadable
        return texts

    def _texts(self, node: ast.expr, fields: _Fields, depth: int) -> set[str]:
        match node:
            case ast.Constant(value=value):
                return {str(value)}
            case ast.JoinedStr(values=parts):
                return self._joined("", parts, fields, depth)
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                return self._joined("", [left, right], fields, depth)
            case ast.Call(func=ast.Attribute(attr="read_text")):
                return {""}  # a migration or another script beside the code, which is read where it stands
            case ast.Subscript(value=owner):
                return self._any(list(self._entries(owner, fields)), fields, depth)
            case ast.Call(func=ast.Attribute(value=ast.Constant(value=str(glue)), attr="join"), args=[parts]):
                return self._join(glue, parts, fields, depth)
        sources = _one_of(node) or self._sources(node, fields)
        return self._grown(sources, fields, depth) if isinstance(node, ast.Name) else self._any(sources, fields, depth)

    def _grown(self, sources: list[ast.expr], fields: _Fields, depth: int) -> set[str]:
        """What a name may hold; a statement to which pieces are added is taken with all of them."""
        texts = [self._read(source, fields, depth) for source in sources]
        begun = {text for found in texts for text in found if SQL.match(text)}
        added = [sorted(found) for found in texts if not any(map(SQL.match, found))]
        if not begun or not added:
            return {text for found in texts for text in found}
        return {"".join(pieces) for pieces in product(sorted(begun), *added)}

    def _sources(self, node: ast.expr, fields: _Fields) -> list[ast.expr]:
        match node:
            case ast.Name():
                sources = self._program.bound(node)
            case ast.Attribute(attr=name):
                sources = [fields[name]] if name in fields else self._program.fields.get(name)
            case ast.Call() if functions := self._program.functions.get(called(node)):
                sources = [value for function in functions for value in syntax.returned(function)]
            case _:
                sources = None
        if not sources:
            raise Unreadable
        return sources

    def _any(self, nodes: list[ast.expr], fields: _Fields, depth: int) -> set[str]:
        return {text for node in nodes for text in self._read(node, fields, depth)}

    def _joined(self, glue: str, nodes: list[ast.expr], fields: _Fields, depth: int) -> set[str]:
        pieces = [sorted(self._read(node, fields, depth)) for node in nodes]
        return {glue.join(pair) for pair in product(*pieces)}

    def _join(self, glue: str, parts: ast.expr, fields: _Fields, depth: int) -> set[str]:
        """A row of parts as it stands, and with each part that may be added to it."""
        sources = self._program.bound(parts) if isinstance(parts, ast.Name) else [parts]
        if sources is None:
            raise Unreadable
        rows = [source.elts for source in sources if isinstance(source, ast.List | ast.Tuple)]
        added = self._any([s for s in sources if not isinstance(s, ast.List | ast.Tuple)], fields, depth)
        texts = {text for row in rows if row for text in self._joined(glue, row, fields, depth)}
        return texts | {f"{text}{glue}{more}" for text in texts for more in added} if texts else added

    def _entries(self, owner: ast.expr, fields: _Fields) -> Iterator[ast.expr]:
        """The values of a table of texts; one without entries gives no text."""
        todo, seen = [owner], 0
        while todo and seen < MOST_TEXTS:
            seen += 1
            match todo.pop():
                case ast.Dict(values=values) | ast.Tuple(elts=values) | ast.List(elts=values):
                    yield from values
                case ast.Call() as call if called(call) == "field":
                    continue
                case node:
                    todo += self._sources(node, fields)


def _records(program: Program, modules: Mapping[str, ast.Module]) -> Iterator[_Fields]:
    """What each call of a class of the program that is handed SQL puts into its fields, defaults included."""
    for module in modules.values():
        for node in ast.walk(module):
            if not isinstance(node, ast.ClassDef):
                continue
            declared = [s for s in node.body if isinstance(s, ast.AnnAssign) and isinstance(s.target, ast.Name)]
            names = [syntax.last(statement.target) for statement in declared]
            defaults = {syntax.last(s.target): s.value for s in declared if s.value}
            for call in program.calls.get(node.name, []):
                given = syntax.given(call, names) or {}
                if any(isinstance(v, ast.Constant) and SQL.match(str(v.value)) for v in given.values()):
                    yield {**defaults, **given}


def _one_of(node: ast.expr) -> list[ast.expr]:
    """The expressions any of which gives the text of `node`."""
    match node:
        case ast.Call(func=ast.Attribute(value=owner, attr=name)) if name in _OF_OWNER:
            return [owner]
        case ast.Call(args=[part, *_]) if called(node) in _OF_ARGUMENT:
            return [part]
        case (
            ast.FormattedValue(value=part) | ast.BinOp(left=part) | ast.GeneratorExp(elt=part) | ast.ListComp(elt=part)
        ):
            return [part]
        case ast.IfExp(body=one, orelse=other):
            return [one, other]
        case ast.Tuple(elts=parts) | ast.List(elts=parts) | ast.Set(elts=parts) | ast.Dict(keys=parts):
            return [part for part in parts if part]
    return []


def _builds(node: ast.expr) -> bool:
    """Whether `node` is a statement of a query builder."""
    return any(isinstance(part, ast.Call) and called(part) in _BUILDERS for part in ast.walk(node))
