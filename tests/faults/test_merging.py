"""Faults of worktrees and of the merge queue, on real git: conflicts, broken merges, a busy user, crashes, locks."""

import asyncio
import errno
import os
import shutil
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from backend_coordinator.domain.delivery import Delivery
from backend_coordinator.domain.failure import Failure, FailureClass
from backend_coordinator.domain.objective import Objective
from backend_coordinator.domain.plan import Task
from backend_coordinator.errors import WorkspaceError
from backend_coordinator.graph.runs import Runs
from backend_coordinator.nodes.context import RunContext
from backend_coordinator.nodes.merge import merge_delivery
from backend_coordinator.nodes.workspace.orphans import clear, discard, sweep
from backend_coordinator.nodes.workspace.repository import Prepared, RunRepository
from backend_coordinator.nodes.workspace.trees import NestedRepository
from backend_coordinator.nodes.workspace.user_repository import open_workspace
from backend_coordinator.settings import Settings
from tests.support.fingerprint import fingerprint
from tests.support.runs import ROOT
from tests.support.wheelhouse import add_installed, only_wheels
from tests.workspace.conftest import GitCall
from tests.workspace.conftest import git as git
from tests.workspace.conftest import repo as repo
from tests.workspace.conftest import run as run
from tests.workspace.conftest import settings_of_a_user as settings_of_a_user

REAL_GIT = shutil.which("git")


class Queue:
    """A run whose tasks deliver what a test says, all from the base, and are merged in turn."""

    def __init__(self, root: Path) -> None:
        runs = Runs(root, "offline", settings=Settings(sandbox="none"))
        self.context: RunContext = asyncio.run(runs.context(runs.create(Objective(text="anything"))))
        self.repository = self.context.repository

    def merge(self, number: int, files: dict[str, str], *, gone: tuple[str, ...] = ()) -> Failure | None:
        """What became of task N, which writes `files` and removes `gone`."""
        task = Task(id=f"backend-T{number:03d}", title="t", objective="o", specialist="python-pro", writes=("**",))
        base = self.repository.user.base_commit
        folder = self.repository.checkout(base, task.id)
        for name, text in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)
        for name in gone:
            (folder / name).unlink()
        taken = self.repository.snapshot(task.id, task.id, base)
        delivery = Delivery(
            task=task.id, attempt=1, specialist="python-pro", summary="s", commit=taken.commit, tree=taken.tree
        )
        return asyncio.run(merge_delivery(self.context, task, delivery, waived=frozenset()))

    def files(self) -> set[str]:
        """What the run's branch holds."""
        return set(self.repository.tree(self.repository.head()).files)


def wrapped(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A git whose `script` comes before the real one."""
    folder.mkdir(exist_ok=True)
    (folder / "git").write_text(f'#!/bin/sh\n{script}\nexec {REAL_GIT} "$@"\n')
    (folder / "git").chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)


@pytest.mark.parametrize("old", [False, True], ids=["git", "git before 2.38"])
def test_f066_the_same_line_twice_is_a_conflict_with_its_path_and_the_branch_stays(
    repo: Path, old: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if old:
        wrapped(tmp_path / "bin", 'case " $* " in *" merge-tree "*) exit 129;; esac', monkeypatch)
    queue = Queue(repo)
    assert queue.merge(1, {"app.py": "one = 2\n"}) is None
    head, before = queue.repository.head(), fingerprint(repo)
    failure = queue.merge(2, {"app.py": "one = 3\n"})
    assert failure is not None
    assert failure.kind is FailureClass.MERGE_CONFLICT
    assert "app.py (content)" in failure.summary
    assert "+one = 3" in failure.detail
    assert (queue.repository.head(), fingerprint(repo)) == (head, before)
    assert queue.merge(3, {"other.txt": "three\n"}) is None, "the queue goes on"
    assert {"app.py", "other.txt"} <= queue.files()


def test_f067_a_rename_against_a_new_caller_fails_on_the_merged_tree_and_the_branch_stays(
    repo: Path, git: GitCall, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_installed("coverage", only_wheels(tmp_path / "wheels", monkeypatch))
    test = "import unittest\nfrom {module} import {name}\n\n\nclass It(unittest.TestCase):\n    def test_it(self):\n"
    test += "        self.assertEqual({name}(100), {value})\n"
    (repo / "requirements.txt").write_text("coverage\n")
    (repo / "price.py").write_text("def gross(net):\n    return net * 119 // 100\n")
    (repo / "tests").mkdir()
    (repo / "tests" / "test_price.py").write_text(test.format(module="price", name="gross", value=119))
    git(repo, "add", ".")
    git(repo, "commit", "--quiet", "-m", "prices")
    queue = Queue(repo)
    renamed = {
        "price.py": "def with_tax(net):\n    return net * 119 // 100\n",
        "tests/test_price.py": test.format(module="price", name="with_tax", value=119),
    }
    assert queue.merge(1, renamed) is None
    head = queue.repository.head()
    caller = {
        "bill.py": "from price import gross\n\n\ndef bill(net):\n    return gross(net) + 5\n",
        "tests/test_bill.py": test.format(module="bill", name="bill", value=124),
    }
    failure = queue.merge(2, caller)
    assert failure is not None
    assert failure.kind is FailureClass.INTEGRATION_ISSUE
    assert failure.summary.startswith("on the merged tree: ")
    assert "cannot import name 'gross'" in failure.detail
    assert queue.repository.head() == head


def test_f068_one_file_added_by_both_is_a_conflict_unless_it_is_the_same(repo: Path) -> None:
    queue = Queue(repo)
    assert queue.merge(1, {"util.txt": "a\n"}) is None
    assert queue.merge(2, {"util.txt": "a\n", "more.txt": "b\n"}) is None, "the same content is no conflict"
    failure = queue.merge(3, {"util.txt": "c\n"})
    assert failure is not None
    assert "util.txt (add/add)" in failure.summary


@pytest.mark.parametrize(
    ("path", "command"), [("web/package-lock.json", "npm install --package-lock-only"), ("uv.lock", "uv lock")]
)
def test_f068_a_lock_file_is_to_be_written_again_not_merged(repo: Path, path: str, command: str) -> None:
    queue = Queue(repo)
    assert queue.merge(1, {path: '{"first": 1}\n'}) is None
    failure = queue.merge(2, {path: '{"second": 2}\n', "manifest.txt": "second\n"})
    assert failure is not None
    assert failure.kind is FailureClass.MERGE_CONFLICT
    assert "lock file" in failure.summary
    assert f"{path} is a lock file" in failure.detail
    assert f"`{command}`" in failure.detail
    assert "+second" in failure.detail
    assert '"second": 2' not in failure.detail, "nobody merges a lock file by hand"


REVISION = "revision = {!r}\ndown_revision: str | None = {!r}\n\n\ndef upgrade(): ...\n\n\ndef downgrade(): ...\n"
DJANGO = "from django.db import migrations\n\n\nclass Migration(migrations.Migration):\n    dependencies = [{!r}]\n"


@pytest.mark.parametrize(
    ("first", "second", "text", "other"),
    [
        ("migrations/0002_users.up.sql", "migrations/0002_orders.up.sql", "select 1;\n", "select 2;\n"),
        ("db/V2__users.sql", "db/V2__orders.sql", "select 1;\n", "select 2;\n"),
        ("alembic/versions/b1_users.py", "alembic/versions/c1_orders.py", REVISION.format("b1", "a1"), None),
        ("shop/migrations/0002_users.py", "shop/migrations/0002_orders.py", DJANGO.format(("shop", "0001")), None),
        ("shop/migrations/0002_users.py", "shop/migrations/0003_orders.py", DJANGO.format(("shop", "0001")), None),
    ],
    ids=["numbered", "flyway", "alembic heads", "django number", "django heads"],
)
def test_f068_two_migrations_in_one_place_are_told_apart_from_other_conflicts(
    repo: Path, first: str, second: str, text: str, other: str | None
) -> None:
    queue = Queue(repo)
    assert queue.merge(1, {first: text}) is None
    head = queue.repository.head()
    failure = queue.merge(2, {second: other or text.replace("'b1'", "'c1'")})
    assert failure is not None
    assert failure.kind is FailureClass.MERGE_CONFLICT
    assert failure.summary.startswith(f"migration order: {second} takes the same place as {first}")
    assert queue.repository.head() == head


def test_f068_migrations_one_after_the_other_are_merged(repo: Path) -> None:
    queue = Queue(repo)
    ways, text = ("up", "down"), "select 1;\n"
    assert queue.merge(1, {f"migrations/0002_users.{way}.sql": text for way in ways}) is None
    after = {f"migrations/0003_orders.{way}.sql": text for way in ways}
    assert queue.merge(2, {**after, "docs/0002-use-sql.md": "yes\n"}) is None
    assert queue.merge(3, {"db/V3__a.sql": "select 3;\n"}) is None
    assert queue.merge(4, {"db/V3.1__b.sql": "select 4;\n"}) is None


def test_f069_what_the_user_does_meanwhile_is_never_touched(repo: Path, git: GitCall) -> None:
    queue = Queue(repo)
    assert queue.merge(1, {"first.txt": "1\n"}) is None
    (repo / "app.py").write_text("stashed = 1\n")
    git(repo, "stash", "--quiet")
    (repo / "app.py").write_text("staged = 1\n")
    git(repo, "add", "app.py")
    (repo / "app.py").write_text("edited = 1\n")
    (repo / "untracked.txt").write_text("mine\n")
    before = fingerprint(repo)
    assert queue.merge(2, {"second.txt": "2\n"}) is None
    assert fingerprint(repo) == before
    assert git(repo, "status", "--porcelain") == "MM app.py\n?? untracked.txt"
    assert git(repo, "stash", "list").count("\n") == 0
    assert git(repo, "show", f"{queue.repository.branch}:app.py") == "one = 1"


@pytest.mark.parametrize("what", ["commit", "rebase", "delete"])
def test_f069_a_base_that_moves_meanwhile_changes_nothing_for_the_run(repo: Path, git: GitCall, what: str) -> None:
    queue = Queue(repo)
    assert queue.merge(1, {"first.txt": "1\n"}) is None
    if what == "commit":
        git(repo, "commit", "--quiet", "--allow-empty", "-m", "meanwhile")
    elif what == "rebase":
        git(repo, "commit", "--quiet", "--amend", "-m", "rewritten")
    else:
        git(repo, "switch", "--quiet", "--orphan", "elsewhere")
        git(repo, "commit", "--quiet", "--allow-empty", "-m", "empty")
        git(repo, "branch", "--quiet", "-D", "main")
    git(repo, "reflog", "expire", "--expire=now", "--all")
    git(repo, "gc", "--quiet", "--prune=now")
    before = fingerprint(repo)
    assert queue.merge(2, {"second.txt": "2\n"}) is None
    assert fingerprint(repo) == before
    assert queue.files() == {".gitignore", "app.py", "first.txt", "second.txt"}
    assert git(repo, "rev-parse", queue.repository.branch) == queue.repository.head()


def test_f069_work_on_the_run_s_branch_is_never_overwritten(run: RunRepository, repo: Path, git: GitCall) -> None:
    run.publish()
    git(repo, "switch", "--quiet", run.branch)
    (repo / "app.py").write_text("mine = 1\n")
    before = fingerprint(repo)
    folder = run.checkout(run.user.base_commit, "T1")
    (folder / "app.py").write_text("ours = 1\n")
    prepared = run.prepare_merge("backend-T001", run.snapshot("T1", "x", run.user.base_commit).commit)
    assert isinstance(prepared, Prepared)
    run.commit_merge(prepared)
    with pytest.raises(WorkspaceError, match="rename or leave that branch"):
        run.publish()
    assert (fingerprint(repo), git(repo, "rev-parse", run.branch)) == (before, run.user.base_commit)


CHECKOUT = """
import sys
from pathlib import Path
from backend_coordinator.nodes.workspace.repository import Prepared, RunRepository
from backend_coordinator.nodes.workspace.user_repository import open_workspace
root, git, trees = map(Path, sys.argv[1:])
user = open_workspace(root)
RunRepository.load(git, trees, user, "r1").checkout(user.base_commit, "T1")
"""


def test_f070_a_crash_within_a_checkout_leaves_no_part_of_it(
    run: RunRepository, repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, before = run.trees / "T1", fingerprint(repo)
    with monkeypatch.context() as patch:
        wrapped(
            tmp_path / "bin", 'case " $* " in *" read-tree "*) echo 1 > half.py; kill -9 $PPID; exit 1;; esac', patch
        )
        command = [sys.executable, "-c", CHECKOUT, str(repo), str(run.git.git_dir), str(run.trees)]
        env = {**os.environ, "PYTHONPATH": str(ROOT)}
        assert subprocess.run(command, env=env, check=False).returncode == -9
    assert not folder.exists()
    assert [half.name for half in run.trees.rglob("half.py")] == ["half.py"]
    (run.git.git_dir / "indexes" / "T1.lock").write_text("")
    again = RunRepository.load(run.git.git_dir, run.trees, run.user, "r1")
    assert list(run.trees.rglob("half.py")) == []
    assert list((run.git.git_dir / "indexes").iterdir()) == []
    assert sorted(path.name for path in again.checkout(run.user.base_commit, "T1").iterdir()) == [
        ".gitignore",
        "app.py",
    ]
    assert fingerprint(repo) == before


def test_f070_checkouts_of_runs_that_are_gone_are_removed_and_of_no_other(
    run: RunRepository, repo: Path, tmp_path: Path
) -> None:
    everywhere, runs = run.trees.parent / "all", tmp_path / "runs"
    kept, dead, strange = (everywhere / name for name in ("kept", "dead", "strange"))
    for trees in (kept, dead):
        home = tmp_path / trees.name
        user = open_workspace(repo)
        RunRepository.create(home / "git", trees, user, trees.name).checkout(user.base_commit, "T1")
        RunRepository.load(home / "git", trees, user, trees.name)
    strange.mkdir()
    for name, age in ((".new-old", 7200), (".new-now", 0), ("done", 7200)):
        (runs / name).mkdir(parents=True)
        made = (runs / name).stat().st_mtime - age
        os.utime(runs / name, (made, made))
    shutil.rmtree(tmp_path / "dead")
    sweep(everywhere, runs)
    assert (kept / "T1" / "app.py").is_file()
    assert (dead.exists(), strange.is_dir()) == (False, True)
    assert sorted(path.name for path in runs.iterdir()) == [".new-now", "done"]


def _orphan(home: Path, trees: Path) -> Path:
    """The checkouts of a run in the workspace `home` that does not exist any more."""
    git_dir = home / "state" / "runs" / "r1" / "git"
    (git_dir / "indexes").mkdir(parents=True)
    clear(git_dir, trees)
    for number in range(200):
        (trees / f"T{number}").mkdir()
    shutil.rmtree(git_dir.parent)
    return trees


def test_f070_checkouts_of_a_workspace_that_is_elsewhere_now_stay(tmp_path: Path) -> None:
    trees = _orphan(tmp_path / "shop", tmp_path / "all" / "r1")
    (tmp_path / "shop").rename(tmp_path / "moved")
    sweep(tmp_path / "all", tmp_path / "none")
    assert (trees / "T1").is_dir()
    (tmp_path / "moved").rename(tmp_path / "shop")
    sweep(tmp_path / "all", tmp_path / "none")
    assert not trees.exists()


def test_f070_sweeps_at_once_are_not_in_each_others_way(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    (runs / ".new-old" / "run").mkdir(parents=True)
    os.utime(runs / ".new-old", (0, 0))
    trees = [_orphan(tmp_path / f"shop{number}", tmp_path / "all" / f"r{number}") for number in range(3)]
    with ThreadPoolExecutor(3) as pool:
        for swept in [pool.submit(sweep, tmp_path / "all", runs) for _ in range(3)]:
            swept.result()
    sweep(tmp_path / "all", runs)  # each may have given way to another
    assert [path.exists() for path in (*trees, runs / ".new-old")] == [False] * 4


def test_f070_checkouts_that_were_removed_in_part_can_still_be_swept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trees = _orphan(tmp_path / "shop", tmp_path / "all" / "r1")
    last, rmdir = [name for name in os.listdir(trees) if name != ".owner"][-1], os.rmdir

    def busy(path: str, *, dir_fd: int | None = None) -> None:
        if Path(path).name == last:
            raise OSError(errno.EBUSY, "busy")
        rmdir(path, dir_fd=dir_fd)

    with monkeypatch.context() as patch:
        patch.setattr(os, "rmdir", busy)
        discard(trees)
    assert (trees / ".owner").is_symlink()
    sweep(tmp_path / "all", tmp_path / "none")
    assert not trees.exists()


def test_f071_work_inside_a_submodule_is_refused_instead_of_lost(repo: Path, git: GitCall) -> None:
    inner = repo.parent / "inner"
    git(repo, "clone", "--quiet", str(repo), str(inner))
    git(repo, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(inner), "vendor/lib")
    git(repo, "commit", "--quiet", "-m", "submodule")
    before = fingerprint(repo)
    run = RunRepository.create(repo.parent / "run", repo.parent / "trees", open_workspace(repo), "r1")
    base = run.user.base_commit
    folder = run.checkout(base, "T1")
    assert list((folder / "vendor/lib").iterdir()) == []
    (folder / "new.py").write_text("")
    assert run.snapshot("T1", "x", base).changed == {"new.py"}
    (folder / "vendor/lib/fix.py").write_text("")
    with pytest.raises(NestedRepository, match="vendor/lib is a submodule"):
        run.snapshot("T1", "x", base)
    assert fingerprint(repo) == before


def test_f071_a_partial_clone_that_lacks_files_is_refused_and_fetches_nothing(repo: Path, git: GitCall) -> None:
    git(repo, "config", "uploadpack.allowFilter", "true")
    clone = repo.parent / "clone"
    git(repo, "clone", "--quiet", "--filter=blob:none", "--no-checkout", f"file://{repo}", str(clone))
    before, objects = fingerprint(clone), git(clone, "count-objects", "-v")
    with pytest.raises(WorkspaceError, match=r"partial clone that lacks files.*fetch --refetch --no-filter"):
        open_workspace(clone)
    assert (fingerprint(clone), git(clone, "count-objects", "-v")) == (before, objects)
    git(clone, "checkout", "--quiet", "main")
    run = RunRepository.create(repo.parent / "run", repo.parent / "trees", open_workspace(clone), "r1")
    assert (run.checkout(run.user.base_commit, "T1") / "app.py").read_text() == "one = 1\n"


def test_f071_names_that_differ_in_case_only_are_refused_where_they_are_one_file(repo: Path, git: GitCall) -> None:
    (repo / "App.py").write_text("two = 2\n")
    git(repo, "add", ".")
    git(repo, "commit", "--quiet", "-m", "case")
    user, folder = open_workspace(repo), repo.parent / "run"
    run = RunRepository.create(folder, repo.parent / "trees", user, "r1")
    assert (run.checkout(user.base_commit, "T1") / "App.py").read_text() == "two = 2\n"
    run.git.run("config", "core.ignorecase", "true")
    with pytest.raises(WorkspaceError, match=r"App\.py and app\.py are one file on this file system"):
        RunRepository.create(folder, repo.parent / "trees", user, "r1")


def test_f072_a_lock_on_the_index_left_behind_is_waited_for_named_and_kept(tmp_path: Path, git: GitCall) -> None:
    root = tmp_path / "new"
    root.mkdir()
    git(root, "init", "--quiet")
    (root / "app.py").write_text("")
    lock = root / ".git" / "index.lock"
    lock.write_text("")
    with pytest.raises(WorkspaceError, match=r"index\.lock is there: wait for the git process at work"):
        open_workspace(root, init=True)
    assert lock.exists()
    lock.unlink()
    assert open_workspace(root, init=True).base_commit


def test_f072_a_run_needs_no_index_of_the_user_and_names_a_lock_on_its_branch(run: RunRepository, repo: Path) -> None:
    (repo / ".git" / "index.lock").write_text("")
    folder = run.checkout(run.user.base_commit, "T1")
    (folder / "new.py").write_text("")
    prepared = run.prepare_merge("backend-T001", run.snapshot("T1", "x", run.user.base_commit).commit)
    assert isinstance(prepared, Prepared)
    run.commit_merge(prepared)
    lock = repo / ".git" / "refs" / "heads" / f"{run.branch}.lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    lock.write_text("")
    with pytest.raises(WorkspaceError, match=r"r1\.lock is there: wait for the git process"):
        run.publish()
    assert lock.exists()
    lock.unlink()
    assert run.publish() == run.head()
    assert (repo / ".git" / "index.lock").exists()


def test_f073_eight_checkouts_at_once_all_succeed(
    run: RunRepository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    together, base = tmp_path / "together", run.user.base_commit
    folder = run.checkout(base, "many")
    for number in range(60):
        (folder / f"f{number}.txt").write_text(f"{number}\n")
    many = run.snapshot("many", "60 files", base).commit
    together.mkdir()
    meet = f"touch {together}/$$; until [ $(ls {together} | wc -l) -ge 8 ]; do sleep 0.01; done"
    wrapped(tmp_path / "bin", f'case " $* " in *" read-tree "*) {meet};; esac', monkeypatch)
    ready = threading.Barrier(8, timeout=60)

    def one(number: int) -> frozenset[str]:
        ready.wait()
        folder = run.checkout(many, f"T{number}")
        (folder / f"own{number}.txt").write_text("")
        return run.snapshot(f"T{number}", "x", many).changed

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(one, range(8))) == [frozenset({f"own{number}.txt"}) for number in range(8)]
