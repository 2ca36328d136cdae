"""Checks of what pages of other origins may do."""

import ast
import re
from collections.abc import Iterator

from backend_coordinator.domain.verdict import Finding, Verdict
from backend_coordinator.nodes.gates.application import Application, Opening, application_of
from backend_coordinator.nodes.gates.evidence import fails, introduced, not_applicable, passes, unknown
from backend_coordinator.nodes.gates.files import is_code, is_test, product_python, serves
from backend_coordinator.nodes.gates.registry import check
from backend_coordinator.nodes.gates.source import modules_of
from backend_coordinator.nodes.gates.syntax import Function, arguments, called
from backend_coordinator.nodes.workspace.environment import Environment
from backend_coordinator.nodes.workspace.trees import Tree

_ATTACKER = "https://attacker.example"
_READING = frozenset({"", "GET", "HEAD"})
_ALLOWS = "access-control-allow-origin"


@check("S4")
async def other_origins_stay_out(
    base: Tree | None, head: Tree, changed: frozenset[str], environment: Environment
) -> Verdict:
    """The application, asked as a browser would, lets in no origin that it cannot know.

    Otherwise any page acts with the rights of whoever visits it. Asked are a strange origin, `null`, and look-alikes
    of those configured; an API that only reads and takes no cookies may be open to all. Source: Security, CORS
    configured properly.
    """
    app = await application_of(head, environment)
    findings = [*_strangers(app), *_by_hand(head, app)]
    if findings and base:
        before = await application_of(base, environment)
        findings = list(introduced(findings, [*_strangers(before), *_by_hand(base, before)]))
    if findings:
        return fails("S4", findings, "list the origins that may call, by their full names", *app.evidence)
    if app.document is None:
        code = any(is_code(head, path) and not is_test(path) for path in changed.intersection(head.files))
        if code and (app.problem or serves(head)):
            return unknown("S4", app.problem or "no FastAPI application was found to ask from another origin")
        return not_applicable("S4", "no application changed")
    if app.origins.problem:
        return unknown("S4", app.origins.problem, *app.evidence)
    if any(_strangers(app)):
        return passes("S4", "other origins get in as they did before this change", *app.evidence)
    if app.origins.let_in:
        return passes("S4", "any origin may read, without credentials, and none may write", *app.evidence)
    how = "only the origins listed get access" if app.origins.configured else "no other origin gets access"
    return passes("S4", f"{how}: a preflight from {_ATTACKER} was refused", *app.evidence)


def _strangers(app: Application) -> Iterator[Finding]:
    """One finding for each strange origin that gets more than reading what is public."""
    openings: dict[str, list[Opening]] = {}
    for opening in app.origins.let_in:
        openings.setdefault(opening.origin, []).append(opening)
    for origin, found in openings.items():
        credentials = any(opening.credentials for opening in found)
        writing = next((f"{o.method} {o.path}" for o in found if o.method not in _READING), None)
        if credentials or writing or _ATTACKER not in openings:
            what = "with credentials" if credentials else f"for {writing}" if writing else "to read"
            yield Finding(path=app.path, message=f"pages of {origin} get access {what}")
        if origin == _ATTACKER:
            return


def _by_hand(tree: Tree, app: Application) -> Iterator[Finding]:
    """What the source says where the application could not be asked: its own CORS code, and literal options."""
    texts = {path: tree.read(path) or "" for path in product_python(tree, frozenset(tree.files))}
    paths = [path for path, text in texts.items() if _ALLOWS in text.lower() or "allow_origins" in text]
    for path, module in modules_of(tree, paths).items():
        for node in ast.walk(module):
            if isinstance(node, Function) and (line := _reflects(node)):
                message = "the origin of a request is allowed without being looked up"
                yield Finding(path=path, line=line, message=message)
            elif isinstance(node, ast.Call) and app.document is None and _opens(node):
                yield Finding(path=path, line=node.lineno, message="any origin gets access with credentials")


def _reflects(function: Function) -> int | None:
    """The line that answers with the request's own origin, in a function that compares it with nothing."""
    if any(_looks_up(node) for node in ast.walk(function)):
        return None
    for node in ast.walk(function):
        match node:
            case ast.Assign(targets=[ast.Subscript(slice=ast.Constant(value=str(name)))], value=value):
                pairs = [(name, value)]
            case ast.Dict(keys=keys, values=values):
                pairs = [(str(k.value), v) for k, v in zip(keys, values, strict=True) if isinstance(k, ast.Constant)]
            case _:
                continue
        for name, value in pairs:
            if name.lower() == _ALLOWS and re.search(r"(?i)headers?\b.*['\"]origin['\"]|^origin$", ast.unparse(value)):
                return node.lineno
    return None


def _looks_up(node: ast.AST) -> bool:
    """Whether the origin is compared, or handed to something that may compare it."""
    if isinstance(node, ast.Call) and called(node) != "get":
        texts = [ast.unparse(argument) for argument in arguments(node)]
        return any(re.search(r"(?i)\borigin\b", text) and _ALLOWS not in text.lower() for text in texts)
    return isinstance(node, ast.Compare | ast.Match) and re.search(r"(?i)origin", ast.unparse(node)) is not None


def _opens(call: ast.Call) -> bool:
    """CORS middleware that is added with every origin and with credentials."""
    options = {keyword.arg: keyword.value for keyword in call.keywords}
    named = [called(call), *(ast.unparse(argument) for argument in call.args)]
    origins, credentials = options.get("allow_origins"), options.get("allow_credentials")
    every = origins is not None and ("'*'" in ast.unparse(origins) or "'null'" in ast.unparse(origins))
    return "CORSMiddleware" in named and every and isinstance(credentials, ast.Constant) and credentials.value is True
