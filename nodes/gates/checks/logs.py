"""Checks of what is logged."""

import ast
import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from backend_coordinator.domain.verdict import Finding, Verdict
from backend_coordinator.nodes.gates import syntax
from backend_coordinator.nodes.gates.checks.around import Around, calls_around
from backend_coordinator.nodes.gates.checks.doubts import undecided
from backend_coordinator.nodes.gates.evidence import fails, introduced, not_applicable, passes, unknown
from backend_coordinator.nodes.gates.files import is_code, is_test, product_python, serves
from backend_coordinator.nodes.gates.registry import check
from backend_coordinator.nodes.gates.source import modules_of
from backend_coordinator.nodes.gates.syntax import called, last, words
from backend_coordinator.nodes.workspace.environment import Environment
from backend_coordinator.nodes.workspace.trees import Tree

# The last words of a name say what it holds: a token_id, a password_hash or a max_tokens is no secret.
_SENSITIVE = re.compile(
    r"(?:^|_)(?:password|passwd|(?<=_)pwd|passphrase|secret|secret_key|(?:access|refresh|auth|bearer|session|api|reset|jwt|id)"
    r"_tokens?|authorization|cookies?|api_?keys?|private_?key|signing_?key|encryption_?key|credentials?|"
    r"(?:credit_?|debit_?)card|card_?number|cvv|cvc|ssn|social_security_number|otp|jwt)$"
)
# Words that mean a secret only where people log in: parsers have tokens, and tracers sessions, of their own.
_OF_ACCESS = re.compile(r"(?:^|_)(?:token|session_?id)$")
_HARMLESS = re.compile(r"^(?:is|has|no|needs|missing|invalid|hashed|masked|redacted|encrypted)_|(?:next|page|cancel)_")
# What is called so may be all that a caller sent or an answer held; a bare pwd may be a password or a folder.
_MAY_HOLD_ALL = re.compile(r"(?:^|_)(?:data|body|payload|form|json|params|received)$|^pwd$")
_HOLDS_LITTLE = frozenset({"int", "float", "bool", "UUID", "date", "datetime", "Path"})
_HIDES = re.compile(r"(?i)redact|mask|saniti[sz]e|scrub|filter|safe|hash|digest|anonymi[sz]e")
_ABOUT_ACCESS = re.compile(r"(?i)\b(?:jwt|bearer|oauth2?|login|authori[sz]ation|authenticat\w+)\b|password")
_LEVELS = words("debug info warning warn error exception critical fatal log trace success bind")
_LOGGER = re.compile(r"(?i)(?:^|_)log(?:ger|ging)?$|^(?:get_?logger)$")
_COMMAND = re.compile(r"(?m)^if __name__ ==|^\s*(?:import|from) (?:argparse|click|typer)\b")
_CARRIES = words("str repr format list tuple dumps loads decode encode strip lower get_secret_value join")
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
    secret, such as its length or a digest, is fine. Local names are followed to what they are bound to once; one
    that may hold a whole request decides nothing. Source: Security, no sensitive data in logs.
    """
    paths = product_python(head, changed)
    code = [path for path in sorted(changed) if path in head.files and is_code(head, path) and not is_test(path)]
    if not code:
        return not_applicable("S6", "no code changed")
    findings, doubts, calls = _logged(head, paths)
    if (findings or doubts) and base:
        known = _logged(base, product_python(base, changed))
        findings, doubts = list(introduced(findings, known[0])), list(introduced(doubts, known[1]))
    if findings:
        return fails("S6", findings, "log an id or nothing instead")
    if doubts:
        return undecided("S6", doubts, "it may hold a secret, so look at what it is")
    read = modules_of(head, paths)
    if skipped := next((p for p in code if p not in read and _TOPIC.search(head.read(p) or "log.")), None):
        return unknown("S6", f"{skipped} is not read by this check: look at what it logs")
    return passes("S6", f"{calls} logging calls read in {len(paths)} files, none with sensitive data")


def _logged(tree: Tree, paths: tuple[str, ...]) -> tuple[list[Finding], list[Finding], int]:
    """What is sensitive, what may be, and the number of logging calls read."""
    findings: list[Finding] = []
    doubts: list[Finding] = []
    if not paths:
        return findings, doubts, 0
    calls, records, served = 0, _records(tree), serves(tree)
    for path, module in modules_of(tree, paths).items():
        reading = _Reading(tree.read(path) or "", records, served=served)
        for call, around in calls_around(module):
            if reading.logs(call):
                calls += 1
                for name in dict.fromkeys(reading.sensitive(call, around)):
                    found = doubts if isinstance(name, _Doubt) else findings
                    found.append(Finding(path=path, line=call.lineno, message=f"logs {name}"))
    return findings, doubts, calls


class _Doubt(str):
    """The name of something that may be sensitive."""


class _Records(NamedTuple):
    """Secret fields by class: those its repr shows, those it holds; fields that hide themselves; all classes."""

    shown: Mapping[str, str]
    held: Mapping[str, str]
    hidden: frozenset[str]
    known: frozenset[str]


def _records(tree: Tree) -> _Records:
    shown, held, hidden, plain, known = {}, {}, set(), set(), set()
    for module in modules_of(tree, product_python(tree, frozenset(tree.files))).values():
        for node in (node for node in ast.walk(module) if isinstance(node, ast.ClassDef)):
            fields = {last(s.target): ast.unparse(s) for s in node.body if isinstance(s, ast.AnnAssign)}
            own = {name for name, text in fields.items() if re.search(r"Secret(?:Str|Bytes)|repr=False", text)}
            hidden |= own
            plain |= fields.keys() - own
            known.add(node.name)
            for name in sorted(fields.keys() - own):
                if "password" in name:
                    held[node.name] = name
                if _SENSITIVE.search(name) and _shows(node):
                    shown[node.name] = name
    return _Records(shown, held, frozenset(hidden - plain), frozenset(known))


def _shows(node: ast.ClassDef) -> bool:
    """Whether instances print their fields."""
    own = any(isinstance(part, syntax.Function) and part.name in {"__repr__", "__str__"} for part in node.body)
    return not own and bool(_REPR_SHOWS.intersection(map(last, (*node.bases, *node.decorator_list))))


class _Reading:
    """One module's logging calls."""

    def __init__(self, text: str, records: _Records, *, served: bool) -> None:
        self._prints = not _COMMAND.search(text)
        self._access = _ABOUT_ACCESS.search(text) is not None
        self._records = records
        self._served = served
        self._followed: set[str] = set()

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

    def sensitive(self, call: ast.Call, around: Around) -> Iterator[str]:
        """Names of the sensitive values the call is handed."""
        for name, value in (*(("", a) for a in call.args), *((k.arg or "", k.value) for k in call.keywords)):
            self._followed = set()
            yield from self._entry(name, value, around)

    def _entry(self, name: str, value: ast.expr, around: Around) -> Iterator[str]:
        named = self._named(name) and isinstance(value, ast.Name | ast.Attribute | ast.Subscript)
        yield from [name] if named else self._in(value, around)

    def _in(self, node: ast.AST, around: Around) -> Iterator[str]:
        match node:
            case ast.Name(id=name):
                kind = around.type_of(name)
                field = self._records.shown.get(kind)
                named = self._named(name) and not kind.startswith("Secret")
                yield from [name] if named else [f"{name}, which shows its {field}"] if field else []
                yield from self._local(name, kind, around) if not named and not field else []
            case ast.Attribute(value=owner, attr="__dict__"):
                yield from self._dump(owner, around)
            case ast.Attribute(value=owner, attr=name):
                whole = last(owner) in {"request", "req", "os"} and name in _WHOLE_REQUEST
                named = self._named(name) and name not in self._records.hidden
                yield from [ast.unparse(node)] if whole or named else []
            case ast.Subscript(slice=key):
                # A slice shows a part only, as masks do.
                yield from [ast.unparse(node)] if self._named(str(getattr(key, "value", ""))) else []
            case ast.Call():
                yield from self._call(node, around)
            case _:
                yield from self._parts(node, around)

    def _parts(self, node: ast.AST, around: Around) -> Iterator[str]:
        if isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                yield from self._entry(str(getattr(key, "value", "")), value, around)
        else:
            for part in _values(node):
                yield from self._in(part, around)

    def _call(self, node: ast.Call, around: Around) -> Iterator[str]:
        name = called(node)
        owner = [node.func.value] if isinstance(node.func, ast.Attribute) else []
        if name == "locals" or (name in _BODIES and owner and last(owner[0]) in {"request", "req"}):
            yield ast.unparse(node)
        elif name in _DUMPS and not node.keywords:
            for whole in node.args or owner:
                yield from self._dump(whole, around)
        elif name in {"get", "pop"} and node.args and isinstance(node.args[0], ast.Constant):
            yield from [ast.unparse(node)] if self._named(str(node.args[0].value)) else []
        elif name in _CARRIES:
            for part in (*owner, *node.args, *(k.value for k in node.keywords if k.arg)):
                yield from self._in(part, around)

    def _local(self, name: str, kind: str, around: Around) -> Iterator[str]:
        """What a local name is bound to: surely if that is one value, else perhaps."""
        bound = around.bound(name)
        if bound is None or name in self._followed:
            return
        # Once is enough for one argument, and names that are made of each other lead nowhere.
        self._followed.add(name)
        values, told = bound
        held = [found for value in values for found in self._in(value, around)]
        if told and len(values) == 1 and held:
            yield from held
        elif held or (_may_hold_all(name) and self._untold(values if told else None, kind, around)):
            yield _Doubt(name)

    def _untold(self, values: list[ast.expr] | None, kind: str, around: Around) -> bool:
        """Whether what a name is bound to does not tell what it holds; `values` are None if not all are known."""
        if values is None:
            return self._served and kind not in self._records.known | _HOLDS_LITTLE
        made = [value.value if isinstance(value, ast.Await) else value for value in values]
        return any(self._makes_of_all(node, around) for node in made if isinstance(node, ast.Call))

    def _makes_of_all(self, node: ast.Call, around: Around) -> bool:
        """Whether a call that is not followed reads a body or is handed a whole one."""
        owner = [node.func.value] if isinstance(node.func, ast.Attribute) else []
        if _HIDES.search(called(node)):
            return False
        parts = (*owner, *syntax.arguments(node))
        return called(node) in _BODIES or any(True for part in parts for _ in self._dump(part, around))

    def _dump(self, owner: ast.expr, around: Around) -> Iterator[str]:
        name = last(owner)
        kind = around.type_of(name) or name.title()
        field = self._records.held.get(kind) or self._records.shown.get(kind)
        yield from [f"{name}, which holds its {field}"] if field else self._in(owner, around)

    def _named(self, name: str) -> bool:
        plain = _plain(name)
        sensitive = _SENSITIVE.search(plain) or (self._access and _OF_ACCESS.search(plain))
        return bool(sensitive) and not _HARMLESS.search(plain)


def _plain(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|-", "_", name).lower()


def _may_hold_all(name: str) -> bool:
    plain = _plain(name)
    return bool(_MAY_HOLD_ALL.search(plain)) and not _HARMLESS.search(plain) and not _HIDES.search(plain)


def _values(node: ast.AST) -> Iterator[ast.AST]:
    """The parts whose values end up in the value of `node`; a comparison or a negation is only true or false."""
    if isinstance(node, ast.IfExp):
        yield from (node.body, node.orelse)
    elif isinstance(node, ast.BinOp) and "locals()" in ast.unparse(node.right):
        yield node.left  # the template takes what it names
    elif not isinstance(node, ast.Compare | ast.Lambda | ast.UnaryOp):
        yield from ast.iter_child_nodes(node)
