"""The processes of this machine, as /proc tells them."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path


def processes() -> Iterator[Path]:
    """The folder of each; one that has ended meanwhile is for the caller to expect (Path.glob would raise over it)."""
    return (Path("/proc", name) for name in os.listdir("/proc") if name.isdigit())


def command_lines() -> str:
    """Of all processes, their words parted by NUL and each process by a line's end."""
    found = []
    for each in processes():
        with suppress(OSError):
            found.append((each / "cmdline").read_text(errors="replace"))
    return "\n".join(found)
