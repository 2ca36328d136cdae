"""Imports a web application and writes its OpenAPI document, its functions, and how it answers other origins."""

import asyncio
import importlib
import inspect
import json
import re
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

SECONDS = 20.0
_METHODS = frozenset({"get", "put", "post", "delete", "patch", "head"})
_HOST = re.compile(r"[\w-]+(?:\\?\.[\w-]+)+|localhost")


def place(function: Any) -> list[Any] | None:
    """[path, first line, name] of a function of the project, however it is wrapped; None for one of a library."""
    while hasattr(function, "func"):
        function = function.func
    function = inspect.unwrap(function)
    if inspect.isclass(function):
        function = function.__init__
    elif not hasattr(function, "__code__"):
        function = vars(type(function)).get("__call__", function)
    code, here = getattr(function, "__code__", None), Path.cwd().resolve()
    path = Path(code.co_filename).resolve() if code else here.parent
    inside = path.is_relative_to(here) and "site-packages" not in path.parts
    return [path.relative_to(here).as_posix(), code.co_firstlineno, function.__qualname__] if code and inside else None


def functions(dependant: Any) -> Iterator[Any]:
    """What is called for a route: its handler, then its dependencies."""
    yield dependant.call
    for dependency in dependant.dependencies:
        yield from functions(dependency)


def routes(app: Any) -> Iterator[dict[str, Any]]:
    """Each route with the places of its own functions."""
    routing = importlib.import_module("fastapi.routing")
    # Newer versions keep included routers as they are instead of copying their routes.
    known = getattr(routing, "iter_route_contexts", list)(app.routes)
    for route in known:
        dependant = getattr(route, "dependant", None)
        called = functions(dependant) if dependant else [getattr(route, "endpoint", None)]
        places = [found for found in map(place, filter(None, called)) if found]
        path = getattr(route, "path_format", None) or getattr(route, "path", "")
        yield {"methods": sorted(getattr(route, "methods", None) or ()), "path": path, "places": places}


def around(app: Any) -> list[Any]:
    """Places of the middleware and of the exception handlers."""
    found = list(app.exception_handlers.values())
    for middleware in app.user_middleware:
        found += [options(middleware).get("dispatch")]
        found += [getattr(middleware.cls, name, None) for name in ("dispatch", "__call__")]
    return [spot for spot in map(place, filter(None, found)) if spot]


def options(middleware: Any) -> dict[str, Any]:
    """What the middleware was added with; Starlette renamed the field."""
    return dict(getattr(middleware, "kwargs", None) or getattr(middleware, "options", {}))


def cors(app: Any) -> dict[str, Any] | None:
    """The options of the CORS middleware, or None without one."""
    added = [options(m) for m in app.user_middleware if "CORS" in getattr(m.cls, "__name__", "")]
    origins = [str(origin) for found in added for origin in found.get("allow_origins", ())]
    expressions = [found["allow_origin_regex"] for found in added if found.get("allow_origin_regex")]
    return {"origins": origins, "expressions": expressions} if added else None


def strangers(allowed: dict[str, Any] | None) -> list[str]:
    """Origins that no configuration should let in, among them some that only look like an allowed one."""
    found = ["https://attacker.example", "null"]
    expressions = allowed["expressions"] if allowed else []
    for text in [*expressions, *(allowed["origins"] if allowed else [])]:
        for match in _HOST.findall(text):
            host = match.replace("\\", "")
            # Only the domain is worn as a mask: other hosts below it may well be allowed.
            domain = ".".join(host.split(".")[-2:])
            found += [f"https://attacker{domain}", f"https://{host}.attacker.example"]
            # A dot that is not escaped stands for any character; the last one leads to the top-level domain.
            *rest, last = re.split(r"(?=\\?\.[\w-]+$)", match)
            loose = (re.sub(r"(?<!\\)\.", "x", "".join(rest)) + last).replace("\\", "")
            found += [f"https://{loose}"] if text in expressions and loose != host else []
    return list(dict.fromkeys(found))


async def ask(app: Any, method: str, path: str, headers: dict[str, str]) -> tuple[int, dict[str, str]]:
    """Status and headers of an answer of the application, asked without a network."""
    status, answered = 500, {}
    sent = [(name.encode(), value.encode()) for name, value in {"host": "localhost", **headers}.items()]

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = message["status"]
            answered.update({name.decode().lower(): value.decode() for name, value in message["headers"]})

    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "https",
        "path": path, "raw_path": path.encode(), "root_path": "", "query_string": b"", "headers": sent,
        "client": ("127.0.0.1", 50000), "server": ("localhost", 443),
    }  # fmt: skip
    await app(scope, receive, send)
    return status, answered


async def lets_in(app: Any, method: str, path: str, origin: str) -> list[Any] | None:
    """[method, path, origin, with credentials] if a page from `origin` may read the answer; None if it may not."""
    wanted = {"origin": origin, "access-control-request-method": method}
    status, headers = await ask(app, "OPTIONS", path, wanted) if method else await ask(app, "GET", path, wanted)
    opened = headers.get("access-control-allow-origin") in {origin, "*"} and (status < 300 or not method)
    return [method, path, origin, headers.get("access-control-allow-credentials") == "true"] if opened else None


async def answers(app: Any, document: dict[str, Any]) -> dict[str, Any]:
    """Where the application lets in an origin that it should not know.

    `proof` says whether it lets in one that it allows: otherwise its refusals may have another cause.
    """
    allowed = cors(app)
    operations = [(m.upper(), p) for p, item in document.get("paths", {}).items() for m in _METHODS.intersection(item)]
    asked = [(method, re.sub(r"\{[^}]*\}", "1", path)) for method, path in sorted(operations)] or [("GET", "/")]
    asked.append(("", "/no-such-path"))
    let_in = [await lets_in(app, *where, origin) for origin in strangers(allowed) for where in asked]
    own = [origin for origin in allowed["origins"] if origin != "*"][:1] if allowed else []
    proof = [await lets_in(app, *where, origin) for origin in own for where in asked]
    found = [answer for answer in let_in if answer]
    return {"configured": allowed is not None, "let_in": found, "proof": any(proof) or not own}


def main(module: str, name: str, target: str) -> None:
    """`name` is an application, or a function without parameters that makes one."""
    found = getattr(importlib.import_module(module), name)
    app = found if hasattr(found, "openapi") else found()
    dump = {"version": metadata.version("fastapi"), "served": bool(app.openapi_url), "openapi": app.openapi()}
    dump |= {"routes": list(routes(app)), "around": around(app), "cors": "was not asked in time"}
    # Written before the application is asked anything: its answer may never come.
    Path(target).write_text(json.dumps(dump))
    try:
        dump["cors"] = asyncio.run(asyncio.wait_for(answers(app, dump["openapi"]), SECONDS))
    except Exception as error:  # noqa: BLE001 - the project's own middleware may raise anything
        dump["cors"] = f"{type(error).__name__}: {error}"
    Path(target).write_text(json.dumps(dump))


if __name__ == "__main__":
    sys.path[0] = str(Path.cwd())
    main(*sys.argv[1:])
