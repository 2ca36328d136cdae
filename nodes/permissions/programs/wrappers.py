"""Programs that run the command line they are given: judged by it, and by what their own options do."""

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from backend_coordinator.nodes.permissions.programs.effects import Concern, Effects
from backend_coordinator.nodes.permissions.programs.options import Grammar, grammar, read

_SETS = re.compile(r"[A-Za-z_]\w*\+?=")
_JOINED = frozenset({"parallel", "ssh", "watch"})
"""They put the words together with blanks for a shell."""
_FED = frozenset({"parallel", "xargs"})
"""They add arguments that stand nowhere in the line."""


@dataclass(frozen=True)
class Wrapper:
    """What stands before the command: options, then `skip` words of its own, none where `-u` names the user."""

    options: Grammar
    skip: int = 0

    def __call__(self, argv: tuple[str, ...]) -> Effects:
        """What `argv` does, its first word being the wrapper."""
        found = read([word for word in argv[1:] if word != "-"], self.options, leading=True)
        skip = self.skip if found.value("-u") is None else 0
        own, command = found.operands[:skip], found.operands[skip:]
        name = argv[0].rpartition("/")[2]
        lines = found.lines or _line_behind(command, self.options) or tuple(_line(name, command))
        if name == "env" and found.lines:
            lines = (" ".join((*lines, *map(shlex.quote, command))),)
        concerns = list(found.concerns(argv[0], operands=own))
        if name in _FED:
            concerns.append(Concern(f"{argv[0]} adds arguments that stand nowhere in the line", command[:1]))
        if not command and not lines:
            concerns.append(Concern(f"{argv[0]} without a command starts a shell or waits for one"))
        return Effects(argv, () if lines else (command,), lines, tuple(concerns), guesses=found.guesses)


def _line_behind(command: tuple[str, ...], options: Grammar) -> tuple[str, ...]:
    """The line of a `-c` behind the wrapper's own words: `flock FILE -c LINE`, `su USER -c LINE`."""
    return read(command, options).lines if command and command[0].startswith("-") else ()


def _line(program: str, command: tuple[str, ...]) -> Iterator[str]:
    """The command as a line for bash, where it is one, or where variables are set before it."""
    if program in _JOINED and command:
        yield " ".join(command)
    elif command and _SETS.match(command[0]):
        first = next((place for place, word in enumerate(command) if not _SETS.match(word)), len(command))
        sets = (word.partition("=") for word in command[:first])
        yield " ".join(
            (*(f"{name}={shlex.quote(value)}" for name, _, value in sets), *map(shlex.quote, command[first:]))
        )


_ROWS: Mapping[str, tuple[int, str]] = {
    "sudo doas": (
        0,
        "-u= -g= -h= -p= -r= -t= -T= -U= --user= --group= --host= --prompt= --role= --type= !-C= !-D= !-R= !--chdir= "
        "!--chroot= !-i !-s !-e !--login !--shell !--edit",
    ),
    "env": (0, "$-S= $--split-string= -u= --unset= !-C= !--chdir= -a= --argv0="),
    "nohup setsid command builtin busybox toybox fakeroot tini valgrind numactl corepack cross-env dotenv": (0, ""),
    "xargs": (0, "-I= -n= -P= -L= -s= -d= -E= -i? -e? -l? --max-args= --max-procs= --delimiter= /-a= /--arg-file="),
    "parallel": (0, "-j= -n= -N= -I= -L= --jobs= --delay= --timeout= --colsep= --max-args= /-a= !-S="),
    "timeout": (1, "-s= -k= --signal= --kill-after="),
    "nice ionice": (0, "-n= -c= -p= -P= -u= --adjustment= --class= --classdata= --pid="),
    "time": (0, "-f= --format= /-o= /--output="),
    "exec": (0, "-a= -c -l"),
    "stdbuf": (0, "-i= -o= -e= --input= --output= --error="),
    "strace ltrace": (0, "-e= -p= -s= -P= -a= -b= -I= -O= -S= -X= -A= -n= -l= -u= !-o= !-E= !--output= !--env="),
    "perf chroot taskset chrt setarch gosu su-exec": (1, "--userspec= --groups= -T= -P= -D="),
    "flock": (1, "$-c= $--command= -w= -E= --timeout= --conflict-exit-code="),
    "unshare nsenter": (0, "-t= -S= -G= --target= --setuid= --setgid= --map-user= /-R= /--root= /-w= /--wd="),
    "systemd-run run0": (0, "--unit= --uid= --gid= --slice= --on-active= !-p= !-E= !-M= !-H= !--property="),
    "script": (1, "$-c= $--command= -E= /-B= /-I= /-O= /-T= -m= -o="),
    "su runuser": (1, "$-c= $--command= $--session-command= -u= -g= -G= -w= --group= --supp-group= !-s= !--shell="),
    "ssh": (1, "-b= -c= -l= -m= -O= -p= -Q= -W= -w= -B= -e= -J= -D= -L= -R= /-E= /-i= /-I= !-o= !-F= !-S="),
    "watch": (0, "-n= -q= --interval= --equexit="),
}  # fmt: skip
WRAPPERS: Mapping[str, Wrapper] = {
    name: Wrapper(grammar(options), skip) for names, (skip, options) in _ROWS.items() for name in names.split()
}
