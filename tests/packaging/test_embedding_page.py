"""The page on embedding: every form's block is run and driven by the page's own words, with scripted models."""

import ast
import warnings
from pathlib import Path
from types import CodeType
from typing import Any

import pytest
from langgraph.checkpoint.memory import MemorySaver

from tests.packaging.source import ROOT, blocks
from tests.support.department import department
from tests.support.parents import PLAN, calling, guided
from tests.support.runs import coordinator, git

PAGE = (ROOT / "docs" / "embedding.md").read_text(encoding="utf-8")
SETUP, NODE, DRIVING, *OTHERS = blocks("python", text=PAGE)
MODELS = {
    "langchain.agents": calling("backend", objective="three files"),
    "langgraph_supervisor": calling("transfer_to_backend"),
    "deepagents": calling("task", description="three files", subagent_type="backend"),
}


def compiled(block: str) -> CodeType:
    return compile(block, "docs/embedding.md", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


async def run(block: str, names: dict[str, Any]) -> None:
    """A block as a notebook runs it."""
    if (waiting := eval(compiled(block), names)) is not None:
        await waiting


@pytest.mark.slow
@pytest.mark.parametrize("block", [NODE, *OTHERS], ids=range(len(OTHERS) + 1))
async def test_a_form_of_embedding(
    block: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    needed = next((package for package in MODELS if f"from {package} import" in block), None)
    if needed:
        pytest.importorskip(needed)
    monkeypatch.chdir(tmp_path)
    for name in ("shop", "stock"):
        git(tmp_path, "init", "--quiet", name)
        git(tmp_path / name, "-c", "user.name=A", "-c", "user.email=a@b", "commit", "-qm", "start", "--allow-empty")
    names: dict[str, Any] = {"saver": MemorySaver(), "model": MODELS.get(needed or "")}
    await run(SETUP, names)
    names["coordinator"] = coordinator(tmp_path / "shop", department(PLAN, guided))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the supervisor's own, of what LangGraph wants to remove
        await run(block, names)
    await run(DRIVING, names)
    said = "".join(str(message.text) for message in names["state"]["messages"])
    assert "accepted, " in said
    assert "not accepted" not in said
    assert capsys.readouterr().out.strip() in ("done", *(str(m.text) for m in names["state"]["messages"]))
