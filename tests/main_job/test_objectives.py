"""The main job on random objectives, on new repositories and on those an earlier objective left."""

import asyncio
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from backend_coordinator import Coordinator, Report
from backend_coordinator.nodes.workspace.environment import build
from backend_coordinator.nodes.workspace.sandbox import Sandbox
from backend_coordinator.settings import cache_folder
from tests.main_job.objectives import pair
from tests.offline.mutants import sample
from tests.support.fingerprint import fingerprint

PAIRS = range(6)
MUTANTS, KILLED = 20, 0.8


def carried_out(workspace: Path, objective: str) -> Report:
    if not workspace.exists():
        subprocess.run(["git", "init", "-q", "-b", "main", str(workspace)], check=True)
        identity = ("-c", "user.name=Ann", "-c", "user.email=ann@example.org")
        subprocess.run(["git", *identity, "commit", "-q", "--allow-empty", "-m", "start"], cwd=workspace, check=True)
    coordinator = Coordinator("offline", workspace)
    before = fingerprint(workspace)
    report = coordinator.start(objective).result()
    assert fingerprint(workspace) == before
    return report


def taken_over(workspace: Path, report: Report) -> None:
    """What a user does with an accepted branch."""
    subprocess.run(["git", "merge", "-q", "--ff-only", report.branch], cwd=workspace, check=True)


def survivors(workspace: Path, report: Report, seed: int, tmp_path: Path) -> list[str]:
    """The mutants of the delivered application that its delivered tests do not notice."""
    clone = tmp_path / f"clone-{report.run}"
    subprocess.run(["git", "clone", "-q", "-b", report.branch, str(workspace), str(clone)], check=True)
    environment = asyncio.run(build(clone, cache=cache_folder(), sandbox=Sandbox("none")))
    python = environment.units[0].python
    assert python is not None
    files = {str(path.relative_to(clone)): path.read_text() for path in sorted((clone / "app").rglob("*.py"))}
    command = [str(python), "-B", "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider"]
    env = {"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"}
    alive = []
    for path, text, told in sample(files, MUTANTS, seed):
        (clone / path).write_text(text)
        if subprocess.run(command, cwd=clone, env=env, capture_output=True, timeout=120).returncode == 0:
            alive.append(f"{path} {told}")
        (clone / path).write_text(files[path])
    shutil.rmtree(clone)
    return alive


@pytest.mark.slow
@pytest.mark.parametrize("seed", PAIRS)
def test_two_objectives_in_a_row_are_accepted_and_their_own_tests_notice_mutants(seed: int, tmp_path: Path) -> None:
    for objective in pair(seed):
        report = carried_out(tmp_path / "shop", objective)
        assert report.accepted, f"{objective}: {report.summary}"
        alive = survivors(tmp_path / "shop", report, seed, tmp_path)
        assert len(alive) <= MUTANTS * (1 - KILLED), f"{objective}: {alive}"
        taken_over(tmp_path / "shop", report)


@pytest.mark.slow
def test_two_runs_of_one_objective_give_one_tree(tmp_path: Path) -> None:
    objective = "CRUD API for boats with name, length: float and harbour"
    trees = {carried_out(tmp_path / name, objective).tree for name in ("one", "two")}
    assert len(trees) == 1


@pytest.mark.parametrize(
    "objective",
    [
        "Add user authentication with SAML and passkeys",
        "Migrate our monolith to Kubernetes",
        "CRUD API for products with name and price, with full text search and Stripe payments",
    ],
)
def test_what_it_cannot_do_ends_not_accepted_and_says_so(objective: str, tmp_path: Path) -> None:
    report = carried_out(tmp_path / "shop", objective)
    assert not report.accepted
    assert "the offline model cannot do this" in report.summary
    assert report.commit == report.base
