"""The judgement on a URL: by its spelling and the rules alone, without resolving a name."""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import unquote

from backend_coordinator.nodes.permissions.hosts import HostRefused, host_of, in_punycode
from backend_coordinator.nodes.permissions.rules import Rules, Ruling, most_specific, rank

LONGEST = 2_000
"""Characters of a URL."""
PORTS = {"http": 80, "https": 443}
OTHERS = frozenset({8080, 8443})
"""Ports beside those of the schemes that web pages are served at; at others listen services that are no web pages."""
_URL = re.compile(
    r"(https?)://(\[[^]@/?#]*\]|[^][:@/?#]+)(?::([0-9]{1,5}))?(/[^?#]*)?(\?[^#]*)?(?:#.*)?", re.IGNORECASE
)
_PATTERN = re.compile(r"(?:([^:/]*)://)?(\[[^]/]*:[^]/]*\]|[^:/]*)(?::([^/]*))?(/.*)?", re.DOTALL)


class UrlRefused(ValueError):
    """A URL that nothing is fetched from; the text says why."""


@dataclass(frozen=True)
class Url:
    """A URL taken apart; `host` as host_of gives it, `path` as written."""

    scheme: str
    host: str
    port: int
    path: str
    query: str

    def __str__(self) -> str:
        port = "" if self.port == PORTS[self.scheme] else f":{self.port}"
        return f"{self.scheme}://{self.host}{port}{self.path}{self.query}"


def judge_url(url: str, rules: Rules | None = None) -> Ruling:
    """Decides a URL under `rules` (pattern over scheme://host/path -> decision); their order has no meaning.

    Only a plain URL of a public host may be allowed: it is where there are no rules, else where the most specific
    rule that fits says so.
    """
    try:
        read = read_url(url)
    except UrlRefused as error:
        return Ruling("deny", str(error))
    if not rules:
        return Ruling("allow", "a public host, and no rules")
    start = f"{read.scheme}://{read.host}:{read.port}"
    pattern = deciding({f"{start}{each}" for each in (_plain(read.path), read.path, read.path + read.query)}, rules)
    return Ruling(rules[pattern], f"rule {pattern!r}") if pattern else Ruling("ask", f"no rule names {read.host}")


def read_url(url: str) -> Url:
    """The parts of a URL that a page may be fetched from, so far as that is seen without resolving its name.

    Raises UrlRefused.
    """
    if len(url) > LONGEST:
        raise UrlRefused(f"it is longer than {LONGEST} characters")
    if "\\" in url or any(unicodedata.category(letter)[0] in "CZ" for letter in url):
        raise UrlRefused("it holds a blank, a backslash, or a control or invisible character")
    found = _URL.fullmatch(url)
    if found is None:
        raise UrlRefused("it is not of the form http(s)://host:port/path, without a name or password")
    scheme, path = found[1].lower(), found[4] or "/"
    port = int(found[3] or PORTS[scheme])
    plain = _plain(path)
    if ".." in re.split(r"[/\\;]", plain) or any(unicodedata.category(letter) == "Cc" for letter in plain):
        raise UrlRefused("its path holds .. or a control character")
    try:
        host = host_of(found[2])
    except HostRefused as error:
        raise UrlRefused(str(error)) from error
    if port not in {*PORTS.values(), *OTHERS}:
        raise UrlRefused(f"port {port} is not one of web pages")
    return Url(scheme, host, port, path, found[5] or "")


def deciding(spellings: Iterable[str], rules: Rules) -> str | None:
    """The most specific rule that fits a spelling: in host and path, then scheme, then port; then the strictest."""
    own = [_pieces(each) for each in spellings]
    fitting = {pattern: pieces for pattern in rules if any(_fits(each, pieces := _pieces(pattern)) for each in own)}

    def specific(pattern: str) -> tuple[object, ...]:
        scheme, host, port, path = fitting[pattern]
        literal, *rest = rank(f"{host}{path}", {f"{host}{path}": rules[pattern]})
        return literal, "*" not in scheme, port != "*", *rest[:2], pattern

    return max(fitting, key=specific, default=None)


def _plain(path: str) -> str:
    """A path as a server reads it."""
    return re.sub(r"/(?:\.?/)*(?:\.\Z)?", "/", unquote(path))


def _fits(own: tuple[str, ...], pieces: tuple[str, ...]) -> bool:
    return all(most_specific((a,), {b: "allow"}) is not None for a, b in zip(own, pieces, strict=True))


def _pieces(pattern: str) -> tuple[str, str, str, str]:
    """Scheme, host, port and path, of which `*` stands for what is left out; no `*` of one reaches into the next.

    A host that only ends with `*` is the host before it, or `example.com*` would fit example.com.elsewhere.org.
    """
    found = _PATTERN.fullmatch(pattern)
    scheme, host, port, path = found.groups() if found else ("", pattern, "", "")
    try:
        host = in_punycode(host)
    except HostRefused:
        host = host.lower()
    if ":" in host:
        host = host.strip("[]")  # an address; brackets would stand for one letter among those within
    return scheme or "*", host.rstrip("*") or "*", port or "*", path or "*"
