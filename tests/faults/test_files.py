"""Disks that take nothing, files changed by others, and files that are no text: F061, F062, F063."""

import asyncio
import errno
import os
from collections.abc import Callable

import pytest

from backend_coordinator.nodes.tools import beneath
from backend_coordinator.nodes.tools.bench import Bench, ToolRefused
from backend_coordinator.nodes.tools.catalogue import tools_of

HELLO = "print('hello')\n"


async def use(bench: Bench, name: str, **arguments: object) -> str:
    return await tools_of(bench.specialist)[name](bench, arguments)


def failing(code: int) -> Callable[..., None]:
    """A call of the system that fails so."""

    def call(*args: object, **more: object) -> None:
        raise OSError(code, os.strerror(code))

    return call


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EDQUOT, errno.EIO])
@pytest.mark.parametrize("call", ["fchmod", "rename", "open"])
async def test_f061_a_disk_that_takes_nothing_is_told_to_the_model_and_leaves_the_file(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, call: str, code: int
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(os, call, failing(code))
        for name, more in (("write", {"content": "x\n"}), ("edit", {"old": "hello", "new": "x"})):
            with pytest.raises(ToolRefused, match=f"app/main.py cannot be used: {os.strerror(code)}"):
                await use(bench, name, path="app/main.py", **more)
    assert os.listdir(bench.tree / "app") == ["main.py"]
    assert (bench.tree / "app" / "main.py").read_text() == HELLO


async def test_f062_a_file_that_another_process_changed_since_it_was_read_is_not_overwritten(bench: Bench) -> None:
    place = bench.tree / "app" / "main.py"
    await use(bench, "read", path="./app//main.py")
    other = await asyncio.create_subprocess_exec("sh", "-c", 'echo theirs > "$1"', "sh", str(place))
    assert await other.wait() == 0
    for name, more in (("edit", {"old": "theirs", "new": "x"}), ("write", {"content": "mine"})):
        with pytest.raises(ToolRefused, match="changed since it was read: read it again"):
            await use(bench, name, path="app/main.py", **more)
    assert place.read_text() == "theirs\n"
    await use(bench, "read", path="app/main.py")
    await use(bench, "edit", path="app/main.py", old="theirs", new="ours")
    assert place.read_text() == "ours\n"


@pytest.mark.parametrize(("name", "more"), [("edit", {"old": "hello", "new": "x"}), ("write", {"content": "mine"})])
async def test_f062_a_file_that_changes_while_it_is_written_is_left_to_whoever_changed_it(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, name: str, more: dict[str, str]
) -> None:
    place, put = bench.tree / "app" / "main.py", beneath.replace

    def meanwhile(*args: object, **others: object) -> None:
        place.write_text("theirs\n")
        put(*args, **others)  # type: ignore[arg-type]

    monkeypatch.setattr(beneath, "replace", meanwhile)
    with pytest.raises(ToolRefused, match=r"app/main\.py changed since it was read"):
        await use(bench, name, path="app/main.py", **more)
    assert place.read_text() == "theirs\n"
    assert os.listdir(place.parent) == ["main.py"]


@pytest.mark.parametrize(
    ("before", "old", "new", "after"),
    [
        (b"a\r\nb\r\nc", "a\nb", "x\ny\nz", b"x\r\ny\r\nz\r\nc"),
        (b"a\r\nb\n", "a", "x\ny", b"x\ny\r\nb\n"),
        (b"a\r\nb\nc\r\n", "b\nc", "x\ny", b"a\r\nx\ny\r\n"),
        (b"a\r\nb\r\n", "a\r\n", "a\n", b"a\nb\r\n"),
        (b"\xef\xbb\xbfa\nb", "a", "x", b"\xef\xbb\xbfx\nb"),
        (b"caf\xe9 a\n", " a\n", " b\n", b"caf\xe9 b\n"),
        (b"a.c abc", "a.c", "\\1\\g<0>", b"\\1\\g<0> abc"),
        ("\u00fc a".encode(), "\u00fc", "\u00e4", "\u00e4 a".encode()),
    ],
)
async def test_f063_an_edit_changes_no_byte_it_was_not_asked_to(
    bench: Bench, before: bytes, old: str, new: str, after: bytes
) -> None:
    (bench.tree / "a.py").write_bytes(before)
    await use(bench, "edit", path="a.py", old=old, new=new)
    assert (bench.tree / "a.py").read_bytes() == after


@pytest.mark.parametrize(
    ("before", "text", "after"),
    [
        (b"a\r\nb\r\n", "x\ny\n", b"x\r\ny\r\n"),
        (b"\xef\xbb\xbfa\n", "x\n", b"\xef\xbb\xbfx\n"),
        (b"a\n", "x\r\n", b"x\r\n"),
        (b"a\n", "x", b"x"),
    ],
)
async def test_f063_a_rewritten_file_keeps_its_line_ends_and_mark(
    bench: Bench, before: bytes, text: str, after: bytes
) -> None:
    (bench.tree / "a.py").write_bytes(before)
    await use(bench, "write", path="a.py", content=text)
    assert (bench.tree / "a.py").read_bytes() == after


async def test_f063_files_of_another_encoding_are_shown_with_marks_and_never_rewritten(bench: Bench) -> None:
    place = bench.tree / "latin.py"
    place.write_bytes(b"caf\xe9\n")
    assert await use(bench, "read", path="latin.py") == "1\tcaf\ufffd"
    for name, more in (("write", {"content": "x"}), ("edit", {"old": "caf", "new": "\u00e9"})):
        with pytest.raises(ToolRefused, match="is not UTF-8"):
            await use(bench, name, path="latin.py", **more)
    assert place.read_bytes() == b"caf\xe9\n"


def is_fifo(bench: Bench) -> None:
    os.mkfifo(bench.tree / "odd")


def is_endless(bench: Bench) -> None:
    (bench.tree / "odd").symlink_to("/dev/zero")


def is_huge(bench: Bench) -> None:
    with (bench.tree / "odd").open("wb") as file:
        file.truncate(100 * 2**20)


def is_folder(bench: Bench) -> None:
    (bench.tree / "odd").mkdir()


def dangles(bench: Bench) -> None:
    (bench.tree / "odd").symlink_to("gone")


@pytest.mark.parametrize("made", [is_fifo, is_endless, is_huge, is_folder, dangles])
async def test_f063_what_is_no_text_file_is_refused_at_once_and_passed_over(
    bench: Bench, made: Callable[[Bench], None]
) -> None:
    made(bench)
    before = os.lstat(bench.tree / "odd")[:7]
    for name, more in (("read", {}), ("edit", {"old": "a", "new": "b"}), ("write", {"content": "x"})):
        with pytest.raises(ToolRefused, match=r"odd (is a (FIFO|link|folder), no regular file|has 104857600 bytes)"):
            await use(bench, name, path="odd", **more)
    assert await use(bench, "grep", pattern="hello") == "app/main.py:1: print('hello')"
    assert os.lstat(bench.tree / "odd")[:7] == before
