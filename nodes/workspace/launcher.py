"""Started by the sandbox in front of every confined command: sets limits, restricts, and becomes the command.

It runs alone under `python -I -S`, so it imports nothing but the standard library. Its only argument before
the command is a JSON object: `limits` (rlimit name to value), `landlock` (bool), `read`, `write` (paths),
`network` (bool). It stays as the parent that ends every descendant with the command.
"""

import contextlib
import ctypes
import json
import os
import resource
import signal
import sys
from typing import Any

_LIBC = ctypes.CDLL(None, use_errno=True)
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_SET_PDEATHSIG, _SET_NO_NEW_PRIVS, _SET_CHILD_SUBREAPER = 1, 38, 36
_CLONE_NEWUSER = 0x10000000
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1, 2, 4, 8
_REFER, _TRUNCATE, _IOCTL = 1 << 13, 1 << 14, 1 << 15
_FILE_RIGHTS = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL
_DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty", "/dev/shm")
CANNOT = 126


class _Ruleset(ctypes.Structure):
    _fields_ = (("fs", ctypes.c_uint64), ("net", ctypes.c_uint64), ("scoped", ctypes.c_uint64))


class _PathRule(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32))


def abi() -> int:
    """The Landlock version of this kernel, 0 when it has none."""
    return max(int(_LIBC.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), 1)), 0)


def _call(*arguments: object) -> int:
    result = int(_LIBC.syscall(*arguments))
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def _rights(version: int) -> int:
    rights = (1 << 13) - 1
    for since, right in ((2, _REFER), (3, _TRUNCATE), (5, _IOCTL)):
        rights |= right if version >= since else 0
    return rights


def _allow(ruleset: int, path: str, rights: int) -> None:
    if not os.path.exists(path):
        return
    handle = os.open(path, os.O_PATH | os.O_CLOEXEC)
    rule = _PathRule(rights if os.path.isdir(path) else rights & _FILE_RIGHTS, handle)
    _call(_ADD_RULE, ruleset, 1, ctypes.byref(rule), 0)
    os.close(handle)


def restrict(read: list[str], write: list[str], network: bool) -> None:
    """Confine this process and its descendants to the named paths, and without `network` to no TCP at all."""
    version = abi()
    rights = _rights(version)
    attributes = _Ruleset(rights, 0 if network or version < 4 else 3, 3 if version >= 6 else 0)
    size = 8 if version < 4 else 16 if version < 6 else 24
    ruleset = _call(_CREATE_RULESET, ctypes.byref(attributes), ctypes.c_size_t(size), 0)
    for path in read:
        _allow(ruleset, path, _EXECUTE | _READ_FILE | _READ_DIR)
    for path in (*write, *_DEVICES):
        _allow(ruleset, path, rights)
    _call(_RESTRICT_SELF, ruleset, 0)


def _leave_root() -> None:
    user, group = os.getuid(), os.getgid()
    if _LIBC.unshare(_CLONE_NEWUSER) == 0:
        for name, text in (("setgroups", "deny"), ("uid_map", f"1000 {user} 1"), ("gid_map", f"1000 {group} 1")):
            with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
                file.write(text)
    else:
        _drop_capabilities()


def _drop_capabilities() -> None:
    # Without a user namespace uid 0 stays, but as an ordinary user: no capability now, none after an exec.
    _LIBC.prctl(28, 0b101111, 0, 0, 0)
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    if _LIBC.capset(header, (ctypes.c_uint32 * 6)()) != 0:
        raise PermissionError("cannot give up root's capabilities")


def _limit(limits: dict[str, int]) -> None:
    for name, value in limits.items():
        number = getattr(resource, name)
        hard = resource.getrlimit(number)[1]
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(number, (value, value))


def _children() -> list[int]:
    found = []
    for entry in filter(str.isdigit, os.listdir("/proc")):
        with (
            contextlib.suppress(OSError),
            open(f"/proc/{entry}/stat", encoding="utf-8", errors="replace") as stat,
        ):
            if int(stat.read().rpartition(")")[2].split()[1]) == os.getpid():
                found.append(int(entry))
    return found


def _end_descendants() -> None:
    # Descendants of a killed child become children of this process, hence the loop.
    while children := _children():
        for child in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        for child in children:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(child, 0)


def _supervise() -> None:
    def stop(*_: object) -> None:
        _end_descendants()
        os._exit(128 + signal.SIGTERM)

    signal.signal(signal.SIGTERM, stop)
    _LIBC.prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    _LIBC.prctl(_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if (child := os.fork()) == 0:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        return
    _, status = os.waitpid(child, 0)
    _end_descendants()
    code = os.waitstatus_to_exitcode(status)
    os._exit(code if code >= 0 else 128 - code)


def main(arguments: list[str]) -> None:
    """Become the command; exits 126 when the confinement cannot be set up, 127 when there is no program."""
    options: dict[str, Any] = json.loads(arguments[0])
    command = arguments[1:]
    try:
        _supervise()
        _LIBC.prctl(_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        if os.getuid() == 0:
            _leave_root()
        if options["landlock"]:
            restrict(options["read"], options["write"], options["network"])
        _limit(options["limits"])
        with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
            file.write("1000")  # the kernel, short of memory, ends these first
    except (OSError, ValueError) as error:
        sys.stderr.write(f"the confinement could not be set up: {error}\n")
        os._exit(CANNOT)
    for number in (signal.SIGPIPE, signal.SIGXFSZ):  # ignored by every Python, and by what it becomes
        signal.signal(number, signal.SIG_DFL)
    try:
        os.execvp(command[0], command)
    except OSError as error:
        sys.stderr.write(f"{command[0]}: {error.strerror}\n")
        os._exit(127)


if __name__ == "__main__":
    main(sys.argv[1:])
