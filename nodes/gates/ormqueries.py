"""The filters of SQLAlchemy queries, as SQL that can be planned."""

import ast
from collections import defaultdict
from collections.abc import Iterator, Mapping

from backend_coordinator.nodes.gates.syntax import Function, called, last

_EQUAL = (ast.Eq, ast.Is, ast.In)
_ORDERED = (ast.Lt, ast.LtE, ast.Gt, ast.GtE)


def filtered(modules: Mapping[str, ast.Module]) -> Iterator[tuple[str, int, str]]:
    """(path, line, statement) of each function, table and verb, with all conditions the function may set.

    A filter that is only sometimes set cannot be told from one that always is, so all are taken together.
    """
    tables = dict(_tables(modules))
    for path, module in modules.items() if tables else ():
        for function in (node for node in ast.walk(module) if isinstance(node, Function)):
            groups = defaultdict(list)
            for line, verb, table, condition in _filters(function, tables):
                groups[verb, table].append((line, condition))
            for (verb, table), group in groups.items():
                conditions = " AND ".join(dict.fromkeys(condition for _, condition in group))
                yield path, group[0][0], f'{verb} FROM "{table}" WHERE {conditions}'


def _tables(modules: Mapping[str, ast.Module]) -> Iterator[tuple[str, str]]:
    for module in modules.values():
        for node in ast.walk(module):
            if isinstance(node, ast.ClassDef):
                assigned = [s for s in node.body if isinstance(s, ast.Assign)]
                named = [s.value for s in assigned if last(s.targets[0]) == "__tablename__"]
                if named and isinstance(named[0], ast.Constant):
                    yield node.name, str(named[0].value)
                elif any(keyword.arg == "table" for keyword in node.keywords):
                    yield node.name, node.name.lower()


def _filters(function: ast.AST, tables: Mapping[str, str]) -> Iterator[tuple[int, str, str, str]]:
    """(line, verb, table, condition) of each column that a function looks for."""
    for node in ast.walk(function):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        chain = {called(part): part for part in ast.walk(node.func.value) if isinstance(part, ast.Call)}
        verb = "DELETE" if "delete" in chain else "SELECT *"
        if node.func.attr in {"where", "filter"}:
            for argument in node.args:
                if found := _condition(argument, tables):
                    yield node.lineno, verb, *found
        elif node.func.attr == "filter_by":
            subject = chain.get("select") or chain.get("query") or chain.get("delete")
            table = tables.get(last(subject.args[0]), "") if subject and subject.args else ""
            for keyword in node.keywords if table else ():
                yield node.lineno, verb, table, f'"{keyword.arg}" = ?'


def _condition(node: ast.expr, tables: Mapping[str, str]) -> tuple[str, str] | None:
    """The table and the condition of `Model.column == value`; joins and other expressions are left to their keys."""
    match node:
        case ast.Compare(left=ast.Attribute(value=ast.Name(id=model), attr=column), ops=[op], comparators=[value]):
            joins = isinstance(value, ast.Attribute) and last(value.value) in tables
            if model in tables and isinstance(op, _EQUAL + _ORDERED) and not joins:
                return tables[model], f'"{column}" {"=" if isinstance(op, _EQUAL) else "<"} ?'
        case ast.Call(
            func=ast.Attribute(value=ast.Attribute(value=ast.Name(id=model), attr=column), attr="in_" | "is_")
        ):
            if model in tables:
                return tables[model], f'"{column}" = ?'
    return None
