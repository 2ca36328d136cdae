"""The file tools over a real tree."""

import os
from pathlib import Path

import pytest

from backend_coordinator.nodes.tools.bench import Bench, ToolRefused
from backend_coordinator.nodes.tools.catalogue import tools_of
from backend_coordinator.nodes.tools.paths import matches


async def use(bench: Bench, name: str, **arguments: object) -> str:
    return await tools_of(bench.specialist)[name](bench, arguments)


async def test_read_numbers_lines_and_says_how_to_read_on(bench: Bench) -> None:
    (bench.tree / "long.py").write_text("".join(f"line {n}\n" for n in range(1, 11)))
    assert await use(bench, "read", path="long.py", offset=2, limit=2) == (
        "2\tline 2\n3\tline 3\n[7 more lines: read on from 4]"
    )


async def test_write_then_read_gives_the_same_text(bench: Bench) -> None:
    await use(bench, "write", path="app/new/module.py", content="a = 1\n\n\nb = 2\n")
    assert await use(bench, "read", path="app/new/module.py") == "1\ta = 1\n2\t\n3\t\n4\tb = 2"
    assert (bench.tree / "app/new/module.py").read_bytes() == b"a = 1\n\n\nb = 2\n"


async def test_edit_wants_exactly_one_place_unless_told_otherwise(bench: Bench) -> None:
    (bench.tree / "app" / "two.py").write_text("x = 1\nx = 1\n")
    with pytest.raises(ToolRefused, match="stands 2 times"):
        await use(bench, "edit", path="app/two.py", old="x = 1", new="x = 2")
    await use(bench, "edit", path="app/two.py", old="x = 1", new="x = 2", replace_all=True)
    assert (bench.tree / "app" / "two.py").read_text() == "x = 2\nx = 2\n"
    with pytest.raises(ToolRefused, match="does not stand"):
        await use(bench, "edit", path="app/two.py", old="x = 1", new="")


async def test_a_file_changed_since_it_was_read_is_not_overwritten(bench: Bench) -> None:
    await use(bench, "read", path="app/main.py")
    (bench.tree / "app" / "main.py").write_text("somebody else\n")
    for call in ({"old": "somebody", "new": "x"}, {"content": "mine"}):
        with pytest.raises(ToolRefused, match="changed since it was read"):
            await use(bench, "write" if "content" in call else "edit", path="app/main.py", **call)
    assert (bench.tree / "app" / "main.py").read_text() == "somebody else\n"


async def test_withheld_kinds_are_neither_read_nor_found_nor_listed(bench: Bench) -> None:
    with pytest.raises(ToolRefused, match=r"web.html is withheld: python-pro never sees frontend_markup"):
        await use(bench, "read", path="web.html")
    assert await use(bench, "grep", pattern="markup|hello") == "app/main.py:1: print('hello')"
    assert await use(bench, "glob", pattern="**/*.html") == "no file fits"
    assert "web.html" not in await use(bench, "list", path=".")


async def test_a_task_sees_what_it_writes(bench: Bench) -> None:
    (bench.tree / "docs").mkdir()
    (bench.tree / "docs" / "page.html").write_text("own\n")
    assert await use(bench, "read", path="docs/page.html") == "1\town"


@pytest.mark.parametrize(
    "path",
    [
        "a/../../x", "~/.ssh/id_rsa", "/etc/passwd", ".git", ".git/../.git/config", "g\u200cit/x", ".GIT/config", 
        "a\x00b",
        "a\nb", "\\\\server\\share", ".git /config", ".backend-coordinator/x", "outside/x", "hard", "fifo", "..",
    ],
)  # fmt: skip
async def test_paths_that_leave_the_tree_or_are_no_plain_files_are_refused(
    bench: Bench, path: str, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_text("secret\n")
    (bench.tree / "outside").symlink_to(tmp_path)
    os.link(tmp_path / "secret", bench.tree / "hard")
    os.mkfifo(bench.tree / "fifo")
    for name, more in (("read", {}), ("write", {"content": "x"}), ("edit", {"old": "s", "new": "x"})):
        with pytest.raises(ToolRefused):
            await use(bench, name, path=path, **more)
    assert (tmp_path / "secret").read_text() == "secret\n"


@pytest.mark.parametrize(
    ("path", "pattern", "fits"),
    [
        ("app/main.py", "app/**", True), ("app/a/b.py", "app/**/*.py", True), ("app/b.py", "app/**/*.py", True),
        ("b.py", "**/*.py", True), ("a/b.py", "*.py", False), ("docs", "docs/**", False), ("docs/x/y", "docs", True),
        ("ab.py", "?.py", False), ("a.py", "?.py", True), ("a+b.py", "a+b.py", True), ("aab.py", "a+b.py", False),
    ],
)  # fmt: skip
def test_globs_mean_what_users_expect(path: str, pattern: str, fits: bool) -> None:
    assert matches(path, pattern) is fits


async def test_arguments_that_do_not_fit_are_refused_by_name(bench: Bench) -> None:
    with pytest.raises(ToolRefused, match="read: argument path: Field required"):
        await use(bench, "read")
    with pytest.raises(ToolRefused, match="write: argument mode"):
        await use(bench, "write", path="a", content="", mode="w")
