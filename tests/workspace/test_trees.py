"""Trees of any folder, git or not, without a trace in it."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from backend_coordinator.errors import ProcessRefused, WorkspaceError
from backend_coordinator.nodes.workspace.trees import NestedRepository, refuse_nested, remove, tree_of_directory
from tests.support.fingerprint import fingerprint
from tests.workspace.conftest import GitCall


@pytest.fixture
def ours() -> Iterator[Path]:
    """A folder of a user whom modes bind: where root runs the tests, they are another user meanwhile."""
    with tempfile.TemporaryDirectory() as folder:
        if root := os.geteuid() == 0:
            os.chown(folder, 65534, 65534)
            os.seteuid(65534)
        try:
            yield Path(folder)
        finally:
            if root:
                os.seteuid(0)


def test_a_checkout_gives_what_is_tracked_or_not_ignored(repo: Path, git: GitCall, tmp_path: Path) -> None:
    (repo / "new.py").write_text("x")
    (repo / "noise.log").write_text("x")
    (repo / "app.py").write_text("two = 2\n")
    (repo / "gone.py").write_text("x")
    git(repo, "add", "gone.py")
    (repo / "gone.py").unlink()
    before = fingerprint(repo)
    base, head, changed = tree_of_directory(repo, scratch=tmp_path / "scratch", base="HEAD")
    assert fingerprint(repo) == before
    assert not (repo / ".backend-coordinator").exists()
    assert head.files == (".gitignore", "app.py", "new.py")
    assert head.read("app.py") == "two = 2\n"
    assert base is not None
    assert base.read("app.py") == "one = 1\n"
    assert changed == {"app.py", "new.py"}


def test_a_folder_inside_a_checkout_is_compared_with_itself(repo: Path, git: GitCall, tmp_path: Path) -> None:
    (repo / "sub").mkdir()
    (repo / "sub" / "a.py").write_text("1")
    git(repo, "add", ".")
    git(repo, "commit", "--quiet", "-m", "sub")
    (repo / "sub" / "a.py").write_text("2")
    base, head, changed = tree_of_directory(repo / "sub", scratch=tmp_path / "scratch", base="HEAD")
    assert base is not None
    assert base.files == head.files == ("a.py",)
    assert changed == {"a.py"}


def test_a_folder_the_base_does_not_have_was_empty_there(repo: Path, tmp_path: Path) -> None:
    (repo / "sub").mkdir()
    (repo / "sub" / "a.py").write_text("1")
    base, _, changed = tree_of_directory(repo / "sub", scratch=tmp_path / "scratch", base="HEAD")
    assert base is not None
    assert base.files == ()
    assert changed == {"a.py"}


def test_a_plain_folder_gives_all_its_files_but_caches(tmp_path: Path) -> None:
    folder = tmp_path / "plain"
    for name in ("a.py", "pkg/b.py", "node_modules/x.js", ".venv/y.py", "pkg/__pycache__/b.pyc"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    base, head, changed = tree_of_directory(folder, scratch=tmp_path / "scratch", base=None)
    assert base is None
    assert head.files == ("a.py", "pkg/b.py")
    assert changed == set(head.files)


def test_looking_twice_is_stable_and_sees_changes(tmp_path: Path) -> None:
    folder = tmp_path / "plain"
    folder.mkdir()
    (folder / "a.py").write_text("1")
    first, again = (tree_of_directory(folder, scratch=tmp_path / "scratch")[1] for _ in range(2))
    (folder / "a.py").write_text("2")
    assert first == again != tree_of_directory(folder, scratch=tmp_path / "scratch")[1]


def test_configuration_of_the_folder_runs_nothing(repo: Path, git: GitCall, tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    git(repo, "config", "core.fsmonitor", f"touch {mark}")
    git(repo, "config", "filter.evil.clean", f"touch {mark}; cat")
    (repo / ".gitattributes").write_text("* filter=evil\n")
    tree_of_directory(repo, scratch=tmp_path / "scratch", base="HEAD")
    assert not mark.exists()


def test_an_unknown_base_is_refused_with_the_fix(repo: Path, tmp_path: Path) -> None:
    with pytest.raises(WorkspaceError, match="'nowhere' is no commit of this repository: give --base a branch"):
        tree_of_directory(repo, scratch=tmp_path / "scratch", base="nowhere")


def test_a_base_is_refused_in_a_folder_that_is_no_repository(tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    with pytest.raises(WorkspaceError, match=r"in no git repository.*: leave out --base"):
        tree_of_directory(tmp_path / "plain", scratch=tmp_path / "scratch", base="HEAD")


def test_folders_that_were_closed_are_removed(ours: Path) -> None:
    (ours / "work" / "inner").mkdir(parents=True)
    (ours / "work" / "inner" / "a.py").write_text("1")
    (ours / "work" / "inner").chmod(0o500)
    (ours / "work").chmod(0)
    remove(ours / "work")
    assert list(ours.iterdir()) == []


def test_a_repository_in_a_closed_folder_is_refused(ours: Path) -> None:
    (ours / "work" / "inner" / ".git").mkdir(parents=True)
    (ours / "work" / "inner").chmod(0)
    (ours / "work").chmod(0)
    with pytest.raises(NestedRepository, match=r"^inner/\.git makes"):
        refuse_nested(ours / "work")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a folder of another user")
def test_a_folder_that_cannot_be_opened_is_refused(ours: Path) -> None:
    (ours / "work").mkdir()
    os.seteuid(0)
    (ours / "work" / "theirs").mkdir(mode=0o700)
    os.seteuid(65534)
    with pytest.raises(ProcessRefused, match=r"^theirs cannot be read"):
        refuse_nested(ours / "work")
