"""Secrets are replaced before any text reaches a prompt, a transcript, a checkpoint or a report."""

import json
import os
import re
from base64 import b64encode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import TypeVar
from urllib.parse import quote, quote_plus, unquote

from pydantic import BaseModel

from backend_coordinator.nodes.tools.beneath import LARGEST, SKIPPED_FOLDERS
from backend_coordinator.nodes.tools.paths import is_environment
from backend_coordinator.nodes.workspace.git import run_git

V = TypeVar("V", bound=BaseModel)
_SECRET_NAME = re.compile(
    r"KEY|TOKEN|SECRET|PASSW|PASSPHRASE|_PWD|CREDENTIAL|DSN|DATABASE_URL|WEBHOOK|AUTH(?!OR|_SOCK)|SALT", re.IGNORECASE
)
_RANDOM = re.compile(r"(?=[A-Za-z]*\d)(?=\d*[A-Za-z])[A-Za-z0-9]{16,}")
"""What makes a value of an environment file a secret, whatever its name."""
_ASSIGNED = re.compile(
    r"""^[ \t]*(?:export[ \t]+)?([\w.-]+)[ \t]*[=:][ \t]*(?:"((?:[^"\\]|\\.)*)"|'([^']*)'|([^\n]*))""", re.MULTILINE
)
_PASSWORD = re.compile(r"://[^\s:/@]*:([^\s/@]+)@")
_SHORTEST = 8
_MOST_FOLDERS = 20_000
_MOST_WRAPPINGS = 3
"""How often a text may have become a string of JSON within JSON; a message in a transcript is one twice."""
_START = r"(?:\b|(?<=\\[nrt]))"  # a text may be JSON, where a word begins behind the n of an escaped end of line
_PLAIN = r"(?:[a-z]{1,11}|[A-Z_]{1,11})"
_PATTERNS = re.compile(
    rf"{_START}(?:sk-[\w-]{{20,}}|[rs]k_(?:live|test)_[A-Za-z0-9]{{16,}}|gh[pousr]_[A-Za-z0-9]{{30,}}"
    r"|github_pat_\w{22,}|gl(?:pat|dt|rt)-[\w-]{16,}|(?:AKIA|ASIA)[0-9A-Z]{16}|AIza[\w-]{30,}|xox[abeoprs]-[\w-]{10,}"
    r"|(?:hf|npm)_[A-Za-z0-9]{30,}|pypi-[\w-]{50,}|eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{8,})"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?-----END [A-Z ]*PRIVATE KEY-----"
)
_BEHIND = re.compile(
    rf"(?P<before>://[^\s:/@\"'\\]*:)(?!{_PLAIN}@|[${{<*%\[])[^\s/@\"'\\]+(?=@)"
    rf"|(?P<header>{_START}(?i:authorization\W{{1,8}}basic|bearer) +)(?=[\w.~+/-]*\d)[\w.~+/-]{{16,}}=*"
)
"""Where only what stands behind a name is secret: passwords in addresses, and headers."""
_NO_SECRET = re.compile(rf"{_PLAIN}|(?!http)[\w+.-]+://(?:[^:/@]*:{_PLAIN}@)?[^@?]*")
_SIGNS = (
    "sk-", "k_live_", "k_test_", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-", "gldt-", "glrt-",
    "AKIA", "ASIA", "AIza", "xox", "hf_", "npm_", "pypi-", "eyJ", "-----BEGIN",
)  # fmt: skip
"""What has none of these has no token; looking for them takes a fraction of the time."""
MASK = "[redacted]"


@dataclass(frozen=True)
class Redactor:
    """Replaces known values and well-known token shapes by `[redacted]`.

    Values are known within JSON too, as hex digits, in base64 wherever they begin in it, and coded for URLs; not when
    they are reversed, compressed, or broken over lines.
    """

    values: tuple[str, ...] = ()

    @cached_property
    def _forms(self) -> tuple[str, ...]:
        return tuple(sorted(set(chain.from_iterable(map(_forms_of, self.values))), key=len, reverse=True))

    def __call__(self, text: str) -> str:
        for form in self._forms:
            if form in text:
                text = text.replace(form, MASK)
        if any(sign in text for sign in _SIGNS):
            text = _PATTERNS.sub(MASK, text)
        if ("://" in text and "@" in text) or any(word in text.lower() for word in ("bearer", "basic")):
            text = _BEHIND.sub(lambda match: f"{match['before'] or match['header']}{MASK}", text)
        return text

    def value(self, value: V) -> V:
        """The same value with every text in it redacted."""
        whole = value.model_dump(mode="json")
        masked = self.each(whole)
        return value if masked == whole else type(value).model_validate_json(json.dumps(masked))

    def each(self, part: object) -> object:
        """What JSON holds, with every text in it redacted."""
        if isinstance(part, str):
            return self(part)
        if isinstance(part, dict):
            return {name: self.each(inner) for name, inner in part.items()}
        return [self.each(inner) for inner in part] if isinstance(part, list) else part


def redactor_for(
    workspace: Path, environment: Mapping[str, str] = os.environ, *more: Mapping[str, str], commit: str = "HEAD"
) -> Redactor:
    """A redactor for the secrets of `environment` and `more`, and of the environment files of workspace and commit.

    A word such as `postgres` is no secret, nor is a database's address without a password or with such a word for one:
    masked, they would spoil every text that has the word.
    """
    given = list(chain.from_iterable(mapping.items() for mapping in (environment, *more)))
    found = {value for name, value in given if _SECRET_NAME.search(name)}
    addresses = {value for _, value in given}
    for text in chain(_written(workspace), _tracked(workspace, commit)):
        found |= {value for name, value in _assigned(text) if _SECRET_NAME.search(name) or _RANDOM.search(value)}
    passwords = {password for value in found | addresses for password in _PASSWORD.findall(value)}
    known = found | passwords | set(map(unquote, passwords))
    return Redactor(tuple(sorted(v for v in known if len(v) >= _SHORTEST and not _NO_SECRET.fullmatch(v))))


def _forms_of(value: str) -> Iterator[str]:
    data = os.fsencode(value)
    coded = "".join(f"%{byte:02X}" for byte in data)
    plain = (value, quote(data, safe=""), quote(data, safe="/"), quote_plus(data), coded)
    yield from plain
    yield from (re.sub("%..", lambda match: match[0].lower(), form) for form in plain[1:])
    yield from (data.hex(), data.hex().upper())
    for shift in range(3):  # how many bytes more than whole groups of three stand before it
        whole = b64encode(bytes(shift) + data).decode()
        own = whole[(0, 2, 3)[shift] : (shift + len(data)) * 8 // 6]
        yield from (own, own.replace("+", "-").replace("/", "_"))
    wrapped = {value}
    for _ in range(_MOST_WRAPPINGS):
        wrapped = {json.dumps(text, ensure_ascii=ascii_only)[1:-1] for text in wrapped for ascii_only in (True, False)}
        yield from wrapped


def _written(workspace: Path) -> Iterator[str]:
    """Texts of the environment files there are now, linked ones too: they are the user's."""
    for number, (folder, folders, names) in enumerate(os.walk(workspace)):
        if number == _MOST_FOLDERS:
            return
        folders[:] = [name for name in folders if name not in SKIPPED_FOLDERS]
        for path in (Path(folder, name) for name in names if is_environment(name.casefold())):
            if path.is_file() and path.stat().st_size <= LARGEST:
                yield path.read_text(encoding="utf-8", errors="replace")


def _tracked(workspace: Path, commit: str) -> Iterator[str]:
    """Texts of the environment files of a commit: every task's tree has them."""
    if not workspace.is_dir():
        return
    for path in run_git("ls-tree", "-r", "-z", "--name-only", commit, cwd=workspace).stdout.split("\0"):
        if is_environment(PurePosixPath(path).name.casefold()):
            yield run_git("show", f"{commit}:{path}", cwd=workspace).stdout


def _assigned(text: str) -> Iterator[tuple[str, str]]:
    """Names with their values as programs may read them: escapes and comments may count or not."""
    for name, double, single, bare in _ASSIGNED.findall(text):
        short = bare.partition(" #")[0]
        values = (double, double.replace("\\n", "\n"), single, bare.strip().strip("'\""), short.strip())
        yield from ((name, value) for value in values)
