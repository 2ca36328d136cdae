"""Exported trees: exactly the files of one git tree in a plain folder without any `.git`."""

import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from backend_coordinator.errors import ProcessRefused, WorkspaceError
from backend_coordinator.nodes.private import write_private
from backend_coordinator.nodes.workspace.git import Git, run_git

EXPORT_PREFIX = "at-"
NEW_PREFIX = ".new-"
"""What is being made; where its maker is dead, it is rubbish."""

_SKIPPED = frozenset({".git", ".hg", "node_modules", ".venv", "venv", "__pycache__", ".backend-coordinator"})
_OURS = frozenset({".backend-coordinator"})
_RULES = frozenset({".gitignore", ".gitattributes"})
_LARGE = 1_000_000


class NestedRepository(ProcessRefused):
    """A working folder holds a `.git` of its own, which git would take for a submodule."""


@dataclass(frozen=True)
class Tree:
    """One git tree, exported to `path` for reading only; `files` are its paths in order."""

    oid: str
    path: Path
    files: tuple[str, ...]

    def read(self, path: str) -> str | None:
        """The text of `path`; None when it is absent, a link, over 1 MB or not UTF-8."""
        file = self.path / path
        try:
            if file.is_symlink() or not file.resolve().is_relative_to(self.path.resolve()):
                return None
            if not file.is_file() or file.stat().st_size > _LARGE:
                return None
            return file.read_bytes().decode("utf-8")
        except (OSError, ValueError):
            return None


@dataclass(frozen=True)
class Changes:
    """The paths in which two trees differ."""

    added: frozenset[str] = frozenset()
    modified: frozenset[str] = frozenset()
    deleted: frozenset[str] = frozenset()

    @property
    def paths(self) -> frozenset[str]:
        """All of them."""
        return self.added | self.modified | self.deleted


def make_git(directory: Path, objects: Path, object_format: str = "sha1") -> Git:
    """A bare repository at `directory` that borrows `objects`; content passes through it unconverted."""
    git = Git(directory)
    if not (directory / "info" / "attributes").exists():
        directory.mkdir(parents=True, exist_ok=True)
        git.run("init", "--bare", "--quiet", "--shared=0600", "--template=", f"--object-format={object_format}")
        for folder in ("objects/info", "info", "indexes"):
            (directory / folder).mkdir(mode=0o700, exist_ok=True)
        quoted = str(objects).replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
        write_private(directory / "objects/info/alternates", f'"{quoted}"\n')
        shallow = objects.parent / "shallow"
        if shallow.is_file():
            write_private(directory / "shallow", shallow.read_text())
        write_private(directory / "info/attributes", "* -text -eol -filter -ident -working-tree-encoding\n")
    return git


def object_format(repository: Path) -> str:
    """The hash of the repository that holds `repository`."""
    return run_git("rev-parse", "--show-object-format", cwd=repository).stdout.strip() or "sha1"


def fill(git: Git, commit: str, folder: Path, index: Path) -> None:
    """Make `folder` hold exactly the tree of `commit`, whatever was there, and `index` describe it.

    Whoever is killed meanwhile leaves no `folder`, never a part of one.
    """
    remove(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    for stale in (index, index.with_name(f"{index.name}.lock")):
        stale.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(prefix=NEW_PREFIX, dir=folder.parent) as name:
        fresh = Path(name, "tree")
        fresh.mkdir()
        git.run("read-tree", "--reset", "-u", commit, work_tree=fresh, index=index)
        fresh.rename(folder)


def export(git: Git, oid: str, trees: Path) -> Tree:
    """The tree of the commit or tree `oid` below `trees`, made once and atomically."""
    tree = git.run("rev-parse", "--verify", "--end-of-options", f"{oid}^{{tree}}").strip()
    place = trees / f"{EXPORT_PREFIX}{tree}"
    if not place.exists():
        trees.mkdir(parents=True, exist_ok=True)
        _make(git, tree, place)
    listed = git.run("ls-tree", "-r", "-z", "--name-only", "--full-tree", tree)
    return Tree(tree, place, tuple(name for name in listed.split("\0") if name))


def _make(git: Git, tree: str, place: Path) -> None:
    with tempfile.TemporaryDirectory(prefix=NEW_PREFIX, dir=place.parent) as name:
        folder = Path(name, "tree")
        fill(git, tree, folder, Path(name, "index"))
        for file in walk(folder):
            if not file.is_symlink():
                file.chmod(stat.S_IMODE(file.stat().st_mode) & ~0o222)
        try:
            folder.rename(place)
        except OSError:
            if not place.exists():  # another process was first otherwise
                raise


def compare(git: Git, base: str, head: str) -> Changes:
    """What changed from one commit or tree to the other; a renamed file is one deleted and one added."""
    words = git.run("diff-tree", "-r", "-z", "--no-renames", "--name-status", base, head).split("\0")
    pairs = list(zip(words[::2], words[1::2], strict=False))
    return Changes(
        added=frozenset(path for status, path in pairs if status == "A"),
        modified=frozenset(path for status, path in pairs if status in {"M", "T"}),
        deleted=frozenset(path for status, path in pairs if status == "D"),
    )


def refuse_nested(folder: Path) -> None:
    """Raise NestedRepository when anything below `folder` is named `.git`.

    Raises ProcessRefused for a pipe in the place of one of git's own files, on which it would wait for ever, and for
    a folder that cannot be opened, which git would leave out silently.
    """

    def refuse(error: OSError) -> None:
        path = os.path.relpath(error.filename, folder)
        raise ProcessRefused(f"{path} cannot be read ({error.strerror}): remove it") from error

    for path in opened(folder, refuse):
        if path.name.lower() == ".git":
            raise NestedRepository(f"{path.relative_to(folder)} makes a repository inside the repository: remove it")
        if path.name in _RULES and stat.S_IFMT(path.lstat().st_mode) not in {stat.S_IFREG, stat.S_IFLNK, stat.S_IFDIR}:
            raise ProcessRefused(f"{path.relative_to(folder)} is not a regular file: remove it")


def refuse_submodule_work(git: Git, folder: Path, index: Path) -> None:
    """Raise NestedRepository when `folder` has files where `index` has a submodule: git would drop them silently."""
    for entry in git.run("ls-files", "--stage", "-z", work_tree=folder, index=index).split("\0"):
        mode, _, path = entry.partition("\t")
        place = folder / path
        if mode.startswith("160000 ") and place.is_dir() and any(place.iterdir()):
            msg = f"{path} is a submodule, another repository: what is written there cannot be delivered, remove it"
            raise NestedRepository(msg)


def refuse_one_name_twice(git: Git, commit: str) -> None:
    """Raise WorkspaceError where names of `commit` differ in case only and the file system does not tell them apart."""
    if git.run("config", "--get", "core.ignorecase", check=False).strip() != "true":
        return
    seen: dict[str, str] = {}
    for name in git.run("ls-tree", "-r", "-z", "--name-only", "--full-tree", commit).split("\0"):
        if seen.setdefault(name.casefold(), name) != name:
            msg = f"{seen[name.casefold()]} and {name} are one file on this file system: rename one, or work elsewhere"
            raise WorkspaceError(msg)


def walk(folder: Path, skipped: frozenset[str] = frozenset()) -> Iterator[Path]:
    """All files and links below `folder`, in order, without the folders named in `skipped`."""
    for directory, folders, files in os.walk(folder):
        links = [name for name in folders if Path(directory, name).is_symlink()]
        folders[:] = sorted(name for name in folders if name not in skipped and name not in links)
        yield from (Path(directory, name) for name in sorted((*files, *links)) if name not in skipped)


def opened(folder: Path, onerror: Callable[[OSError], None] | None = None) -> Iterator[Path]:
    """All that lies below `folder`, where every folder is made ours to read and write, whatever its writer forbade.

    `onerror` gets the error of a folder that cannot be listed nevertheless; without it such a folder is left out.
    """
    _open(folder)
    for directory, folders, files in os.walk(folder, onerror=onerror):
        for name in folders:
            _open(Path(directory, name))
        yield from (Path(directory, name) for name in (*folders, *files))


def _open(folder: Path) -> None:
    with suppress(OSError):  # gone, or another user's: who then lists or removes it learns so
        mode = folder.lstat().st_mode
        if stat.S_ISDIR(mode):
            folder.chmod(stat.S_IMODE(mode) | 0o700)


def remove(folder: Path) -> None:
    """Delete `folder` and all below it, also what its writer made unreadable."""
    if folder.is_symlink() or not folder.is_dir():
        folder.unlink(missing_ok=True)
    else:
        for _ in opened(folder):
            pass
        shutil.rmtree(folder)


def tree_of_directory(
    path: Path, *, scratch: Path, base: str | None = None
) -> tuple[Tree | None, Tree, frozenset[str]]:
    """The trees of the revision `base` and of `path` as it stands, and the paths changed between them.

    In a git checkout the present tree is what is tracked or not ignored, elsewhere all files but caches;
    nothing is written in `path`. Without a base every file counts as changed. Raises WorkspaceError for a
    base that is unknown, or given for a folder outside of any repository.
    """
    path, scratch = path.resolve(), scratch.resolve()
    found = run_git("rev-parse", "--path-format=absolute", "--git-common-dir", cwd=path)
    inside = found.returncode == 0
    if base is not None and not inside:
        msg = f"{path} is in no git repository, so there is no {base!r} to compare with: leave out --base"
        raise WorkspaceError(msg)
    objects = Path(found.stdout.rstrip("\n")) / "objects" if inside else scratch / "no-objects"
    git = make_git(scratch / "git", objects, object_format(path) if inside else "sha1")
    names = _tracked(path) if inside else [str(file.relative_to(path)) for file in walk(path, _SKIPPED)]
    names = [name for name in names if (path / name).is_symlink() or (path / name).is_file()]
    index = git.git_dir / "indexes" / "directory"
    index.unlink(missing_ok=True)
    listed = "".join(f"{name}\0" for name in names)
    git.run("update-index", "--add", "-z", "--stdin", work_tree=path, index=index, input=listed)
    head = export(git, git.run("write-tree", work_tree=path, index=index).strip(), scratch)
    if base is None:
        return None, head, frozenset(head.files)
    start = export(git, _base_tree(git, path, base), scratch)
    return start, head, compare(git, start.oid, head.oid).paths


def _base_tree(git: Git, path: Path, base: str) -> str:
    revision = ("rev-parse", "--verify", "--end-of-options")
    named = run_git(*revision, f"{base}^{{commit}}", cwd=path)
    if named.returncode != 0:
        msg = f"{base!r} is no commit of this repository: give --base a branch, tag or commit, as `git log` shows them"
        raise WorkspaceError(msg)
    prefix = run_git("rev-parse", "--show-prefix", cwd=path).stdout.rstrip("\n").rstrip("/")
    found = git.run(*revision, f"{named.stdout.strip()}:{prefix}", check=False)
    return (found or git.run("mktree", input="")).strip()


def _tracked(path: Path) -> list[str]:
    listed = run_git("ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate", cwd=path)
    return [name for name in listed.stdout.split("\0") if name and name.partition("/")[0] not in _OURS]
