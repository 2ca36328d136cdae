"""The run's own repository: checkouts, snapshots, the merge queue, and publishing one branch to the user."""

from dataclasses import dataclass
from pathlib import Path

from backend_coordinator.errors import WorkspaceError
from backend_coordinator.nodes.workspace.git import Git, GitError, lock_in
from backend_coordinator.nodes.workspace.merging import Conflict, merge_trees
from backend_coordinator.nodes.workspace.orphans import clear
from backend_coordinator.nodes.workspace.trees import (
    Changes,
    Tree,
    compare,
    export,
    fill,
    make_git,
    object_format,
    refuse_nested,
    refuse_one_name_twice,
    refuse_submodule_work,
)
from backend_coordinator.nodes.workspace.user_repository import BRANCHES, UserRepository

_MERGE = "_merge"


@dataclass(frozen=True)
class Snapshot:
    """A working folder's state as a commit; `changed` are the paths in which it differs from its parent."""

    commit: str
    tree: str
    changed: frozenset[str]


@dataclass(frozen=True)
class Merged:
    """The run branch holds the task: `commit` is its merge, `tree` what that holds."""

    commit: str
    tree: str


@dataclass(frozen=True)
class Prepared:
    """A merge that stands as a commit but is not yet on the branch, whose head was `head` then."""

    commit: str
    tree: str
    head: str


@dataclass(frozen=True)
class RunRepository:
    """git as one run needs it: a bare repository that borrows the user's objects; `trees` holds checkouts."""

    git: Git
    trees: Path
    branch: str
    user: UserRepository

    @classmethod
    def create(cls, directory: Path, trees: Path, user: UserRepository, run_id: str) -> "RunRepository":
        """The repository of run `run_id` at `directory`, its branch at the user's base; idempotent.

        Raises WorkspaceError when the file system cannot hold the base.
        """
        git = make_git(directory, user.git_common_dir / "objects", object_format(user.root))
        refuse_one_name_twice(git, user.base_commit)
        trees.mkdir(parents=True, exist_ok=True)
        run = cls(git, trees, f"{BRANCHES}/{run_id}", user)
        if not run._resolve(run._ref):
            git.run("update-ref", run._ref, user.base_commit)
        return run

    @classmethod
    def load(cls, directory: Path, trees: Path, user: UserRepository, run_id: str) -> "RunRepository":
        """The repository that `create` made, without what died with an earlier process; under the run's lock only.

        Raises WorkspaceError when it is gone.
        """
        run = cls(Git(directory), trees, f"{BRANCHES}/{run_id}", user)
        if not directory.is_dir() or not run._resolve(run._ref):
            raise WorkspaceError(f"the repository of run {run_id} is gone from {directory}: start a new run")
        clear(directory, trees)
        return run

    def checkout(self, commit: str, name: str) -> Path:
        """The folder `name` holding exactly the tree of `commit`, no `.git`; what was there is discarded."""
        folder = self.trees / name
        fill(self.git, commit, folder, self._index(name))
        return folder

    def snapshot(self, name: str, message: str, parent: str) -> Snapshot:
        """Commit the present state of the folder `name` on `parent`, leaving out what its .gitignore names.

        Raises NestedRepository when it holds a `.git` or work inside a submodule, ProcessRefused for a pipe in the
        place of a file that git reads, GitError when a file cannot be read.
        """
        folder, index = self.trees / name, self._index(name)
        refuse_nested(folder)
        refuse_submodule_work(self.git, folder, index)
        index.with_name(f"{index.name}.lock").unlink(missing_ok=True)
        self.git.run("add", "--all", "--", ".", work_tree=folder, index=index)
        tree = self.git.run("write-tree", work_tree=folder, index=index).strip()
        commit = self._commit(tree, message, parent)
        return Snapshot(commit, tree, self.changed_paths(parent, commit))

    def tree(self, commit_or_tree: str) -> Tree:
        """The exported files of a commit or tree, for reading only."""
        return export(self.git, commit_or_tree, self.trees)

    def changes(self, base: str, head: str) -> Changes:
        """What was added, modified and deleted from `base` to `head`."""
        return compare(self.git, base, head)

    def changed_paths(self, base: str, head: str) -> frozenset[str]:
        """The paths in which two commits or trees differ."""
        return self.changes(base, head).paths

    def head(self) -> str:
        """The commit at which the run branch stands."""
        return self.git.run("rev-parse", "--verify", self._ref).strip()

    def contains(self, commit: str) -> bool:
        """Whether `commit` is part of the run branch."""
        try:
            self.git.run("merge-base", "--is-ancestor", commit, self._ref)
        except GitError as error:
            if error.exit_code_of_git == 1:
                return False
            raise
        return True

    def merge_of(self, commit: str) -> str:
        """The merge that brought `commit` onto the run branch. Raises WorkspaceError where none did."""
        lines = self.git.run("rev-list", "--first-parent", "--merges", "--parents", self._ref).splitlines()
        for merge, _, *joined in map(str.split, lines):
            if commit in joined:
                return merge
        raise WorkspaceError(f"{commit} is on {self.branch}, and no merge brought it there: start a new run")

    def prepare_merge(self, task_id: str, commit: str, title: str = "") -> Prepared | Conflict:
        """Merge `commit` with the run branch, which itself does not move.

        One call at a time. A contained commit prepares the present head.
        """
        head = self.head()
        if self.contains(commit):
            return Prepared(head, self._tree_of(head), head)
        merged = merge_trees(self.git, head, commit, self.trees, self._index(_MERGE))
        if isinstance(merged, Conflict):
            return merged
        message = f"{task_id}: {title}\n\nTask: {task_id}" if title else f"{task_id}\n\nTask: {task_id}"
        return Prepared(self._commit(merged, message, head, commit), merged, head)

    def commit_merge(self, prepared: Prepared) -> Merged:
        """Advance the run branch to a prepared merge; raises GitError when it moved since."""
        try:
            self.git.run("update-ref", self._ref, prepared.commit, prepared.head)
        except GitError:
            if not self.contains(prepared.commit):
                raise
        return Merged(prepared.commit, prepared.tree)

    def publish(self) -> str:
        """Bring the run branch into the user's repository and nothing else; the commit it has there.

        The branch only ever moves forward there. Raises WorkspaceError when somebody else's commits are on
        it, or when it is checked out.
        """
        head, git = self.head(), Git(self.user.git_common_dir, trusted=False)
        options = ("--quiet", "--no-tags", "--no-write-fetch-head", "--no-auto-maintenance", "--no-recurse-submodules")
        if git.run("rev-parse", "--verify", "--quiet", self._ref, check=False).strip() == head:
            return head
        try:
            git.run("fetch", *options, "--", str(self.git.git_dir.resolve()), f"{self._ref}:{self._ref}")
        except GitError as error:
            if locked := lock_in(error.stderr):
                raise WorkspaceError(locked) from error
            msg = (
                f"{self.branch} cannot be brought into {self.user.root}: rename or leave that branch there, "
                f"then resume the run ({' '.join(error.stderr.split())})"
            )
            raise WorkspaceError(msg) from error
        return head

    @property
    def _ref(self) -> str:
        return f"refs/heads/{self.branch}"

    def _index(self, name: str) -> Path:
        return self.git.git_dir / "indexes" / name

    def _resolve(self, revision: str) -> str:
        return self.git.run("rev-parse", "--verify", "--quiet", revision, check=False).strip()

    def _tree_of(self, commit: str) -> str:
        return self.git.run("rev-parse", "--verify", f"{commit}^{{tree}}").strip()

    def _commit(self, tree: str, message: str, *parents: str) -> str:
        variables = self.user.identity.variables
        named = [word for parent in parents for word in ("-p", parent)]
        return self.git.run("commit-tree", tree, *named, "-m", message, env=variables).strip()
