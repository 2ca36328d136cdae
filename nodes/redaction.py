"""Secrets are replaced before any text reaches a prompt, a transcript, a checkpoint or a report."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_SECRET_NAME = re.compile(r"KEY|TOKEN|SECRET|PASSW|CREDENTIAL|DSN|DATABASE_URL", re.IGNORECASE)
_SHORTEST = 8
_EXAMPLES = frozenset({".example", ".sample", ".template", ".dist"})
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
MASK = "[redacted]"


@dataclass(frozen=True)
class Redactor:
    """Replaces known values and well-known token shapes by `[redacted]`."""

    values: tuple[str, ...] = ()

    def __call__(self, text: str) -> str:
        for value in self.values:
            text = text.replace(value, MASK)
        text = _PATTERNS.sub(MASK, text)
        return _BEHIND.sub(lambda match: f"{match['before'] or match['header']}{MASK}", text)


def redactor_for(workspace: Path, environment: Mapping[str, str] = os.environ) -> Redactor:
    """A redactor for the secrets of `environment` and of the workspace's `.env` files.

    A word such as `postgres` is no secret, nor is a database's address without a password or with such a word for one:
    masked, they would spoil every text that has the word.
    """
    pairs = list(environment.items())
    for path in workspace.glob(".env*"):
        if path.is_file() and path.suffix not in _EXAMPLES:
            pairs += [(line.partition("=")[0], line.partition("=")[2].strip().strip("'\"")) for line in _lines(path)]
    found = {value for name, value in pairs if _SECRET_NAME.search(name) and len(value) >= _SHORTEST}
    return Redactor(tuple(sorted((v for v in found if not _NO_SECRET.fullmatch(v)), key=len, reverse=True)))


def _lines(path: Path) -> list[str]:
    text = path.read_text(encoding="utf-8", errors="replace")
    return [line for line in text.splitlines() if "=" in line and not line.lstrip().startswith("#")]
