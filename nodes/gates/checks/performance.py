"""Checks of performance."""

import ast
from collections.abc import Iterator

from backend_coordinator.domain.verdict import Finding, Verdict
from backend_coordinator.nodes.gates.application import Application, application_of
from backend_coordinator.nodes.gates.calls import Code, Site, code_of
from backend_coordinator.nodes.gates.evidence import fails, introduced, not_applicable, passes, unknown
from backend_coordinator.nodes.gates.files import is_code, is_test, serves
from backend_coordinator.nodes.gates.registry import check
from backend_coordinator.nodes.gates.syntax import Function, words
from backend_coordinator.nodes.workspace.environment import Environment
from backend_coordinator.nodes.workspace.trees import Tree

_VERBS = words("get post put patch delete head options request")
_SQL = words("execute scalar scalars query exec commit flush refresh get merge")
_HASHES = words("hash verify verify_and_update")
_BLOCKING = {
    "": words("open input"),
    "time": words("sleep"),
    "io": words("open"),
    "os": words("system popen"),
    "subprocess": words("run call check_call check_output getoutput getstatusoutput"),
    "shutil": words("copy copy2 copyfile copytree rmtree move"),
    "socket": words("create_connection getaddrinfo gethostbyname"),
    "urllib.request": words("urlopen urlretrieve"),
    "smtplib": words("SMTP SMTP_SSL"),
    "requests": _VERBS,
    "requests.Session": _VERBS,
    "httpx": _VERBS | {"stream"},
    "httpx.Client": _VERBS | {"send"},
    "sqlite3": words("connect"),
    "psycopg": words("connect"),
    "psycopg2": words("connect"),
    "pymysql": words("connect"),
    "sqlalchemy.orm.Session": _SQL,
    "sqlalchemy.orm.sessionmaker": _SQL,
    "sqlmodel.Session": _SQL,
    "bcrypt": words("hashpw checkpw"),
    "hashlib": words("scrypt pbkdf2_hmac"),
}  # fmt: skip
# Methods that block wherever in a chain of calls they are reached.
_CHAINED = {
    "pathlib.Path": words("read_text read_bytes write_text write_bytes"),
    "argon2.PasswordHasher": _HASHES,
    "passlib.context.CryptContext": _HASHES,
    "pwdlib.PasswordHash": _HASHES,
}


@check("P5")
async def handlers_do_not_block(
    base: Tree | None, head: Tree, changed: frozenset[str], environment: Environment
) -> Verdict:
    """No `async def` handler, dependency or middleware reaches a call that blocks, such as time.sleep or requests.

    Such a call holds up every other request of the process. The calls of the project's own functions are
    followed; what runs in a thread may block. Source: Performance, async operations for I/O.
    """
    code = any(is_code(head, path) and not is_test(path) for path in changed.intersection(head.files))
    app = await application_of(head, environment)
    if app.document is None:
        if code and (app.problem or serves(head)):
            return unknown("P5", app.problem or "no FastAPI application was found: look at its async handlers")
        return not_applicable("P5", "no request handler changed")
    sites = await _handlers(app, head, environment)
    waiting = [site for site in sites if isinstance(site.function, ast.AsyncFunctionDef)]
    findings = every = list(_blocking(await code_of(head, environment), sites))
    if findings and base:
        before = await _handlers(await application_of(base, environment), base, environment)
        findings = list(introduced(findings, list(_blocking(await code_of(base, environment), before))))
    if findings:
        fix = "await an asynchronous one, hand it to a thread, or make the handler a plain def"
        return fails("P5", findings, fix, *app.evidence)
    if not sites:
        return not_applicable("P5", "the application has no handlers of its own")
    if not waiting:
        return passes("P5", f"all {len(sites)} handlers are plain functions, which run in threads", *app.evidence)
    if every:
        return passes("P5", f"this change adds nothing to {len(every)} blocking calls that were there", *app.evidence)
    reason = f"no call known to block is reached from {len(waiting)} asynchronous functions"
    return passes("P5", reason, *app.evidence)


async def _handlers(app: Application, tree: Tree, environment: Environment) -> list[Site]:
    code = await code_of(tree, environment)
    spots = dict.fromkeys([*(spot for route in app.routes for spot in route.spots), *app.around])
    return [site for spot in spots if (site := code.at(spot.path, spot.line))]


def _blocking(code: Code, sites: list[Site]) -> Iterator[Finding]:
    """The blocking calls that asynchronous `sites` reach, each once."""
    seen: set[Function] = set()
    todo = [(site, site.function.name) for site in sites if isinstance(site.function, ast.AsyncFunctionDef)]
    while todo:
        site, handler = todo.pop()
        if site.function in seen:
            continue
        seen.add(site.function)
        for call in code.calls(site):
            if call.target:
                todo.append((call.target, handler))
            elif _blocks(call.name):
                message = f"{call.name}() blocks the event loop in which async {handler} runs"
                yield Finding(path=site.path, line=call.node.lineno, message=message)


def _blocks(name: str) -> bool:
    owner, _, last = name.rpartition(".")
    chained = (methods for start, methods in _CHAINED.items() if f"{owner}.".startswith(f"{start}."))
    return last in _BLOCKING.get(owner, ()) or any(last in methods for methods in chained)
