"""What a repository already holds: where the service lives in it, and which resources it has."""

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass

from backend_coordinator.nodes.models.offline.contract import read_contract
from backend_coordinator.nodes.models.offline.templates import template
from backend_coordinator.nodes.models.offline.words import singular_of, snake

Files = Mapping[str, str]
MIGRATION = re.compile(r"(\d{4})_(\w+)\.(up|down)\.sql")


@dataclass(frozen=True)
class Layout:
    """Folders without a closing slash; `entry` is the module of a foreign application, if there is one."""

    package: str
    tests: str
    migrations: str
    entry: str = ""

    @property
    def module(self) -> str:
        """The import name of the package: `src/shop/crud_api` gives `shop.crud_api`."""
        return dotted(self.package)


def dotted(path: str) -> str:
    """The import name of a file or folder of the repository, where `src/` is no part of it."""
    return path.removeprefix("src/").removesuffix(".py").replace("/", ".")


def application_of(text: str) -> tuple[str, int] | None:
    """The name of the FastAPI application at the top level of a module, and the last line of what makes it."""
    try:
        body = ast.parse(text).body
    except SyntaxError:
        return None
    for node in body:
        match node:
            case ast.Assign(targets=[target, *_], value=ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name))):
                if name == "FastAPI":
                    return ast.unparse(target), node.end_lineno or node.lineno
    return None


def entry_of(files: Files) -> str:
    """The shallowest `main.py` with a FastAPI application, or an empty text."""
    mains = [path for path in files if path.rpartition("/")[2] == "main.py" and application_of(files[path])]
    return min(mains, key=lambda path: (path.count("/"), path), default="")


def layout_of(files: Files) -> Layout:
    """Where to write: where an earlier objective did, beside a foreign application, or afresh."""
    first_line = template("app/store").partition("\n")[0]
    stores = sorted(path for path in files if path.endswith("/store.py") and files[path].startswith(first_line))
    folders = {path.partition("/")[0] for path in files}
    entry = entry_of(files)
    if stores:
        package = stores[0].removesuffix("/store.py")
        entry = "" if entry == f"{package}/main.py" else entry
    elif entry:
        package = f"{entry.removesuffix('main.py')}crud_api"
    else:
        package = "crud_api" if "app" in folders else "app"
    helpers = sorted(path for path in files if path.endswith("/crud_tests.py"))
    own_tests = "tests/crud_api_tests" if "tests" in folders else "tests"
    tests = helpers[0].removesuffix("/crud_tests.py") if helpers else own_tests
    inside = [path.removeprefix("migrations/") for path in files if path.startswith("migrations/")]
    foreign = any(not MIGRATION.fullmatch(name) for name in inside)
    return Layout(package, tests, "crud_migrations" if foreign else "migrations", entry)


def known_resources(files: Files) -> dict[str, str]:
    """Singular to plural of the resources that earlier objectives left.

    Contract and migrations both tell, since whoever designs the one may not see the other.
    """
    routes = read_contract(files.get("openapi.yaml", "")).get("paths", {})
    ups = (files[path] for path in sorted(files) if path.endswith(".up.sql"))
    tables = (table for text in ups for table in re.findall(r'^CREATE TABLE "(\w+)"', text, re.MULTILINE))
    found = {singular_of(table): table for table in tables}
    for path, methods in routes.items():
        match = re.search(r"schemas/(\w+)Write'", str(methods))
        if match and "{" not in path:
            found[snake(match[1])] = snake(path.strip("/"))
    return found


def with_router(text: str, module: str) -> str:
    """A foreign application's module with the routers of `module` included, and nothing else changed."""
    found = application_of(text)
    imported = f"from {module}.api import api as crud_api"
    if found is None or imported in text:
        return text
    name, end = found
    lines = text.splitlines(keepends=True)
    imports = [n for n in ast.parse(text).body if isinstance(n, ast.Import | ast.ImportFrom)]
    lines.insert(end, f"{name}.include_router(crud_api)\n")
    lines.insert(imports[-1].end_lineno or 0, f"{imported}\n")
    return "".join(lines)
