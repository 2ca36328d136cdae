"""The README's first objective at each level of confinement, and none without consent."""

import re
import shutil
from pathlib import Path

import pytest

from backend_coordinator import Coordinator, Settings
from backend_coordinator.errors import WorkspaceError
from backend_coordinator.nodes.workspace import sandbox as sandbox_module
from backend_coordinator.nodes.workspace.launcher import abi
from backend_coordinator.nodes.workspace.sandbox import LEVELS
from backend_coordinator.testing import ScriptedModel
from tests.support.department import department, plan, task

README = Path(__file__).parents[2] / "README.md"


def _only_git(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A PATH without bubblewrap."""
    folder.mkdir()
    (folder / "git").symlink_to(str(shutil.which("git")))
    monkeypatch.setenv("PATH", str(folder))


@pytest.mark.slow
def test_the_main_job_ends_in_one_tree_at_all_levels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if shutil.which("bwrap") is None or abi() < 6:
        pytest.skip("this machine has not all levels")
    found = re.search(r'backend-coordinator run "(.*?)"', README.read_text(encoding="utf-8"))
    assert found
    trees = {}
    for level in LEVELS:
        if level == "landlock":
            _only_git(tmp_path / "bin", monkeypatch)
        settings = Settings(sandbox="none" if level == "none" else "required")
        report = Coordinator("offline", tmp_path / level, settings=settings, init=True).start(found[1]).result()
        assert (report.accepted, report.sandbox) == (True, level), report.summary
        trees[level] = report.tree
    assert len(set(trees.values())) == 1, trees


def test_a_model_that_is_not_ours_needs_a_sandbox_or_consent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _only_git(tmp_path / "bin", monkeypatch)
    (tmp_path / "launcher.py").write_text("raise SystemExit(126)\n")  # as on a kernel without Landlock
    monkeypatch.setattr(sandbox_module, "_HERE", tmp_path)
    coordinator = Coordinator(ScriptedModel(script=department(plan(task(1)))), tmp_path / "shop", init=True)
    with pytest.raises(WorkspaceError, match="--sandbox none"):
        coordinator.start("one file")
    assert not (tmp_path / "shop").exists()
