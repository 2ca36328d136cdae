"""The code and tests of each part, and the small kernel that several parts write in the same bytes."""

from importlib.resources import files as resources

from backend_coordinator.nodes.models.offline.auth.dependencies import http_client, is_bare, with_dependencies
from backend_coordinator.nodes.models.offline.auth.entry import with_api
from backend_coordinator.nodes.models.offline.auth.others import beside
from backend_coordinator.nodes.models.offline.auth.place import Files, Part, Place
from backend_coordinator.nodes.models.offline.templates import template

_LAYERS: dict[Part, tuple[str, ...]] = {
    "endpoints": ("kernel", "http", "endpoints"),
    "oauth": ("kernel", "http", "oauth"),
    "tokens": ("tokens",),
    "accounts": ("kernel", "accounts"),
}
_WITHOUT_HTTP = ("kernel", "accounts")


def code(part: Part, place: Place, files: Files) -> dict[str, str]:
    """The modules of a part with their tests, what it shares with others, and the edits of existing files.

    Raises ValueError when the application or the declared dependencies cannot be extended, or when the repository
    has files of its own in the way.
    """
    written: dict[str, str] = {}
    extended: dict[str, str] = {}
    for layer in _LAYERS[part]:
        written |= _layer(layer, place, http_client(files))
    if "kernel" in _LAYERS[part]:
        written |= _packages(place)
        extended |= _project(place, files)
    if "http" in _LAYERS[part]:
        written[f"{place.tests}/routes/__init__.py"] = '"""Tests of the routes of /auth."""\n'
        if is_own_application(place, files):
            written |= _application(place)
        else:
            extended[place.entry] = with_api(files[place.entry], place.module)
    return {**beside(place, files, written), **extended}


def _layer(layer: str, place: Place, client: str) -> dict[str, str]:
    tests = place.tests if layer in _WITHOUT_HTTP else f"{place.tests}/routes"
    written = {}
    for folder, target in (("", place.package), ("routers/", f"{place.package}/routers"), ("tests/", tests)):
        for name in _names(f"{layer}/{folder}"):
            text = template(f"auth/{layer}/{folder}{name}").replace("import httpx2 as httpx", _import_of(client))
            written[f"{target}/{name}.py"] = place.filled(text)
    return written


def _names(folder: str) -> list[str]:
    place = resources("backend_coordinator.nodes.models.offline.templates").joinpath("auth", *folder.split("/"))
    found = place.iterdir() if place.is_dir() else ()
    return sorted(entry.name.removesuffix(".txt") for entry in found if entry.name.endswith(".txt"))


def _import_of(client: str) -> str:
    return "import httpx" if client == "httpx" else f"import {client} as httpx"


def _packages(place: Place) -> dict[str, str]:
    return {
        f"{place.package}/__init__.py": '"""Authentication: passwords, sessions, tokens and a provider."""\n',
        f"{place.tests}/__init__.py": '"""Tests of the authentication."""\n',
    }


def _project(place: Place, files: Files) -> dict[str, str]:
    top = place.package.partition("/")[0]
    project = place.filled(template("auth/new/pyproject")).replace("TOP", top)
    if not is_bare(files) and files.get("pyproject.toml") != project:
        return with_dependencies(files)
    written = {"pyproject.toml": project, ".gitignore": files.get(".gitignore", template("auth/new/gitignore"))}
    if top != place.package:
        path = f"{top}/__init__.py"
        written[path] = files.get(path, '"""The service."""\n')
    return written


def is_own_application(place: Place, files: Files) -> bool:
    """Whether the application has nothing but /auth, since nobody else wrote one."""
    main = place.filled(template("auth/new/main"))
    return files.get(place.entry, main) == main


def _application(place: Place) -> dict[str, str]:
    tests = place.filled(template("auth/new/test_auth_main"))
    main = place.filled(template("auth/new/main"))
    return {place.entry: main, f"{place.tests}/routes/test_auth_main.py": tests}
