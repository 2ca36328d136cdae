"""What a decision on a bash line costs: milliseconds over the lines of the corpus, with denials among the rules."""

import json
import statistics
import sys
import time
from pathlib import Path

from backend_coordinator.nodes.permissions.bash import judge_bash
from backend_coordinator.nodes.permissions.rules import Decision

CORPUS = Path(__file__).parents[1] / "tests" / "corpora" / "permission_corpus.jsonl"
HEADS: tuple[tuple[Decision, tuple[str, ...]], ...] = (
    ("allow", ("git *", "npm *", "yarn *", "pnpm *", "node *", "npx *", "docker *", "docker-compose *")),
    ("deny", ("rm *", "curl *", "git push *", "npm publish *")),
    ("ask", ("sudo *", "systemctl *", "*")),
)
RULES = {pattern: decision for decision, patterns in HEADS for pattern in patterns}
MOST, ROUNDS = 1.0, 20
"""Milliseconds the median may take, and how often each line is judged; the best time of a line counts."""


def best(line: str) -> float:
    """Milliseconds of one judgement."""
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        judge_bash(line, RULES)
        times.append(1000 * (time.perf_counter() - start))
    return min(times)


def main() -> int:
    """Prints median and slowest, as JSON with `--json`; 1 where the median is above the bound."""
    lines = [json.loads(row)["command"] for row in CORPUS.read_text(encoding="utf-8").splitlines()]
    times = sorted(map(best, lines))
    found = {"lines": len(lines), "median": statistics.median(times), "slowest": times[-1], "bound": MOST}
    if "--json" in sys.argv:
        sys.stdout.write(json.dumps(found) + "\n")
    else:
        sys.stdout.write(
            f"{len(lines)} lines: median {found['median']:.3f} ms, slowest {times[-1]:.3f} ms  bound {MOST:.1f}\n"
        )
    return 1 if found["median"] > MOST else 0


if __name__ == "__main__":
    sys.exit(main())
