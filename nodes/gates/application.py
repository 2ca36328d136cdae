"""Finding a FastAPI application in a tree and asking it for its OpenAPI document, functions and CORS answers."""

import ast
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from backend_coordinator.domain.verdict import Evidence, Verdict
from backend_coordinator.nodes.gates.calls import module_name
from backend_coordinator.nodes.gates.evidence import one_line, unknown
from backend_coordinator.nodes.gates.files import is_code, product_python, serves
from backend_coordinator.nodes.gates.openapi import Document, Operation, contracts, unnamed
from backend_coordinator.nodes.gates.scratch import QUICK, copied, installed, obstacle
from backend_coordinator.nodes.gates.shared import once
from backend_coordinator.nodes.gates.source import modules_of
from backend_coordinator.nodes.workspace.environment import Environment, Unit
from backend_coordinator.nodes.workspace.trees import Tree

_USUAL = ("main", "app", "application", "server", "api", "asgi", "__init__")
_FACTORIES = frozenset({"create_app", "make_app", "build_app", "get_app"})


class Spot(NamedTuple):
    """A function of the tree: its file, the line it begins at (decorators belong to it), its qualified name."""

    path: str
    line: int
    name: str


class Route(NamedTuple):
    """A path with its methods; `spots` are the handler's, then those of its dependencies, libraries left out."""

    methods: tuple[str, ...]
    path: str
    spots: tuple[Spot, ...]


class Opening(NamedTuple):
    """A page from `origin` may read the answer to `method` on `path`; without method the answer to any request."""

    method: str
    path: str
    origin: str
    credentials: bool


class Origins(NamedTuple):
    """Which strange origins were let in; `problem` says why asking told nothing."""

    configured: bool = False
    let_in: tuple[Opening, ...] = ()
    problem: str | None = None


@dataclass(frozen=True)
class Application:
    """A tree's web application; `document` is None when there is no application or, with a `problem`, no answer.

    `served` says whether users can fetch the document from the running application; `around` are middleware
    and exception handlers.
    """

    path: str = ""
    problem: str | None = None
    document: Document | None = None
    served: bool = False
    routes: tuple[Route, ...] = ()
    around: tuple[Spot, ...] = ()
    origins: Origins = field(default_factory=Origins)
    evidence: tuple[Evidence, ...] = field(default=())

    def spots(self, operation: Operation) -> tuple[Spot, ...]:
        """The handler of an operation and its dependencies, as far as they are the project's own."""
        server = self.document.server if self.document else ""
        routes = (r for r in self.routes if operation.key == (operation.method, unnamed(server + r.path)))
        return next((route.spots for route in routes if operation.method in route.methods), ())


@dataclass(frozen=True)
class _Place:
    unit: Unit
    path: str
    module: str
    name: str


async def described(tree: Tree, environment: Environment) -> tuple[Application, list[Document]]:
    """The tree's application, and its contracts followed by the document the application generates."""
    app = await application_of(tree, environment)
    return app, [*contracts(tree), *([app.document] if app.document else [])]


def undescribed(item: str, documents: list[Document], tree: Tree, changed: frozenset[str]) -> Verdict | None:
    """An unknown where changed code serves something that no document describes."""
    code = any(is_code(tree, path) for path in changed.intersection(tree.files))
    if documents or not code or not serves(tree):
        return None
    return unknown(item, "neither a contract nor a FastAPI application tells which endpoints there are")


async def application_of(tree: Tree, environment: Environment) -> Application:
    """Import the tree's FastAPI application in its environment; without one, an empty `Application`."""
    return await once(("application", tree.oid), lambda: _application(tree, environment))


async def _application(tree: Tree, environment: Environment) -> Application:
    place = min(_places(tree, environment), key=_rank, default=None)
    if place is None:
        return Application()
    if problem := obstacle(place.unit, tree.path):
        return Application(place.path, problem)
    async with copied(tree.path, environment) as scratch:
        if "fastapi" not in await installed(scratch, place.unit.root):
            return Application(place.path, "fastapi is not installed: declare it in the project's dependencies")
        target = scratch.results / "app.json"
        command = ["python", scratch.script("dump_app"), place.module, place.name, str(target)]
        done = await scratch.run(command, place.unit.root, QUICK)
        if not target.exists():
            return Application(place.path, f"{place.path} cannot be imported: {scratch.last_line(done)}")
        dump = json.loads(target.read_text())
    evidence = scratch.evidence("fastapi", dump["version"], done, f"app.openapi() of {place.module}:{place.name}")
    root = PurePosixPath(place.unit.root)
    return Application(
        place.path,
        document=Document(place.path, dump["openapi"]),
        served=dump["served"],
        routes=tuple(Route(tuple(r["methods"]), r["path"], _spots(root, r["places"])) for r in dump["routes"]),
        around=_spots(root, dump["around"]),
        origins=_origins(dump["cors"]),
        evidence=(evidence,),
    )


def _spots(root: PurePosixPath, places: list[tuple[str, int, str]]) -> tuple[Spot, ...]:
    return tuple(Spot((root / path).as_posix(), line, name) for path, line, name in places)


def _origins(cors: dict[str, Any] | str) -> Origins:
    if isinstance(cors, str):
        return Origins(problem=f"asking the application from another origin broke: {one_line(cors, 200)}")
    problem = None if cors["proof"] else "the application refuses even an origin that its middleware allows"
    return Origins(cors["configured"], tuple(Opening(*found) for found in cors["let_in"]), problem)


def _places(tree: Tree, environment: Environment) -> Iterator[_Place]:
    units = sorted(environment.units, key=lambda unit: -len(unit.root))
    for path in product_python(tree, frozenset(tree.files)):
        text = tree.read(path) or ""
        unit = next((u for u in units if PurePosixPath(path).is_relative_to(u.root)), None)
        if unit is None or ("FastAPI" not in text and "create_app" not in text):
            continue
        name = module_name(path, unit.root)
        for module in modules_of(tree, (path,)).values() if name else ():
            yield from (_Place(unit, path, name, made) for made in _names(module))


def _names(module: ast.Module) -> Iterator[str]:
    """Names bound to an application first, then factories that need no argument."""
    made = {"FastAPI", *_FACTORIES}
    for node in module.body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        value = getattr(node, "value", None)
        if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(value, ast.Call):
            function = value.func
            called = function.id if isinstance(function, ast.Name) else getattr(function, "attr", "")
            yield from (t.id for t in targets if isinstance(t, ast.Name) and called in made)
    for node in module.body:
        if isinstance(node, ast.FunctionDef) and node.name in made:
            arguments = node.args
            needed = len(arguments.posonlyargs + arguments.args) - len(arguments.defaults)
            if needed <= 0 and None not in arguments.kw_defaults:
                yield node.name


def _rank(place: _Place) -> tuple[bool, int, int, str]:
    stem = PurePosixPath(place.path).stem
    usual = _USUAL.index(stem) if stem in _USUAL else len(_USUAL)
    return place.name in _FACTORIES, usual, place.path.count("/"), place.path
