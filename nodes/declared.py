"""The names of what a package's manifest declares, parsed as its own tool would read it and never by running it."""

import ast
import configparser
import json
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from xml.etree import ElementTree

from backend_coordinator.nodes.workspace.manifest import normal

_NAME = re.compile(r"\s*([A-Za-z0-9][\w.-]*+)(.*)")
_EGG = re.compile(r"[#&]egg=([\w.-]+)")
_NODE_TABLES = ("dependencies", "peerDependencies", "optionalDependencies")
_DEVELOPMENT = re.compile(
    r"(?:.*[-_.])?(?:dev|develop|development|tests?|testing|lint|linting|docs?|ci|typing|types|bench(?:marks?)?|examples?)"
    r"(?:[-_.].*)?"
)
"""Names of groups and requirements that nothing needs to run."""
_GRADLE_COMMENT = re.compile(r"(\"[^\"\n]*\"|'[^'\n]*')|//[^\n]*|/\*(?:[^*]|\*(?!/))*+\*/")
_GRADLE_WORDS = re.compile(
    r"[\"']([\w.-]+:[\w.-]+)(?::[^\"'\s]*+)?[\"']|\bid[ \t]*\(?[ \t]*[\"']([\w.-]+)[\"']"
    r"|\bapply[ \t]+plugin:[ \t]*[\"']([\w.-]+)"
)
_GRADLE_TYPED = re.compile(r"\bgroup:[ \t]*[\"']([\w.-]+)[\"'],[ \t]*name:[ \t]*[\"']([\w.-]+)[\"']")
_GO = re.compile(r"^\s*(?:require\s+)?([\w.-]+\.[\w.-]+/\S+)\s+v\d", re.MULTILINE)
_GEM = re.compile(r"^\s*gem[ \t(]+[\"']([\w.-]+)[\"']", re.MULTILINE)


class Unreadable(ValueError):
    """A manifest that is not what its name says; the text is the reason."""


def names_in(path: str, text: str, *, dev: bool = False) -> frozenset[str]:
    """What the manifest at `path` declares: distributions, packages, `group:artifact`s or modules, lower case.

    With `dev` what only development needs, else what it runs with. Raises Unreadable; a comment, a description or a
    script in it declares nothing.
    """
    read: Callable[[str], Iterable[str]] | None
    if is_requirements(path):
        read = _requirements if dev == _is_for_development(path) else None
    else:
        read = _FOR_DEVELOPMENT.get(path.rpartition("/")[2]) if dev else parser_of(path)
    try:
        return frozenset(name.lower() for name in read(text)) if read else frozenset()
    except (ValueError, SyntaxError, RecursionError, MemoryError, configparser.Error, ElementTree.ParseError) as error:
        raise Unreadable(f"{path} cannot be read: {type(error).__name__}") from error


def parser_of(path: str) -> Callable[[str], Iterable[str]] | None:
    """The reader of a manifest of this name; None for a file that is no manifest."""
    name = path.rpartition("/")[2]
    if is_requirements(path):
        return _requirements
    return _projects if name.endswith((".csproj", ".fsproj")) else _PARSERS.get(name)


def is_requirements(path: str) -> bool:
    """Whether pip would be given the file: `requirements*.txt`, or a text in a folder of that name."""
    folder, _, name = path.rpartition("/")
    inside = folder.rpartition("/")[2] == "requirements"
    form = r"[\w.-]*\.(?:txt|in)" if inside else r"(?:[\w-]+[-_.])?requirements[\w.-]*\.txt"
    return re.fullmatch(form, name) is not None


def _is_for_development(path: str) -> bool:
    name = path.rpartition("/")[2]
    return _DEVELOPMENT.fullmatch(name.rpartition(".")[0]) is not None


def lists_members(path: str, text: str, *, listed: bool = False) -> bool:
    """Whether a manifest that can be read names no package of its own: it lists folders that belong together or tools.

    `listed` says that a file beside it lists them.
    """
    name = path.rpartition("/")[2]
    if name == "package.json":
        data = json.loads(text.removeprefix("\ufeff"))
        return bool(listed or data.get("workspaces")) and not table(data, "dependencies")
    if name == "pyproject.toml":
        data = tomllib.loads(text)
        project, lists = table(data, "project"), bool(table(data, "tool", "uv", "workspace"))
        named = bool(project.get("name")) and not lists
        return not (named or _strings(project.get("dependencies")) or table(data, "tool", "poetry"))
    if name == "setup.cfg":
        return re.search(r"^\[(?:metadata|options)", text, re.MULTILINE) is None
    if is_requirements(path):
        return _is_for_development(path)
    return name == "Cargo.toml" and not table(tomllib.loads(text), "package")


def table(data: object, *keys: str) -> Mapping[str, object]:
    """The table at `keys` of parsed data; empty where there is none."""
    for key in keys:
        data = data.get(key) if isinstance(data, dict) else None
    return data if isinstance(data, dict) else {}


def _strings(value: object) -> list[str]:
    return [each for each in value if isinstance(each, str)] if isinstance(value, list | tuple) else []


def _requirements(text: str) -> Iterator[str]:
    for line in text.removeprefix("\ufeff").splitlines():
        yield from _requirement(re.sub(r"(?:^|\s)#.*", "", line))


def _requirement(line: str) -> Iterator[str]:
    egg, match = _EGG.search(line), _NAME.match(line)
    if egg:
        yield normal(egg[1])
    elif match and not match[2].startswith((":", "/")):
        yield normal(match[1])


def _all_requirements(lines: Iterable[str]) -> Iterator[str]:
    for line in lines:
        yield from _requirement(line)


def _chosen(groups: Mapping[str, object], *, dev: bool) -> Iterator[object]:
    """The groups of dependencies that are, or are not, for development by their names."""
    return (each for name, each in groups.items() if dev == (_DEVELOPMENT.fullmatch(name.lower()) is not None))


def _pyproject(text: str, *, dev: bool = False) -> Iterator[str]:
    data = tomllib.loads(text)
    project, poetry = table(data, "project"), table(data, "tool", "poetry")
    lists = list(_chosen(table(project, "optional-dependencies"), dev=dev))
    if dev:
        lists += [*table(data, "dependency-groups").values(), *table(data, "tool", "pdm", "dev-dependencies").values()]
        lists.append(table(data, "tool", "uv").get("dev-dependencies"))
    else:
        lists.append(project.get("dependencies"))
    for lines in lists:
        yield from _all_requirements(_strings(lines))
    tables = [table(poetry, "dev-dependencies" if dev else "dependencies")]
    tables += [table(each, "dependencies") for each in _chosen(table(poetry, "group"), dev=dev)]
    yield from (normal(name) for each in tables for name in each)


def _pipfile(text: str, key: str = "packages") -> Iterator[str]:
    yield from (normal(name) for name in table(tomllib.loads(text), key))


def _setup_cfg(text: str, *, dev: bool = False) -> Iterator[str]:
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    parser.read_string(text)
    yield from () if dev else _requirements(parser.get("options", "install_requires", fallback=""))
    if parser.has_section("options.extras_require"):
        values = _chosen(dict(parser["options.extras_require"]), dev=dev)
        yield from (name for value in values for name in _requirements(str(value)))


def _setup_py(text: str, *, dev: bool = False) -> Iterator[str]:
    module = ast.parse(text)
    known = {
        target.id: node.value
        for node in module.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(module):
        if isinstance(node, ast.keyword) and node.arg in {
            "tests_require" if dev else "install_requires",
            "extras_require",
        }:
            value = known.get(node.value.id, node.value) if isinstance(node.value, ast.Name) else node.value
            for each in _lists(value, dev=dev):
                entries = each.elts if isinstance(each, ast.List | ast.Tuple) else [each]
                texts = (entry.value for entry in entries if isinstance(entry, ast.Constant))
                yield from _all_requirements(text for text in texts if isinstance(text, str))


def _lists(value: ast.expr, *, dev: bool) -> Iterable[object]:
    if not isinstance(value, ast.Dict):
        return [value]
    keys = [str(key.value) if isinstance(key, ast.Constant) else "" for key in value.keys]
    return _chosen(dict(zip(keys, value.values, strict=True)), dev=dev)


def _package_json(text: str, tables: Iterable[str] = _NODE_TABLES) -> Iterator[str]:
    data = json.loads(text.removeprefix("\ufeff"))
    if not isinstance(data, dict):
        raise Unreadable("no JSON object")
    yield from (name for key in tables for name in table(data, key))


def _composer(text: str, key: str = "require") -> Iterator[str]:
    yield from table(json.loads(text), key)


def _cargo(text: str, key: str = "dependencies") -> Iterator[str]:
    data = tomllib.loads(text)
    for where in (data, table(data, "workspace")):
        yield from table(where, key)


def _xml(text: str) -> ElementTree.Element:
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise Unreadable("it declares entities")
    return ElementTree.fromstring(text.removeprefix("\ufeff"))


def _pom(text: str) -> Iterator[str]:
    for element in _xml(text).iter():
        if _tag(element) in {"dependency", "parent", "plugin"}:
            parts = {_tag(child): (child.text or "").strip() for child in element}
            if "artifactId" in parts:
                yield f"{parts.get('groupId', '')}:{parts['artifactId']}"


def _projects(text: str) -> Iterator[str]:
    root = _xml(text)
    yield root.get("Sdk", "")
    for element in root.iter():
        if _tag(element) in {"PackageReference", "FrameworkReference"}:
            yield element.get("Include", "")


def _tag(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""


def _gradle(text: str) -> Iterator[str]:
    bare = _GRADLE_COMMENT.sub(lambda match: match[1] or " ", text)
    yield from ("".join(found) for found in _GRADLE_WORDS.findall(bare))
    yield from (":".join(found) for found in _GRADLE_TYPED.findall(bare))


def _catalog(text: str) -> Iterator[str]:
    """A Gradle version catalog: its libraries' modules and its plugins' ids."""
    data = tomllib.loads(text)
    for entry in (*table(data, "libraries").values(), *table(data, "plugins").values()):
        parts = table(entry)
        named = entry if isinstance(entry, str) else parts.get("module") or parts.get("id")
        grouped = f"{parts.get('group')}:{parts.get('name')}"
        yield ":".join(named.split(":")[:2]) if isinstance(named, str) else grouped


def _go(text: str) -> Iterator[str]:
    yield from _GO.findall(re.sub(r"//.*", "", text))


def _gemfile(text: str) -> Iterator[str]:
    yield from _GEM.findall(text)


_PARSERS: Mapping[str, Callable[[str], Iterable[str]]] = {
    "pyproject.toml": _pyproject, "Pipfile": _pipfile, "setup.cfg": _setup_cfg, "setup.py": _setup_py,
    "package.json": _package_json, "composer.json": _composer, "Cargo.toml": _cargo, "pom.xml": _pom,
    "build.gradle": _gradle, "build.gradle.kts": _gradle, "libs.versions.toml": _catalog,
    "go.mod": _go, "Gemfile": _gemfile,
}  # fmt: skip
_FOR_DEVELOPMENT: Mapping[str, Callable[[str], Iterable[str]]] = {
    "pyproject.toml": partial(_pyproject, dev=True), "Pipfile": partial(_pipfile, key="dev-packages"),
    "setup.cfg": partial(_setup_cfg, dev=True), "setup.py": partial(_setup_py, dev=True),
    "package.json": partial(_package_json, tables=("devDependencies",)),
    "composer.json": partial(_composer, key="require-dev"), "Cargo.toml": partial(_cargo, key="dev-dependencies"),
}  # fmt: skip
