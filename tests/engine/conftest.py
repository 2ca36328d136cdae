"""A user's repository for every run, looked at again when the test is over."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import postgres_server
from tests.support.fingerprint import fingerprint
from tests.support.runs import git
from tests.support.wheelhouse import only_wheels


@pytest.fixture(autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of the test's own, with an identity."""
    folder = tmp_path_factory.mktemp("home")
    settings = "[user]\n\tname = Ann\n\temail = ann@example.org\n[init]\n\tdefaultBranch = main\n"
    (folder / ".gitconfig").write_text(settings)
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    return folder


@pytest.fixture
def shop(home: Path, tmp_path: Path) -> Path:
    """A repository with one commit, a staged change, an edit and an untracked file."""
    root = tmp_path / "shop"
    root.mkdir()
    git(root, "init", "--quiet")
    (root / "notes.txt").write_text("one\n")
    git(root, "add", ".")
    git(root, "commit", "--quiet", "-m", "start")
    (root / "staged.txt").write_text("staged\n")
    git(root, "add", "staged.txt")
    (root / "notes.txt").write_text("edited\n")
    (root / "untracked.txt").write_text("mine\n")
    return root


@pytest.fixture(autouse=True)
def untouched(shop: Path) -> Iterator[None]:
    """The user's repository is byte for byte as before, apart from our branches and our line of info/exclude."""
    before = fingerprint(shop)
    yield
    assert fingerprint(shop) == before
    branches = git(shop, "for-each-ref", "--format=%(refname)").splitlines()
    assert {name for name in branches if not name.startswith("refs/heads/backend-coordinator/")} == {"refs/heads/main"}


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of wheels that is the only place packages come from."""
    return only_wheels(tmp_path / "wheels", monkeypatch)


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The address of the session's PostgreSQL server."""
    with postgres_server.server() as address:
        yield address


@pytest.fixture
def database(postgres: str) -> Iterator[str]:
    """The address of an empty database."""
    with postgres_server.database(postgres) as address:
        yield address
