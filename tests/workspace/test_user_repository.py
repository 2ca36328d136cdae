"""Opening a workspace: what is accepted, what is refused with a fix, and what is written."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from backend_coordinator.errors import WorkspaceError
from backend_coordinator.nodes.workspace.git import require_git
from backend_coordinator.nodes.workspace.user_repository import Identity, exclude, open_workspace, root_of
from tests.support.fingerprint import fingerprint
from tests.workspace.conftest import GitCall


def test_a_repository_is_opened_at_its_head_with_the_users_identity(repo: Path, git: GitCall) -> None:
    found = open_workspace(repo)
    assert (found.root, found.git_common_dir) == (repo, repo / ".git")
    assert (found.base_commit, found.head_branch) == (git(repo, "rev-parse", "HEAD"), "main")
    assert found.identity == Identity("Ann", "ann@example.org")


def test_a_folder_inside_the_repository_opens_the_whole(repo: Path) -> None:
    (repo / "sub").mkdir()
    assert open_workspace(repo / "sub").root == repo


def test_the_root_of_a_folder_is_its_repository_s_and_without_one_the_folder_itself(
    repo: Path, tmp_path: Path, git: GitCall
) -> None:
    (repo / "sub").mkdir()
    (tmp_path / "link").symlink_to(repo / "sub")
    git(tmp_path, "init", "--quiet", "--bare", "bare.git")
    before = fingerprint(repo)
    assert root_of(repo / "sub") == root_of(tmp_path / "link") == root_of(repo) == repo
    for other in ("", "bare.git", "none"):
        assert root_of(tmp_path / other) == tmp_path / other
    assert fingerprint(repo) == before


def test_our_identity_is_used_when_the_user_has_none(repo: Path, settings_of_a_user: Path) -> None:
    (settings_of_a_user / ".gitconfig").unlink()
    assert open_workspace(repo).identity == Identity()


def test_opening_changes_nothing_and_excluding_adds_one_line(repo: Path, git: GitCall) -> None:
    (repo / "app.py").write_text("dirty = True\n")
    (repo / "new.py").write_text("")
    before, status = fingerprint(repo), git(repo, "status", "--porcelain")
    open_workspace(repo)
    assert not (repo / ".backend-coordinator").exists()
    assert ".backend-coordinator" not in (repo / ".git/info/exclude").read_text()
    exclude(repo)
    exclude(repo)
    (repo / ".backend-coordinator").mkdir()
    (repo / ".backend-coordinator" / "x").write_text("")
    assert fingerprint(repo) == before
    assert git(repo, "status", "--porcelain") == status
    assert (repo / ".git/info/exclude").read_text().splitlines().count(".backend-coordinator/") == 1


def test_exclude_keeps_what_is_there_even_without_a_last_newline(repo: Path) -> None:
    (repo / ".git/info/exclude").write_text("mine")
    exclude(repo)
    assert (repo / ".git/info/exclude").read_text() == "mine\n.backend-coordinator/\n"


def test_a_linked_worktree_is_a_workspace(repo: Path, git: GitCall) -> None:
    git(repo, "worktree", "add", "--quiet", "-b", "side", str(repo.parent / "side"))
    found = open_workspace(repo.parent / "side")
    assert (found.root, found.git_common_dir, found.head_branch) == (repo.parent / "side", repo / ".git", "side")
    assert git(found.root, "status", "--porcelain") == ""


def test_a_plain_folder_is_refused_and_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "plain"
    folder.mkdir()
    with pytest.raises(WorkspaceError, match="pass --init"):
        open_workspace(folder)
    assert list(folder.iterdir()) == []


def test_a_missing_folder_is_refused_and_not_made(tmp_path: Path) -> None:
    with pytest.raises(WorkspaceError, match="does not exist: pass --init"):
        open_workspace(tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(WorkspaceError, match="not a folder"):
        open_workspace(tmp_path / "file", init=True)


def test_a_repository_without_commit_is_refused_and_left_alone(tmp_path: Path, git: GitCall) -> None:
    git(tmp_path, "init", "--quiet")
    before = fingerprint(tmp_path)
    with pytest.raises(WorkspaceError, match=r"no commit yet.*--init"):
        open_workspace(tmp_path)
    assert fingerprint(tmp_path) == before
    assert not (tmp_path / ".backend-coordinator").exists()


def test_init_makes_a_missing_folder_a_repository_with_an_empty_commit(tmp_path: Path, git: GitCall) -> None:
    found = open_workspace(tmp_path / "a" / "b", init=True)
    assert found.head_branch == "main"
    assert git(found.root, "ls-tree", "-r", "HEAD") == ""
    assert git(found.root, "rev-parse", "HEAD") == found.base_commit


def test_init_commits_the_files_that_are_there_and_not_the_ignored(
    tmp_path: Path, git: GitCall, settings_of_a_user: Path
) -> None:
    (settings_of_a_user / ".gitconfig").unlink()
    root = tmp_path / "new"
    root.mkdir()
    for name, text in ((".gitignore", ".env\n"), (".env", "SECRET=1"), ("app.py", "x = 1\n")):
        (root / name).write_text(text)
    found = open_workspace(root, init=True)
    assert git(root, "ls-tree", "-r", "--name-only", "HEAD").split() == [".gitignore", "app.py"]
    assert git(root, "log", "--format=%an <%ae>") == "backend-coordinator <noreply@backend-coordinator.invalid>"
    assert git(root, "status", "--porcelain") == ""
    assert open_workspace(root, init=True) == found


def test_a_detached_head_needs_a_base(repo: Path, git: GitCall) -> None:
    git(repo, "checkout", "--quiet", "--detach")
    before = fingerprint(repo)
    with pytest.raises(WorkspaceError, match=r"detached.*--base REV"):
        open_workspace(repo)
    assert fingerprint(repo) == before
    assert open_workspace(repo, base="main").head_branch is None


def test_an_unknown_base_is_refused(repo: Path) -> None:
    with pytest.raises(WorkspaceError, match="no commit nowhere"):
        open_workspace(repo, base="nowhere")
    with pytest.raises(WorkspaceError, match="no commit --help"):
        open_workspace(repo, base="--help")


def test_a_base_that_was_rewritten_and_pruned_is_refused(repo: Path, git: GitCall) -> None:
    base = git(repo, "rev-parse", "HEAD")
    git(repo, "commit", "--quiet", "--amend", "-m", "rewritten")
    git(repo, "reflog", "expire", "--expire=now", "--all")
    git(repo, "gc", "--quiet", "--prune=now")
    with pytest.raises(WorkspaceError, match=f"no commit {base}, or no longer"):
        open_workspace(repo, base=base)


def test_a_new_repository_has_no_base_and_is_not_made(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(WorkspaceError, match="has no commit main: leave --base out"):
            open_workspace(folder, init=True, base="main")
    assert list(tmp_path.iterdir()) == []


def test_a_branch_in_the_way_of_ours_is_refused(repo: Path, git: GitCall) -> None:
    git(repo, "branch", "backend-coordinator")
    with pytest.raises(WorkspaceError, match="git branch -m backend-coordinator NAME"):
        open_workspace(repo)


def test_a_bare_repository_is_refused(tmp_path: Path, git: GitCall) -> None:
    git(tmp_path, "init", "--quiet", "--bare", "x.git")
    with pytest.raises(WorkspaceError, match="bare repository: clone it"):
        open_workspace(tmp_path / "x.git")


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a folder away")
def test_a_repository_of_another_user_names_gits_own_remedy(repo: Path) -> None:
    for path in (repo, repo / ".git"):
        os.chown(path, 12345, 12345)
    with pytest.raises(WorkspaceError, match=r"another user owns.*safe.directory"):
        open_workspace(repo)


def _git_that_prints(folder: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    program = folder / "git"
    program.write_text(f"#!/bin/sh\necho '{text}'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=":")


@pytest.mark.parametrize("version", ["2.33.1", "1.9.0"])
def test_an_old_git_is_refused_with_both_versions(
    version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _git_that_prints(tmp_path, f"git version {version}", monkeypatch)
    with pytest.raises(WorkspaceError, match=rf"git {version} is too old: install git 2\.34 or newer"):
        require_git()


@pytest.mark.parametrize("version", ["2.34.1", "2.39.5 (Apple Git-154)", "3.0.0"])
def test_a_newer_git_is_taken(version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _git_that_prints(tmp_path, f"git version {version}", monkeypatch)
    require_git()


def test_no_git_at_all_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(WorkspaceError, match="git is not installed"):
        require_git()


def test_a_read_only_mount_is_named(repo: Path) -> None:
    code = f"""
from pathlib import Path
from backend_coordinator.errors import WorkspaceError
from backend_coordinator.nodes.workspace.user_repository import open_workspace
try:
    open_workspace(Path({str(repo)!r}))
except WorkspaceError as error:
    print(error)
"""
    mount = f'mount --bind "{repo}" "{repo}" && mount -o remount,bind,ro "{repo}" && exec "$@"'
    command = ["unshare", "-m", "sh", "-c", mount, "sh", sys.executable, "-c", code]
    if subprocess.run(["unshare", "-m", "sh", "-c", f'mount --bind "{repo}" "{repo}"'], capture_output=True).returncode:
        pytest.skip("mounting is not permitted here")
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    before = fingerprint(repo)
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=env)
    assert "cannot be written" in done.stdout
    assert "mounted read-only; clone the repository" in done.stdout
    assert fingerprint(repo) == before
