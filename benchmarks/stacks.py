"""Which stacks are found in repositories, who would write their code, and why: `stacks.py [--json] DIR...`.

Each DIR is a checkout, or a git directory whose HEAD is read; nothing in it is changed.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from backend_coordinator.domain.objective import Stack
from backend_coordinator.nodes.stack import stacks
from backend_coordinator.nodes.workspace.trees import Tree, tree_of_directory
from backend_coordinator.prompts.loader import load_roster

HEAD = (
    "root", "language", "frameworks", "packages", "tests", "databases", "migrations", "contracts", "specialist",
    "reason",
)  # fmt: skip


def tree_of(place: Path, scratch: Path) -> Tree:
    """The tree of a checkout as it stands, or of HEAD where `place` is a git directory."""
    if not (place / "HEAD").is_file():
        return tree_of_directory(place, scratch=scratch)[1]
    oid = git(place, "rev-parse", "HEAD^{tree}").decode().strip()
    entries = [row.split("\t", 1) for row in git(place, "ls-tree", "-r", "-z", oid).decode().split("\0") if row]
    blobs = [(meta.split()[2], path) for meta, path in entries if meta.startswith("100")]
    output = git(place, "cat-file", "--batch", stdin="".join(f"{oid}\n" for oid, _ in blobs))
    for _, path in blobs:
        head, _, output = output.partition(b"\n")
        if not head.endswith(b"missing"):  # a partial copy may lack large files
            size = int(head.split()[-1])
            (scratch / path).parent.mkdir(parents=True, exist_ok=True)
            (scratch / path).write_bytes(output[:size])
            output = output[size + 1 :]
    return Tree(oid, scratch, tuple(path for _, path in entries))


def git(place: Path, *words: str, stdin: str = "") -> bytes:
    """What git prints about the git directory `place`."""
    line = ["git", f"--git-dir={place}", *words]
    return subprocess.run(line, input=stdin.encode(), capture_output=True, check=True).stdout


def told(stack: Stack) -> str:
    """One stack as a row of the table."""
    cells = (
        stack.root or ".",
        stack.language,
        ", ".join(stack.frameworks) or "-",
        stack.package_manager or "-",
        stack.test_runner or "-",
        ", ".join(stack.databases) or "-",
        stack.migration_tool or "-",
        str(len(stack.contracts)),
        stack.specialist or "nobody",
        stack.reason,
    )
    return f"| {' | '.join(cells)} |"


def main(arguments: list[str]) -> int:
    """Prints a table of each directory's stacks, or with --json all of them as one object."""
    roster, found = load_roster(), {}
    for place in (Path(each) for each in arguments if each != "--json"):
        with tempfile.TemporaryDirectory() as scratch:
            tree = tree_of(place, Path(scratch))
            began = time.perf_counter()
            found[str(place)] = stacks(tree, roster)
            seconds = time.perf_counter() - began
        if "--json" not in arguments:
            print(f"\n## {place}: {len(tree.files)} files, {seconds:.2f} s\n")  # noqa: T201
            print(f"| {' | '.join(HEAD)} |", "|---" * len(HEAD) + "|", *map(told, found[str(place)]), sep="\n")  # noqa: T201
    if "--json" in arguments:
        print(json.dumps({place: [s.model_dump(exclude_defaults=True) for s in all_] for place, all_ in found.items()}))  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
