"""Which paths a tool may touch: inside the tree, plain files and folders, neither protected nor secret."""

import re
import unicodedata
from functools import lru_cache
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

from backend_coordinator.nodes.permissions.rules import Rules, Ruling, rank, strictest
from backend_coordinator.nodes.tools.beneath import PathRefused, demand_plain
from backend_coordinator.settings import STATE_FOLDER

DEEPEST = 64
"""Folders inside one another."""
LONGEST = 1024
"""Bytes of a path; no name in it may have more than 255."""
_CONFIGURATION = "backend-coordinator.toml"
_PROTECTED = re.compile(rf"\.git|{re.escape(STATE_FOLDER)}|(?:git|backen)~\d+")
_ENVIRONMENT = re.compile(r"\.env(?:rc|[._*-].*)?|.+\.env")
_EXAMPLE = re.compile(r"(?:.*[._-])?(?:example|sample|template|dist|defaults?)(?:[._-].*)?")
_SECRET = re.compile(
    r".+\.(?:pem|key|p12|pfx|jks|keystore|ppk|kdbx|tfstate)|id_(?:rsa|dsa|ecdsa|ed25519)(?:_sk)?|credentials(?:\.json)?"
    r"|\.netrc|_netrc|\.pgpass|\.my\.cnf|\.htpasswd|\.git-credentials|\.vault[-_]token|\.dockercfg|service-account.*\.json"
    r"|client_secret.*\.json|secrets\.(?:ya?ml|json|toml)"
)
_SECRET_FOLDERS = frozenset({".ssh", ".aws", ".gnupg", ".kube", ".docker", ".azure"})
_STEERING = re.compile(
    r"\.(?:npmrc|pypirc|yarnrc(?:\.yml)?|gitconfig|gitmodules|ripgreprc|mcp\.json|(?:bash|zsh)rc|(?:bash_|z)?profile)"
)
_STEERING_FOLDERS = frozenset({".husky", ".vscode", ".idea", ".claude"})
_FROM_OUTSIDE = re.compile(r"~|[A-Za-z]:|[A-Za-z][\w+.-]*://|\$\{?[A-Z_]+\}?(?:/|$)|%[A-Z_]+%")
"""How a path begins that a shell, Windows or a browser would not look for inside the tree."""
_PIECES = re.compile(r"\*\*/|\*\*|\*|\?|\[(?P<escaped>[*?[])\]|[^*?[]+|\[")
_WILD = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
_ODD = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


_NO_RULES: Rules = {}


def judge_path(path: str, tree: Path | None = None, rules: Rules = _NO_RULES, *, closed: Rules = _NO_RULES) -> Ruling:
    """Decides whether a tool may touch a path, relative to the tree's root, under `rules` (glob -> decision).

    Denied is what leaves the tree, is protected or no plain file; what holds secrets or steers other programs is ask,
    unless a rule names it. `closed` are rules that no others open. With a tree its links, second names and special
    files are seen; without one nothing is looked at.
    """
    if why := _malformed(path, tree):
        return Ruling("deny", why)
    pure = relative(path, tree)
    folded = [_folded(part) for part in pure.parts]
    if any(map(_PROTECTED.fullmatch, folded)) or folded == [_CONFIGURATION]:
        return Ruling("deny", "it belongs to git or to the coordinator")
    found = (_ruled(pure, closed), _ruled(pure, rules), _own(pure, rules))
    ruling = strictest(each for each in found if each)
    if tree is not None and ruling.decision != "deny":
        try:
            demand_plain(tree, pure.parts)
        except PathRefused as error:
            return Ruling("deny", f"{pure} {error}")
    return ruling


def relative(path: str, tree: Path | None = None) -> PurePosixPath:
    """A path as one below the tree; an absolute one that leads there is taken as such."""
    pure = PurePosixPath(path)
    return pure.relative_to(tree) if tree is not None and pure.is_relative_to(tree) else pure


def is_environment(name: str) -> bool:
    """Whether a file of this name has a program's secrets as `NAME=value`; examples of such files have none."""
    return _ENVIRONMENT.fullmatch(name) is not None and not _EXAMPLE.fullmatch(name)


def _malformed(path: str, tree: Path | None) -> str:
    pure = relative(path, tree)
    folded = [_folded(part) for part in pure.parts]
    if not path:
        return "the path is empty: write . for the root"
    if _odd(path) or "\\" in path:
        return "it holds a control character, an invisible one or a backslash"
    if pure.is_absolute() or _FROM_OUTSIDE.match(path):
        return "it is not relative to the project's root"
    if ".." in (*pure.parts, *PurePosixPath(unquote(path)).parts) or "" in folded or any("/" in f for f in folded):
        return "it may lead out of the tree: write it without . and .. in between"
    if len(folded) > DEEPEST or len(path.encode()) > LONGEST or any(len(part.encode()) > 255 for part in pure.parts):
        return f"it is deeper than {DEEPEST} folders or too long"
    return ""


def _odd(text: str) -> bool:
    return not text.isprintable() and any(unicodedata.category(letter) in _ODD for letter in text)


@lru_cache(maxsize=4096)
def _folded(part: str) -> str:
    """A name as the least particular file system takes it: whatever its case, width, end, or stream."""
    return unicodedata.normalize("NFKC", part).casefold().partition(":")[0].rstrip(" .")


def _ruled(pure: PurePosixPath, rules: Rules) -> Ruling | None:
    fitting = [pattern for pattern in rules if matches(pure.as_posix(), pattern)]
    if not fitting:
        return None
    pattern = max(fitting, key=lambda each: rank(each, rules))
    return Ruling(rules[pattern], f"rule {pattern!r}")


def _own(pure: PurePosixPath, rules: Rules) -> Ruling:
    """The ruling without rules, but for those that name such a file and not just the folder it lies in."""
    why = _asked(pure)
    allowing = [p for p, decision in rules.items() if why and decision == "allow" and matches(pure.as_posix(), p)]
    named = any(_asked(PurePosixPath(pattern)) for pattern in allowing)
    return Ruling("ask", why) if why and not named else Ruling("allow", "a path inside the tree")


def _asked(pure: PurePosixPath) -> str:
    *folders, name = [_folded(part) for part in pure.parts] or [""]
    if is_environment(name) or (_SECRET.fullmatch(name) and not _EXAMPLE.fullmatch(name)):
        return "such files hold secrets"
    if _SECRET_FOLDERS.intersection(folders):
        return "such folders hold secrets"
    if _STEERING.fullmatch(name) or _STEERING_FOLDERS.intersection((*folders, name)):
        return "it steers what other programs run"
    return ""


def matches(path: str, pattern: str) -> bool:
    """Whether a posix path fits a glob in which `**` crosses folders; a plain folder name covers all below it.

    `[*]`, `[?]` and `[[]` are those letters themselves.
    """
    return _regex(pattern.strip("/")).fullmatch(path) is not None


@lru_cache(maxsize=512)
def _regex(pattern: str) -> re.Pattern[str]:
    pieces = (_WILD.get(m[0]) or re.escape(m["escaped"] or m[0]) for m in _PIECES.finditer(pattern))
    return re.compile("".join(pieces) + "(?:/.*)?")
