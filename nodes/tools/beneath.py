"""Files below a tree, reached folder by folder through descriptors, so that no link ever leads elsewhere."""

import errno
import os
import secrets
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

LARGEST = 2_000_000
"""Bytes of a file that the tools open."""
SKIPPED_FOLDERS = frozenset({".git", ".backend-coordinator", "__pycache__", "node_modules", ".venv", ".pytest_cache"})
MOST_ENTRIES = 200_000
"""Entries of folders that one walk looks at."""
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_FRESH = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class PathRefused(Exception):
    """A path that cannot be used as asked; the text says why, for the model."""


@contextmanager
def _folder(tree: Path, parts: Sequence[str], *, make: bool = False) -> Iterator[int]:
    """A descriptor of a folder below the tree; links on the way are not followed. Raises OSError."""
    descriptor = os.open(tree, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in parts:
            if make:
                with suppress(FileExistsError):
                    os.mkdir(part, dir_fd=descriptor)
            deeper = os.open(part, _FOLDER, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = deeper
        yield descriptor
    finally:
        os.close(descriptor)


def demand_plain(tree: Path, parts: Sequence[str]) -> None:
    """Returns where a path is a regular file of one name, a folder, or not there yet.

    Raises PathRefused otherwise.
    """
    with _refusing(), suppress(FileNotFoundError), _folder(tree, parts[:-1]) as folder:
        found = os.stat(parts[-1] if parts else ".", dir_fd=folder, follow_symlinks=False)
        if not stat.S_ISDIR(found.st_mode):
            _demand_regular(found)


def content(tree: Path, parts: Sequence[str]) -> bytes | None:
    """The bytes of a regular file; None where there is nothing.

    Raises PathRefused for all else, and for more than LARGEST bytes.
    """
    with _refusing(), suppress(FileNotFoundError), _folder(tree, parts[:-1]) as folder:
        return _content(folder, parts[-1] if parts else ".")[0]
    return None


def replace(tree: Path, parts: Sequence[str], data: bytes, *, known: bytes | None) -> None:
    """Puts a file in the place of one whose bytes are `known` (None: of nothing), at once and with its mode.

    Raises PathRefused where other bytes are there by now, the disk does not take it, or it could not be read again.
    """
    if len(data) > LARGEST:
        msg = f"would have {len(data)} bytes, more than the {LARGEST} that tools open"
        raise PathRefused(msg)
    *folders, name = parts
    fresh = f".{secrets.token_hex(8)}.new"
    with _refusing(), _folder(tree, folders, make=True) as folder:
        try:
            with os.fdopen(os.open(fresh, _FRESH, 0o644, dir_fd=folder), "wb") as file:
                file.write(data)
                file.flush()
                there, mode = _content_or_none(folder, name)
                if there != known:
                    msg = "changed since it was read: read it again"
                    raise PathRefused(msg)
                if mode is not None:
                    os.fchmod(file.fileno(), mode)
            os.rename(fresh, name, src_dir_fd=folder, dst_dir_fd=folder)
        except BaseException:
            with suppress(OSError):
                os.unlink(fresh, dir_fd=folder)
            raise


def files_below(tree: Path, parts: Sequence[str] = ()) -> Iterator[tuple[str, ...]]:
    """Regular files below a folder, unordered; links are not entered, and unreadable folders left out.

    Raises PathRefused where the first folder cannot be listed.
    """
    with _refusing(), _folder(tree, parts):
        pending, left = [tuple(parts)], MOST_ENTRIES
    while pending and left > 0:
        above = pending.pop()
        with suppress(OSError), _folder(tree, above) as folder, os.scandir(folder) as entries:
            for entry in entries:
                left -= 1
                if entry.is_file(follow_symlinks=False):
                    yield (*above, entry.name)
                elif entry.is_dir(follow_symlinks=False) and entry.name not in SKIPPED_FOLDERS:
                    pending.append((*above, entry.name))


def _content(folder: int, name: str) -> tuple[bytes, int]:
    """Bytes and permissions."""
    descriptor = os.open(name, _FILE, dir_fd=folder)
    try:
        found = os.fstat(descriptor)
        _demand_regular(found)
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            data = file.read(LARGEST + 1) if found.st_size <= LARGEST else b""
    finally:
        os.close(descriptor)
    if (size := max(found.st_size, len(data))) > LARGEST:
        msg = f"has {size} bytes, more than the {LARGEST} that tools open"
        raise PathRefused(msg)
    return data, found.st_mode & 0o777


def _content_or_none(folder: int, name: str) -> tuple[bytes | None, int | None]:
    try:
        return _content(folder, name)
    except FileNotFoundError:
        return None, None


def _demand_regular(found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        kinds = {stat.S_IFDIR: "a folder", stat.S_IFLNK: "a link", stat.S_IFIFO: "a FIFO", stat.S_IFSOCK: "a socket"}
        msg = f"is {kinds.get(stat.S_IFMT(found.st_mode), 'a device')}, no regular file"
        raise PathRefused(msg)
    if found.st_nlink > 1:
        msg = "is a second name of another file"
        raise PathRefused(msg)


@contextmanager
def _refusing() -> Iterator[None]:
    """Turns errors of the system into refusals."""
    try:
        yield
    except OSError as error:
        link = error.errno in (errno.ELOOP, errno.ENOTDIR)
        msg = "leads over a link or a file, and links are not followed" if link else f"cannot be used: {error.strerror}"
        raise PathRefused(msg) from error
