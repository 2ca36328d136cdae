"""Small mutants of Python source, to see whether a written service's tests notice them."""

import ast
import random
from collections.abc import Iterator
from typing import Any

FLIPS: dict[type[ast.AST], Any] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
    ast.Add: ast.Sub, ast.Sub: ast.Add,    ast.And: ast.Or, ast.Or: ast.And,
}  # fmt: skip


def docstrings(tree: ast.AST) -> set[int]:
    """The ids of the nodes that are documentation: changing one changes no behaviour."""
    owners = (
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
    )
    firsts = [owner.body[0] for owner in owners if owner.body]
    found = [first for first in firsts if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)]
    return {id(first) for first in found} | {id(first.value) for first in found}


def changes(node: ast.AST) -> Iterator[ast.AST | None]:
    """Other nodes that could stand in the place of `node`; None stands for leaving a statement out."""
    if isinstance(node, ast.Compare) and type(node.ops[0]) in FLIPS:
        yield ast.Compare(node.left, [FLIPS[type(node.ops[0])](), *node.ops[1:]], node.comparators)
    elif isinstance(node, ast.BinOp) and type(node.op) in FLIPS:
        yield ast.BinOp(node.left, FLIPS[type(node.op)](), node.right)
    elif isinstance(node, ast.BoolOp):
        yield ast.BoolOp(FLIPS[type(node.op)](), node.values)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield node.operand
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield ast.Constant(not node.value)
    elif isinstance(node, ast.Constant) and isinstance(node.value, int):
        yield ast.Constant(node.value + 1)
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield ast.Constant(node.value + "XX")
    elif isinstance(node, ast.Return) and node.value is not None:
        yield ast.Return(ast.Constant(None))
    elif isinstance(node, ast.Expr | ast.Assign | ast.AugAssign):
        yield None


class Replacement(ast.NodeTransformer):
    """Puts one node in the place of another."""

    def __init__(self, place: ast.AST, new: ast.AST | None) -> None:
        self.place, self.new = place, new

    def visit(self, node: ast.AST) -> ast.AST:
        if node is self.place:
            return ast.copy_location(self.new or ast.Pass(), node)
        return self.generic_visit(node)


def sites(source: str) -> int:
    return len(list(places(ast.parse(source))))


def places(tree: ast.Module) -> Iterator[tuple[ast.expr | ast.stmt, ast.AST | None]]:
    ignored = docstrings(tree)
    for node in ast.walk(tree):
        if id(node) not in ignored and isinstance(node, ast.expr | ast.stmt):
            yield from ((node, new) for new in changes(node))


def mutant(source: str, number: int) -> tuple[str, str]:
    """The source with change `number` of `sites(source)` made, and a line that says what was changed."""
    tree = ast.parse(source)
    place, new = list(places(tree))[number]
    before = f"line {place.lineno}: {ast.unparse(place)}"
    changed = Replacement(place, new).visit(tree)
    return ast.unparse(ast.fix_missing_locations(changed)), f"{before} -> {ast.unparse(new) if new else 'pass'}"


def sample(files: dict[str, str], count: int, seed: int) -> list[tuple[str, str, str]]:
    """`count` mutants of the files, each as path, new text and description."""
    every = [(path, number) for path in sorted(files) for number in range(sites(files[path]))]
    chosen = random.Random(seed).sample(every, min(count, len(every)))
    return [(path, *mutant(files[path], number)) for path, number in chosen]
