"""The strict reader of a prompt file's front matter: what it cannot read without guessing is an error."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import NoReturn, cast

import yaml

from backend_coordinator.errors import RosterError

Data = str | int | float | bool | None | list["Data"] | dict[str, "Data"]
Path = tuple[str | int, ...]

MAX_DEPTH = 8
_FENCE = "---"
_TAG = "tag:yaml.org,2002:"
_NULL, _BOOL, _INT, _FLOAT, _STR = (f"{_TAG}{name}" for name in ("null", "bool", "int", "float", "str"))
_CONVERT: Mapping[str, Callable[[str], Data]] = {
    _NULL: lambda text: None,
    _BOOL: lambda text: text == "true",
    _INT: int,
    _FLOAT: float,
    _STR: str,
}
_PLAIN = (
    (_NULL, re.compile(r"(?:null|~|)\Z")),
    (_BOOL, re.compile(r"(?:true|false)\Z")),
    (_INT, re.compile(r"-?(?:0|[1-9][0-9]{0,17})\Z")),
    (_FLOAT, re.compile(r"-?[0-9]{1,18}\.[0-9]{1,18}\Z")),
)


class FrontMatterError(RosterError):
    """A prompt file that cannot be loaded; `line` counts from 1, `rule` names the linter's rule."""

    def __init__(self, file: str, line: int, problem: str, rule: str = "front-matter") -> None:
        self.file, self.line, self.rule = file, line, rule
        self.problem = " ".join(problem.split())
        super().__init__(f"{file}:{line}: {self.problem}")


@dataclass(frozen=True, slots=True)
class Document:
    """A prompt file taken apart: the front matter's values, the text below it, and where each key stands."""

    file: str
    data: dict[str, Data]
    body: str
    lines: Mapping[Path, int]

    def line(self, path: Path) -> int:
        """The line of the key or list item at `path`, or of what is nearest above it."""
        while path not in self.lines:
            path = path[:-1]
        return self.lines[path]

    def refuse(self, path: Path, problem: str, rule: str = "front-matter") -> NoReturn:
        """Raise a FrontMatterError that points at `path`."""
        where = ".".join(str(step) for step in path)
        raise FrontMatterError(self.file, self.line(path), f"{where}: {problem}" if where else problem, rule)


def read(text: str, file: str) -> Document:
    """Split `text` at its two `---` lines and read what stands between; raises FrontMatterError."""
    lines = text.removeprefix("\ufeff").replace("\r\n", "\n").split("\n")
    if lines[0].rstrip() != _FENCE:
        raise FrontMatterError(file, 1, "a prompt file starts with a line --- that opens its front matter")
    end = next((i for i, line in enumerate(lines) if i and line.rstrip() == _FENCE), None)
    if end is None:
        raise FrontMatterError(file, 1, "the front matter has no closing line ---")
    places: dict[Path, int] = {(): 1}
    data = _parse("\n".join(lines[1:end]), file, places)
    return Document(file, data, "\n".join(lines[end + 1 :]).strip("\n"), places)


def read_bare(text: str, file: str) -> Document:
    """Read a file that is YAML alone, or one with front matter; raises FrontMatterError."""
    if text.removeprefix("\ufeff").startswith(_FENCE):
        return read(f"{text}\n{_FENCE}", file)
    try:
        found = read(f"{_FENCE}\n{text}\n{_FENCE}", file)
    except FrontMatterError as error:
        raise FrontMatterError(file, max(error.line - 1, 1), error.problem, error.rule) from error
    if found.body:
        raise FrontMatterError(file, 1, "there is a line --- in it: what stands behind would not be read")
    return replace(found, lines={path: max(line - 1, 1) for path, line in found.lines.items()})


class _Composer(yaml.SafeLoader):
    """Composes nodes only, and reads plain text such as yes, 0o7, .nan, <<, 2026-01-01 as text."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.depth = 0
        self.yaml_implicit_resolvers = {None: list(_PLAIN)}

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]  # the stubs leave it untyped
        if event.anchor is not None:
            _refuse("anchors and aliases are not read; write the value out", event)
        if event.tag is not None:
            _refuse("tags are not read; remove it", event)
        self.depth += 1
        if self.depth > MAX_DEPTH:
            _refuse(f"nested deeper than {MAX_DEPTH} levels", event)
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


def _refuse(problem: str, place: yaml.Event | yaml.Node) -> NoReturn:
    raise yaml.MarkedYAMLError(problem=problem, problem_mark=cast("yaml.Mark", place.start_mark))


def _parse(text: str, file: str, places: dict[Path, int]) -> dict[str, Data]:
    try:
        composer = _Composer(text)
        node = composer.get_single_node()
        data = _value(node, (), places) if node else {}
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 2 if error.problem_mark else 1
        raise FrontMatterError(file, line, error.problem or "not YAML") from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 2
        raise FrontMatterError(file, line, "a character that YAML does not permit") from error
    except (ValueError, OverflowError) as error:  # what PyYAML lets through for \U beyond the last character
        raise FrontMatterError(file, composer.line + 2, "an escape that names no character") from error
    if not isinstance(data, dict):
        raise FrontMatterError(file, 2, "the front matter must be lines of `key: value`")
    return data


def _value(node: yaml.Node, path: Path, places: dict[Path, int]) -> Data:
    if isinstance(node, yaml.MappingNode):
        return _mapping(node, path, places)
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            places[*path, index] = item.start_mark.line + 2
        return [_value(item, (*path, index), places) for index, item in enumerate(node.value)]
    return _CONVERT[node.tag](node.value)


def _mapping(node: yaml.MappingNode, path: Path, places: dict[Path, int]) -> dict[str, Data]:
    result: dict[str, Data] = {}
    for key, value in node.value:
        if key.tag != _STR or not isinstance(key, yaml.ScalarNode):
            _refuse("a key must be text; put it in quotes", key)
        if key.value in result:
            _refuse(f"the key {key.value!r} stands here twice; keep one", key)
        places[*path, key.value] = key.start_mark.line + 2
        result[key.value] = _value(value, (*path, key.value), places)
    return result
