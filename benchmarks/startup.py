"""What starting costs: CPU seconds (user and system) of a child process, the best of five after a warm-up."""

import json
import resource
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

PYTHON = sys.executable
COMMAND = str(Path(PYTHON).with_name("backend-coordinator"))
CASES: tuple[tuple[str, tuple[str, ...], float | None], ...] = (
    ("python -c pass", (PYTHON, "-c", "pass"), None),
    ("import pydantic", (PYTHON, "-c", "import pydantic"), None),
    ("import backend_coordinator", (PYTHON, "-c", "import backend_coordinator"), 0.15),
    ("backend-coordinator --help", (COMMAND, "--help"), 0.25),
)
ROUNDS = 5


def cpu_seconds(command: Sequence[str]) -> float:
    """CPU seconds of one run of `command`."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def best(command: Sequence[str]) -> float:
    """The least of five runs; the first of all, which fills the caches, is not counted."""
    cpu_seconds(command)
    return round(min(cpu_seconds(command) for _ in range(ROUNDS)), 3)


def main() -> int:
    """Prints the table, or JSON with `--json`; 1 when a bound is exceeded."""
    measured = [(what, best(command), bound) for what, command, bound in CASES]
    over = [what for what, seconds, bound in measured if bound is not None and seconds > bound]
    if "--json" in sys.argv:
        rows = [{"what": what, "cpu_seconds": seconds, "bound": bound} for what, seconds, bound in measured]
        sys.stdout.write(json.dumps({"python": sys.version.split()[0], "rows": rows, "over": over}, indent=1) + "\n")
    else:
        for what, seconds, bound in measured:
            limit = "" if bound is None else f"  bound {bound:.2f}"
            sys.stdout.write(f"{what:<28} {seconds:6.3f} s{limit}\n")
    return 1 if over else 0


if __name__ == "__main__":
    sys.exit(main())
