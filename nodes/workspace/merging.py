"""Merging two commits into a tree, without a checkout where git can."""

from dataclasses import dataclass
from pathlib import Path

from backend_coordinator.nodes.workspace.git import Git, GitError
from backend_coordinator.nodes.workspace.trees import fill
from backend_coordinator.nodes.workspace.user_repository import Identity

_USAGE = 129
"""git's exit code for options it does not know: before 2.38 it cannot write a merged tree by itself."""


@dataclass(frozen=True)
class Conflict:
    """Two commits cannot be merged as they are; `paths` are where, `told` is what git says of them."""

    paths: tuple[str, ...]
    told: tuple[str, ...] = ()


def merge_trees(git: Git, ours: str, theirs: str, trees: Path, scratch: Path) -> str | Conflict:
    """The tree that merging commit `theirs` into `ours` gives; `scratch` is the folder's index in an old git.

    One call at a time. Raises GitError.
    """
    options = ("--write-tree", "--name-only", "--messages", "-z")
    done = git.call("merge-tree", *options, ours, theirs, work_tree=trees)
    if done.returncode == _USAGE:
        return _in_a_folder(git, ours, theirs, trees / scratch.name, scratch)
    words = iter(done.stdout.split("\0"))
    tree = next(words).strip()
    if done.returncode > 1 or not tree:
        raise GitError("merge-tree", done.returncode, done.stderr)
    return _conflict(list(iter(lambda: next(words), "")), list(words)) if done.returncode else tree


def _conflict(paths: list[str], messages: list[str]) -> Conflict:
    told, words = [], iter(messages)
    while count := next(words, ""):
        named, kind, text = [next(words) for _ in range(int(count))], next(words), next(words)
        if kind.startswith("CONFLICT"):
            paths += named
            told.append(text.strip())
    return Conflict(tuple(sorted(set(paths))), tuple(told))


def _in_a_folder(git: Git, ours: str, theirs: str, folder: Path, index: Path) -> str | Conflict:
    _forget_half(git)
    git.run("update-ref", "--no-deref", "HEAD", ours)
    fill(git, ours, folder, index)
    words, somebody = ("merge", "--no-ff", "--no-commit", "--no-verify", theirs), Identity().variables
    done = git.call(*words, work_tree=folder, index=index, env=somebody)
    unmerged = git.run("diff", "--name-only", "--diff-filter=U", "-z", work_tree=folder, index=index).split("\0")
    _forget_half(git)
    if paths := tuple(sorted({name for name in unmerged if name})):
        return Conflict(paths, tuple(line for line in done.stdout.splitlines() if line.startswith("CONFLICT")))
    if done.returncode != 0:
        raise GitError("merge", done.returncode, done.stderr)
    return git.run("write-tree", work_tree=folder, index=index).strip()


def _forget_half(git: Git) -> None:
    for name in ("MERGE_HEAD", "MERGE_MSG", "MERGE_MODE", "AUTO_MERGE", "HEAD.lock"):
        (git.git_dir / name).unlink(missing_ok=True)
