"""The page on extensions, followed word by word in a copy of the source tree."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.packaging.source import ROOT, blocks, copy_tree

PAGE = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
LOOK = """
import asyncio, json, pathlib, tempfile
from backend_coordinator.domain.failure import FailureClass
from backend_coordinator.nodes.gates.catalogue import CHECKS
from backend_coordinator.nodes.ladder import rule_of
from backend_coordinator.nodes.tools.catalogue import roster_with, tools_of
from backend_coordinator.nodes.workspace.trees import tree_of_directory

async def decide(kind):
    check = next(check for check in CHECKS if check.name == "limits_are_noted")
    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path("tests/gates/fixtures/limits_are_noted", kind)
        _, head, changed = tree_of_directory(folder, scratch=pathlib.Path(scratch))
        return (await check.run(None, head, changed, None)).verdict

specialist = roster_with().get("cache-engineer")
print(json.dumps({
    "specialist": specialist.description,
    "check": [asyncio.run(decide("passing")), asyncio.run(decide("failing"))],
    "rule": list(rule_of(FailureClass.STYLE)[1:]),
    "tool": tools_of(specialist)["count"].schema["function"]["parameters"]["required"],
}, sort_keys=True))
"""


def append(path: Path, text: str) -> None:
    """Adds text at the end of a file."""
    path.write_text(f"{path.read_text()}\n\n{text}")


@pytest.fixture(scope="module")
def extended(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the source with one specialist, check, rule and tool added as the page says."""
    root = copy_tree(tmp_path_factory.mktemp("source"))
    check, row, tool = blocks("python", text=PAGE)
    (root / "prompts/specialists/cache-engineer.md").write_text(blocks("markdown", text=PAGE)[0])
    append(root / "nodes/gates/checks/documentation.py", check)
    subprocess.run(["sh", "-ec", blocks("sh", text=PAGE)[0]], cwd=root, check=True)
    ladder = root / "nodes/ladder.py"
    begin, rules, text = ladder.read_text().partition("\nRULES: ")
    rows, end, rest = text.partition("\n)\n")
    ladder.write_text(f"{begin}{rules}{rows}\n{row.rstrip()}{end}{rest}")
    append(root / "nodes/tools/files.py", tool)
    return root


def python(root: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Runs Python with the copy's package in front of any installed one."""
    variables = {**os.environ, "PYTHONPATH": str(root), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=root, env=variables, capture_output=True, text=True, check=False)


def test_all_four_extensions_work(extended: Path) -> None:
    done = python(extended, "-c", LOOK)
    assert done.stdout.strip() == (
        '{"check": ["pass", "fail"], "rule": [2, "backend-architect"], '
        '"specialist": "Caches and how they are invalidated", "tool": ["path"]}'
    ), done.stderr


def test_the_new_specialist_is_a_node_of_the_graph(extended: Path) -> None:
    done = python(extended, *shlex.split("-c 'from backend_coordinator.cli import main; main()' graph"))
    assert "cache-engineer(" in done.stdout, done.stderr


@pytest.mark.slow
def test_the_new_check_s_fixtures_pass_the_suite_s_own_test(extended: Path) -> None:
    command = "-m pytest -q -p no:cacheprovider tests/gates/test_fixtures.py -k limits_are_noted"
    done = python(extended, *shlex.split(command))
    assert done.returncode == 0, done.stdout
    assert "3 passed" in done.stdout
