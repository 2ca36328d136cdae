"""What a repository has where the service goes: ours stays as it is, and somebody else's is never replaced."""

import ast
from collections.abc import Mapping

from backend_coordinator.nodes.models.offline.auth.place import Files, Place


def beside(place: Place, files: Files, written: Mapping[str, str]) -> dict[str, str]:
    """New files with their texts; what is ours already keeps the text its formatter or its reader gave it.

    Raises ValueError when a folder of ours would hide a module, join somebody else's package or replace a file.
    """
    for package in (place.package, place.tests):
        if f"{package}.py" in files:
            msg = f"The repository has its own {package}.py, which the folder {package} would hide: rename it first."
            raise ValueError(msg)
        init = f"{package}/__init__.py"
        inside = sorted(path for path in files if path.startswith(f"{package}/") and path.endswith(".py"))
        if inside and init in written and init not in files:
            raise ValueError(_own(inside[0]))
    refuse_others(files, written)
    return {path: files.get(path, text) for path, text in written.items()}


def refuse_others(files: Files, written: Mapping[str, str]) -> None:
    """Raises ValueError when a path of `written` holds what we did not write."""
    for path, text in written.items():
        if path in files and not _is_ours(path, files[path], text):
            raise ValueError(_own(path))


def _own(path: str) -> str:
    return f"The repository has its own {path}, where the service goes: rename it or its folder first."


def _is_ours(path: str, found: str, written: str) -> bool:
    """By title and first paragraph, or by docstring and names: a project's formatter changes the rest."""
    if not path.endswith(".py"):
        return found.split("\n\n")[:2] == written.split("\n\n")[:2]
    try:
        theirs = ast.parse(found)
    except SyntaxError:
        return False
    ours = ast.parse(written)
    return _docstring(theirs) == _docstring(ours) and _names(ours) <= _names(theirs)


def _docstring(module: ast.Module) -> str:
    return (ast.get_docstring(module) or "").partition("\n")[0]


def _names(module: ast.Module) -> set[str]:
    return {node.name for node in module.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
