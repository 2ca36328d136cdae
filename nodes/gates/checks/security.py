"""Checks of security."""

import ast
import asyncio
import re
from collections.abc import Iterator, Sequence

from backend_coordinator.domain.verdict import Finding, Verdict
from backend_coordinator.nodes.gates.evidence import (
    fails,
    introduced,
    not_applicable,
    passes,
    place,
    read_evidence,
    unknown,
)
from backend_coordinator.nodes.gates.files import is_code, is_test, product_python
from backend_coordinator.nodes.gates.registry import check
from backend_coordinator.nodes.gates.secrets import is_secret_value
from backend_coordinator.nodes.gates.source import parse
from backend_coordinator.nodes.gates.sqltext import Program, Taint, mentions_sql
from backend_coordinator.nodes.gates.syntax import called
from backend_coordinator.nodes.workspace.environment import Environment
from backend_coordinator.nodes.workspace.trees import Tree

_SECRET_NAME = re.compile(
    r"(?i)(?:^|_)(?:secret|secret_key|password|passwd|pwd|passphrase|token|api_?key|access_?key|private_?key|"
    r"signing_?key|encryption_?key|credentials?)$"
)
_ENV_FILE = re.compile(r"(?:^|/)\.env(?:\.(?!example|sample|template|dist|defaults?)[\w-]+)?$")
_ENV_VALUE = re.compile(r"""^\s*(?:export\s+)?(\w+)\s*=\s*["']?([^\s"'#]+)""", re.MULTILINE)


_SQL_TOPIC = re.compile(r"(?i)\b(?:execute|query|sql|psql|mysql|select|insert\s+into|delete\s+from)")
_SECRET_TOPIC = re.compile(r"(?i)secret|passw|token|api_?key|credential|private_?key")
_HOW = {
    Taint.CONSTANT: "gets constant SQL text",
    Taint.UNTRACED: "gets SQL text that cannot be traced",
    Taint.FORMATTED: "has a value in its SQL text",
}


@check("S3")
async def sql_takes_parameters(
    base: Tree | None, head: Tree, changed: frozenset[str], environment: Environment
) -> Verdict:
    """No SQL text that is executed has values formatted into it.

    A value in the text is SQL injection waiting; constants of the program such as column names are fine. What
    cannot be traced to constants is unknown. Source: Security, SQL injection prevention.
    """
    paths = product_python(head, changed)
    found = await asyncio.to_thread(_sql, head, paths)
    formatted = [finding for finding, taint in found if taint is Taint.FORMATTED]
    untraced = [finding for finding, taint in found if taint is Taint.UNTRACED]
    if (formatted or untraced) and base:
        known = [f for f, taint in _sql(base, product_python(base, changed)) if taint is not Taint.CONSTANT]
        formatted, untraced = list(introduced(formatted, known)), list(introduced(untraced, known))
    if formatted:
        return fails("S3", formatted, "pass the value as a parameter")
    if untraced:
        reason = f"{place(untraced[0])}: {untraced[0].message}; look whether a caller's text can reach it"
        return unknown("S3", reason, read_evidence(untraced, reason))
    if skipped := _unread(head, changed, _SQL_TOPIC):
        return unknown("S3", f"{skipped} is not read by this check: look at calls that execute SQL text in it")
    if found:
        return passes("S3", f"{len(found)} calls execute SQL, none with values in its text")
    return not_applicable("S3", "the changed code executes no SQL text")


@check("S7")
async def secrets_come_from_the_environment(
    base: Tree | None, head: Tree, changed: frozenset[str], environment: Environment
) -> Verdict:
    """No setting named like a secret holds a literal, no .env with values is tracked, the environment is read.

    A secret in the repository cannot be rotated or kept from readers. Source: Security, secrets managed via
    environment variables.
    """
    paths = product_python(head, changed)
    findings = [*_literal_secrets(head, paths), *_env_files(head, changed)]
    if findings and base:
        known = [*_literal_secrets(base, product_python(base, changed)), *_env_files(base, changed)]
        findings = list(introduced(findings, known))
    if findings:
        return fails("S7", findings, "read it from the environment, without a default")
    if skipped := _unread(head, changed, _SECRET_TOPIC):
        return unknown("S7", f"{skipped} is not read by this check: look at its settings")
    uses = [use for path in paths for use in _uses(head, path)]
    if not uses:
        return not_applicable("S7", "the changed code uses no secret")
    everywhere = [use for path in product_python(head, frozenset(head.files)) for use in _uses(head, path)]
    if any(from_environment for _, from_environment in everywhere):
        return passes("S7", f"{len(uses)} secrets in use, none with a literal value")
    return unknown("S7", f"{uses[0][0]}: it cannot be told where this secret comes from")


def _unread(head: Tree, changed: frozenset[str], topic: re.Pattern[str]) -> str | None:
    """The first changed program that a check of Python cannot read (another language, or broken) on `topic`."""
    for path in sorted(changed.intersection(head.files)):
        if (
            is_code(head, path)
            and not is_test(path)
            and topic.search(head.read(path) or "query secret")
            and (not path.endswith(".py") or _parse(head, path) is None)
        ):
            return path
    return None


def _parse(tree: Tree, path: str) -> ast.Module | None:
    text = tree.read(path)
    try:
        return None if text is None else parse(text)
    except (SyntaxError, ValueError, RecursionError):
        return None


def _sql(tree: Tree, paths: Sequence[str]) -> list[tuple[Finding, Taint]]:
    """Findings with their taint; the whole project is read only where the changed files call for it."""
    paths = [path for path in paths if mentions_sql(tree.read(path) or "") and _parse(tree, path)]
    everything = product_python(tree, frozenset(tree.files)) if paths else ()
    parsed = {path: module for path in everything if (module := _parse(tree, path))}
    program = Program(parsed)
    return [
        (Finding(path=path, line=line, message=f"{function}() {_HOW[taint]}"), taint)
        for path in paths
        for line, function, taint in program.sql_calls(path)
    ]


def _literal_secrets(tree: Tree, paths: tuple[str, ...]) -> Iterator[Finding]:
    for path in paths:
        for node in ast.walk(_parse(tree, path) or ast.Module([], [])):
            for name, value in _settings(node):
                if isinstance(value, ast.Constant) and isinstance(value.value, str) and _counts(name, value.value):
                    yield Finding(path=path, line=value.lineno, message=f"{name} has a literal value")


def _counts(name: str, value: str) -> bool:
    # A default such as "changeme" is a placeholder to a scanner, yet a working secret in production.
    default = re.fullmatch(r"(?i)(?:change|replace)[-_ ]?(?:me|this)\S*|dev\S*|secret\S*|insecure\S*", value)
    return bool(_SECRET_NAME.search(name)) and bool(default or (len(value) > 3 and is_secret_value(name, value)))


def _settings(node: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    """Names with the values they are given: assignments, arguments, entries, defaults of environment reads."""
    match node:
        case ast.Assign(targets=targets, value=value):
            yield from ((_name(target), value) for target in targets)
        case ast.AnnAssign(target=target, value=ast.expr() as value):
            yield _name(target), value
            if isinstance(value, ast.Call) and called(value) == "Field" and value.args:
                yield _name(target), value.args[0]
            for keyword in value.keywords if isinstance(value, ast.Call) else ():
                if keyword.arg == "default":
                    yield _name(target), keyword.value
        case ast.keyword(arg=str(name), value=value):
            yield name, value
        case ast.Dict(keys=keys, values=values):
            entries = zip(keys, values, strict=True)
            yield from ((str(key.value), value) for key, value in entries if isinstance(key, ast.Constant))
        case ast.Call(args=[ast.Constant(value=str(name)), default]) if called(node) in {"get", "getenv"}:
            yield name, default


def _name(target: ast.expr) -> str:
    match target:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case ast.Subscript(slice=ast.Constant(value=str(name))):
            return name
        case _:
            return ""


def _uses(tree: Tree, path: str) -> Iterator[tuple[str, bool]]:
    """(place, read from the environment) of each secret setting in a module."""
    module = _parse(tree, path) or ast.Module([], [])
    for node in ast.walk(module):
        match node:
            case (
                ast.Call(func=owner, args=[ast.Constant(value=str(name)), *_])
                | ast.Subscript(value=owner, slice=ast.Constant(value=str(name)))
            ) if _reads_environment(owner):
                secret = name
            case ast.ClassDef(bases=bases) if any("Settings" in ast.unparse(base) for base in bases):
                fields = [s.target for s in node.body if isinstance(s, ast.AnnAssign)]
                secret = next((_name(field) for field in fields if _SECRET_NAME.search(_name(field))), "")
            case _:
                continue
        if _SECRET_NAME.search(secret):
            yield f"{path}:{node.lineno}", True
    for statement in module.body:
        for name, value in _settings(statement):
            if _SECRET_NAME.search(name) and not isinstance(value, ast.Constant):
                yield f"{path}:{statement.lineno}", False


def _reads_environment(node: ast.expr) -> bool:
    return re.search(r"\benviron\b|\bgetenv\b|\benv\b|\bconfig\b", ast.unparse(node)) is not None


def _env_files(tree: Tree, changed: frozenset[str]) -> Iterator[Finding]:
    for path in sorted(changed.intersection(tree.files)):
        if _ENV_FILE.search(path) and not is_test(path):
            for number, line in enumerate((tree.read(path) or "").splitlines(), 1):
                if match := _ENV_VALUE.match(line):
                    yield Finding(path=path, line=number, message=f"a tracked .env gives {match[1]} a value")
