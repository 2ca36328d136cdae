"""Fixtures for pytest, taken with `pytest_plugins = ["backend_coordinator.testing.fixtures"]`."""

import re
import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from langchain_core.language_models import BaseChatModel

from backend_coordinator.testing.cassette import cassette as open_cassette
from backend_coordinator.testing.network import no_network as closed_network
from backend_coordinator.testing.scripted import Script, ScriptedModel


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
def cassette(request: pytest.FixtureRequest) -> Callable[..., BaseChatModel]:
    """`cassette(record, ...)` for `cassettes/<file>/<test>.jsonl` beside the file of the test."""
    name = re.sub(r"[^\w.-]+", "-", request.node.name).strip("-")
    return partial(open_cassette, request.path.parent / "cassettes" / request.path.stem / f"{name}.jsonl")


@pytest.fixture
def no_network() -> Iterator[None]:
    """This process reaches no network during the test, itself included."""
    with closed_network():
        yield
