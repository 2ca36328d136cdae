"""The user's repository: what is read of it, and the one line that is ever written into it."""

import os
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from backend_coordinator.errors import WorkspaceError
from backend_coordinator.nodes.workspace.git import GitError, lock_in, require_git, run_git

FOLDER = ".backend-coordinator"
BRANCHES = "backend-coordinator"
"""What the names of our branches begin with."""

_PAUSES = (0.1, 0.2, 0.4, 0.8)
"""Seconds between tries while another git process holds the user's index."""


@dataclass(frozen=True)
class Identity:
    """Who authors commits."""

    name: str = "backend-coordinator"
    email: str = "noreply@backend-coordinator.invalid"

    @property
    def variables(self) -> dict[str, str]:
        """The variables that make git use it."""
        return {
            "GIT_AUTHOR_NAME": self.name,
            "GIT_AUTHOR_EMAIL": self.email,
            "GIT_COMMITTER_NAME": self.name,
            "GIT_COMMITTER_EMAIL": self.email,
        }


@dataclass(frozen=True)
class UserRepository:
    """A repository of the user's; `head_branch` is None when HEAD is detached and a base was named."""

    root: Path
    git_common_dir: Path
    base_commit: str
    head_branch: str | None
    identity: Identity


def root_of(path: Path) -> Path:
    """The root of the repository that holds `path`, the path itself where there is none; nothing is written."""
    path = path.resolve()
    if not path.is_dir():
        return path
    require_git()
    return Path(_git(path, "rev-parse", "--show-toplevel") or path)


def open_workspace(path: Path, *, init: bool = False, base: str | None = None) -> UserRepository:
    """Open the repository that holds `path`; work starts from HEAD, or from the revision `base`.

    `init` makes a missing or plain folder a repository, and gives one without a commit its first.
    Raises WorkspaceError with one line that names the fix; then nothing was changed.
    """
    require_git()
    path = path.absolute()
    if not path.is_dir():
        _make(path, init, base)
    elif _git(path, "rev-parse", "--git-dir") is None:
        if not init:
            _refuse(f"{path} is not a git repository: pass --init to make it one")
        _refuse_base(path, base)
        _writable(path)
        _initialise(path)
    return _read(path, init, base)


def exclude(root: Path) -> None:
    """Keep our folder out of the user's `git status`, through the repository's info/exclude and only once."""
    common = _git(root, "rev-parse", "--path-format=absolute", "--git-common-dir")
    file = Path(common or root / ".git") / "info" / "exclude"
    line = f"{FOLDER}/"
    text = file.read_text(encoding="utf-8", errors="surrogateescape") if file.exists() else ""
    if line in text.splitlines():
        return
    file.parent.mkdir(exist_ok=True)
    with file.open("a", encoding="utf-8") as stream:
        stream.write(f"{'' if text.endswith(chr(10)) or not text else chr(10)}{line}\n")


def _read(path: Path, init: bool, base: str | None) -> UserRepository:
    if _git(path, "rev-parse", "--is-bare-repository") == "true":
        _refuse(f"{path} is a bare repository: clone it and use the clone as workspace")
    top = _git(path, "rev-parse", "--show-toplevel")
    if top is None:
        _refuse(f"{path} lies inside a git directory: name the folder of the work tree")
    root = Path(top)
    common = Path(_git(root, "rev-parse", "--path-format=absolute", "--git-common-dir") or root / ".git")
    branch = _git(root, "symbolic-ref", "--quiet", "--short", "HEAD")
    head = _git(root, "rev-parse", "--verify", "--quiet", "HEAD^{commit}")
    if head is None and base is None and not init:
        _refuse(f"{root} has no commit yet: commit something, or pass --init for a first commit")
    if branch is None and base is None:
        _refuse(f"HEAD of {root} is detached: pass --base REV, or run git switch BRANCH first")
    start = _git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{base}^{{commit}}") if base else head
    if base and start is None:
        _refuse(f"{root} has no commit {base}, or no longer: name one that git log shows")
    if _git(root, "rev-parse", "--verify", "--quiet", f"refs/heads/{BRANCHES}") is not None:
        _refuse(f"{root} has a branch named {BRANCHES}, which takes the place of ours: git branch -m {BRANCHES} NAME")
    _writable(root)
    _writable(common)
    _complete(root, start)
    return UserRepository(root, common, start or _first_commit(root), branch, _identity(root))


def _complete(root: Path, start: str | None) -> None:
    """Refuse a partial clone without all files of `start`; nothing is fetched to find out."""
    if start and _git(root, "config", "--get-regexp", r"^remote\..*\.promisor$"):
        listed = _git(root, "rev-list", "--objects", "--missing=print", f"{start}^{{tree}}")
        if listed is None or "\n?" in f"\n{listed}":
            fix = f"git -C {root} fetch --refetch --no-filter"
            _refuse(f"{root} is a partial clone that lacks files of {start}: {fix}")


def _refuse_base(path: Path, base: str | None) -> None:
    if base is not None:
        _refuse(f"{path} is not a git repository and has no commit {base}: leave --base out")


def _make(path: Path, init: bool, base: str | None) -> None:
    if path.exists():
        _refuse(f"{path} is not a folder: name the folder of a git repository")
    if not init:
        _refuse(f"{path} does not exist: pass --init to make it a new repository")
    _refuse_base(path, base)
    try:
        path.mkdir(parents=True)
    except OSError as error:
        _refuse(f"{path} cannot be made ({error.strerror}): name a folder you may write")
    _initialise(path)


def _initialise(path: Path) -> None:
    done = run_git("init", "--quiet", "--template=", "-b", "main", cwd=path)
    if done.returncode != 0:
        raise GitError("init", done.returncode, done.stderr)


def _first_commit(root: Path) -> str:
    exclude(root)
    commands = (("add", "--all"), ("commit", "--quiet", "--allow-empty", "--no-verify", "-m", "First commit"))
    for command in commands:
        done = _patient(root, *command)
        if done.returncode != 0:
            if locked := lock_in(done.stderr):
                _refuse(locked)
            raise GitError(command[0], done.returncode, done.stderr)
    return _git(root, "rev-parse", "HEAD") or ""


def _patient(root: Path, *command: str) -> subprocess.CompletedProcess[str]:
    for pause in _PAUSES:
        done = run_git(*command, cwd=root, env=_identity(root).variables)
        if not lock_in(done.stderr):
            return done
        time.sleep(pause)
    return done


def _identity(root: Path) -> Identity:
    name, email = (_git(root, "config", "--get", key) for key in ("user.name", "user.email"))
    return Identity(name, email) if name and email else Identity()


def _writable(folder: Path) -> None:
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        _refuse(f"{folder} cannot be written ({error.strerror}): {_remedy(folder)}")


def _remedy(folder: Path) -> str:
    if os.statvfs(folder).f_flag & os.ST_RDONLY:
        return "it is mounted read-only; clone the repository to a writable place"
    return "change its permissions, or clone the repository to a writable place"


def _git(path: Path, *args: str) -> str | None:
    done = run_git(*args, cwd=path)
    if "dubious ownership" in done.stderr or "unsafe repository" in done.stderr:
        _refuse(f"git refuses {path}, which another user owns: git config --global --add safe.directory {path}")
    return done.stdout.rstrip("\n") if done.returncode == 0 else None


def _refuse(message: str) -> NoReturn:
    raise WorkspaceError(message)
