"""What a conflict of merging is about, and what its author is told to do: lock files and migrations have rules."""

import re
from collections.abc import Collection, Iterator
from pathlib import PurePosixPath

from backend_coordinator.nodes.workspace.merging import Conflict
from backend_coordinator.nodes.workspace.trees import Tree

LOCK_FILES = {
    "package-lock.json": "npm install --package-lock-only",
    "npm-shrinkwrap.json": "npm install --package-lock-only",
    "pnpm-lock.yaml": "pnpm install --lockfile-only",
    "yarn.lock": "yarn install",
    "poetry.lock": "poetry lock",
    "uv.lock": "uv lock",
    "pdm.lock": "pdm lock",
    "Pipfile.lock": "pipenv lock",
    "composer.lock": "composer update --lock",
    "Cargo.lock": "cargo generate-lockfile",
    "Gemfile.lock": "bundle lock",
    "go.sum": "go mod tidy",
}
"""What writes each again from its manifest."""

_KIND = re.compile(r"CONFLICT \(([^)]+)\)")
_FOLDERS = frozenset({"migrations", "migration", "migrate", "versions"})
_NUMBER = re.compile(r"[Vv]?(\d+(?:[._]\d+)*)(?=[_.-])")
_FOLLOWS = re.compile(r"(?m)^down_revision\b[^=\n]*=\s*([^#\n]+)")


def about(conflict: Conflict) -> str:
    """The classes of a conflict, such as `add/add` or `lock file`."""
    kinds = [found[1] for found in map(_KIND.match, conflict.told) if found]
    return ", ".join(dict.fromkeys([*kinds, *(["lock file"] if _locks(conflict.paths) else [])])) or "content"


def advice(conflict: Conflict) -> str:
    """What git says of a conflict, and how each lock file in it comes about again."""
    locks = [
        f"{path} is a lock file: change its manifest only, then write it again with `{command}`."
        for path, command in _locks(conflict.paths)
    ]
    return "\n".join([*conflict.told, *locks])


def rival_migrations(tree: Tree, mine: Collection[str], theirs: Collection[str]) -> tuple[str, str] | None:
    """A migration of `mine` and one of `theirs` that take the same place; both are files of `tree`, added apart.

    The place is a number within a folder, or the revision that both follow: Alembic and Django then have two heads.
    """
    taken = {place: path for path in sorted(theirs) for place in _places(tree, path)}
    for path in sorted(mine):
        for place in _places(tree, path):
            other = taken.get(place)
            if other and _stem(other) != _stem(path):
                return path, other
    return None


def _locks(paths: Collection[str]) -> list[tuple[str, str]]:
    return [(path, LOCK_FILES[name]) for path in paths if (name := PurePosixPath(path).name) in LOCK_FILES]


def _places(tree: Tree, path: str) -> Iterator[tuple[str, ...]]:
    pure = PurePosixPath(path)
    folder = str(pure.parent)
    if not _FOLDERS.intersection(pure.parts[:-1]) and pure.suffix != ".sql":
        return
    if number := _NUMBER.match(pure.name):
        yield folder, *(part.lstrip("0") for part in re.split(r"[._]", number[1]))
    if pure.suffix == ".py":
        text = tree.read(path) or ""
        followed = re.findall(rf"\(\s*[\"']{re.escape(pure.parent.parent.name)}[\"']\s*,\s*[\"'](\w+)[\"']\s*\)", text)
        yield from ((folder, "follows", name.strip()) for name in [*_FOLLOWS.findall(text), *followed])


def _stem(path: str) -> str:
    return PurePosixPath(path).name.partition(".")[0] + str(PurePosixPath(path).parent)
