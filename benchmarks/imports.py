"""How much of a collection of agents `roster import` takes: `python -m benchmarks.imports FOLDER...`.

An agent is, by a rule of its own, a markdown file whose front matter has a description, and that lies in no folder of
skills, commands or documents. Prints a line a collection, and every raw key that the report does not name.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from backend_coordinator.nodes.tools.catalogue import lint_with
from backend_coordinator.prompts.importer import Imported, import_agents, write_agents

LEAST = 92
"""Percent of the agents that must be imported."""
_ELSE = re.compile(r"/(?:skills?|commands?|docs|templates|references)/|readme|claude\.md|agents\.md", re.I)
_KEY = re.compile(r"([A-Za-z_][\w-]*):(?:\s|$)")


def keys_of(text: str) -> list[str]:
    """The raw keys of a front matter, at the line's begin; empty where there is none."""
    head = re.match(r"\ufeff?---[ \t]*\r?\n(.*?)\r?\n---[ \t]*(?:\r?\n|\Z)", text, re.DOTALL)
    return [found[1] for line in head[1].splitlines() if (found := _KEY.match(line))] if head else []


def unreported(text: str, one: Imported) -> Iterator[str]:
    """Raw keys that the report of a file does not name."""
    named = {name for each in one.fields for name in each.key.split(", ")}
    named |= {remark.partition(":")[0] for remark in one.remarks}
    yield from (key for key in keys_of(text) if key not in named)


def weigh(root: Path) -> tuple[bool, list[str]]:
    """Whether a collection comes over as demanded, and the lines that say so."""
    with TemporaryDirectory() as folder:
        found = import_agents(root, Path(folder))
        write_agents(found, Path(folder))
        findings = lint_with(Path(folder))
    by_file = {one.file: one for one in found}
    texts = {file: (root / file).read_text(encoding="utf-8", errors="replace") for file in by_file}
    agents = [f for f, text in texts.items() if not _ELSE.search(f"/{f}") and "description" in keys_of(text)]
    come = [f for f in agents if by_file[f].outcome in {"imported", "the same"}]
    lost = [f"  unreported: {f}: {key}" for f in come for key in unreported(texts[f], by_file[f])]
    broken = sum(finding.rule == "front-matter" for finding in findings)
    share = 100 * len(come) / max(len(agents), 1)
    told = f"{root.name}: {len(come)} of {len(agents)} agents imported ({share:.1f} %), {len(lost)} fields unreported, "
    told += f"{broken} written files refused, {len(findings) - broken} other remarks of the linter"
    missing = [f"  not imported: {f}: {by_file[f].reason}" for f in agents if f not in come]
    return share >= LEAST and not lost and not broken, [told, *missing, *lost]


def main() -> int:
    """Imports each collection into a folder that is removed again; 1 where one does not come over as demanded."""
    good = True
    for argument in sys.argv[1:]:
        fine, lines = weigh(Path(argument).resolve())
        good = good and fine
        sys.stdout.write("\n".join((*lines, "")))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
