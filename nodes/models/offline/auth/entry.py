"""The module of an existing application, with the routes of /auth included."""

import ast

_ALIAS = "auth_api"


def with_api(text: str, module: str) -> str:
    """The text with the router of `module` included in its application, and nothing else changed.

    Raises ValueError when no statement of it makes a FastAPI application.
    """
    if f"from {module}.api import" in text:
        return text
    tree = ast.parse(text)
    made = next((node for node in ast.walk(tree) if isinstance(node, ast.stmt) and _application(node)), None)
    if made is None:
        msg = "No statement of its module makes the application with FastAPI(), so /auth cannot be included in it."
        raise ValueError(msg)
    name = _application(made)
    # Behind the routers that are there: a path that fits two routes goes to the first.
    included = [node for node in ast.walk(tree) if isinstance(node, ast.Expr) and _includes(node, name)]
    after = max([made, *included], key=lambda node: node.lineno)
    lines = text.splitlines(keepends=True)
    lines.insert(after.end_lineno or after.lineno, f"{' ' * after.col_offset}{name}.include_router({_ALIAS})\n")
    lines.insert(_line_of_import(tree, module), f"from {module}.api import api as {_ALIAS}\n")
    return "".join(lines)


def _application(node: ast.stmt) -> str:
    """The name under which a statement makes the application, empty if it makes none."""
    if not isinstance(node, ast.Assign | ast.AnnAssign) or not isinstance(node.value, ast.Call):
        return ""
    made_by = node.value.func
    target = node.targets[0] if isinstance(node, ast.Assign) else node.target
    return ast.unparse(target) if getattr(made_by, "id", getattr(made_by, "attr", "")) == "FastAPI" else ""


def _includes(node: ast.Expr, name: str) -> bool:
    return isinstance(node.value, ast.Call) and ast.unparse(node.value.func) == f"{name}.include_router"


def _line_of_import(tree: ast.Module, module: str) -> int:
    """How many lines stand before the new import: it goes in order among those of its package."""
    imports = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    froms = [node for node in imports if isinstance(node, ast.ImportFrom)]
    top = module.partition(".")[0]
    own = [node for node in froms if not node.level and (node.module or "").partition(".")[0] == top]
    before = [node for node in own if (node.module or "") < f"{module}.api"]
    following = own or [node for node in froms if node.level]
    if following and not before:
        return following[0].lineno - 1
    last = (before or imports)[-1]
    return last.end_lineno or last.lineno
