"""What code of a workspace reaches outside, by level and way it runs: the table of SECURITY.md, measured anew."""

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from backend_coordinator.nodes.workspace.installer import InstallError
from tests.support.breakouts import ENTRIES, LEVELS, Entry, attempted, table


async def main() -> int:
    """Prints one table, an attempt counting where it gets out by any way; 1 when one gets out of bubblewrap."""
    found: dict[str, set[str]] = {level: set() for level in LEVELS}
    for level in LEVELS:
        for name, entry in ENTRIES.items():
            found[level] |= await _reached(level, name, entry)
    sys.stdout.write(table(found) + "\n")
    return 1 if found["bubblewrap"] else 0


async def _reached(level: str, name: str, entry: Entry) -> set[str]:
    try:
        got, _ = await attempted(level, entry)  # type: ignore[arg-type]
    except (AssertionError, InstallError) as error:  # an entry whose program is missing or cannot run
        sys.stderr.write(f"{level}, {name}: {str(error).splitlines()[-1]}\n")
        return set()
    return got


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
