"""Trees of a few files, without a repository."""

from collections.abc import Mapping
from pathlib import Path

from backend_coordinator.nodes.workspace.trees import Tree

Files = Mapping[str, str]
OLD: Files = {"app/main.py": "def total(rows):\n    return sum(rows)\n", "pyproject.toml": '[project]\nname = "shop"\n'}


def tree_of(folder: Path, files: Files) -> Tree:
    """These files as a tree."""
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    return Tree(oid=folder.name, path=folder, files=tuple(sorted(files)))
