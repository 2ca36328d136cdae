"""The source tree and the README as the tests of this folder look at them."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
LINKS = ("graph", "nodes", "prompts")
FOLDERS = ("backend_coordinator", *LINKS)
README = (ROOT / "README.md").read_text(encoding="utf-8")
_FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def modules() -> Iterator[Path]:
    """Every Python file of the product, each once."""
    for folder in FOLDERS:
        yield from sorted(path for path in (ROOT / folder).rglob("*.py") if not through_a_link(path))


def through_a_link(path: Path) -> bool:
    """Whether a path is one of a mapped package's, seen through the face."""
    return path.relative_to(ROOT).parts[:2] in {("backend_coordinator", link) for link in LINKS}


def blocks(language: str, after: str = "", text: str = README) -> list[str]:
    """The fenced blocks of one language behind the first place that says `after`."""
    return [body for found, body in _FENCE.findall(text[text.index(after) :]) if found == language]


def copy_tree(target: Path) -> Path:
    """A copy of what git tracks or would track, links as links."""
    command = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        source, place = ROOT / name, target / name
        if source.is_symlink() or source.exists():
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, place, follow_symlinks=False)
    return target
