"""Every program whose arguments are known, by name."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from backend_coordinator.nodes.permissions.programs import shells
from backend_coordinator.nodes.permissions.programs.containers import docker, docker_compose
from backend_coordinator.nodes.permissions.programs.effects import Effects
from backend_coordinator.nodes.permissions.programs.git import git
from backend_coordinator.nodes.permissions.programs.installs import installer
from backend_coordinator.nodes.permissions.programs.interpreters import (
    GRAMMARS,
    awk,
    bare,
    concurrently,
    interpreter,
    python,
    search,
)
from backend_coordinator.nodes.permissions.programs.options import grammar, read, tails, words
from backend_coordinator.nodes.permissions.programs.packages import npm, npx, others
from backend_coordinator.nodes.permissions.programs.wrappers import WRAPPERS

Reading = Callable[[tuple[str, ...]], Effects]
_ROWS: Mapping[str, Reading] = {
    "git": git,
    "npm": npm,
    "pnpm yarn yarnpkg bun": others,
    "npx pnpx bunx uvx": npx,
    "docker podman nerdctl": docker,
    "docker-compose podman-compose": docker_compose,
    "pip uv poetry pdm pipenv hatch rye pipx bundle volta fnm": installer,
    "python pypy": python,
    "grep egrep fgrep rg sed": search,
    "awk gawk mawk nawk": awk,
    " ".join(shells.SHELLS): shells.shell,
    "concurrently": concurrently,
    "eval": shells.evaluated,
    "trap": shells.trap,
    "find": shells.find,
    "printf echo": shells.printf,
    "alias bind complete declare enable export getopts hash let local mapfile read readarray readonly set shopt "
    "typeset unalias unset": shells.unsettling,
}
PROGRAMS: Mapping[str, Reading] = {
    **dict.fromkeys(GRAMMARS, interpreter),
    **WRAPPERS,
    **{name: reading for names, reading in _ROWS.items() for name in names.split()},
}
_ANY = grammar()
_SYSTEM = words(
    "at base64 cat chattr chgrp chmod chown cp crontab cut dd df du head hostname id install kill killall ln ls lsof "
    "mkdir mkfifo mkfs mknod mount mv nc ncat netcat passwd pkill printenv ps pwd reboot rm rmdir service shred "
    "shutdown socat systemctl tac tail tee telnet touch truncate umount uname unlink useradd wall wc who whoami yes"
)
_PACKAGED = words("concurrently cross-env dotenv nodemon ts-node tsx")
"""What comes as packages alone: no rule names it, where a package's runner runs it."""


def effects(words: Sequence[str]) -> Effects:
    """What `words` do; of a program that nobody knows only words that lead out of the workspace are concerns."""
    argv = tuple(words)
    reading = _reading(argv[0])
    if not reading:
        known = next((place for place, word in enumerate(argv) if word != "exec" and _reading(word)), len(argv))
        guesses = tails(argv[1 : known + 1])[: 0 if argv[0].startswith("#") else None]
        ends = tuple((*guess, *argv[known + 1 :]) for guess in guesses)
        return Effects(argv, concerns=read(argv[1:], _ANY).concerns(argv[0]), guesses=ends)
    done = reading(argv)
    return _with_tool(done) if done.tool else done


def _with_tool(done: Effects) -> Effects:
    """What a package's runner does: a program of the system is judged as if it stood alone."""
    name = done.tool[0]
    if " " in name:
        return replace(done, lines=(*done.lines, " ".join(done.tool)))
    if name in _PACKAGED:
        inner = effects(done.tool)
        concerns = (*done.concerns, *inner.concerns)
        return replace(done, runs=inner.runs, lines=(*done.lines, *inner.lines), concerns=concerns)
    program = name in _SYSTEM or _reading(name) not in (None, shells.unsettling)
    return replace(done, runs=(done.tool,)) if program else done


def _reading(program: str) -> Reading | None:
    return PROGRAMS.get(program.rpartition("/")[2]) or PROGRAMS.get(bare(program))
