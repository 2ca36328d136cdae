"""What programs quote in their output from files that an attempt does not see, left out."""

import re
from collections.abc import Iterable

from backend_coordinator.nodes.tools.bench import Bench
from backend_coordinator.nodes.tools.beneath import files_below
from backend_coordinator.nodes.tools.reach import files

WITHHELD = "[a line of a file that is withheld]"
_SHORTEST = 6
"""Characters of a line that says something."""
_LARGE = 1_000_000
_MARK = re.compile(r"[>E|\s]*(?:\d+[:|\s]\s*)?")
"""How test runners and linters mark a line that they quote."""


def unquoted(bench: Bench, output: str) -> str:
    """The output without the lines of withheld files that it names; what visible ones say as well stays."""
    seen = frozenset(files(bench, readable=True))
    named = ["/".join(parts) for parts in files_below(bench.tree, ()) if parts[-1] in output]
    hidden = _lines(bench, (path for path in named if path not in seen))
    hidden -= _lines(bench, (path for path in named if path in seen)) if hidden else set()
    return "".join(
        f"{WITHHELD}\n" if line[_end(line) :].strip() in hidden else line for line in output.splitlines(keepends=True)
    )


def _end(line: str) -> int:
    mark = _MARK.match(line)
    return mark.end() if mark else 0


def _lines(bench: Bench, paths: Iterable[str]) -> set[str]:
    found: set[str] = set()
    for path in paths:
        file = bench.tree / path
        if not file.is_symlink() and file.is_file() and file.stat().st_size <= _LARGE:
            found |= {line.strip() for line in file.read_text(encoding="utf-8", errors="replace").splitlines()}
    return {line for line in found if len(line) >= _SHORTEST}
