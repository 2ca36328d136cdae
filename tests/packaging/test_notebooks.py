"""The notebooks run from top to bottom without a key, and show what their text says."""

import json
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from tests.packaging.source import ROOT
from tests.packaging.test_imports import HEAVY

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
Cells = dict[str, list[nbformat.NotebookNode]]


def executed(name: str, folder: Path) -> Cells:
    """The outputs of each code cell, by the first words of its last line."""
    notebook = nbformat.read(ROOT / "notebooks" / name, as_version=4)
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(folder)}}).execute()
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [each for cell in code for each in cell.outputs if each.get("name") == "stderr"] == []
    return {cell.source.splitlines()[-1]: cell.outputs for cell in code}


def text_of(outputs: list[nbformat.NotebookNode]) -> str:
    """What a cell says in plain text."""
    return "".join(each.text if each.output_type == "stream" else each.data["text/plain"] for each in outputs)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_are_committed_without_outputs(path: Path) -> None:
    code = [c for c in json.loads(path.read_text(encoding="utf-8"))["cells"] if c["cell_type"] == "code"]
    assert code
    assert [cell for cell in code if cell["outputs"] or cell["execution_count"] is not None] == []


def test_the_displays_load_no_heavy_library_and_no_ipython() -> None:
    program = "import sys, backend_coordinator.display; print(*{n.partition('.')[0] for n in sys.modules})"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert {*HEAVY, "IPython", "rich"}.isdisjoint(done.stdout.split())


@pytest.mark.slow
def test_the_story_of_one_objective(tmp_path: Path) -> None:
    cells = executed("quickstart.ipynb", tmp_path)
    assert "critical path: backend-T001 -> backend-T003 -> backend-T004" in text_of(cells["show.plan_picture(plan)"])
    assert "takes: approve or reject" in text_of(cells['    question.answer("approve", by="lead")'])
    (board,) = cells["show.progress(run)"]
    assert text_of([board]).count("merged") == 4
    assert text_of([board]).splitlines()[-1].startswith("accepted, ")
    matrix = text_of(cells["show.gate_matrix(report)"])
    assert "C5 ✓" in matrix
    assert " unknown" in matrix.splitlines()[-1]
    assert " files changed, " in text_of(cells["show.diff(workspace, report)"])
    migration = text_of(cells['show.diff(workspace, report, "migrations/0002_books.up.sql")'])
    assert '+    "author_id" INTEGER NOT NULL REFERENCES "authors" ("id")' in migration
    assert len(text_of(cells["show.metrics(report)"]).splitlines()) == 9
    last = cells['print("the whole account:", (run.folder / "report.md").relative_to(workspace))']
    assert text_of(last).startswith("accepted, ")
    assert "migrations/0002_books.up.sql" in text_of(cells["!git -C {workspace} ls-files migrations"])


@pytest.mark.slow
def test_the_coordinator_as_a_node_of_a_larger_graph(tmp_path: Path) -> None:
    cells = executed("embedding.ipynb", tmp_path)
    first = text_of(cells['await watch({"number": 42, "wish": "notes with title and body"}, thread)'])
    assert first.splitlines() == [
        "intake",
        "backend / analyse",
        "backend / decompose",
        "backend / try_models",
        "backend / __interrupt__",
        "__interrupt__",
    ]
    assert "takes: approve or reject" in text_of(cells['    print("takes:", " or ".join(question.value["choices"]))'])
    refused = text_of(cells['print("refused:", waiting[0].value["refused"])'])
    assert refused.rstrip().endswith("takes approve, reject, not waive")
    way = text_of(cells["await watch(Command(resume=answers), thread)"]).splitlines()
    assert "backend / python-pro / inspect" in way
    assert way[-2:] == ["backend", "notify"]
    said = text_of(cells["told"])
    assert said.startswith("backend: accepted, ")
    assert "'accepted': True" in said
    assert text_of(cells['print(state["messages"][-1].text)']).rstrip().endswith("waits for a person")
    assert text_of(cells["print(report.summary)"]).startswith("not accepted: the plan was rejected by lead")
