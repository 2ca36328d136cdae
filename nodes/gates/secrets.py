"""What looks like a secret in a text, as sure as patterns can be."""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import PurePosixPath
from typing import NamedTuple

from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class
from detect_secrets.plugins.base import RegexBasedDetector

from backend_coordinator.nodes.gates.files import is_test

# Detectors of a fixed form; those that go by entropy take every hash for a secret.
_DETECTORS = (
    "AWS Access Key", "Azure Storage Account access key", "Basic Auth Credentials", "Discord Bot Token",
    "GitHub Token", "GitLab Token", "JSON Web Token", "Mailchimp Access Key", "NPM tokens", "OpenAI Token",
    "Private Key", "PyPI Token", "SendGrid API Key", "Slack Token", "Square OAuth Secret", "Stripe Access Key",
    "Telegram Bot Token", "Twilio API Key",
)  # fmt: skip
_OWN = {
    "a private key": re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY(?: BLOCK)?-----"),
    "an AWS key": re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"),
    "a GitHub token": re.compile(r"\b(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{22,})\b"),
    "a Slack token": re.compile(r"\bxox[abeoprs]-[A-Za-z0-9-]{10,}|hooks\.slack\.com/services/T\w+/B\w+/\w+"),
    "a JSON Web Token": re.compile(r"\beyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{8,}"),
    "a Google key": re.compile(r"\bAIza[\w-]{35}\b"),
    "an API key": re.compile(r"\bsk-(?:proj-|ant-)?[A-Za-z0-9_-]{32,}"),
}
_NAME = r"[\w.-]*(?:passw(?:or)?d|passphrase|pwd|secret|token|api_?key|access_?key|private_?key|signing_?key)\w*"
_QUOTED = re.compile(
    rf"""(?i)(?P<name>{_NAME})["']?\]?\s*(?::\s*[\w.\[\]| ]+)?\s*(?::|=(?!=)|:=)"""
    r"""\s*[rbu]?(?P<q>["'])(?P<value>[^"'\s]{6,})(?P=q)"""
)
_BARE = re.compile(rf"(?i)^\s*(?:export\s+|ENV\s+|-\s+)?(?P<name>{_NAME})\s*[:=]\s*(?P<value>[^\s\"'#,\[{{]{{6,}})\s*$")
_BARE_SUFFIXES = frozenset({".env", ".ini", ".cfg", ".conf", ".properties", ".yaml", ".yml", ".sh", ".toml"})
_PROSE = frozenset({".md", ".rst", ".txt", ".adoc", ".html", ".lock", ".svg", ".csv"})
# Names of settings that go with a secret and are none: TOKEN_URL, password_field, token_type, PASSWORD_MIN_LENGTH.
_NO_SECRET = re.compile(
    r"(?i)(?:url|uri|path|file|field|header|name|type|env|var|prefix|scheme|algorithm|pattern|regex|format|length|"
    r"expires?|expiry|ttl|minutes|seconds|hours|days|id|ids|count|limit|label|title|description|message|error|status|"
    r"column|model|schema|class|policy|location|hint|arn|role|scope|scopes|ref|version|placeholder|counter|keyword|kind)$"
)
_PLACEHOLDER = re.compile(
    r"(?i)example|placeholder|change[-_ ]?(?:me|this)|replace[-_ ]?(?:me|this)|dummy|your[-_ ]|insert[-_ ]|redacted|"
    r"^<.*>$|^\*+$|x{6,}|^\.+$|\$\{|\$\(|\{\{|^%\(|^\{[\w.]+\}$|^\$\w+$|not[-_ ]?a[-_ ]?(?:real|secret)"
)
_WORDS = re.compile(
    r"(?i)^(?:(?:access|refresh|bearer|invalid|expired|missing|wrong|weak|reset|api|auth|oauth2?|jwt|client|user|new|"
    r"old|current|hashed|plain|csrf|x|get|set|is|has|no|required|secret|form|str|string)[-_. /:]*)*"
    r"(?:password|passwd|passphrase|token|secret|key|bearer|credentials|required|string|hash)?s?[-_. ]?"
    r"(?:expired|invalid|missing|required|hash|url|id|type|form)?$"
)


class Secret(NamedTuple):
    """A value on a line; `value` is never shown."""

    kind: str
    line: int
    value: str


def secrets_in(path: str, text: str) -> Iterator[Secret]:
    """Secrets of a fixed form anywhere; assignments to secret names only outside of tests and prose."""
    loose = not is_test(path) and PurePosixPath(path).suffix not in _PROSE
    bare = _takes_bare(path)
    contract = "openapi" in text[:2000] and path.endswith((".yaml", ".yml", ".json"))
    for number, line in enumerate(text.splitlines(), 1):
        yield from (Secret(kind, number, value) for kind, value in _fixed(line))
        if loose and not contract:
            patterns = (_QUOTED, _BARE) if bare else (_QUOTED,)
            found = [match for pattern in patterns for match in pattern.finditer(line)]
            yield from (
                Secret(f"a literal for {m['name']}", number, m["value"])
                for m in found
                if is_secret_value(m["name"], m["value"])
            )


def is_secret_value(name: str, value: str) -> bool:
    """True for a literal that stands for itself: no placeholder, no name of something, no reference."""
    if _NO_SECRET.search(name) or is_placeholder(value) or _WORDS.match(value):
        return False
    looks_like_code = re.match(
        r"^(?:[A-Z][A-Z0-9_]+|\(.*|https?://.*|/[\w/{}.-]*|[\w.]+\(.*\)?|true|false|null|none)$", value
    )
    return not looks_like_code and value.lower() != name.lower()


def is_placeholder(value: str) -> bool:
    """True for what stands where a secret would be: changeme, <token>, ${TOKEN}, AKIA...EXAMPLE."""
    return bool(_PLACEHOLDER.search(value))


def _takes_bare(path: str) -> bool:
    pure = PurePosixPath(path)
    return pure.suffix in _BARE_SUFFIXES or pure.name.startswith(".env") or pure.name == "Dockerfile"


def _fixed(line: str) -> Iterator[tuple[str, str]]:
    if len(line) < 8:
        return
    own = [(kind, match.group()) for kind, pattern in _OWN.items() for match in pattern.finditer(line)]
    known = {value for _, value in own}
    other = [
        (f"a secret ({detector.secret_type})", value)
        for detector in _detectors()
        for value in detector.analyze_string(line)
        if not any(value in seen or seen in value for seen in known)
    ]
    yield from ((kind, value) for kind, value in (*own, *other) if not is_placeholder(value))


@cache
def _detectors() -> tuple[RegexBasedDetector, ...]:
    classes: Mapping[str, type[RegexBasedDetector]] = get_mapping_from_secret_type_to_class()
    return tuple(classes[kind]() for kind in _DETECTORS)
