"""Real repositories, wheels and sandboxes for the tests of the workspace."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from backend_coordinator.nodes.workspace.launcher import abi
from backend_coordinator.nodes.workspace.repository import RunRepository
from backend_coordinator.nodes.workspace.sandbox import Sandbox, SandboxLevel, probe
from backend_coordinator.nodes.workspace.user_repository import open_workspace
from tests.support.wheelhouse import only_wheels

GitCall = Callable[..., str]


@pytest.fixture(autouse=True)
def settings_of_a_user(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of the test's own, with an identity."""
    home = tmp_path_factory.mktemp("home")
    (home / ".gitconfig").write_text(
        "[user]\n\tname = Ann\n\temail = ann@example.org\n[init]\n\tdefaultBranch = main\n"
    )
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    return home


@pytest.fixture
def git() -> GitCall:
    """git as the user calls it."""

    def call(folder: Path, *args: str, check: bool = True) -> str:
        done = subprocess.run(["git", "-C", str(folder), *args], capture_output=True, text=True, check=check)
        return done.stdout.rstrip("\n")

    return call


@pytest.fixture
def repo(tmp_path: Path, git: GitCall) -> Path:
    """A repository of the user's with two files and one commit."""
    root = tmp_path / "shop"
    root.mkdir()
    git(root, "init", "--quiet")
    (root / "app.py").write_text("one = 1\n")
    (root / ".gitignore").write_text("*.log\n")
    git(root, "add", ".")
    git(root, "commit", "--quiet", "-m", "start")
    return root


@pytest.fixture
def run(repo: Path) -> RunRepository:
    """The repository of a run in `repo`."""
    folder = repo / ".backend-coordinator"
    return RunRepository.create(folder / "git", folder / "trees", open_workspace(repo), "r1")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """An empty checkout."""
    folder = tmp_path / "trees" / "work"
    folder.mkdir(parents=True)
    return folder


async def sandbox_of(level: SandboxLevel) -> Sandbox:
    """The sandbox of `level`; skips the test where this machine has none."""
    if level == "bubblewrap" and (await probe("auto")).level != "bubblewrap":
        pytest.skip("bubblewrap does not work on this machine")
    if level == "landlock" and abi() < 6:
        pytest.skip("the Landlock of this kernel is absent or older than its sixth version")
    return Sandbox(level)


@pytest.fixture
async def bubblewrap() -> Sandbox:
    """The strongest sandbox."""
    return await sandbox_of("bubblewrap")


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of wheels that is the only place packages come from."""
    return only_wheels(tmp_path / "wheels", monkeypatch)
