"""Fixtures for pytest, taken with `pytest_plugins = ["backend_coordinator.testing.fixtures"]`."""

import hashlib
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from langchain_core.language_models import BaseChatModel

from backend_coordinator.testing.cassette import Cassette
from backend_coordinator.testing.cassette import cassette as open_cassette
from backend_coordinator.testing.network import no_network as closed_network
from backend_coordinator.testing.scripted import Script, ScriptedModel

_PASSED = pytest.StashKey[bool]()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> None:
    """Notes whether the test went well, for what is decided after it."""
    if call.when == "call":
        item.stash[_PASSED] = call.excinfo is None


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A new git repository with one empty commit, on main, apart from the user's own git settings."""
    for name, value in {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"}.items():
        monkeypatch.setenv(name, value)
    root = tmp_path / "workspace"
    author = ("-c", "user.name=Test", "-c", "user.email=test@example.org")
    for command in (
        ("init", "--quiet", "--initial-branch=main"),
        (*author, "commit", "--quiet", "--allow-empty", "-m", "Begin"),
    ):
        root.mkdir(exist_ok=True)
        subprocess.run(["git", "-C", str(root), *command], check=True)
    return root


@pytest.fixture
def scripted() -> Callable[[Script], ScriptedModel]:
    """`scripted(function)` is a model that answers what `function(messages, tool_names)` says."""
    return lambda script: ScriptedModel(script=script)


@pytest.fixture
def cassette(request: pytest.FixtureRequest) -> Iterator[Callable[..., Cassette]]:
    """`cassette(record, ...)` for `cassettes/<file>/<test>.jsonl` beside the file of the test; one for each test.

    A recording is kept when the test passed.
    """
    path = request.path.parent / "cassettes" / request.path.stem / f"{_name(request.node.nodeid)}.jsonl"
    opened: list[Cassette] = []

    def once(record: str | BaseChatModel | None = None, **how: Any) -> Cassette:
        if not opened:
            opened.append(open_cassette(path, record, **how))
        return opened[0]

    yield once
    if opened and request.node.stash.get(_PASSED, False):
        opened[0].close()


def _name(node_id: str) -> str:
    """Of class, test and parameters, with a digest where that is no name of a file as it stands."""
    told = node_id.partition("::")[2].replace("::", ".").replace("[", "-", 1).removesuffix("]")
    name = re.sub(r"[^\w.-]+", "-", told)[:100]
    return name if name == told else f"{name}-{hashlib.sha256(told.encode()).hexdigest()[:8]}"


@pytest.fixture
def no_network() -> Iterator[None]:
    """This process reaches no network during the test, itself included."""
    with closed_network():
        yield
