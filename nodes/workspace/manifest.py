"""What a unit of the workspace declares: its dependencies, read from files and never by running them."""

import ast
import configparser
import re
import sys
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
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
_REQUIREMENT = re.compile(rf"({_NAME})\s*+(\[[\w\s,.-]*+\])?+\s*+\(?+([<>=!~][^;@/]*+)?+\)?+\s*+(;.*)?$")
"""Nothing is tried twice (`*+`): a long line of blanks must not take time that grows faster than it."""
_LONGEST_LINE = 2000
_UNCLEAN = re.compile(r"[^\S \t]|\s-|[$\\]")
"""A second line, an option or a variable of the installer's: each would be obeyed where the lines are handed on."""
_ITSELF = re.compile(r"(?:(?:-e|--editable)[ =]\s*)?\.(?:\[[\w,-]*\])?$")
_PINNED = re.compile(rf"({_NAME})(?:\[[^\]]*\])?==[^\s;\\]+(\s*;[^\\]*)?")


_Declared = tuple[bool, str, Iterable[str]]
"""Whether the lines are always needed, where they stand, and the lines; reading them may raise Undeclared."""


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
    return tuple(_read(tree, root) for root in roots_below(tree, _is_unit))


def roots_below(tree: Path, is_unit: Callable[[Path], bool]) -> list[str]:
    """Where units lie, outermost first: "" is `tree` itself."""
    found = {""} if is_unit(tree) else set()
    folders = [tree]
    while folders:
        for child in sorted(folders.pop().iterdir()):
            if child.is_dir() and not child.is_symlink() and child.name[0] != "." and child.name not in _IGNORED:
                folders.append(child)
                if is_unit(child):
                    found.add(child.relative_to(tree).as_posix())
    return sorted(found, key=lambda root: (root.count("/"), root))


def _is_unit(folder: Path) -> bool:
    return any((folder / name).is_file() for name in (*_MANIFESTS, *_EXTRA_FILES))


def _read(tree: Path, root: str) -> Manifest:
    folder, lines, optional = tree / root, dict[str, None](), list[Group]()
    try:
        for wanted, where, found in _groups(tree, folder):
            if wanted:
                lines |= dict.fromkeys(found)
            elif readable := _readable(found):
                optional.append(Group(where, readable))
        bounds = [line.removeprefix(_BOUND) for line in lines if line.startswith(_BOUND)]
        needed = sorted((line for line in lines if not line.startswith(_BOUND)), key=str.lower)
        pins = tuple(dict.fromkeys((*bounds, *_pins(folder))))
        return Manifest(root, tuple(needed), pins, optional=tuple(optional))
    except (Undeclared, OSError, ValueError, configparser.Error, SyntaxError, RecursionError) as error:
        return Manifest(root, problem=f"{root or 'the project'}: {error}")


def _readable(lines: Iterable[str]) -> tuple[str, ...]:
    try:
        return tuple(dict.fromkeys(line for line in lines if not line.startswith(_BOUND)))
    except (Undeclared, OSError, ValueError, RecursionError):
        return ()


def _groups(tree: Path, folder: Path) -> Iterator[_Declared]:
    usual = ("requirements.txt", *_EXTRA_FILES)
    for name in usual:
        if (folder / name).is_file():
            yield True, name, _file(tree, folder / name, {})
    if (folder / "pyproject.toml").is_file():
        yield from _pyproject(tree, folder)
    if (folder / "setup.cfg").is_file():
        yield from _setup_cfg(folder / "setup.cfg")
    if (folder / "setup.py").is_file():
        yield True, "setup.py", _setup_py(folder / "setup.py")
    for file in sorted({*folder.glob("*requirements*.txt"), *folder.glob("requirements/*.txt")}):
        if (name := file.relative_to(folder).as_posix()) not in usual:
            yield False, name, _file(tree, file, {})


def _file(tree: Path, file: Path, seen: dict[tuple[Path, str], bool], bound: str = "") -> Iterator[str]:
    """The lines of `file` and of what it includes, each file once: `seen` tells which are still being read."""
    if not file.is_file() or not (key := (file.resolve(), bound))[0].is_relative_to(tree.resolve()) or seen.get(key):
        raise Undeclared(f"{file.name} includes itself or is no file of the tree")
    if key in seen:
        return
    seen[key] = True
    text = file.read_text(encoding="utf-8-sig").replace("\\\n", " ")
    for raw in text.splitlines():
        line = re.sub(r"(^|\s)#.*$", "", raw)
        line = re.sub(r"\s--hash[= ]\S+", "", line).strip()
        if included := re.fullmatch(r"(-r|--requirement|-c|--constraint)[ =]?\s*(\S+)", line):
            within = bound if "r" in included[1][:3] else _BOUND
            yield from _file(tree, file.parent / included[2], seen, within)
        elif line and not _ITSELF.match(line):
            yield bound + checked(line, file.name)
    seen[key] = False


def checked(line: str, where: str) -> str:
    """`line` when it names a package of the index by name; raises Undeclared otherwise."""
    if len(line) > _LONGEST_LINE:
        raise Undeclared(f"{where}: the line {line.strip()[:40]!r}... has more than {_LONGEST_LINE} characters")
    if not _REQUIREMENT.match(line.strip()) or _UNCLEAN.search(line.strip()):
        raise Undeclared(f"{where}: {line.strip()!r} is refused, name a released package and its version instead")
    return line.strip()


def _pyproject(tree: Path, folder: Path) -> Iterator[_Declared]:
    data = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))
    project, tool, groups = _table(data, "project"), _table(data, "tool"), _table(data, "dependency-groups")
    _check_python(str(project.get("requires-python", "")))
    if foreign := sorted(_table(_table(tool, "uv"), "sources")):
        # The package of that name on the index may be somebody else's.
        raise Undeclared(f"pyproject.toml: {foreign[0]} comes from tool.uv.sources: name a released package instead")
    yield True, "pyproject.toml", _expanded(project.get("dependencies"), project)
    for extra, lines in sorted(_table(project, "optional-dependencies").items()):
        yield extra in _WANTED, f"pyproject.toml, extra {extra}", _expanded(lines, project)
    for group in sorted(groups):
        yield group in _WANTED, f"pyproject.toml, group {group}", _group(groups, group, set())
    dynamic = _table(_table(_table(tool, "setuptools"), "dynamic"), "dependencies").get("file", ())
    for name in [dynamic] if isinstance(dynamic, str) else _strings(dynamic):
        yield True, name, _file(tree, folder / name, {})
    poetry = _table(tool, "poetry")
    for key in ("dependencies", "dev-dependencies"):
        yield True, "pyproject.toml", _poetry(_table(poetry, key))
    named = _table(poetry, "group")
    for group in sorted(named):
        yield group in _WANTED, f"pyproject.toml, group {group}", _poetry(_table(_table(named, group), "dependencies"))


def _check_python(wanted: str) -> None:
    lowest = re.search(r">=?\s*3\.(\d+)", wanted)
    if lowest and int(lowest[1]) > sys.version_info.minor:
        raise Undeclared(f"it needs Python {wanted}, this is 3.{sys.version_info.minor}: run under a newer Python")


def _expanded(lines: object, project: Mapping[str, object]) -> Iterator[str]:
    """The lines, with what the extras of the project itself stand for."""
    own, extras = str(project.get("name", "")), _table(project, "optional-dependencies")
    named: dict[str, None] = {}
    for line in _strings(lines):
        match = _REQUIREMENT.match(line.strip())
        if own and match and normal(match[1]) == normal(own):
            named |= dict.fromkeys(re.findall(r"[\w.-]+", match[2] or ""))
        else:
            yield checked(line, "pyproject.toml")
    inners = (inner for extra in named for inner in _strings(extras.get(extra)))
    yield from (checked(inner, "pyproject.toml") for inner in inners if own not in inner)


def _group(groups: Mapping[str, object], name: str, seen: set[str]) -> Iterator[str]:
    seen.add(name)
    entries = groups.get(name, ())
    for entry in entries if isinstance(entries, list) else ():
        if isinstance(entry, str):
            yield checked(entry, "pyproject.toml")
        elif isinstance(entry, dict) and (inner := str(entry.get("include-group"))) not in seen:
            yield from _group(groups, inner, seen)


def _poetry(table: Mapping[str, object]) -> Iterator[str]:
    for name, wanted in table.items():
        version = wanted.get("version") if isinstance(wanted, dict) else wanted
        if name == "python":
            continue
        if not isinstance(version, str):
            raise Undeclared(f"pyproject.toml: {name} is not a released package with a version")
        extras = ",".join(_strings(wanted.get("extras"))) if isinstance(wanted, dict) else ""
        try:
            bounds = _bounds(version.strip())
        except (IndexError, ValueError):
            raise Undeclared(f"pyproject.toml: {name} = {version[:40]!r} names no version") from None
        yield checked(f"{name}{f'[{extras}]' if extras else ''}{bounds}", "pyproject.toml")


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


def _setup_cfg(file: Path) -> Iterator[_Declared]:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(file, encoding="utf-8")
    section = "options.extras_require"
    extras = dict(parser[section]) if parser.has_section(section) else {}
    yield True, file.name, _lines(parser.get("options", "install_requires", fallback=""), file.name)
    for extra, text in sorted(extras.items()):
        yield extra in _WANTED, f"{file.name}, extra {extra}", _lines(text, file.name)


def _lines(text: str, where: str) -> Iterator[str]:
    return (checked(line, where) for line in text.splitlines() if line.strip())


def _setup_py(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.keyword) or node.arg not in {"install_requires", "tests_require"}:
            continue
        try:
            lines = ast.literal_eval(node.value)
        except (ValueError, TypeError):
            raise Undeclared(f"{file.name} computes {node.arg}: list the requirements in requirements.txt") from None
        yield from (checked(line, file.name) for line in ([lines] if isinstance(lines, str) else _strings(lines)))


def _pins(folder: Path) -> Iterator[str]:
    lock = folder / "requirements.lock"
    if lock.is_file():
        for line in lock.read_text(encoding="utf-8-sig").splitlines():
            if (match := _PINNED.match(line.strip())) and not _UNCLEAN.search(match[0].strip()):
                yield match[0].strip()


def _table(data: Mapping[str, object], key: str) -> Mapping[str, object]:
    value = data.get(key)
    return value if isinstance(value, dict) else {}


def _strings(value: object) -> Iterable[str]:
    return [str(item) for item in value] if isinstance(value, list | tuple) else []


def normal(name: str) -> str:
    """A distribution's name as an index compares names."""
    return re.sub(r"[-_.]+", "-", name).lower()
