"""The module of an existing application, with the routes of /auth included."""

import ast

_ALIAS = "auth_api"


def with_api(text: str, module: str) -> str:
    """The text with the router of `module` included in its application, and nothing else changed.

    Raises ValueError when no statement at the top of it, or of a function, makes a FastAPI application.
    """
    if f"from {module}.api import" in text:
        return text
    tree = ast.parse(text)
    # In a branch or a loop it might run never or twice.
    whole = (ast.Module, ast.FunctionDef, ast.AsyncFunctionDef)
    bodies = [node.body for node in ast.walk(tree) if isinstance(node, whole)]
    found = next(((body, node) for body in bodies for node in body if _application(node)), None)
    if found is None:
        msg = "No plain statement of its module or a function in it makes the application with FastAPI(): write one."
        raise ValueError(msg)
    body, made = found
    name = _application(made)
    # Behind the routers that are there: a path that fits two routes goes to the first.
    after = [node for node in body if node is made or (node.lineno > made.lineno and _includes(node, name))][-1]
    lines = text.splitlines(keepends=True)
    lines.insert(after.end_lineno or after.lineno, f"{' ' * after.col_offset}{name}.include_router({_ALIAS})\n")
    lines.insert(_line_of_import(tree, module, after.lineno), f"from {module}.api import api as {_ALIAS}\n")
    return "".join(lines)


def _application(node: ast.stmt) -> str:
    """The name under which a statement makes the application, empty if it makes none."""
    if not isinstance(node, ast.Assign | ast.AnnAssign) or not isinstance(node.value, ast.Call):
        return ""
    made_by = node.value.func
    target = node.targets[0] if isinstance(node, ast.Assign) else node.target
    return ast.unparse(target) if getattr(made_by, "id", getattr(made_by, "attr", "")) == "FastAPI" else ""


def _includes(node: ast.stmt, name: str) -> bool:
    call = node.value if isinstance(node, ast.Expr) else None
    return isinstance(call, ast.Call) and ast.unparse(call.func) == f"{name}.include_router"


def _line_of_import(tree: ast.Module, module: str, before_line: int) -> int:
    """How many lines stand before the new import: it goes in order among those of its package."""
    start = [node for node in tree.body if node.lineno < before_line]
    imports = [node for node in start if isinstance(node, ast.Import | ast.ImportFrom)]
    if not imports:
        return (tree.body[0].end_lineno or 0) if ast.get_docstring(tree) is not None else 0
    froms = [node for node in imports if isinstance(node, ast.ImportFrom)]
    top = module.partition(".")[0]
    own = [node for node in froms if not node.level and (node.module or "").partition(".")[0] == top]
    before = [node for node in own if (node.module or "") < f"{module}.api"]
    following = own or [node for node in froms if node.level]
    if following and not before:
        return following[0].lineno - 1
    last = (before or imports)[-1]
    return last.end_lineno or last.lineno
