"""Secrets are replaced before any text reaches a prompt, a transcript, a checkpoint or a report."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_SECRET_NAME = re.compile(r"KEY|TOKEN|SECRET|PASSW|CREDENTIAL|DSN|DATABASE_URL", re.IGNORECASE)
_SHORTEST = 8
_EXAMPLES = frozenset({".example", ".sample", ".template", ".dist"})
_PATTERNS = re.compile(
    r"sk-[A-Za-z0-9_-]{20,}|gh[pousr]_[A-Za-z0-9]{30,}|AKIA[0-9A-Z]{16}|xox[abprs]-[A-Za-z0-9-]{10,}"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?-----END [A-Z ]*PRIVATE KEY-----"
)
MASK = "[redacted]"


@dataclass(frozen=True)
class Redactor:
    """Replaces known values and well-known token shapes by `[redacted]`."""

    values: tuple[str, ...] = ()

    def __call__(self, text: str) -> str:
        for value in self.values:
            text = text.replace(value, MASK)
        return _PATTERNS.sub(MASK, text)


def redactor_for(workspace: Path, environment: Mapping[str, str] = os.environ) -> Redactor:
    """A redactor for the secrets of `environment` and of the workspace's `.env` files."""
    pairs = list(environment.items())
    for path in workspace.glob(".env*"):
        if path.is_file() and path.suffix not in _EXAMPLES:
            pairs += [(line.partition("=")[0], line.partition("=")[2].strip().strip("'\"")) for line in _lines(path)]
    found = {value for name, value in pairs if _SECRET_NAME.search(name)}
    return Redactor(tuple(sorted((v for v in found if len(v) >= _SHORTEST), key=len, reverse=True)))


def _lines(path: Path) -> list[str]:
    text = path.read_text(encoding="utf-8", errors="replace")
    return [line for line in text.splitlines() if "=" in line and not line.lstrip().startswith("#")]
