"""The command line of bubblewrap, as far as it is the same for every process, and the limits of what it starts."""

import asyncio
import atexit
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

HOME = "/tmp/home"
_HERE = Path(__file__).parent
_TEMPORARY = 2 << 30
_DEVICES = ("null", "zero", "urandom")
_DEVICE_LINKS = {
    "random": "urandom", "shm": "/tmp/.shm", "fd": "/proc/self/fd",
    "stdin": "fd/0", "stdout": "fd/1", "stderr": "fd/2",
}  # fmt: skip
SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix/store", "/gnu/store")
ETC = (
    "alternatives", "ca-certificates", "crypto-policies", "host.conf", "hosts", "ld.so.cache", "ld.so.conf",
    "ld.so.conf.d", "localtime", "mime.types", "nsswitch.conf", "pki/ca-trust/extracted", "pki/tls/cert.pem",
    "pki/tls/certs", "pki/tls/openssl.cnf", "protocols", "resolv.conf", "services", "ssl/cert.pem", "ssl/certs",
    "ssl/openssl.cnf",
)  # fmt: skip


@cache
def bubblewrap(place: str, network: bool) -> tuple[str, ...]:
    """The beginning of the command: all that is there besides the paths that are named after it."""
    command = [place, "--unshare-all", "--unshare-user", "--uid", "1000", "--gid", "1000", *_newer(place)]
    command += ["--share-net"] if network else []
    command += ["--die-with-parent", "--new-session", "--hostname", "sandbox"]
    for name in SYSTEM:
        if os.path.islink(name):
            command += ["--symlink", os.readlink(name), name]
        elif os.path.isdir(name):
            command += ["--ro-bind", name, name]
    # One mount for all of it: each takes a while.
    etc = _etc_folder()
    if network:  # an install has files of the user's there besides, which need a place
        names = sorted(os.listdir(etc))
        command += [word for name in names for word in ("--ro-bind-try", f"{etc}/{name}", f"/etc/{name}")]
        command += ["--ro-bind-try", "/etc/resolv.conf", "/etc/resolv.conf"]
    else:
        command += ["--ro-bind", etc, "/etc"]
    command += ["--proc", "/proc", *_sized(place), "--tmpfs", "/tmp", "--dir", HOME, "--dir", "/tmp/.shm"]
    command += ["--dir", "/var", "--symlink", "../tmp", "/var/tmp"]
    # Not all of --dev: no terminal, and nothing that is not sized can be written.
    command += [word for name in _DEVICES for word in ("--dev-bind", f"/dev/{name}", f"/dev/{name}")]
    command += [word for name, there in _DEVICE_LINKS.items() for word in ("--symlink", there, f"/dev/{name}")]
    if not sys.base_prefix.startswith("/usr"):
        command += ["--ro-bind", sys.base_prefix, sys.base_prefix]
    return tuple(command)


@contextmanager
def limited(limits: Mapping[str, int]) -> Iterator[tuple[list[str], tuple[int, int]]]:
    """Options by which what bubblewrap starts waits for its `limits`, by resource, and the open files they name.

    From outside, since a program in between that limits itself is one more to start. What cannot be limited is killed.
    """
    # In this order: two numbers in a row that are handed on make Python look at all that are open.
    waits, opens = os.pipe()
    told, tells = os.pipe()
    loop = asyncio.get_running_loop()

    def limit() -> None:
        loop.remove_reader(told)
        child = int(re.findall(rb"\d+", os.read(told, 100))[0])
        try:
            for name, most in limits.items():
                number = getattr(resource, name)
                hard = resource.prlimit(child, number)[1]
                most = most if hard == resource.RLIM_INFINITY else min(most, hard)
                resource.prlimit(child, number, (most, most))
            with suppress(OSError):  # the kernel, short of memory, ends these first
                Path(f"/proc/{child}/oom_score_adj").write_text("1000", encoding="ascii")
            os.write(opens, b"1")
        except OSError:
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)

    loop.add_reader(told, limit)
    try:
        yield ["--info-fd", str(tells), "--block-fd", str(waits)], (tells, waits)
    finally:
        loop.remove_reader(told)
        for handle in (told, tells, waits, opens):
            os.close(handle)


@cache
def _help(place: str) -> str:
    with suppress(OSError):
        return subprocess.run([place, "--help"], capture_output=True, text=True, check=False).stdout
    return ""


def _newer(place: str) -> list[str]:
    return ["--disable-userns"] if "--disable-userns" in _help(place) else []


def _sized(place: str) -> list[str]:
    return ["--size", str(_TEMPORARY)] if "--size" in _help(place) else []


@cache
def _etc_folder() -> str:
    """What the sandbox has for /etc, copied once for this process."""
    folder = Path(tempfile.mkdtemp(prefix="backend-coordinator-etc-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    for name in ETC:
        source, target = Path("/etc", name), folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        with suppress(OSError):  # what this user may not read, nobody in there may
            if source.is_dir():
                shutil.copytree(source, target, symlinks=name == "alternatives", ignore_dangling_symlinks=True)
            elif source.exists():
                shutil.copyfile(source, target)
    for name in ("passwd", "group"):
        shutil.copyfile(_HERE / f"{name}.stub", folder / name)
    return str(folder)
