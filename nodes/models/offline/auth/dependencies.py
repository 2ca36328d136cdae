"""The packages the service needs, added where a project declares its own."""

import re
import tomllib
from collections.abc import Iterable, Iterator

from backend_coordinator.nodes.models.offline.auth.place import Files

_NEEDED = {"argon2-cffi": ">=23.1", "fastapi": ">=0.165", "pyjwt": ">=2.10", "uvicorn": ">=0.30"}
_MANIFESTS = ("pyproject.toml", "requirements.txt", "setup.cfg", "setup.py")
_NAME = re.compile(r"[A-Za-z0-9][\w.-]*")
_STRINGS = re.compile(r"\"[^\"\n]*\"|'[^'\n]*'|#[^\n]*|\]")


def is_bare(files: Files) -> bool:
    """Whether nothing declares dependencies yet."""
    return not any(name in files for name in _MANIFESTS)


def http_client(files: Files) -> str:
    """The HTTP client to import: the project's own, so that its tests and ours use one.

    A FastAPI that is held back may come from before the newer client, so it gets the older one.
    """
    declared = {_normal(line): line for line in _declared(files)}
    held_back = re.search(r"==|<|~=", declared.get("fastapi", "")) is not None
    return "httpx" if "httpx2" not in declared and ("httpx" in declared or held_back) else "httpx2"


def with_dependencies(files: Files) -> dict[str, str]:
    """The manifests with what they lack, which goes beside FastAPI, or into the project's dependencies.

    Raises ValueError when the place for it cannot be told.
    """
    client = http_client(files)
    needed = {**_NEEDED, client: ">=2" if client == "httpx2" else ""}
    runtime = {_normal(line) for line in _runtime(files)}
    missing = [f"{name}{bound}" for name, bound in sorted(needed.items()) if name not in runtime]
    written = _added(files, missing) if missing else {}
    if "pytest" not in {_normal(line) for line in _declared(files)}:
        path = "requirements-dev.txt"
        written[path] = _with_lines(files.get(path, ""), ["pytest>=8"])
    return written


def _added(files: Files, missing: list[str]) -> dict[str, str]:
    listed, project = files.get("requirements.txt"), files.get("pyproject.toml", "")
    if "--hash" in (listed or ""):
        raise ValueError(f"requirements.txt pins hashes: add {', '.join(missing)} with theirs, then run again.")
    data = tomllib.loads(project)
    written = {}
    if "dependencies" in data.get("project", {}):
        written["pyproject.toml"] = _with_items(project, missing)
    elif "fastapi" in data.get("tool", {}).get("poetry", {}).get("dependencies", {}):
        lines = "".join(f'{_normal(line)} = "{line[len(_normal(line)) :] or "*"}"\n' for line in missing)
        written["pyproject.toml"] = re.sub(r"(?m)^(fastapi *=.*\n)", lambda m: m[1] + lines, project, count=1)
    if listed is not None and (not written or "fastapi" in map(_normal, listed.splitlines())):
        written["requirements.txt"] = _with_lines(listed, missing)
    if not written:
        msg = f"Nothing tells where this project declares its dependencies: add {', '.join(missing)}, then run again."
        raise ValueError(msg)
    return written


def _with_lines(text: str, lines: list[str]) -> str:
    return "".join(f"{line}\n" for line in (*text.splitlines(), *lines))


def _with_items(text: str, items: list[str]) -> str:
    """The TOML with `items` at the end of the array `dependencies` of its table `project`."""
    opening = re.search(r"(?ms)^\[project\]$.*?^dependencies\s*=\s*\[", text)
    if opening is None:
        msg = f"pyproject.toml declares its dependencies in an unusual form: add {', '.join(items)}, then run again."
        raise ValueError(msg)
    parts = list(_STRINGS.finditer(text, opening.end()))
    closing = next(part.start() for part in parts if part[0] == "]")
    strings = [part for part in parts if part.start() < closing and part[0][0] in "\"'"]
    if "\n" not in text[opening.end() : closing]:
        more = ", ".join(f'"{item}"' for item in items)
        return f"{text[:closing]}{', ' if strings else ''}{more}{text[closing:]}"
    last = strings[-1].end() if strings else opening.end()
    comma = "" if not strings or text[last : last + 1] == "," else ","
    lines = "".join(f'    "{item}",\n' for item in items)
    return f"{text[:last]}{comma}{text[last:closing].rstrip(' ')}{lines}{text[closing:]}"


def _normal(line: str) -> str:
    found = _NAME.match(line.strip())
    return re.sub(r"[-_.]+", "-", found[0]).lower() if found else ""


def _runtime(files: Files) -> Iterator[str]:
    data = tomllib.loads(files.get("pyproject.toml", ""))
    yield from data.get("project", {}).get("dependencies", ())
    yield from data.get("tool", {}).get("poetry", {}).get("dependencies", ())
    if "dependencies" not in data.get("project", {}):
        yield from files.get("requirements.txt", "").splitlines()


def _declared(files: Files) -> Iterator[str]:
    data = tomllib.loads(files.get("pyproject.toml", ""))
    yield from _runtime(files)
    groups: Iterable[list[object]] = (
        *data.get("project", {}).get("optional-dependencies", {}).values(),
        *data.get("dependency-groups", {}).values(),
    )
    yield from (line for group in groups for line in group if isinstance(line, str))
    poetry = data.get("tool", {}).get("poetry", {})
    yield from poetry.get("dev-dependencies", ())
    yield from (name for group in poetry.get("group", {}).values() for name in group.get("dependencies", ()))
    for path in sorted(files):
        if "requirements" in path and path.endswith(".txt"):
            yield from files[path].splitlines()
