"""The check tool lets the project's own formatter mend what an author wrote, and nothing else."""

import pytest

from backend_coordinator.nodes.tools.bench import Bench, ToolRefused
from backend_coordinator.nodes.tools.registry import TOOLS

PYPROJECT = """
[project]
name = "shop"
version = "1"
[project.optional-dependencies]
test = ["ruff>=0.9"]
[tool.ruff.lint]
select = ["I"]
[tool.ruff.format]
quote-style = "single"
"""
UGLY = 'import sys\nimport os\nNAMES = [ "a",os.sep,sys.path ]\n'
TIDY = "import os\nimport sys\n\nNAMES = ['a', os.sep, sys.path]\n"


async def test_named_files_are_mended_as_the_project_configures(bench: Bench) -> None:
    (bench.tree / "pyproject.toml").write_text(PYPROJECT)
    for name in ("mine.py", "theirs.py"):
        (bench.tree / name).write_text(UGLY)
    told = await TOOLS["check"](bench, {"fix": ["mine.py"]})
    assert (bench.tree / "mine.py").read_text() == TIDY
    assert (bench.tree / "theirs.py").read_text() == UGLY
    assert told.startswith("mended: mine.py\n")
    assert "mine.py:" not in told
    assert "theirs.py" in told


@pytest.mark.parametrize("path", ["gone.py", "../outside.py", "linked.py"])
async def test_only_files_of_the_tree_are_mended(bench: Bench, path: str) -> None:
    (bench.tree / "linked.py").symlink_to("/etc/hostname")
    with pytest.raises(ToolRefused):
        await TOOLS["check"](bench, {"fix": [path]})
