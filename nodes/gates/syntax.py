"""What Python's syntax binds, calls and returns."""

import ast
from collections.abc import Iterable, Iterator, Sequence

Function = ast.FunctionDef | ast.AsyncFunctionDef
Sources = list[ast.expr] | None
_ADDS = frozenset({"add", "append", "extend", "insert", "update"})


def words(text: str) -> frozenset[str]:
    """Names that are written with spaces between them."""
    return frozenset(text.split())


def called(call: ast.Call) -> str:
    """The last part of the name that is called."""
    return last(call.func)


def last(node: ast.expr) -> str:
    """The part behind the last dot of a name, with calls looked through; empty for any other expression."""
    while isinstance(node, ast.Call):
        node = node.func
    return node.id if isinstance(node, ast.Name) else getattr(node, "attr", "")


def told(values: Sequence[ast.expr | None]) -> Sources:
    """All of `values`, or None when one of them is None: a single unknown source makes the whole unknown."""
    told = [value for value in values if value]
    return told if len(told) == len(values) else None


def arguments(call: ast.Call) -> list[ast.expr]:
    """The values passed by position, then those by keyword; starred ones stay wrapped."""
    return [*call.args, *(keyword.value for keyword in call.keywords)]


def given(call: ast.Call, names: Iterable[str]) -> dict[str, ast.expr] | None:
    """Values by parameter for a function with these positional `names`; None when a star hides which go where."""
    if any(isinstance(a, ast.Starred) for a in call.args) or any(k.arg is None for k in call.keywords):
        return None
    return {**dict(zip(names, call.args, strict=False)), **{str(k.arg): k.value for k in call.keywords}}


def filled(pieces: list[str], values: list[ast.expr]) -> Iterator[str | ast.expr]:
    """The constant pieces of a template with the values between them, as far as there are values."""
    for number, piece in enumerate(pieces):
        yield piece
        if number < min(len(values), len(pieces) - 1):
            yield values[number]


def returned(function: Function) -> list[ast.expr]:
    """What `function` returns or yields, with that of functions nested in it; a bare `return` adds nothing."""
    return [n.value for n in ast.walk(function) if isinstance(n, ast.Return | ast.Yield) and n.value]


def parameters(function: Function) -> set[str]:
    """The names of all parameters, the starred ones without their stars."""
    arguments = function.args
    every = (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg)
    return {argument.arg for argument in every if argument}


def names(target: ast.expr) -> set[str]:
    """Every plain name inside `target`, also those it only reads, as an index does."""
    return {node.id for node in ast.walk(target) if isinstance(node, ast.Name)}


def module_path(path: str) -> str:
    """The path an import names with dots: without `.py`, and for a package its folder."""
    return path.removesuffix(".py").removesuffix("/__init__")


def _own(scope: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(scope):
        yield child
        if not isinstance(child, Function | ast.ClassDef):
            yield from _own(child)


def assigned(scope: ast.AST, name: str) -> Iterator[ast.expr | None]:
    """What `scope` binds to `name` or adds to it; None stands for something that cannot be told."""
    for node in _own(scope):
        targets, values = _binding(node)
        if any(name in _stored(target) for target in targets):
            yield from values


def _binding(node: ast.AST) -> tuple[list[ast.expr], list[ast.expr | None]]:
    match node:
        case ast.Assign(targets=targets, value=value):
            return targets, [value]
        case ast.AnnAssign(target=target, value=value):
            return [target], [value] if value else []
        case ast.AugAssign(target=target, value=value) | ast.NamedExpr(target=target, value=value):
            return [target], [value]
        case ast.For(target=target, iter=value) | ast.AsyncFor(target=target, iter=value):
            return [target], [value]
        case ast.withitem(optional_vars=ast.expr() as target):
            return [target], [None]
        case ast.Call(func=ast.Attribute(value=ast.Name() as owner, attr=method)) if method in _ADDS:
            return [owner], [*arguments(node)]
    return [], []


def _stored(target: ast.expr) -> set[str]:
    """Names a target binds, and containers it stores into."""
    if isinstance(target, ast.Subscript):
        return names(target.value)
    return names(target) if not isinstance(target, ast.Attribute) else set()
