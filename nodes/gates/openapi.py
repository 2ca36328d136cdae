"""OpenAPI documents: finding them in a tree, validating them, and reading their operations."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple, cast
from urllib.parse import unquote, urlsplit

import yaml
from openapi_spec_validator import OpenAPIV30SpecValidator, OpenAPIV31SpecValidator

from backend_coordinator.nodes.workspace.trees import Tree

_METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
_MARK = re.compile(r"""^\s*\{?\s*["']?openapi["']?\s*:\s*["']?3""", re.MULTILINE)
_VALUES = frozenset({"const", "default", "enum", "example", "examples"})
_NAMED = frozenset({"properties", "patternProperties", "responses", "schemas", "$defs", "definitions", "parameters"})
"""Names of mappings whose keys are names of the document's own."""
_MOST_NODES = 200_000
_CARRIERS = ("items", "results", "data", "records", "entries")
"""Names of fields in which an answer wraps a list."""
Node = Mapping[str, object]


class Parameter(NamedTuple):
    """What callers see of a parameter; `maximum` of its schema bounds page sizes."""

    name: str
    place: str
    required: bool
    maximum: float | None


@dataclass(frozen=True)
class Operation:
    """One method on one path, the server's path in front."""

    method: str
    path: str
    parameters: tuple[Parameter, ...]
    statuses: frozenset[str]
    listing: bool
    """Answers with an array, or with an object that carries the items of one."""
    bounded: bool
    """The array has a maxItems of its own."""
    name: str
    """The operationId, or nothing."""
    body: bool
    """Takes a request body."""
    guarded: bool
    """Asks for credentials."""
    filled: frozenset[str]
    """Statuses that are declared with content."""
    content: Node = field(compare=False)
    """The operation as it is written, the parameters of its path added and resolved."""

    @property
    def key(self) -> tuple[str, str]:
        """Method and path, the names of path parameters left out."""
        return self.method, unnamed(self.path)

    @property
    def last(self) -> str:
        """The last part of the path."""
        return self.path.rstrip("/").rpartition("/")[2]

    def declares(self, *statuses: int) -> bool:
        """Whether one of `statuses` is declared, by itself, by its class or by `default`."""
        named = {str(status) for status in statuses} | {f"{status // 100}XX" for status in statuses} | {"default"}
        return not named.isdisjoint(status.replace("x", "X") for status in self.statuses)

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


@dataclass(frozen=True)
class Document:
    """One OpenAPI document and the file it was found in."""

    path: str
    content: Node

    @property
    def operations(self) -> tuple[Operation, ...]:
        """All operations; parts of the wrong form are skipped, validation names them."""
        return tuple(self._operations())

    @property
    def server(self) -> str:
        """The path of the first server, which stands in front of all others."""
        return _base(self.content)

    @property
    def info(self) -> Node:
        """Title, version and description."""
        return as_node(self.content.get("info"))

    def problems(self) -> tuple[str, ...]:
        """Why the document is not valid OpenAPI 3, one line each; references to other files are not followed."""
        if foreign := [reference for reference in self.references() if not reference.startswith("#")]:
            raise ForeignReference(foreign[0])
        old = str(self.content.get("openapi")).startswith("3.0")
        validator = (OpenAPIV30SpecValidator if old else OpenAPIV31SpecValidator)(dict(self.content))
        found = []
        try:
            for error in validator.iter_errors():
                found.append(f"{'/'.join(map(str, error.absolute_path))}: {error.message}".lstrip(": "))
        except (KeyError, TypeError, AttributeError, ValueError, RecursionError) as error:
            # The validator stumbles over documents that are wrong enough.
            found.append(f"cannot be read as OpenAPI: {type(error).__name__} {error}")
        return tuple(found)

    def references(self) -> tuple[str, ...]:
        """Every `$ref` of the document, sorted; what stands in examples and other values is none."""
        return tuple(sorted(referred(self.content)))

    def _operations(self) -> Iterator[Operation]:
        for path, value in as_node(self.content.get("paths")).items():
            item = self.resolve(value)
            shared = as_list(item.get("parameters"))
            for method, operation in item.items():
                if method not in _METHODS:
                    continue
                operation = as_node(operation)
                nodes = [self.resolve(value) for value in (*shared, *as_list(operation.get("parameters")))]
                named = {(p.name, p.place): p for p in map(self._parameter, nodes)}
                responses = as_node(operation.get("responses"))
                array = self._array(path, responses) if method == "get" else None
                yield Operation(
                    method.upper(),
                    _base(operation, item, self.content) + path,
                    tuple(named.values()),
                    frozenset(map(str, responses)),
                    array is not None and not path.endswith("}"),
                    array is not None and "maxItems" in array,
                    str(operation.get("operationId") or ""),
                    "requestBody" in operation,
                    self._guards(operation),
                    frozenset(str(status) for status, r in responses.items() if self.resolve(r).get("content")),
                    {**operation, "parameters": nodes},
                )

    def _guards(self, operation: Node) -> bool:
        """Whether the operation asks for credentials, by itself or by the document; `{}` lets anybody in."""
        ways = as_list(operation.get("security", self.content.get("security")))
        return bool(ways) and {} not in ways

    def _parameter(self, node: Node) -> Parameter:
        schemas = [self.resolve(node.get("schema"))]
        schemas += [self.resolve(s) for s in as_list(schemas[0].get("anyOf"))]
        maxima = [s["maximum"] for s in schemas if isinstance(s.get("maximum"), int | float)]
        place, required = str(node.get("in")), bool(node.get("required"))
        return Parameter(str(node.get("name")), place, required, cast(float, max(maxima, default=None)))  # type: ignore[type-var]

    def _array(self, path: str, responses: Node) -> Node | None:
        ok = self.resolve(responses.get("200") or responses.get("2XX"))
        content = as_node(ok.get("content"))
        media = next((as_node(value) for kind, value in content.items() if "json" in kind), {})
        schema = self.resolve(media.get("schema"))
        if schema.get("type") == "array":
            return schema
        names = {*_CARRIERS, path.rstrip("/").rpartition("/")[2].replace("-", "_")}
        properties = [self.resolve(v) for k, v in as_node(schema.get("properties")).items() if k in names]
        return next((p for p in properties if p.get("type") == "array"), None)

    def resolve(self, value: object) -> Node:
        """The mapping `value`, with references inside the document followed; empty for anything else."""
        node = as_node(value)
        for _ in range(20):
            if not isinstance(reference := node.get("$ref"), str):
                return node
            node = as_node(self.at(reference))
        return {}

    def at(self, reference: str) -> object:
        """What stands at a reference inside the document; None where it leads nowhere."""
        if reference in self._anchors:
            return self._anchors[reference]
        target: object = self.content
        for part in unquote(reference).removeprefix("#/").split("/"):
            name = part.replace("~1", "/").replace("~0", "~")
            # A list has numbers for names.
            entries = (
                dict(zip(map(str, range(len(target))), target, strict=True)) if isinstance(target, list) else target
            )
            target = as_node(entries).get(name)
        return target

    @cached_property
    def _anchors(self) -> Node:
        """The document itself, and what has a name wherever it stands."""
        named = {f"#{node['$anchor']}": node for node in _nodes(self.content) if "$anchor" in as_node(node)}  # type: ignore[index]
        return {"#": self.content, **named}


def server_urls(servers: object) -> list[str]:
    """The URLs of a list of servers, variables replaced by their defaults."""
    urls = []
    for server in map(as_node, as_list(servers)):
        url = str(server.get("url", ""))
        for name, variable in as_node(server.get("variables")).items():
            url = url.replace(f"{{{name}}}", str(as_node(variable).get("default", "")))
        urls.append(url)
    return urls


def _base(*holders: Node) -> str:
    """The path of the first server that the innermost holder names."""
    urls = next(filter(None, (server_urls(holder.get("servers")) for holder in holders)), [""])
    return urlsplit(urls[0]).path.rstrip("/")


def unnamed(path: str) -> str:
    """`path` without the names of its parameters."""
    return re.sub(r"\{[^}]*\}", "{}", path)


class ForeignReference(Exception):
    """A `$ref` that leaves the document."""


def contracts(tree: Tree) -> tuple[Document, ...]:
    """Every OpenAPI 3 document of the tree; one that cannot be read has its problem as only content."""
    return marked(tree, _MARK)


def marked(tree: Tree, mark: re.Pattern[str]) -> tuple[Document, ...]:
    """Every document of the tree whose text has `mark`; one that cannot be read has its problem as only content."""
    texts = {path: tree.read(path) or "" for path in tree.files if path.endswith((".yaml", ".yml", ".json"))}
    return tuple(load(path, text) for path, text in texts.items() if mark.search(text))


def load(path: str, text: str) -> Document:
    """The document in a text; one that cannot be read has its problem as only content, under `unreadable`."""
    text = text.removeprefix("\ufeff")
    try:
        content = json.loads(text) if path.endswith(".json") else yaml.safe_load(text)
    except (ValueError, yaml.YAMLError, RecursionError) as error:
        return Document(path, {"openapi": "3.1.0", "unreadable": str(error)})
    # Aliases make small YAML stand for endless documents.
    if not isinstance(content, dict) or _too_large(content):
        return Document(path, {"openapi": "3.1.0", "unreadable": "no mapping, or too large"})
    try:
        return Document(path, json.loads(json.dumps(_named(content), default=str, allow_nan=False)))
    except ValueError as error:
        return Document(path, {"openapi": "3.1.0", "unreadable": f"no JSON: {error}"})


def _named(content: object) -> object:
    """The document with text, or what JSON turns into text, for keys; YAML also has dates."""
    if isinstance(content, dict):
        basic = str | int | float | None
        return {key if isinstance(key, basic) else str(key): _named(value) for key, value in content.items()}
    return [_named(each) for each in content] if isinstance(content, list) else content


def _too_large(content: object) -> bool:
    return any(number >= _MOST_NODES for number, _ in enumerate(_nodes(content)))


def _nodes(content: object) -> Iterator[object]:
    """Everything in a document; what it repeats by reference counts each time."""
    stack = [content]
    while stack:
        node = stack.pop()
        yield node
        stack.extend(node.values() if isinstance(node, dict) else node if isinstance(node, list) else ())


def referred(content: object) -> set[str]:
    """The targets of all references in a part of a document."""
    found, stack = set(), [("", content)]
    while stack:
        name, node = stack.pop()
        if isinstance(node, dict):
            if isinstance(reference := node.get("$ref"), str):
                found.add(reference)
            stack.extend((k, v) for k, v in node.items() if k not in _VALUES or name in _NAMED)
        elif isinstance(node, list):
            stack.extend(("", item) for item in node)
    return found


def as_node(value: object) -> Node:
    """`value` if it is a mapping, else an empty one."""
    return value if isinstance(value, dict) else {}


def as_list(value: object) -> list[object]:
    """`value` if it is a list, else an empty one."""
    return value if isinstance(value, list) else []
