"""The check tool lets the project's own formatter mend what an author wrote, and nothing else."""

from dataclasses import replace

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


@pytest.mark.parametrize(("name", "shown"), [("python-pro", True), ("database-optimizer", False)])
async def test_what_a_failing_test_quotes_from_withheld_files_is_left_out(bench: Bench, name: str, shown: bool) -> None:
    (bench.tree / "requirements.txt").write_text("pytest\n")
    (bench.tree / "app" / "__init__.py").write_text("")
    (bench.tree / "app" / "prices.py").write_text("def price(cost):\n    return secret_margin(cost) * 3\n")
    (bench.tree / "tests").mkdir()
    (bench.tree / "tests" / "test_prices.py").write_text(
        "from app.prices import price\n\n\ndef test_price():\n    assert price(2) == 7, 'one more'\n"
    )
    (bench.tree / "pyproject.toml").write_text('[tool.pytest.ini_options]\npythonpath = ["."]\n')
    other = replace(bench, specialist=bench.context.roster.get(name), task=bench.task.model_copy(update={"writes": ()}))
    told = await TOOLS["check"](other, {})
    assert "secret_margin' is not defined" in told
    assert ("return secret_margin(cost) * 3" in told) is shown
    assert ("assert price(2) == 7" in told) is shown
