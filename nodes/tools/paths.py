"""Which paths a tool may touch: inside the tree, regular, unprotected, and of a kind the specialist sees."""

import re
import stat
import unicodedata
from functools import lru_cache
from pathlib import Path, PurePosixPath

PROTECTED = frozenset({".git", ".backend-coordinator"})


class PathRefused(Exception):
    """A path no tool touches; the text says why, for the model."""


def inside(tree: Path, path: str) -> Path:
    """The absolute place of `path` in `tree`, which must be a regular file, a folder, or not there yet.

    Raises PathRefused for anything that leaves the tree, is protected, is a link out of it, a second name of
    another file, or a special file.
    """
    parts = _parts(tree, path)
    place = tree.joinpath(*parts)
    real_tree = tree.resolve()
    try:
        real = place.resolve()
        found = place.lstat() if place.is_symlink() or place.exists() else None
    except (OSError, ValueError) as error:
        msg = f"{path!r} cannot be used: {error}"
        raise PathRefused(msg) from error
    if not real.is_relative_to(real_tree) or _protected(real.relative_to(real_tree).parts):
        msg = f"{path!r} leads out of the task's tree"
        raise PathRefused(msg)
    if found is not None and not (stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode)):
        msg = f"{path!r} is a link or a special file"
        raise PathRefused(msg)
    if found is not None and stat.S_ISREG(found.st_mode) and found.st_nlink > 1:
        msg = f"{path!r} is a second name of another file"
        raise PathRefused(msg)
    return place


def _parts(tree: Path, path: str) -> tuple[str, ...]:
    if any(unicodedata.category(letter) in ("Cc", "Cf", "Cs") for letter in path) or "\\" in path:
        msg = f"{path!r} holds a control or invisible character or a backslash"
        raise PathRefused(msg)
    pure = PurePosixPath(path)
    if pure.is_absolute() and pure.is_relative_to(tree):
        pure = pure.relative_to(tree)
    if pure.is_absolute() or path.startswith("~") or ".." in pure.parts or _protected(pure.parts):
        msg = f"{path!r} is not a path inside the task's tree"
        raise PathRefused(msg)
    return pure.parts


def _protected(parts: tuple[str, ...]) -> bool:
    return any(unicodedata.normalize("NFKC", part).casefold().rstrip(" .") in PROTECTED for part in parts)


def matches(path: str, pattern: str) -> bool:
    """Whether a posix path fits a glob in which `**` crosses folders; a plain folder name covers all below it."""
    return _regex(pattern.strip("/")).fullmatch(path) is not None


@lru_cache(maxsize=512)
def _regex(pattern: str) -> re.Pattern[str]:
    translated = ""
    for piece in re.findall(r"\*\*/|\*\*|\*|\?|[^*?]+", pattern):
        translated += {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}.get(piece) or re.escape(piece)
    return re.compile(translated + "(?:/.*)?")
