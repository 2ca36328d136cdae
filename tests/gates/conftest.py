"""Trees to inspect, and one environment for all of them."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from backend_coordinator.nodes.workspace import postgres
from backend_coordinator.nodes.workspace.environment import Environment, build
from backend_coordinator.nodes.workspace.installer import InstallError
from backend_coordinator.nodes.workspace.sandbox import probe
from backend_coordinator.nodes.workspace.trees import Tree, tree_of_directory
from backend_coordinator.settings import cache_folder
from tests.gates.trees import MakeTree

collect_ignore_glob = ["fixtures/*"]
TOOLS = ("fastapi", "httpx", "httpx2", "pytest", "coverage", "ruff")


@pytest.fixture(scope="session")
def environment(settings_of_the_session: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """One built environment with a web framework, a test runner and a linter."""
    tree = tmp_path_factory.mktemp("declared")
    (tree / "requirements.txt").write_text("\n".join(TOOLS))
    built = asyncio.run(_build(tree, settings_of_the_session))
    assert built.problem is None
    return built


async def _build(tree: Path, cache: Path) -> Environment:
    return await build(tree, cache=cache, sandbox=await probe("auto"))


@pytest.fixture(scope="session")
def bare(settings_of_the_session: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """An environment without any package."""
    return asyncio.run(_build(tmp_path_factory.mktemp("empty"), settings_of_the_session))


@pytest.fixture
async def served(bare: Environment) -> Environment:
    """An environment whose processes have a PostgreSQL."""
    try:
        return replace(bare, postgres=await postgres.prepare("DATABASE_URL", cache_folder(), bare.sandbox))
    except InstallError as error:
        pytest.skip(str(error))


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> Environment:
    """Each of the two."""
    found: Environment = request.getfixturevalue("bare" if request.param == "sqlite" else "served")
    return found


@pytest.fixture
def tree(tmp_path_factory: pytest.TempPathFactory) -> MakeTree:
    """Makes a tree of texts by path."""

    def make(files: Mapping[str, str]) -> Tree:
        folder = tmp_path_factory.mktemp("files")
        for path, text in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text)
        return tree_of_directory(folder, scratch=tmp_path_factory.mktemp("scratch"))[1]

    return make
