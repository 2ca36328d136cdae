"""The run's repository: checkouts, snapshots, merges and publishing, with the user's repository left as it was."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from backend_coordinator.errors import ProcessRefused, WorkspaceError
from backend_coordinator.nodes.workspace.git import Git, GitError
from backend_coordinator.nodes.workspace.merging import Conflict
from backend_coordinator.nodes.workspace.repository import Merged, Prepared, RunRepository
from backend_coordinator.nodes.workspace.trees import Changes, NestedRepository
from backend_coordinator.nodes.workspace.user_repository import open_workspace
from tests.support.fingerprint import fingerprint
from tests.workspace.conftest import GitCall


def _work(run: RunRepository, name: str, **files: str) -> str:
    """The commit of a folder made from the base with `files` written."""
    base = run.user.base_commit
    folder = run.checkout(base, name)
    for file, text in files.items():
        (folder / f"{file}.py").write_text(text)
    return run.snapshot(name, f"work of {name}", base).commit


def _merge(run: RunRepository, task: str, commit: str, title: str = "") -> Merged | Conflict:
    prepared = run.prepare_merge(task, commit, title)
    return prepared if isinstance(prepared, Conflict) else run.commit_merge(prepared)


def test_creating_twice_gives_the_same_run_and_loading_finds_it(run: RunRepository) -> None:
    commit = _work(run, "T1", new="x")
    _merge(run, "backend-T001", commit)
    folder = run.git.git_dir
    assert RunRepository.create(folder, run.trees, run.user, "r1").head() == run.head()
    assert RunRepository.load(folder, run.trees, run.user, "r1") == run
    with pytest.raises(WorkspaceError, match="run r2 is gone"):
        RunRepository.load(folder, run.trees, run.user, "r2")


def test_a_checkout_holds_exactly_the_commit_and_no_git(run: RunRepository) -> None:
    folder = run.checkout(run.user.base_commit, "T1")
    assert sorted(path.name for path in folder.iterdir()) == [".gitignore", "app.py"]
    (folder / "app.py").write_text("changed")
    (folder / "left.log").write_text("")
    (folder / "locked").mkdir()
    (folder / "locked" / "x").write_text("")
    (folder / "locked").chmod(0)
    run.checkout(run.user.base_commit, "T1")
    assert (folder / "app.py").read_text() == "one = 1\n"
    assert sorted(path.name for path in folder.iterdir()) == [".gitignore", "app.py"]


def test_a_snapshot_holds_changes_of_all_kinds_and_honours_gitignore(run: RunRepository) -> None:
    base = run.user.base_commit
    folder = run.checkout(base, "T1")
    (folder / "app.py").unlink()
    (folder / "new dir").mkdir()
    (folder / "new dir" / "ünï\nname").write_text("x")
    (folder / "noise.log").write_text("x")
    (folder / "link").symlink_to("/etc/passwd")
    taken = run.snapshot("T1", "first", base)
    assert taken.changed == {"app.py", "new dir/ünï\nname", "link"}
    changes = run.changes(base, taken.commit)
    assert changes == Changes(frozenset({"new dir/ünï\nname", "link"}), frozenset(), frozenset({"app.py"}))
    assert run.git.run("log", "-1", "--format=%an %ce %s %P", taken.commit) == f"Ann ann@example.org first {base}\n"
    assert not (folder / ".git").exists()


def test_equal_content_gives_the_equal_tree(run: RunRepository) -> None:
    base = run.user.base_commit
    first = run.git.run("rev-parse", f"{_work(run, 'T1', a='1')}^{{tree}}")
    run.checkout(base, "T2")
    (run.trees / "T2" / "a.py").write_text("1")
    assert run.snapshot("T2", "other words", base).tree == first.strip()


@pytest.mark.parametrize("name", [".git", ".GIT"])
@pytest.mark.parametrize("kind", ["folder", "file"])
def test_a_repository_inside_the_folder_is_refused_with_its_path(run: RunRepository, name: str, kind: str) -> None:
    folder = run.checkout(run.user.base_commit, "T1")
    (folder / "vendor").mkdir()
    place = folder / "vendor" / name
    place.mkdir() if kind == "folder" else place.write_text("gitdir: /tmp")
    with pytest.raises(NestedRepository, match=f"vendor/{name}"):
        run.snapshot("T1", "x", run.user.base_commit)


def test_what_the_agent_writes_for_git_never_runs(run: RunRepository) -> None:
    base = run.user.base_commit
    folder = run.checkout(base, "T1")
    mark = run.trees / "ran"
    config = f"""[core]
fsmonitor = touch {mark}
hooksPath = hooks
[filter "evil"]
clean = touch {mark}; cat
smudge = touch {mark}; cat
[diff "evil"]
textconv = touch {mark}; cat
[merge "evil"]
driver = touch {mark}
"""
    for name in ("config", ".gitconfig", "hooks/post-checkout", "hooks/pre-commit", "hooks/reference-transaction"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(f"#!/bin/sh\ntouch {mark}\n" if "hooks" in name else config)
        (folder / name).chmod(0o755)
    (folder / ".gitattributes").write_text("* filter=evil diff=evil merge=evil text eol=crlf ident\n")
    (folder / "app.py").write_bytes(b"$Id$\r\nodd = 1\n")
    taken = run.snapshot("T1", "x", base)
    _merge(run, "backend-T001", taken.commit)
    exported = run.tree(run.head())
    assert (exported.path / "app.py").read_bytes() == b"$Id$\r\nodd = 1\n"
    run.publish()
    assert not mark.exists()


def test_a_git_folder_written_after_the_snapshot_does_not_matter_for_the_next_checkout(run: RunRepository) -> None:
    base = run.user.base_commit
    folder = run.checkout(base, "T1")
    (folder / ".git").mkdir()
    (folder / ".git" / "config").write_text("[core]\nbare = true\n")
    assert not (run.checkout(base, "T1") / ".git").exists()


def test_an_exported_tree_reads_text_and_nothing_outside(run: RunRepository, repo: Path) -> None:
    base = run.user.base_commit
    folder = run.checkout(base, "T1")
    (folder / "binary").write_bytes(b"\xff\x00")
    (folder / "large").write_text("x" * 1_000_001)
    (folder / "link").symlink_to(repo / "app.py")
    (folder / "up").symlink_to("..")
    (folder / "run.sh").write_text("#!/bin/sh\n")
    (folder / "run.sh").chmod(0o755)
    tree = run.tree(run.snapshot("T1", "x", base).tree)
    assert tree.files == (".gitignore", "app.py", "binary", "large", "link", "run.sh", "up")
    assert tree.read("app.py") == "one = 1\n"
    assert [tree.read(name) for name in ("binary", "large", "link", "up/x", "none", "../T1/app.py", "a\0b")] == [
        None
    ] * 7
    assert os.access(tree.path / "run.sh", os.X_OK)
    assert (tree.path / "app.py").stat().st_mode & 0o222 == 0
    assert run.tree(tree.oid) == tree


def test_two_tasks_are_merged_one_after_the_other(run: RunRepository, git: GitCall, repo: Path) -> None:
    first, second = _work(run, "T1", a="1"), _work(run, "T2", b="2")
    assert isinstance(_merge(run, "backend-T001", first, "First thing"), Merged)
    merged = _merge(run, "backend-T002", second, "Second thing")
    assert isinstance(merged, Merged)
    assert merged.commit == run.head()
    assert {"a.py", "b.py"} <= set(run.tree(merged.tree).files)
    assert run.contains(first)
    message = run.git.run("log", "-1", "--format=%B", merged.commit)
    assert message.strip() == "backend-T002: Second thing\n\nTask: backend-T002"
    assert (
        run.git.run("log", "-1", "--format=%(trailers:key=Task,valueonly)%P", merged.commit).split()[0]
        == "backend-T002"
    )


def test_a_prepared_merge_does_not_move_the_branch_before_it_is_committed(run: RunRepository) -> None:
    before = run.head()
    prepared = run.prepare_merge("backend-T001", _work(run, "T1", a="1"))
    assert isinstance(prepared, Prepared)
    assert run.head() == before
    assert "a.py" in run.tree(prepared.tree).files
    assert run.commit_merge(prepared).commit == prepared.commit == run.head()


def test_a_merge_prepared_on_an_old_head_is_not_committed(run: RunRepository) -> None:
    stale = run.prepare_merge("backend-T001", _work(run, "T1", a="1"))
    assert isinstance(stale, Prepared)
    _merge(run, "backend-T002", _work(run, "T2", b="2"))
    head = run.head()
    with pytest.raises(GitError):
        run.commit_merge(stale)
    assert run.head() == head


def test_merging_twice_is_a_no_op(run: RunRepository) -> None:
    commit = _work(run, "T1", a="1")
    first = _merge(run, "backend-T001", commit)
    assert _merge(run, "backend-T001", commit) == first


def test_a_conflict_names_its_paths_and_leaves_the_queue_usable(run: RunRepository) -> None:
    first, second, third = _work(run, "T1", app="1"), _work(run, "T2", app="2"), _work(run, "T3", c="3")
    _merge(run, "backend-T001", first)
    head = run.head()
    assert _merge(run, "backend-T002", second) == Conflict(
        ("app.py",), ("CONFLICT (content): Merge conflict in app.py",)
    )
    assert run.head() == head
    assert isinstance(_merge(run, "backend-T003", third), Merged)
    assert run.tree(run.head()).read("app.py") == "1"


def test_a_merge_left_half_done_by_a_crash_is_cleaned_away(run: RunRepository) -> None:
    commit = _work(run, "T1", a="1")
    folder = run.git.git_dir
    for name in ("MERGE_HEAD", "MERGE_MSG", "MERGE_MODE", "HEAD.lock", "indexes/_merge.lock"):
        (folder / name).write_text(f"{commit}\n")
    (run.trees / "_merge").mkdir()
    (run.trees / "_merge" / "app.py").write_text("<<<<<<<")
    assert isinstance(_merge(run, "backend-T001", commit), Merged)
    assert run.tree(run.head()).read("app.py") == "one = 1\n"


def test_publishing_adds_the_branch_and_changes_nothing_else(run: RunRepository, repo: Path, git: GitCall) -> None:
    (repo / "app.py").write_text("dirty = 1\n")
    git(repo, "tag", "v1")
    git(repo, "pack-refs", "--all")
    for hook in ("reference-transaction", "post-checkout", "post-merge"):
        (repo / ".git/hooks").mkdir(exist_ok=True)
        (repo / ".git/hooks" / hook).write_text("#!/bin/sh\ntouch hook-ran\n")
        (repo / ".git/hooks" / hook).chmod(0o755)
    (repo / ".git/FETCH_HEAD").write_text("mine\n")
    before = fingerprint(repo)
    for number in (1, 2):
        _merge(run, f"backend-T00{number}", _work(run, f"T{number}", **{f"f{number}": "1"}))
        assert run.publish() == run.head()
        assert run.publish() == run.head()
        assert git(repo, "rev-parse", "backend-coordinator/r1") == run.head()
    assert fingerprint(repo) == before
    assert git(repo, "fsck", "--connectivity-only", "--no-dangling") == ""


def test_the_published_branch_stands_without_our_folder(run: RunRepository, repo: Path, git: GitCall) -> None:
    _merge(run, "backend-T001", _work(run, "T1", a="1"))
    run.publish()
    git(repo, "clone", "--quiet", "--branch", run.branch, str(repo), str(repo.parent / "clone"))
    run.git.git_dir.rename(repo.parent / "gone")
    assert git(repo, "show", "backend-coordinator/r1:a.py") == "1"
    assert (repo.parent / "clone" / "a.py").exists()


def test_publishing_never_overwrites_commits_of_others(run: RunRepository, repo: Path, git: GitCall) -> None:
    _merge(run, "backend-T001", _work(run, "T1", a="1"))
    run.publish()
    theirs = git(repo, "commit-tree", "HEAD^{tree}", "-p", run.branch, "-m", "mine")
    git(repo, "update-ref", f"refs/heads/{run.branch}", theirs)
    _merge(run, "backend-T002", _work(run, "T2", b="2"))
    with pytest.raises(WorkspaceError, match="rename or leave that branch"):
        run.publish()
    assert git(repo, "rev-parse", run.branch) == theirs


def test_a_branch_in_the_way_is_found_before_the_work_begins(repo: Path, git: GitCall) -> None:
    git(repo, "branch", "backend-coordinator")
    with pytest.raises(WorkspaceError, match="git branch -m backend-coordinator NAME"):
        RunRepository.create(repo.parent / "run", repo.parent / "trees", open_workspace(repo), "r1")


def test_publishing_to_a_branch_that_is_checked_out_says_so(run: RunRepository, repo: Path, git: GitCall) -> None:
    run.publish()
    git(repo, "worktree", "add", "--quiet", str(repo.parent / "look"), run.branch)
    _merge(run, "backend-T001", _work(run, "T1", a="1"))
    before = fingerprint(repo)
    with pytest.raises(WorkspaceError, match=r"rename or leave that branch.*look"):
        run.publish()
    assert fingerprint(repo) == before


def test_a_shallow_clone_is_a_workspace(repo: Path, git: GitCall) -> None:
    (repo / "b.py").write_text("")
    git(repo, "add", ".")
    git(repo, "commit", "--quiet", "-m", "second")
    clone = repo.parent / "clone"
    git(repo, "clone", "--quiet", "--depth=1", f"file://{repo}", str(clone))
    run = RunRepository.create(clone.parent / "run", clone.parent / "trees", open_workspace(clone), "r1")
    before = fingerprint(clone)
    assert isinstance(_merge(run, "backend-T001", _work(run, "T1", a="1")), Merged)
    run.publish()
    assert fingerprint(clone) == before


def test_a_submodule_of_the_user_stays_what_it_is(repo: Path, git: GitCall) -> None:
    commit = git(repo, "rev-parse", "HEAD")
    git(repo, "update-index", "--add", "--cacheinfo", f"160000,{commit},vendor/lib")
    git(repo, "commit", "--quiet", "-m", "submodule")
    folder = repo.parent / "run"
    run = RunRepository.create(folder / "git", folder / "trees", open_workspace(repo), "r1")
    base = run.user.base_commit
    run.checkout(base, "T1")
    (run.trees / "T1" / "new.py").write_text("")
    assert run.snapshot("T1", "x", base).changed == {"new.py"}


def test_a_sha256_repository_is_a_workspace(tmp_path: Path, git: GitCall) -> None:
    root = tmp_path / "modern"
    root.mkdir()
    git(root, "init", "--quiet", "--object-format=sha256")
    git(root, "commit", "--quiet", "--allow-empty", "-m", "start")
    run = RunRepository.create(tmp_path / "run", tmp_path / "trees", open_workspace(root), "r1")
    assert isinstance(_merge(run, "backend-T001", _work(run, "T1", a="1")), Merged)
    run.publish()
    assert len(git(root, "rev-parse", run.branch)) == 64


def test_large_file_pointers_stay_pointers_and_no_filter_runs(repo: Path, git: GitCall) -> None:
    mark, pointer = repo.parent / "ran", "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"
    (repo / ".gitattributes").write_text("*.bin filter=lfs diff=lfs merge=lfs -text\n")
    (repo / "model.bin").write_text(pointer)
    git(repo, "add", ".")
    git(repo, "commit", "--quiet", "-m", "pointer")
    for name in ("clean", "smudge", "process"):
        git(repo, "config", f"filter.lfs.{name}", f"touch {mark}; cat")
    git(repo, "config", "filter.lfs.required", "true")
    before = fingerprint(repo)
    run = RunRepository.create(repo.parent / "run", repo.parent / "trees", open_workspace(repo), "r1")
    folder = run.checkout(run.user.base_commit, "T1")
    assert (folder / "model.bin").read_text() == pointer
    (folder / "model.bin").write_text(pointer.replace("size 9", "size 10"))
    assert isinstance(_merge(run, "backend-T001", run.snapshot("T1", "x", run.user.base_commit).commit), Merged)
    run.publish()
    assert git(repo, "cat-file", "-p", f"{run.branch}:model.bin") == pointer.replace("size 9", "size 10").strip()
    assert not mark.exists()
    assert fingerprint(repo) == before


def _shared(repo: Path, git: GitCall) -> Path:
    git(repo, "clone", "--quiet", "--shared", str(repo), str(repo.parent / "other"))
    return repo.parent / "other"


def _sparse(repo: Path, git: GitCall) -> Path:
    git(repo, "sparse-checkout", "set", "--cone", "--sparse-index", "nothing")
    return repo


def _linked(repo: Path, git: GitCall) -> Path:
    git(repo, "worktree", "add", "--quiet", "-b", "side", str(repo.parent / "other"))
    return repo.parent / "other"


def _packed(repo: Path, git: GitCall) -> Path:
    git(repo, "gc", "--quiet")
    git(repo, "pack-refs", "--all")
    return repo


def _oddly_named(repo: Path, git: GitCall) -> Path:
    return repo.rename(repo.parent / 'a "shop" of\n#ours \\ ünï')


def _reftable(repo: Path, git: GitCall) -> Path:
    other = repo.parent / "other"
    git(repo, "init", "--quiet", "--ref-format=reftable", str(other), check=False)
    if not (other / ".git" / "reftable").is_dir():
        pytest.skip("this git knows no reftable")
    git(other, "pull", "--quiet", str(repo), "main")
    return other


def _detached(repo: Path, git: GitCall) -> Path:
    git(repo, "checkout", "--quiet", "--detach")
    return repo


@pytest.mark.parametrize("make", [_shared, _sparse, _linked, _packed, _oddly_named, _reftable, _detached])
def test_repositories_of_other_kinds_are_workspaces(
    repo: Path, git: GitCall, make: Callable[[Path, GitCall], Path]
) -> None:
    (repo / "lib").mkdir()
    (repo / "lib" / "deep.py").write_text("deep = 1\n")
    git(repo, "add", ".")
    git(repo, "commit", "--quiet", "-m", "deep")
    place = make(repo, git)
    before, status = fingerprint(place), git(place, "status", "--porcelain")
    run = RunRepository.create(place.parent / "run", place.parent / "trees", open_workspace(place, base="HEAD"), "r1")
    folder = run.checkout(run.user.base_commit, "T1")
    assert (folder / "lib" / "deep.py").read_text() == "deep = 1\n"
    assert isinstance(_merge(run, "backend-T001", _work(run, "T1", a="1")), Merged)
    run.publish()
    assert git(place, "show", f"{run.branch}:a.py") == "1"
    assert (fingerprint(place), git(place, "status", "--porcelain")) == (before, status)


def test_names_modes_and_links_of_all_kinds_pass_through_a_merge(run: RunRepository) -> None:
    base = run.user.base_commit
    names = ["new\nline", os.fsdecode(b"\xff\xfe"), "-rf", "CONFLICT (x): y", "é" * 127, "a\\b", ":(top)c", " "]
    first = run.checkout(base, "T1")
    for name in names:
        (first / name).write_text("one\n")
    (first / "run").write_text("")
    (first / "run").chmod(0o755)
    (first / "link").symlink_to("nowhere")
    (first / "empty").mkdir()
    one = run.snapshot("T1", "x", base)
    assert one.changed == {*names, "run", "link"}
    second = run.checkout(base, "T2")
    for name in names:
        (second / name).write_text("two\n")
    assert isinstance(_merge(run, "backend-T001", one.commit), Merged)
    conflict = _merge(run, "backend-T002", run.snapshot("T2", "x", base).commit)
    assert isinstance(conflict, Conflict)
    assert conflict.paths == tuple(sorted(names))
    folder = run.checkout(run.head(), "T3")
    assert {path.name for path in folder.iterdir()} == {*names, "run", "link", ".gitignore", "app.py"}
    assert os.access(folder / "run", os.X_OK)
    assert os.readlink(folder / "link") == "nowhere"


def test_a_file_renamed_here_and_changed_there_is_merged(run: RunRepository) -> None:
    base = run.user.base_commit
    text = "".join(f"line_{number} = {number}\n" for number in range(20))
    (run.checkout(base, "T0") / "long.py").write_text(text)
    _merge(run, "backend-T000", run.snapshot("T0", "x", base).commit)
    start = run.head()
    (run.checkout(start, "T1") / "long.py").rename(run.trees / "T1" / "renamed.py")
    (run.checkout(start, "T2") / "long.py").write_text(text + "more = 1\n")
    one, two = (run.snapshot(name, "x", start).commit for name in ("T1", "T2"))
    _merge(run, "backend-T001", one)
    merged = _merge(run, "backend-T002", two)
    assert isinstance(merged, Merged)
    assert (run.tree(merged.tree).read("renamed.py") or "").endswith("more = 1\n")


def test_a_file_deleted_here_and_changed_there_is_a_conflict(run: RunRepository) -> None:
    base = run.user.base_commit
    (run.checkout(base, "T1") / "app.py").unlink()
    one, two = run.snapshot("T1", "x", base).commit, _work(run, "T2", app="two")
    _merge(run, "backend-T001", one)
    conflict = _merge(run, "backend-T002", two)
    assert isinstance(conflict, Conflict)
    assert conflict.paths == ("app.py",)
    assert "modify/delete" in conflict.told[0]


def test_a_union_merge_that_the_project_asks_for_is_made(repo: Path, git: GitCall) -> None:
    (repo / ".gitattributes").write_text("app.py merge=union\n")
    git(repo, "add", ".")
    git(repo, "commit", "--quiet", "-m", "union")
    run = RunRepository.create(repo.parent / "run", repo.parent / "trees", open_workspace(repo), "r1")
    for number in (1, 2):
        assert isinstance(
            _merge(run, f"backend-T00{number}", _work(run, f"T{number}", app=f"one = 1\nby = {number}\n")), Merged
        )
    assert run.tree(run.head()).read("app.py") == "one = 1\nby = 1\nby = 2\n"


@pytest.mark.parametrize("name", [".gitignore", "sub/.gitattributes"])
def test_a_pipe_that_git_would_wait_on_is_refused(run: RunRepository, name: str) -> None:
    folder = run.checkout(run.user.base_commit, "T1")
    (folder / "sub").mkdir()
    (folder / name).unlink(missing_ok=True)
    os.mkfifo(folder / name)
    with pytest.raises(ProcessRefused, match=f"{name} is not a regular file: remove it"):
        run.snapshot("T1", "x", run.user.base_commit)


def test_a_pipe_elsewhere_is_left_out(run: RunRepository) -> None:
    os.mkfifo(run.checkout(run.user.base_commit, "T1") / "pipe")
    assert run.snapshot("T1", "x", run.user.base_commit).changed == set()


def test_an_error_of_git_says_what_git_said(run: RunRepository) -> None:
    with pytest.raises(GitError, match="git rev-parse failed") as caught:
        run.git.run("rev-parse", "--verify", "nowhere")
    assert "fatal" in caught.value.stderr
    assert Git(run.git.git_dir).run("rev-parse", "--verify", "nowhere", check=False) == ""
