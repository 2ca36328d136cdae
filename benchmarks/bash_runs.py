"""What real bash does with a line: programs are stubs that write down their argv, xtrace tells of the builtins."""

import re
import shutil
import subprocess
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

HEADS = ("docker", "docker-compose", "echo", "git", "node", "npm", "npx", "pnpm", "yarn")
OTHERS = ("bash", "cat", "curl", "env", "find", "id", "ls", "nohup", "rm", "sh", "sudo", "tee", "touch", "xargs")
SECONDS = 120
"""Wall time of a batch: a line takes milliseconds, and is ended by the second second of its own."""
_MARK = re.compile("\x01+fuzzed ([0-9]+) ")
# A file among its first descriptors is a redirection: whoever starts the line gives it devices alone.
_STUB = r"""#!/run/sh
for fd in 0 1 2 3 4 5 6 7 8 9; do
  if [ -f /dev/fd/$fd ]; then printf '%s\0' "$FUZZED" file 1 "fd $fd" >>/out/seen; fi
done
printf '%s\0' "$FUZZED" program $(($# + 1)) "${0##*/}" "$@" >>/out/seen
"""
# High descriptors, since a line may close or redirect those with one digit.
_TRACING = r"""exec 250>>/out/traced
ulimit -t 2
BASH_XTRACEFD=250 PS4=$'\1'"fuzzed $FUZZED "
set -x
"""
# The scratch folder is the one place where a file can come to be; every line finds in it a file named as an option.
# All that a line leaves in the background holds 248, whose end the driver waits for.
_DRIVER = r"""set -o pipefail
shopt -s nullglob dotglob
ulimit -f 100000
while IFS= read -r -d '' -u 249 FUZZED && IFS= read -r -d '' -u 249 line; do
  export FUZZED
  echo "$FUZZED" >/out/last
  BASH_ENV=/run/tracing /run/bash -c "$line" 249<&-
  # Ended for the seconds it took.
  (($? == 152)) && printf '%s\0' "$FUZZED" hang 0 >>/out/seen
  left=([!-]* [-] -[!x]* -x?*)
  if ((${#left[@]})); then
    printf '%s\0' "$FUZZED" file 1 "${left[0]}" >>/out/seen
    /run/rm -rf -- "${left[@]}"
  fi
done 249</run/lines 248>&1 >/dev/null | while read -r; do :; done
"""


class Deed(NamedTuple):
    """What a line did: "program" with its argv, "traced" with a command's name, "file" with its name, or "hang"."""

    kind: str
    words: tuple[str, ...] = ()


def run(lines: Sequence[str], locale: str) -> Mapping[int, list[Deed]]:
    """What each of `lines` did, by its number, under bubblewrap without a network or a real program.

    Raises OSError where bubblewrap is not installed, RuntimeError where it does not work.
    """
    deeds: defaultdict[int, list[Deed]] = defaultdict(list)
    begun = 0
    with tempfile.TemporaryDirectory() as name:
        place = _place(Path(name))
        while begun < len(lines):
            numbered = enumerate(lines[begun:], begun)
            text = "".join(f"{number}\0{line}\0" for number, line in numbered)
            (place / "run/lines").write_bytes(text.encode(errors="surrogateescape"))
            last = _batch(place, locale)
            if last is not None:
                deeds[last].append(Deed("hang"))
            begun = len(lines) if last is None else last + 1
        for number, deed in (*_seen(place), *_traced(place)):
            deeds[number].append(deed)
    return deeds


def _place(place: Path) -> Path:
    for folder in ("run", "bin", "out"):
        (place / folder).mkdir()
    for program in ("bash", "sh", "rm"):
        shutil.copy2(shutil.which(program) or program, place / "run" / program)
    (place / "run/tracing").write_text(_TRACING)
    (place / "run/driver").write_text(_DRIVER)
    for program in (*HEADS, *OTHERS):
        stub = place / "bin" / program
        stub.write_text(_STUB)
        stub.chmod(0o755)
    for file in ("seen", "traced"):
        (place / "out" / file).touch()
    return place


def _batch(place: Path, locale: str) -> int | None:
    """The number of the line that hangs, if one does."""
    libraries = [word for path in Path("/").glob("lib*") for word in ("--ro-bind", str(path), str(path))]
    command = ["bwrap", "--unshare-all", "--die-with-parent", "--new-session", "--clearenv", *libraries]
    command += ["--ro-bind", "/usr/lib", "/usr/lib", "--ro-bind", str(place / "run/tracing"), "/etc/passwd"]
    command += ["--proc", "/proc", "--dev", "/dev"]
    for folder, way in (("run", "--ro-bind"), ("bin", "--ro-bind"), ("out", "--bind")):
        command += [way, str(place / folder), f"/{folder}"]
    command += ["--tmpfs", "/scratch", "--ro-bind", str(place / "run/tracing"), "/scratch/-x"]
    command += ["--chdir", "/scratch", "--remount-ro", "/"]
    command += ["--setenv", "PATH", "/bin", "--setenv", "LC_ALL", locale, "/run/bash", "/run/driver"]
    quiet = subprocess.DEVNULL
    (place / "out/last").write_text("")
    try:
        done = subprocess.run(command, stdin=quiet, stdout=quiet, stderr=quiet, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        return int((place / "out/last").read_text())
    last = (place / "out/last").read_text()
    if not last:
        raise RuntimeError("no line ran: does bubblewrap work here?")
    # A line that ends the driver is as bad as one that never ends.
    return None if done.returncode == 0 else int(last)


def _seen(place: Path) -> Iterator[tuple[int, Deed]]:
    fields = iter((place / "out/seen").read_bytes().decode(errors="surrogateescape").split("\0"))
    for number in fields:
        if number:
            kind, count = next(fields), int(next(fields))
            yield int(number), Deed(kind, tuple(next(fields) for _ in range(count)))


def _traced(place: Path) -> Iterator[tuple[int, Deed]]:
    _, *entries = _MARK.split((place / "out/traced").read_bytes().decode(errors="surrogateescape"))
    for number, said in zip(entries[::2], entries[1::2], strict=True):
        yield int(number), Deed("traced", tuple(said.split(maxsplit=1)[:1]))
