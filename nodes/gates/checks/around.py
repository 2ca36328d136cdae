"""What stands around a call: the functions it is in, and what they bind to their names."""

import ast
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from backend_coordinator.nodes.gates import syntax
from backend_coordinator.nodes.gates.calls import executed
from backend_coordinator.nodes.gates.syntax import called, last


class Around(NamedTuple):
    """The classes of parameters, and the functions from outside to inside."""

    types: Mapping[str, str]
    functions: tuple[syntax.Function, ...] = ()

    def bound(self, name: str) -> tuple[list[ast.expr], bool] | None:
        """What the nearest function assigns to a local name, and whether that is all; None where none binds it."""
        for function in reversed(self.functions):
            given = name in syntax.parameters(function)
            every = list(syntax.assigned(function, name))
            if given or every:
                values = [value for target, value in _assignments(function) if target == name]
                return values, not given and len(every) == len(values)
        return None

    def type_of(self, name: str) -> str:
        """The class of a parameter, or what a local name is made by; empty if neither can be told."""
        values, told = self.bound(name) or ([], False)
        made = values[0] if told and len(values) == 1 else None
        return self.types.get(name) or (called(made) if isinstance(made, ast.Call) else "")


def calls_around(module: ast.Module) -> Iterator[tuple[ast.Call, Around]]:
    """Each call with what is around it."""
    todo: list[tuple[ast.AST, Around]] = [(module, Around({}))]
    while todo:
        node, around = todo.pop()
        if isinstance(node, syntax.Function):
            every = (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)
            types = {**around.types, **{a.arg: _class(a.annotation) for a in every if a.annotation}}
            around = Around(types, (*around.functions, node))
        if isinstance(node, ast.Call):
            yield node, around
        todo += [(child, around) for child in ast.iter_child_nodes(node)]


def _class(annotation: ast.expr) -> str:
    match annotation:
        case ast.Subscript(value=ast.Name(id="Annotated"), slice=ast.Tuple(elts=[first, *_])):
            return _class(first)
        case ast.BinOp(left=first, right=ast.Constant(value=None)):
            return _class(first)
    return last(annotation)


def _assignments(function: syntax.Function) -> Iterator[tuple[str, ast.expr]]:
    """Local names with the values assigned to them as they are; an item stands for a mapping with this item."""
    for node in executed(function):
        match node:
            case ast.Assign(targets=targets, value=value):
                for target in targets:
                    match target:
                        case ast.Name(id=name):
                            yield name, value
                        case ast.Subscript(value=ast.Name(id=name), slice=key):
                            yield name, ast.Dict([key], [value])
            case (
                ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value)
                | ast.AugAssign(target=ast.Name(id=name), value=value)
                | ast.NamedExpr(target=ast.Name(id=name), value=value)
            ):
                yield name, value
