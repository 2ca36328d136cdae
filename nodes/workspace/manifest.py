"""What a unit of the workspace declares: its dependencies, read from files and never by running them."""

import ast
import configparser
import re
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

_MANIFESTS = ("pyproject.toml", "setup.cfg", "setup.py", "requirements.txt")
_WANTED = ("test", "tests", "dev", "testing")
_EXTRA_FILES = tuple(
    f"{folder}{stem}{separator}{kind}.txt"
    for folder in ("", "requirements/")
    for stem, separator in (("requirements", "-"), ("requirements", "_"), ("", ""))
    for kind in ("dev", "test", "tests")
    if folder or stem
)
_IGNORED = frozenset({"node_modules", "venv", "__pycache__", "site-packages"})
_BOUND = "-c "
_NAME = r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?"
_REQUIREMENT = re.compile(rf"({_NAME})\s*(\[[\w\s,.-]*\])?\s*\(?([<>=!~][^;@/]*)?\)?\s*(;.*)?$")
_ITSELF = re.compile(r"(?:(?:-e|--editable)[ =]\s*)?\.(?:\[[\w,-]*\])?$")
_PINNED = re.compile(rf"({_NAME})(?:\[[^\]]*\])?==[^\s;\\]+(\s*;[^\\]*)?")


class Undeclared(ValueError):
    """A manifest that cannot be built from; the text is the unit's problem."""


class Group(NamedTuple):
    """Requirement lines that are installed only where they turn out to be needed, and where they are declared."""

    where: str
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Manifest:
    """A unit's declared requirement lines and the pins of its lock, both in order and without doubles.

    `optional` are its other extras, groups and requirements files; one that cannot be read is left out.
    """

    root: str
    requirements: tuple[str, ...] = ()
    pins: tuple[str, ...] = ()
    problem: str | None = None
    optional: tuple[Group, ...] = ()

    @property
    def names(self) -> Mapping[str, str]:
        """Every declared line by the normalized name of its distribution."""
        lines = (*self.requirements, *(line for group in self.optional for line in group.lines))
        return {normal(match[1]): line for line in lines if (match := _REQUIREMENT.match(line))}


def find_manifests(tree: Path) -> tuple[Manifest, ...]:
    """The manifests of all Python units below `tree`, outermost first."""
    found = {""} if _is_unit(tree) else set()
    folders = [tree]
    while folders:
        for child in sorted(folders.pop().iterdir()):
            if child.is_dir() and not child.is_symlink() and child.name[0] != "." and child.name not in _IGNORED:
                folders.append(child)
                if _is_unit(child):
                    found.add(child.relative_to(tree).as_posix())
    return tuple(_read(tree, root) for root in sorted(found, key=lambda root: (root.count("/"), root)))


def _is_unit(folder: Path) -> bool:
    return any((folder / name).is_file() for name in (*_MANIFESTS, *_EXTRA_FILES))


def _read(tree: Path, root: str) -> Manifest:
    folder = tree / root
    try:
        lines = dict.fromkeys(_declared(tree, folder))
        bounds = [line.removeprefix(_BOUND) for line in lines if line.startswith(_BOUND)]
        wanted = sorted((line for line in lines if not line.startswith(_BOUND)), key=str.lower)
        pins = tuple(dict.fromkeys((*bounds, *_pins(folder))))
        return Manifest(root, tuple(wanted), pins, optional=tuple(_optional(tree, folder)))
    except (Undeclared, OSError, ValueError, configparser.Error, SyntaxError, RecursionError) as error:
        return Manifest(root, problem=f"{root or 'the project'}: {error}")


def _declared(tree: Path, folder: Path) -> Iterator[str]:
    names = [name for name in ("requirements.txt", *_EXTRA_FILES) if (folder / name).is_file()]
    for name in names:
        yield from _file(tree, folder / name, ())
    if (folder / "pyproject.toml").is_file():
        yield from _pyproject(tree, folder)
    if (folder / "setup.cfg").is_file():
        yield from _setup_cfg(folder / "setup.cfg")
    if (folder / "setup.py").is_file():
        yield from _setup_py(folder / "setup.py")


def _optional(tree: Path, folder: Path) -> Iterator[Group]:
    for where, lines in _optional_lines(tree, folder):
        try:
            found = tuple(dict.fromkeys(line for line in lines if not line.startswith(_BOUND)))
        except (Undeclared, OSError, ValueError):
            continue
        if found:
            yield Group(where, found)


def _optional_lines(tree: Path, folder: Path) -> Iterator[tuple[str, Iterable[str]]]:
    data: Mapping[str, object] = {}
    if (folder / "pyproject.toml").is_file():
        data = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))
    project, groups = _table(data, "project"), _table(data, "dependency-groups")
    own, extras = str(project.get("name", "")), _table(project, "optional-dependencies")
    for extra in sorted(extras.keys() - set(_WANTED)):
        lines = (inner for line in _strings(extras.get(extra)) for inner in _expanded(line, own, extras))
        yield f"pyproject.toml, extra {extra}", lines
    for group in sorted(groups.keys() - set(_WANTED)):
        yield f"pyproject.toml, group {group}", _group(groups, group, ())
    poetry = _table(_table(_table(data, "tool"), "poetry"), "group")
    for group in sorted(poetry.keys() - set(_WANTED)):
        yield f"pyproject.toml, group {group}", _poetry({"dependencies": _table(poetry, group).get("dependencies")})
    if (folder / "setup.cfg").is_file():
        named = _setup_cfg_extras(folder / "setup.cfg")
        for extra in sorted(named.keys() - set(_WANTED)):
            yield f"setup.cfg, extra {extra}", (checked(line, "setup.cfg") for line in named[extra].split("\n") if line)
    files = sorted({*folder.glob("*requirements*.txt"), *folder.glob("requirements/*.txt")})
    for file in files:
        name = file.relative_to(folder).as_posix()
        if name not in ("requirements.txt", *_EXTRA_FILES):
            yield name, _file(tree, file, ())


def _setup_cfg_extras(file: Path) -> Mapping[str, str]:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(file, encoding="utf-8")
    return dict(parser["options.extras_require"]) if parser.has_section("options.extras_require") else {}


def _file(tree: Path, file: Path, seen: tuple[Path, ...]) -> Iterator[str]:
    if file in seen or not file.resolve().is_relative_to(tree.resolve()):
        msg = f"{file.name} includes itself or a file outside the tree"
        raise Undeclared(msg)
    text = file.read_text(encoding="utf-8-sig").replace("\\\n", " ")
    for raw in text.splitlines():
        line = re.sub(r"(^|\s)#.*$", "", raw)
        line = re.sub(r"\s+--hash[= ]\S+", "", line).strip()
        if included := re.fullmatch(r"(?:-r|--requirement)[ =]?\s*(\S+)", line):
            yield from _file(tree, file.parent / included[1], (*seen, file))
        elif bounded := re.fullmatch(r"(?:-c|--constraint)[ =]?\s*(\S+)", line):
            inner = _file(tree, file.parent / bounded[1], (*seen, file))
            yield from (f"{_BOUND}{line.removeprefix(_BOUND)}" for line in inner)
        elif line and not _ITSELF.match(line):
            yield checked(line, file.name)


def checked(line: str, where: str) -> str:
    """`line` when it names a package of the index by name; raises Undeclared otherwise."""
    if not _REQUIREMENT.match(line.strip()):
        msg = f"{where}: {line.strip()!r} is refused, name a released package and its version instead"
        raise Undeclared(msg)
    return line.strip()


def _pyproject(tree: Path, folder: Path) -> Iterator[str]:
    data = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))
    project, tool = _table(data, "project"), _table(data, "tool")
    _check_python(str(project.get("requires-python", "")))
    own, extras = str(project.get("name", "")), _table(project, "optional-dependencies")
    lines = [
        *_strings(project.get("dependencies")),
        *(line for extra in _WANTED for line in _strings(extras.get(extra))),
    ]
    for line in lines:
        yield from _expanded(line, own, extras)
    for group in _WANTED:
        yield from _group(_table(data, "dependency-groups"), group, ())
    dynamic = _table(_table(_table(tool, "setuptools"), "dynamic"), "dependencies").get("file", ())
    for name in [dynamic] if isinstance(dynamic, str) else _strings(dynamic):
        yield from _file(tree, folder / name, ())
    yield from _poetry(_table(tool, "poetry"))


def _check_python(wanted: str) -> None:
    lowest = re.search(r">=?\s*3\.(\d+)", wanted)
    if lowest and int(lowest[1]) > sys.version_info.minor:
        msg = f"it needs Python {wanted}, this is 3.{sys.version_info.minor}: run under a newer Python"
        raise Undeclared(msg)


def _expanded(line: str, own: str, extras: Mapping[str, object]) -> Iterator[str]:
    match = _REQUIREMENT.match(line.strip())
    if own and match and normal(match[1]) == normal(own):
        for extra in re.findall(r"[\w.-]+", match[2] or ""):
            yield from (checked(inner, "pyproject.toml") for inner in _strings(extras.get(extra)) if own not in inner)
    else:
        yield checked(line, "pyproject.toml")


def _group(groups: Mapping[str, object], name: str, seen: tuple[str, ...]) -> Iterator[str]:
    entries = groups.get(name, ())
    for entry in entries if isinstance(entries, list) else ():
        if isinstance(entry, str):
            yield checked(entry, "pyproject.toml")
        elif isinstance(entry, dict) and (inner := str(entry.get("include-group"))) not in seen:
            yield from _group(groups, inner, (*seen, name))


def _poetry(poetry: Mapping[str, object]) -> Iterator[str]:
    groups = _table(poetry, "group")
    tables = [_table(poetry, "dependencies"), _table(poetry, "dev-dependencies")]
    tables += [_table(_table(groups, name), "dependencies") for name in _WANTED]
    for name, wanted in ((name, wanted) for table in tables for name, wanted in table.items()):
        version = wanted.get("version") if isinstance(wanted, dict) else wanted
        if name == "python":
            continue
        if not isinstance(version, str):
            msg = f"pyproject.toml: {name} is not a released package with a version"
            raise Undeclared(msg)
        extras = ",".join(_strings(wanted.get("extras"))) if isinstance(wanted, dict) else ""
        yield checked(f"{name}{f'[{extras}]' if extras else ''}{_bounds(version.strip())}", "pyproject.toml")


def _bounds(version: str) -> str:
    if version == "*":
        return ""
    if version[0] not in "^~" or version.startswith("~="):
        return version if version[0] in "<>=!~" else f"=={version}"
    lower = version[1:]
    parts = [int(part) for part in re.findall(r"\d+", lower)[:3]]
    keep = 1 if version[0] == "~" and len(parts) == 1 else 2
    if version[0] == "^":
        keep = next((place for place, part in enumerate(parts, 1) if part), len(parts))
    upper = [*parts[: keep - 1], parts[keep - 1] + 1]
    return f">={lower},<{'.'.join(map(str, upper))}"


def _setup_cfg(file: Path) -> Iterator[str]:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(file, encoding="utf-8")
    texts = [parser.get("options", "install_requires", fallback="")]
    texts += [parser.get("options.extras_require", extra, fallback="") for extra in _WANTED]
    yield from (checked(line, file.name) for text in texts for line in text.splitlines() if line.strip())


def _setup_py(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.keyword) or node.arg not in {"install_requires", "tests_require"}:
            continue
        try:
            lines = ast.literal_eval(node.value)
        except ValueError:
            msg = f"{file.name} computes {node.arg}: list the requirements in requirements.txt"
            raise Undeclared(msg) from None
        yield from (checked(line, file.name) for line in ([lines] if isinstance(lines, str) else _strings(lines)))


def _pins(folder: Path) -> Iterator[str]:
    lock = folder / "requirements.lock"
    if lock.is_file():
        for line in lock.read_text(encoding="utf-8-sig").splitlines():
            if match := _PINNED.match(line.strip()):
                yield match[0].strip()


def _table(data: Mapping[str, object], key: str) -> Mapping[str, object]:
    value = data.get(key)
    return value if isinstance(value, dict) else {}


def _strings(value: object) -> Iterable[str]:
    return [str(item) for item in value] if isinstance(value, list | tuple) else []


def normal(name: str) -> str:
    """A distribution's name as an index compares names."""
    return re.sub(r"[-_.]+", "-", name).lower()
