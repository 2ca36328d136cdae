"""What confining a process costs: starts at each level beside plain ones, of the interpreter and of nothing."""

import asyncio
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

from backend_coordinator.nodes.workspace.processes import execute
from backend_coordinator.nodes.workspace.sandbox import BASH, Sandbox, SandboxLevel, probe

ROUNDS, MOST = 40, 4.0
"""How often each is started, and how many times as long the interpreter may take under bubblewrap."""

PYTHON = str(Path(sys.base_prefix, "bin", "python3"))
PROGRAMS = {"python": (PYTHON, "-I", "-c", "pass"), "true": ("/bin/true",)}
ENVIRONMENT = {"PATH": "/usr/bin:/bin"}


async def timed(command: list[str], folder: Path) -> float:
    """Milliseconds from the call to its result. Raises RuntimeError where the program did not run."""
    start = time.perf_counter()
    done = await execute(command, cwd=folder, env=ENVIRONMENT, seconds=60)
    if done.exit_code != 0:
        raise RuntimeError(done.output)
    return 1000 * (time.perf_counter() - start)


async def measured(program: tuple[str, ...]) -> dict[str, dict[str, float]]:
    """Medians in milliseconds, and of the ratios to the plain start of the same round."""
    best = (await probe("auto")).level
    levels: list[SandboxLevel] = ["bubblewrap", "landlock", "none"]
    with tempfile.TemporaryDirectory() as name:
        folder, times = Path(name), {"plain": [], **{level: [] for level in levels[levels.index(best) :]}}
        for _ in range(ROUNDS):
            for kind, found in times.items():
                command = list(program)
                if kind != "plain":
                    command = Sandbox(kind).command(command, cwd=folder, env=ENVIRONMENT, profile=BASH)
                found.append(await timed(command, folder))
    plain = times["plain"]
    return {
        kind: {
            "milliseconds": statistics.median(found),
            "ratio": statistics.median(one / other for one, other in zip(found, plain, strict=True)),
        }
        for kind, found in times.items()
    }


def main() -> int:
    """Prints the table, or JSON with `--json`; 1 where bubblewrap takes too long."""
    found = {name: asyncio.run(measured(program)) for name, program in PROGRAMS.items()}
    if "--json" in sys.argv:
        sys.stdout.write(json.dumps(found, indent=1) + "\n")
    else:
        for name, kinds in found.items():
            for kind, figures in kinds.items():
                times = f"{figures['milliseconds']:7.2f} ms, {figures['ratio']:5.2f} times a plain start"
                sys.stdout.write(f"{name:<6} {kind:<11} {times}\n")
    return 1 if found["python"].get("bubblewrap", {"ratio": 0})["ratio"] > MOST else 0


if __name__ == "__main__":
    sys.exit(main())
