"""A run's context over a real repository, without driving it."""

import asyncio
import subprocess
from pathlib import Path

import pytest

from backend_coordinator.domain.objective import Objective
from backend_coordinator.domain.plan import Task
from backend_coordinator.graph.runs import Runs
from backend_coordinator.nodes.context import RunContext
from backend_coordinator.nodes.tools.bench import Bench


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    root = tmp_path / "shop"
    (root / "app").mkdir(parents=True)
    (root / "app" / "main.py").write_text("print('hello')\n")
    (root / "web.html").write_text("<p>markup</p>\n")
    (root / "README.md").write_text("# shop\n")
    for command in (
        ["init", "-q", "-b", "main"],
        ["add", "."],
        ["-c", "user.name=a", "-c", "user.email=a@b.c", "commit", "-qm", "x"],
    ):
        subprocess.run(["git", *command], cwd=root, check=True)
    return root


@pytest.fixture
def context(workspace: Path) -> RunContext:
    runs = Runs(workspace, "offline")
    return asyncio.run(runs.context(runs.create(Objective(text="anything"))))


@pytest.fixture
def task() -> Task:
    return Task(id="backend-T001", title="t", objective="o", specialist="python-pro", writes=("docs/**",))


@pytest.fixture
def bench(context: RunContext, task: Task) -> Bench:
    tree = context.repository.checkout(context.repository.head(), task.id)
    return Bench(tree, task, context.roster.get("python-pro"), context, 1)
