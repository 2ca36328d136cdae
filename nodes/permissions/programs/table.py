"""Every program whose arguments are known, by name."""

from collections.abc import Callable, Mapping, Sequence

from backend_coordinator.nodes.permissions.programs import shells
from backend_coordinator.nodes.permissions.programs.containers import docker, docker_compose
from backend_coordinator.nodes.permissions.programs.effects import Effects
from backend_coordinator.nodes.permissions.programs.git import git
from backend_coordinator.nodes.permissions.programs.installs import installer
from backend_coordinator.nodes.permissions.programs.interpreters import (
    GRAMMARS,
    awk,
    bare,
    interpreter,
    python,
    search,
)
from backend_coordinator.nodes.permissions.programs.options import grammar, read
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
    "sh bash dash zsh ksh mksh ash fish": shells.shell,
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


def effects(words: Sequence[str]) -> Effects:
    """What `words` do; of a program that nobody knows only words that lead out of the workspace are concerns."""
    argv = tuple(words)
    reading = PROGRAMS.get(argv[0].rpartition("/")[2]) or PROGRAMS.get(bare(argv[0]))
    return reading(argv) if reading else Effects(argv, concerns=read(argv[1:], _ANY).concerns(argv[0]))
