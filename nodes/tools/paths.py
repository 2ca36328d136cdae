"""Which paths a tool may touch: inside the tree, plain files and folders, neither protected nor secret."""

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from itertools import islice
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
_DEVICE = re.compile(r"con|prn|aux|nul|(?:com|lpt)[0-9]")
_ENVIRONMENT = re.compile(r"(?:\.env(?:rc|[._*-].*)?|.+\.env)~?")
_EXAMPLE = re.compile(r"(?:.*[._-])?(?:example|sample|template|dist|defaults?)(?:[._-].*)?")
_SECRET = re.compile(
    r".+\.(?:pem|key|p12|pfx|jks|keystore|ppk|kdbx|tfstate|tfvars(?:\.json)?)"
    r"|id_(?:rsa|dsa|ecdsa|ed25519)(?:_sk)?|credentials(?:\.json)?"
    r"|\.netrc|_netrc|\.pgpass|\.my\.cnf|\.htpasswd|\.git-credentials|\.vault[-_]token|\.dockercfg|service-account.*\.json"
    r"|client_secret.*\.json|\.?secrets?\.(?:ya?ml|json|toml)|\.secrets?"
)
_SECRET_FOLDERS = frozenset({".ssh", ".aws", ".gnupg", ".kube", ".docker", ".azure", ".envs", ".secrets"})
_COPY = re.compile(r"(?:~|\.(?:bak|backup|old|orig|save|tmp))+$")
"""How the name of a copy that a person or an editor made ends."""
_STEERING = re.compile(
    r"\.(?:npmrc|pypirc|yarnrc(?:\.yml)?|gitconfig|gitmodules|ripgreprc|mcp\.json|(?:bash|zsh)rc|(?:bash_|z)?profile)"
)
_STEERING_FOLDERS = frozenset({".husky", ".vscode", ".idea", ".claude"})
_FROM_OUTSIDE = re.compile(r"~|[A-Za-z]:|[A-Za-z][\w+.-]*://|\$\{?[A-Z_]+\}?(?:/|$)|%[A-Z_]+%")
"""How a path begins that a shell, Windows or a browser would not look for inside the tree."""
_PIECES = re.compile(
    r"(?P<folders>(?<![^/])(?:\*\*/)+)|(?P<any>\*{2,})|(?P<some>\*)|(?P<one>\?)|\[(?P<escaped>[*?[])\]|[^*?[]+|\["
)
_WILD = {"folders": "(?:.*?/)??", "any": ".*?", "some": "[^/]*?"}
_BRACES = re.compile(r"\{([^{}]*,[^{}]*)\}")
_MOST_ALTERNATIVES = 100
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
    if any(map(_DEVICE.fullmatch, folded)):
        return "it is the name of a device on Windows"
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
    name = _COPY.sub("", name)
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
    return _regex(pattern.removeprefix("./").strip("/"), "(?:/.*)?").fullmatch(path) is not None


def fits(path: str, glob: str) -> bool:
    """Whether a file's path fits a glob as ripgrep takes it.

    Without a slash it fits the name in any folder; `{a,b}` is either, of which the first 100 count.
    """
    anchored = glob.removeprefix("./").lstrip("/") if "/" in glob else f"**/{glob}"
    whole = f"{anchored}**" if anchored.endswith("/") else anchored
    return any(_regex(each, "").fullmatch(path) for each in islice(_alternatives(whole), _MOST_ALTERNATIVES))


def _alternatives(glob: str) -> Iterator[str]:
    """The globs without braces that one with braces stands for."""
    if found := _BRACES.search(glob):
        for each in found[1].split(","):
            yield from _alternatives(f"{glob[: found.start()]}{each}{glob[found.end() :]}")
    else:
        yield glob


@lru_cache(maxsize=512)
def _regex(glob: str, end: str) -> re.Pattern[str]:
    """A glob, and what may follow, as a regular expression that takes no more than quadratic time.

    What stands between two wildcards is taken where it comes first and, the groups being atomic, nowhere else: a later
    place leaves less to the rest. Only the last wildcard, and the last that crosses folders, try on.
    """
    chunks = [[""]]  # each but the first begins with what crosses folders; its pieces begin with what does not
    for piece in _PIECES.finditer(glob):
        wild = _WILD.get(piece.lastgroup or "")
        if wild is None:
            chunks[-1][-1] += "[^/]" if piece["one"] else re.escape(piece["escaped"] or piece[0])
        elif piece["some"]:
            chunks[-1].append(wild)
        else:
            chunks.append([wild])
    *before, last = chunks
    closed = (f"(?>{_atomic(chunk)})" for chunk in before)
    return re.compile("".join((*closed, _atomic(last[:-1]), last[-1], end)), re.DOTALL)


def _atomic(pieces: list[str]) -> str:
    return "".join((*pieces[:1], *(f"(?>{piece})" for piece in pieces[1:])))
