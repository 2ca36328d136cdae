"""A PostgreSQL for code of the workspace, inside its sandbox, on a copy of an empty cluster that is thrown away."""

import asyncio
import hashlib
import os
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from backend_coordinator.nodes.workspace.installer import InstallError, build_once
from backend_coordinator.nodes.workspace.sandbox import BASH, Sandbox
from backend_coordinator.nodes.workspace.trees import remove

_DEBIAN = Path("/usr/lib/postgresql")
_AROUND = """
bin=$1 from=$2 name=$3; shift 3
at=$(mktemp -d) && cp -R "$from" "$at/data" && chmod 700 "$at/data" || exit 126
"$bin/postgres" -D "$at/data" -k "$at" -c listen_addresses= -c fsync=off -c full_page_writes=off \
    -c shared_buffers=16MB -c dynamic_shared_memory_type=mmap >"$at/log" 2>&1 &
server=$! looks=0
until grep -qs '^ready' "$at/data/postmaster.pid"; do
    if ! kill -0 $server 2>/dev/null || [ $((looks += 1)) -gt 600 ]; then
        echo "PostgreSQL did not start: $(tail -n 1 "$at/log")" >&2
        exit 126
    fi
    sleep 0.05
done
export PGHOST="$at" PGUSER=postgres PGDATABASE=postgres "$name=postgresql://postgres@/postgres?host=$at"
"$@"
code=$?
kill -QUIT $server
wait $server
exit $code
"""
"""Without TCP: a socket file reaches no other sandbox, and two servers need no two ports."""


@dataclass(frozen=True)
class Postgres:
    """The server of `binaries`, started on a copy of the cluster `template` for each process that gets one.

    The process finds its URL in the environment variable `variable`.
    """

    variable: str
    binaries: Path
    template: Path

    @property
    def readable(self) -> tuple[Path, ...]:
        """What the sandbox has to show."""
        return (self.binaries.parent, self.template)

    def around(self, argv: Sequence[str]) -> tuple[str, ...]:
        """The command that runs `argv` with a server of its own and ends with its exit code; 126 without a server."""
        own = (str(self.binaries), str(self.template), self.variable)
        return ("/bin/sh", "-c", _AROUND, "postgres", *own, *argv)


async def prepare(variable: str, cache: Path, sandbox: Sandbox) -> Postgres:
    """The PostgreSQL of this machine, its empty cluster made below `cache` and tried out once in `sandbox`.

    Raises InstallError with one line that names the fix when there is none, or none that runs there.
    """
    place = await asyncio.to_thread(binaries)
    built = (str(place), str((place / "postgres").stat().st_mtime_ns), sandbox.level)
    folder = cache / "postgres" / hashlib.sha256("\n".join(built).encode()).hexdigest()[:32]
    server = Postgres(variable, place, folder / "data")
    await build_once(folder, lambda: _fill(folder, server, sandbox), "data/PG_VERSION")
    return server


def binaries() -> Path:
    """The folder with the programs of the server; raises InstallError when there is none."""
    found = [Path(program).resolve() for program in [shutil.which("initdb")] if program]
    found += sorted(_DEBIAN.glob("[0-9]*/bin/initdb"), key=lambda path: -float(path.parts[-3]))
    if places := [program.parent for program in found if (program.parent / "postgres").is_file()]:
        return places[0]
    raise InstallError("the setting `postgres` needs PostgreSQL, and there is none: install it (Debian: postgresql)")


async def _fill(place: Path, server: Postgres, sandbox: Sandbox) -> None:
    await asyncio.to_thread(remove, place)
    await asyncio.to_thread(place.mkdir)
    initdb = [str(server.binaries / "initdb"), "-D", str(server.template), "-U", "postgres", "-A", "trust"]
    initdb += ["-E", "UTF8", "--locale=C.UTF-8", "-N", "--wal-segsize=1"]
    with tempfile.TemporaryDirectory(prefix="backend-coordinator-", ignore_cleanup_errors=True) as scratch:
        env = {"PATH": os.defpath, "LANG": "C.UTF-8", "TMPDIR": "/tmp" if sandbox.level == "bubblewrap" else scratch}
        profile = replace(BASH, writable=(Path(scratch),))
        for command in (initdb, server.around(["true"])):
            done = await sandbox.run(command, cwd=place, env=env, readable=server.readable, profile=profile)
            if done.exit_code != 0:
                said = " ".join(done.output.strip().splitlines()[-2:])[:300]  # an error and its hint
                msg = f"PostgreSQL does not run at sandbox level {sandbox.level}: {said} ({sandbox.advice})"
                raise InstallError(msg)
