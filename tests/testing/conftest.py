"""Users' repositories at several places of the disk."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.runs import git

collect_ignore = [] if (Path(__file__).parents[2] / "docs").is_dir() else ["test_docs.py"]


@pytest.fixture(autouse=True)
def at_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """Recording is allowed, wherever these tests run."""
    monkeypatch.delenv("CI", raising=False)


@pytest.fixture
def repository(tmp_path: Path) -> Callable[[str], Path]:
    """Makes a repository of one file below a folder of that name."""

    def made(name: str) -> Path:
        root = tmp_path / name / "shop"
        root.mkdir(parents=True)
        (root / "notes.txt").write_text("one\n")
        git(root, "init", "--quiet", "--initial-branch=main")
        git(root, "add", ".")
        git(root, "-c", "user.name=Ann", "-c", "user.email=ann@example.org", "commit", "--quiet", "-m", "start")
        return root

    return made
