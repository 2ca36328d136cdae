"""What confining a process costs: starts under bubblewrap beside plain ones, of nothing, a shell and an interpreter."""

import asyncio
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

from backend_coordinator.nodes.workspace.processes import Completed, execute
from backend_coordinator.nodes.workspace.sandbox import BASH, Sandbox, probe

ROUNDS, WARM, MOST = 100, 5, 4.0
"""How often each is started, how many starts before do not count, and how many times as long bash may take."""

PYTHON = str(Path(sys.base_prefix, "bin", "python3"))
PROGRAMS = {"true": ("/bin/true",), "bash": ("/bin/bash", "-c", ":"), "python": (PYTHON, "-I", "-c", "pass")}
ENVIRONMENT = {"PATH": "/usr/bin:/bin"}


async def started(sandbox: Sandbox | None, program: tuple[str, ...], folder: Path) -> float:
    """Milliseconds from the call to its result. Raises RuntimeError where the program did not run."""
    start = time.perf_counter()
    if sandbox:
        done: Completed = await sandbox.run(program, cwd=folder, env=ENVIRONMENT, profile=BASH)
    else:
        done = await execute(program, cwd=folder, env=ENVIRONMENT, seconds=60)
    if done.exit_code != 0:
        raise RuntimeError(done.output)
    return 1000 * (time.perf_counter() - start)


async def measured(program: tuple[str, ...]) -> dict[str, float]:
    """Medians and minima in milliseconds of starts that take turns, and the ratio of the medians."""
    sandbox, plain, confined = Sandbox("bubblewrap"), list[float](), list[float]()
    with tempfile.TemporaryDirectory() as name:
        for _ in range(WARM + ROUNDS):
            plain.append(await started(None, program, Path(name)))
            confined.append(await started(sandbox, program, Path(name)))
    plain, confined = plain[WARM:], confined[WARM:]
    medians = statistics.median(plain), statistics.median(confined)
    return {
        "plain": medians[0],
        "confined": medians[1],
        "plain at least": min(plain),
        "confined at least": min(confined),
        "ratio": medians[1] / medians[0],
    }


def main() -> int:
    """Prints the table, or JSON with `--json`; 1 where bash takes too long, 2 where bubblewrap does not work."""
    if asyncio.run(probe("auto")).level != "bubblewrap":
        sys.stderr.write("bubblewrap does not work on this machine\n")
        return 2
    found = {name: asyncio.run(measured(program)) for name, program in PROGRAMS.items()}
    if "--json" in sys.argv:
        sys.stdout.write(json.dumps(found, indent=1) + "\n")
    else:
        for name, figures in found.items():
            times = (f"{kind} {milliseconds:.2f} ms" for kind, milliseconds in list(figures.items())[:-1])
            sys.stdout.write(f"{name:<6} {', '.join(times)}: {figures['ratio']:.2f} times a plain start\n")
    return 1 if found["bash"]["ratio"] > MOST else 0


if __name__ == "__main__":
    sys.exit(main())
