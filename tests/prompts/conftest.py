"""Writes prompt files for the tests of the roster."""

from collections.abc import Callable
from pathlib import Path

import pytest

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """`write("name", "front matter", "body", into="folder")` makes a file and returns its folder."""

    def write_file(name: str, front: str = "", body: str = "Text.", *, into: str = "agents") -> Path:
        folder = tmp_path / into
        folder.mkdir(exist_ok=True)
        described = front if "description:" in front else f"{front.rstrip()}\ndescription: one\n".lstrip()
        (folder / f"{name}.md").write_text(f"---\n{described.rstrip()}\n---\n{body}\n", encoding="utf-8")
        return folder

    return write_file
