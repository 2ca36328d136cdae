"""Checks of what is logged."""

import ast
import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from backend_coordinator.domain.verdict import Finding, Verdict
from backend_coordinator.nodes.gates import syntax
from backend_coordinator.nodes.gates.evidence import fails, introduced, not_applicable, passes, unknown
from backend_coordinator.nodes.gates.files import is_code, is_test, product_python
from backend_coordinator.nodes.gates.registry import check
from backend_coordinator.nodes.gates.sqlqueries import modules_of
from backend_coordinator.nodes.gates.syntax import called, last
from backend_coordinator.nodes.workspace.environment import Environment
from backend_coordinator.nodes.workspace.trees import Tree

# The last words of a name say what it holds: a token_id, a password_hash or a max_tokens is no secret.
_SENSITIVE = re.compile(
    r"(?:^|_)(?:password|passwd|pwd|passphrase|secret|secret_key|(?:access|refresh|auth|bearer|session|api|reset|jwt|id)"
    r"_tokens?|authorization|cookies?|api_?keys?|private_?key|signing_?key|encryption_?key|credentials?|"
    r"(?:credit_?|debit_?)card|card_?number|cvv|cvc|ssn|social_security_number|otp|jwt)$"
)
# Words that mean a secret only where people log in: parsers have tokens, and tracers sessions, of their own.
_OF_ACCESS = re.compile(r"(?:^|_)(?:token|session_?id)$")
_HARMLESS = re.compile(r"^(?:is|has|no|needs|missing|invalid|hashed|masked|redacted|encrypted)_|(?:next|page|cancel)_")
_ABOUT_ACCESS = re.compile(r"(?i)\b(?:jwt|bearer|oauth2?|login|authori[sz]ation|authenticat\w+)\b|password")
_LEVELS = frozenset(
    {"debug", "info", "warning", "warn", "error", "exception", "critical", "fatal", "log", "trace", "success", "bind"}
)
_LOGGER = re.compile(r"(?i)(?:^|_)log(?:ger|ging)?$|^(?:get_?logger)$")
_COMMAND = re.compile(r"(?m)^if __name__ ==|^\s*(?:import|from) (?:argparse|click|typer)\b")
_CARRIES = frozenset(
    {
        "str",
        "repr",
        "format",
        "list",
        "tuple",
        "dumps",
        "decode",
        "encode",
        "strip",
        "lower",
        "get_secret_value",
        "join",
    }
)
_DUMPS = frozenset({"vars", "asdict", "dict", "model_dump", "model_dump_json"})
_REPR_SHOWS = frozenset({"BaseModel", "SQLModel", "NamedTuple", "TypedDict", "dataclass", "define", "Struct"})
_WHOLE_REQUEST = frozenset({"headers", "cookies", "environ"})
_BODIES = frozenset({"body", "json", "form"})
_TOPIC = re.compile(r"(?i)\blog(?:ger|ging)?\b|console\.|print|log\.")


@check("S6")
async def logs_hold_no_sensitive_data(
    base: Tree | None, head: Tree, changed: frozenset[str], environment: Environment
) -> Verdict:
    """No logging call of a changed file is handed a password, token, cookie, key, card or whole request.

    Logs are read by more people and kept for longer than the data itself. What another function makes of a
    secret, such as its length or a digest, is fine. Source: Security, no sensitive data in logs.
    """
    paths = product_python(head, changed)
    code = [path for path in sorted(changed) if path in head.files and is_code(head, path) and not is_test(path)]
    if not code:
        return not_applicable("S6", "no code changed")
    findings, calls = _logged(head, paths)
    if findings and base:
        findings = list(introduced(findings, _logged(base, product_python(base, changed))[0]))
    if findings:
        return fails("S6", findings, "log an id or nothing instead")
    read = modules_of(head, paths)
    if skipped := next((p for p in code if p not in read and _TOPIC.search(head.read(p) or "log.")), None):
        return unknown("S6", f"{skipped} is not read by this check: look at what it logs")
    return passes("S6", f"{calls} logging calls read in {len(paths)} files, none with sensitive data")


def _logged(tree: Tree, paths: tuple[str, ...]) -> tuple[list[Finding], int]:
    findings, calls = [], 0
    records = _records(tree) if paths else _Records({}, {}, frozenset())
    for path, module in modules_of(tree, paths).items():
        reading = _Reading(tree.read(path) or "", records)
        for call, types in _calls(module):
            if reading.logs(call):
                calls += 1
                for name in dict.fromkeys(reading.sensitive(call, types)):
                    findings.append(Finding(path=path, line=call.lineno, message=f"logs {name}"))
    return findings, calls


class _Records(NamedTuple):
    """Secret fields by class: those its repr shows, those it holds; and names of fields that hide themselves."""

    shown: Mapping[str, str]
    held: Mapping[str, str]
    hidden: frozenset[str]


def _records(tree: Tree) -> _Records:
    shown, held, hidden, plain = {}, {}, set(), set()
    for module in modules_of(tree, product_python(tree, frozenset(tree.files))).values():
        for node in (node for node in ast.walk(module) if isinstance(node, ast.ClassDef)):
            fields = {last(s.target): ast.unparse(s) for s in node.body if isinstance(s, ast.AnnAssign)}
            own = {name for name, text in fields.items() if re.search(r"Secret(?:Str|Bytes)|repr=False", text)}
            hidden |= own
            plain |= fields.keys() - own
            for name in sorted(fields.keys() - own):
                if "password" in name:
                    held[node.name] = name
                if _SENSITIVE.search(name) and _shows(node):
                    shown[node.name] = name
    return _Records(shown, held, frozenset(hidden - plain))


def _shows(node: ast.ClassDef) -> bool:
    """Whether instances print their fields."""
    own = any(isinstance(part, syntax.Function) and part.name in {"__repr__", "__str__"} for part in node.body)
    return not own and bool(_REPR_SHOWS.intersection(map(last, (*node.bases, *node.decorator_list))))


def _calls(module: ast.Module) -> Iterator[tuple[ast.Call, Mapping[str, str]]]:
    """Each call with the classes of the parameters around it."""
    todo: list[tuple[ast.AST, Mapping[str, str]]] = [(module, {})]
    while todo:
        node, types = todo.pop()
        if isinstance(node, syntax.Function):
            every = (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)
            types = {**types, **{a.arg: last(a.annotation) for a in every if a.annotation}}
        if isinstance(node, ast.Call):
            yield node, types
        todo += [(child, types) for child in ast.iter_child_nodes(node)]


class _Reading:
    """One module's logging calls."""

    def __init__(self, text: str, records: _Records) -> None:
        self._prints = not _COMMAND.search(text)
        self._access = _ABOUT_ACCESS.search(text) is not None
        self._records = records

    def logs(self, call: ast.Call) -> bool:
        """Output of a command is for the person who typed it, so there `print` is no logging."""
        match call.func:
            case ast.Name(id="print" | "pprint"):
                return self._prints
            case ast.Attribute(value=ast.Name(id="warnings"), attr="warn"):
                return True
            case ast.Attribute(value=owner, attr=level):
                return level in _LEVELS and _LOGGER.search(last(owner)) is not None
        return False

    def sensitive(self, call: ast.Call, types: Mapping[str, str]) -> Iterator[str]:
        """Names of the sensitive values the call is handed."""
        for argument in call.args:
            yield from self._in(argument, types)
        for keyword in call.keywords:
            yield from self._entry(keyword.arg or "", keyword.value, types)

    def _entry(self, name: str, value: ast.expr, types: Mapping[str, str]) -> Iterator[str]:
        named = self._named(name) and isinstance(value, ast.Name | ast.Attribute | ast.Subscript)
        yield from [name] if named else self._in(value, types)

    def _in(self, node: ast.AST, types: Mapping[str, str]) -> Iterator[str]:
        match node:
            case ast.Name(id=name):
                field = self._records.shown.get(types.get(name, ""))
                named = self._named(name) and not types.get(name, "").startswith("Secret")
                yield from [name] if named else [f"{name}, which shows its {field}"] if field else []
            case ast.Attribute(value=owner, attr="__dict__"):
                yield from self._dump(owner, types)
            case ast.Attribute(value=owner, attr=name):
                whole = last(owner) in {"request", "req", "os"} and name in _WHOLE_REQUEST
                named = self._named(name) and name not in self._records.hidden
                yield from [ast.unparse(node)] if whole or named else []
            case ast.Subscript(slice=key):
                # A slice shows a part only, as masks do.
                yield from [ast.unparse(node)] if self._named(str(getattr(key, "value", ""))) else []
            case ast.Call():
                yield from self._call(node, types)
            case _:
                yield from self._parts(node, types)

    def _parts(self, node: ast.AST, types: Mapping[str, str]) -> Iterator[str]:
        if isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                yield from self._entry(str(getattr(key, "value", "")), value, types)
        else:
            for part in _values(node):
                yield from self._in(part, types)

    def _call(self, node: ast.Call, types: Mapping[str, str]) -> Iterator[str]:
        name = called(node)
        owner = [node.func.value] if isinstance(node.func, ast.Attribute) else []
        if name == "locals" or (name in _BODIES and owner and last(owner[0]) in {"request", "req"}):
            yield ast.unparse(node)
        elif name in _DUMPS and not node.keywords:
            for whole in node.args or owner:
                yield from self._dump(whole, types)
        elif name in {"get", "pop"} and node.args and isinstance(node.args[0], ast.Constant):
            yield from [ast.unparse(node)] if self._named(str(node.args[0].value)) else []
        elif name in _CARRIES:
            for part in (*owner, *node.args, *(k.value for k in node.keywords if k.arg)):
                yield from self._in(part, types)

    def _dump(self, owner: ast.expr, types: Mapping[str, str]) -> Iterator[str]:
        name = last(owner)
        field = self._records.held.get(types.get(name) or name.title())
        yield from [f"{name}, which holds its {field}"] if field else self._in(owner, types)

    def _named(self, name: str) -> bool:
        plain = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|-", "_", name).lower()
        sensitive = _SENSITIVE.search(plain) or (self._access and _OF_ACCESS.search(plain))
        return bool(sensitive) and not _HARMLESS.search(plain)


def _values(node: ast.AST) -> Iterator[ast.AST]:
    """The parts whose values end up in the value of `node`; a comparison or a negation is only true or false."""
    if isinstance(node, ast.IfExp):
        yield from (node.body, node.orelse)
    elif isinstance(node, ast.BinOp) and "locals()" in ast.unparse(node.right):
        yield node.left  # the template takes what it names
    elif not isinstance(node, ast.Compare | ast.Lambda | ast.UnaryOp):
        yield from ast.iter_child_nodes(node)
