"""What code of a workspace tries in order to get out; it runs inside, told by `target.json`, and says what it got."""

import ctypes
import fcntl
import json
import os
import socket
import subprocess
import sys
import tempfile
import termios
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

TARGET = json.loads((Path(__file__).parent / "target.json").read_text())
OUT, VICTIM = Path(TARGET["outside"]), TARGET["victim"]
LIBC = ctypes.CDLL(None, use_errno=True)


def say(*words: object) -> None:
    """Words that the other side reads."""
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


def write_a_file_outside() -> None:
    (OUT / "made").write_text("x")


def write_through_a_link() -> None:
    os.symlink(OUT, "link")
    Path("link/linked").write_text("x")


def replace_the_repository_by_rename() -> None:
    os.rename(OUT / "repo/.git", OUT / "repo/gone")


def write_a_git_hook() -> None:
    (OUT / "repo/.git/hooks/pre-commit").write_text("#!/bin/sh\n")


def read_the_home() -> None:
    say((OUT / "home/.netrc").read_text())


def read_the_users_dotenv() -> None:
    say((OUT / "repo/.env").read_text())


def read_another_workspace() -> None:
    say((OUT / "other/app.py").read_text())


def read_the_environment_of_others() -> None:
    for entry in filter(str.isdigit, os.listdir("/proc")):
        with suppress(OSError):
            say(Path("/proc", entry, "environ").read_bytes().decode("latin-1"))


def read_an_inherited_descriptor() -> None:
    for number in range(3, 64):
        with suppress(OSError):
            say(os.pread(number, 1000, 0))


def read_a_kernel_key() -> None:
    key = LIBC.syscall(250, 10, -3, b"user", TARGET["key"].encode(), 0)  # KEYCTL_SEARCH of the session's keyring
    text = ctypes.create_string_buffer(100)
    if key > 0 and LIBC.syscall(250, 11, key, text, 100) > 0:
        say(text.value)


def kill_a_process_outside() -> None:
    os.kill(VICTIM, 9)


def trace_a_process_outside() -> None:
    if LIBC.ptrace(0x4206, VICTIM, 0, 0) == 0:  # PTRACE_SEIZE does not stop it
        say("GOT trace_a_process_outside")


def leave_a_daemon() -> None:
    code = "import os, time\nif os.fork(): os._exit(0)\nos.setsid()\nif os.fork(): os._exit(0)\ntime.sleep(60)"
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    subprocess.run([sys.executable, "-c", code, TARGET["daemon"]], check=True, **quiet)


def leave_a_daemon_of_the_shell() -> None:
    subprocess.run(f"setsid nohup sh -c 'sleep 60; : {TARGET['daemon']}-2' >/dev/null 2>&1 &", shell=True, check=True)


def connect_by_tcp() -> None:
    socket.create_connection(("127.0.0.1", TARGET["tcp"]), 2).sendall(b"tcp")


def send_by_udp() -> None:
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"udp", ("127.0.0.1", TARGET["udp"]))


def ask_a_name_server() -> None:
    query = b"\0\1\1\0\0\1\0\0\0\0\0\0\x07example\x03org\0\0\1\0\1"
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(query, ("127.0.0.1", TARGET["names"]))


def connect_to_a_socket_file() -> None:
    socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b"unix", str(OUT / "socket"))


def connect_to_an_abstract_socket() -> None:
    socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b"abstract", "\0" + TARGET["abstract"])


def open_a_raw_socket() -> None:
    socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    say("GOT open_a_raw_socket")


def become_root() -> None:
    if LIBC.setuid(0) == 0 or os.geteuid() == 0:
        Path("/proc/sys/kernel/domainname").open("r+").close()
        say("GOT become_root")


def run_a_program_of_root() -> None:
    for program in ("/usr/bin/su", "/usr/bin/passwd", "/usr/bin/newgrp"):
        with suppress(OSError), subprocess.Popen([program], stdin=subprocess.PIPE, stderr=subprocess.PIPE) as child:
            real, effective = Path(f"/proc/{child.pid}/status").read_text().split("Uid:")[1].split()[:2]
            child.kill()
            if effective == "0" != real:
                say("GOT run_a_program_of_root")


def schedule_a_job() -> None:
    for spool in ("/etc/cron.d", "/var/spool/cron/crontabs", "/var/spool/cron/atjobs"):
        with suppress(OSError), tempfile.NamedTemporaryFile(dir=spool):
            say("GOT schedule_a_job")


def mount_a_file_system() -> None:
    os.mkdir("mounted")
    mount = ["mount", "-t", "tmpfs", "none", "mounted"]
    if any(subprocess.run([*head, *mount]).returncode == 0 for head in ([], ["unshare", "--map-root-user", "-m"])):
        say("GOT mount_a_file_system")


def write_to_a_terminal() -> None:
    Path(TARGET["terminal"]).write_text("written")


def type_into_a_terminal() -> None:
    for terminal in ("/dev/tty", TARGET["terminal"]):
        with suppress(OSError):
            fcntl.ioctl(os.open(terminal, os.O_RDWR | os.O_NOCTTY), termios.TIOCSTI, b"t")


def see_processes_outside() -> None:
    if Path("/proc", str(VICTIM), "cmdline").read_text().startswith("sleep"):
        say("GOT see_processes_outside")


ATTEMPTS: tuple[Callable[[], None], ...] = (
    write_a_file_outside, write_through_a_link, write_a_git_hook, replace_the_repository_by_rename,
    read_the_home, read_the_users_dotenv, read_another_workspace, read_the_environment_of_others,
    read_an_inherited_descriptor, read_a_kernel_key, see_processes_outside, trace_a_process_outside,
    kill_a_process_outside, leave_a_daemon, leave_a_daemon_of_the_shell, connect_by_tcp, send_by_udp,
    ask_a_name_server, connect_to_a_socket_file, connect_to_an_abstract_socket, open_a_raw_socket, become_root,
    run_a_program_of_root, schedule_a_job, mount_a_file_system, write_to_a_terminal, type_into_a_terminal,
)  # fmt: skip


def go() -> None:
    """Tries them all."""
    for attempt in ATTEMPTS:
        say(f"--- {attempt.__name__}")
        try:
            attempt()
        except Exception as error:  # noqa: BLE001 - whatever stops one must not stop the next
            say(type(error).__name__, error)
    say("--- all tried")


if __name__ == "__main__":
    go()
