"""Helpers around trees of texts."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from backend_coordinator.domain.verdict import Verdict
from backend_coordinator.nodes.gates.registry import Check
from backend_coordinator.nodes.workspace.environment import Environment
from backend_coordinator.nodes.workspace.trees import Tree

FIXTURES = Path(__file__).parent / "fixtures"

MakeTree = Callable[[Mapping[str, str]], Tree]


def read(folder: Path) -> dict[str, str]:
    """The texts below `folder` by path."""
    return {
        path.relative_to(folder).as_posix(): path.read_text()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def inside(environment: Environment, head: Tree) -> Environment:
    """The environment for one more tree."""
    return replace(environment, tree=head.path)


def changes(base: Tree | None, head: Tree) -> frozenset[str]:
    """Paths whose text differs."""
    if base is None:
        return frozenset(head.files)
    every = {*base.files, *head.files}
    return frozenset(path for path in every if base.read(path) != head.read(path))


async def judged(check: Check, head: Tree, environment: Environment, base: Tree | None = None) -> Verdict:
    """What a check says of a tree or of its change from `base`."""
    return await check.run(base, head, changes(base, head), inside(environment, head))


def contract(
    method: str, path: str = "/books", *, version: str = "0.1.0", description: str = "", **operation: object
) -> str:
    """A document with one operation."""
    described = {"responses": {"200": {"description": "Fine"}}, **operation}
    info = {"title": "Shelf", "version": version, "description": description}
    return json.dumps({"openapi": "3.1.0", "info": info, "paths": {path: {method: described}}})


BODY = {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}}
