"""Which paths are allowed, asked about and denied; the rows of the corpus against the real tools."""

import json
import os
import re
import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend_coordinator.nodes.tools import beneath
from backend_coordinator.nodes.tools.bench import Bench, NeedsConsent, ToolRefused
from backend_coordinator.nodes.tools.beneath import PathRefused
from backend_coordinator.nodes.tools.catalogue import tools_of
from backend_coordinator.nodes.tools.paths import fits, judge_path, matches
from backend_coordinator.nodes.tools.registry import TOOLS

ROWS = [json.loads(line) for line in (Path(__file__).parents[1] / "corpora/path_corpus.jsonl").read_text().splitlines()]
DENIED = [
    "", "..", "../x", "a/../../x", "a/../b", "/etc/passwd", "/dev/zero", "/proc/self/root/etc/passwd", "~", "~/x",
    "~root/x", "C:/x", "c:x", "file:///etc/passwd", "http://a.b/c", "$HOME/x", "${HOME}/x", "%USERPROFILE%/x",
    "//server/share", "\\\\server\\share", "a\\..\\b", "..%2f..%2fx", "%2e%2e/x", "\uff0e\uff0e/x", "...", ". ./x",
    ".git", ".git/config", "a/.git/hooks/x", ".GIT/x", ".Git", ".git.", ".git ", ".git. .", "git~1/x", "GIT~2",
    ".git::$INDEX_ALLOCATION/x", ".git:x", ".g\u200cit/x", "\uff0egit/x", ".\uff47it", ".backend-coordinator/runs",
    ".Backend-Coordinator", "backen~1", "backend-coordinator.toml", "BACKEND-COORDINATOR.TOML",
    "a\x00b", "a\nb", "a\rb", "a\tb", "a\x1b[2J", "a\u202eb", "a\u2028b", "\ufeffa", "a\ud800", "\u2100/x",
    "NUL", "a/con", "Aux:x", "com1", "/".join("d" * 65), "x" * 256, "\u00fc" * 128, "/".join(["a" * 200] * 6),
]  # fmt: skip
ASKED = [
    ".env", ".env.local", ".env.production", "a/.env", ".ENV", ".envrc", "prod.env", ".env_prod", "certs/server.pem",
    "tls.key", "id_rsa", "id_ed25519", ".ssh/config", ".netrc", ".pgpass", ".pypirc", ".npmrc", "web/.npmrc",
    ".aws/credentials", ".docker/config.json", ".kube/config", ".git-credentials", "credentials.json",
    "service-account-prod.json", "secrets.yaml", ".husky/pre-commit", ".vscode/tasks.json", ".bashrc",
    ".gitmodules", ".mcp.json", "terraform.tfvars", "prod.auto.tfvars.json", ".envs/prod", ".env~", ".secrets",
    ".secrets/token", "secret.json", ".secrets.toml", "id_rsa.bak", "tls.key.old~", "terraform.tfstate.backup",
]  # fmt: skip
ALLOWED = [
    ".", "a", "./a", "src//a.py", "src/./a.py", "src/a b/\u00fc.py", "src/u\u0308.py", "\u65e5\u672c/a.py", "a:b"[:1],
    "app/[id]/page.tsx", "app/$id.tsx", "src/$types.d.ts", "..a", "a..b", "a...", ".gitignore", ".gitattributes",
    ".github/workflows/ci.yml", "git", "git~/x", ".env.example", ".env.local.example", "example.env", ".env.sample",
    ".env.template", ".env.dist", "env.py", "environment.py", "keys.py", "key", "public.pem.md", "id_rsa.pub",
    "docs/credentials.md", "tests/test_secrets.py", "100%.md", "a%20b", "package.json", "nul.py", "app/secret.py",
    "secrets", "a.bak", ".env.example~", "terraform.tfvars.example", "d/" * 63 + "x",
]  # fmt: skip


@pytest.mark.parametrize(
    ("path", "decision"),
    [*((p, "deny") for p in DENIED), *((p, "ask") for p in ASKED), *((p, "allow") for p in ALLOWED)],
)
def test_a_path_is_decided_by_its_text_alone(path: str, decision: str, tmp_path: Path) -> None:
    assert judge_path(path).decision == decision
    assert judge_path(path, tmp_path).decision == decision


def test_an_absolute_path_into_the_tree_is_one_below_it(tmp_path: Path) -> None:
    assert judge_path(f"{tmp_path}/a.py", tmp_path).decision == "allow"
    assert judge_path(f"{tmp_path}/.git/x", tmp_path).decision == "deny"
    assert judge_path(f"{tmp_path}/../x", tmp_path).decision == "deny"
    assert judge_path(f"{tmp_path}x", tmp_path).decision == "deny"


@pytest.mark.parametrize(
    ("path", "rules", "decision"),
    [
        ("a.py", {"*": "ask"}, "ask"),
        ("a.py", {"*": "deny", "*.py": "allow"}, "allow"),
        ("a.py", {"*.py": "allow", "*": "deny"}, "allow"),
        ("secrets/a", {"secrets/**": "deny"}, "deny"),
        ("secrets/a", {"secrets/**": "deny", "secrets/a": "allow"}, "allow"),
        ("secrets/.env", {"secrets/**": "deny", "*": "allow"}, "deny"),
        (".env", {"*": "allow"}, "ask"),
        ("certs/a.pem", {"certs/**": "allow"}, "ask"),
        ("certs/a.pem", {"certs/*.pem": "allow"}, "allow"),
        (".env", {".env": "allow"}, "allow"),
        (".env", {".env": "deny"}, "deny"),
        (".env", {"**/.env*": "allow", "*": "ask"}, "allow"),
        (".git/config", {".git/config": "allow"}, "deny"),
        ("app/[id].py", {"app/[[]id].py": "allow", "*": "deny"}, "allow"),
    ],
)
def test_the_most_specific_rule_decides_and_opens_no_secret_that_it_does_not_name(
    path: str, rules: dict[str, str], decision: str
) -> None:
    assert judge_path(path, rules=rules).decision == decision  # type: ignore[arg-type]


@pytest.fixture
def hostile(bench: Bench, tmp_path: Path) -> Bench:
    """A tree with all that a path of the corpus leads to."""
    tree, outside = bench.tree, tmp_path / "outside"
    outside.mkdir()
    (outside / "x").write_text("outside\n")
    for name, text in ((".env", "TOKEN=abcdefgh1\n"), ("src/a.py", "a\n"), ("src/a b/\u00fc.py", "a\n")):
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(text)
    (tree / "link").symlink_to(outside)
    (tree / "file").symlink_to(outside / "x")
    (tree / "dangling").symlink_to(outside / "none")
    (tree / "inner").symlink_to("src")
    (tree / "zero").symlink_to("/dev/zero")
    (tree / "self").symlink_to("/proc/self/root")
    (tree / "hop").symlink_to("link")
    (tree / "loop").symlink_to("loop")
    (tree / "new").mkdir()
    (tree / "new" / "link2").symlink_to(outside)
    os.link(outside / "x", tree / "hard")
    os.mkfifo(tree / "fifo")
    with socket.socket(socket.AF_UNIX) as door:
        here = os.open(tree, os.O_RDONLY)
        door.bind(f"/proc/self/fd/{here}/socket")
        os.close(here)
    with (tree / "huge").open("wb") as file:
        file.truncate(100 * 2**20)
    asking = bench.context.settings.model_copy(
        update={"approval": bench.context.settings.approval.model_copy(update={"tools": "ask"})}
    )
    return replace(bench, context=replace(bench.context, settings=asking))


async def outcome(bench: Bench, name: str, path: str) -> str:
    more = {"write": {"content": "new\n"}, "edit": {"old": "a", "new": "b"}}.get(name, {})
    if name == "grep":
        more = {"pattern": "."}
    try:
        told = await tools_of(bench.specialist)[name](bench, {"path": path, **more})
    except NeedsConsent:
        return "ask"
    except ToolRefused:
        return "deny"
    return "deny" if told.startswith("there is no") else "allow"


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["id"])
async def test_the_tools_do_as_the_corpus_says(hostile: Bench, row: dict[str, str], tmp_path: Path) -> None:
    for name in ("read", "grep", "edit", "write"):
        assert await outcome(hostile, name, row["path"]) == row["expect"], (name, row["why"])
    assert (tmp_path / "outside" / "x").read_text() == "outside\n"
    assert os.listdir(tmp_path / "outside") == ["x"]


async def test_what_is_no_plain_file_is_refused_and_left_as_it_is(hostile: Bench) -> None:
    top = ("file", "dangling", "inner", "zero", "self", "hop", "loop", "socket", "huge", "src")
    before = {name: os.lstat(hostile.tree / name)[:7] for name in top}
    for path in (*top, "inner/a.py", "self/etc/passwd", "hop/x", "src/a.py/x"):
        for name in ("read", "edit", "write"):
            assert await outcome(hostile, name, path) == "deny", (name, path)
    assert {name: os.lstat(hostile.tree / name)[:7] for name in top} == before


async def test_walks_enter_no_link_and_open_nothing_special(hostile: Bench) -> None:
    found = await tools_of(hostile.specialist)["glob"](hostile, {"pattern": "**"})
    assert found.splitlines() == [".env", "app/main.py", "hard", "huge", "src/a b/\u00fc.py", "src/a.py"]
    hits = await tools_of(hostile.specialist)["grep"](hostile, {"pattern": "outside|TOKEN|^a$"})
    assert hits == "src/a b/\u00fc.py:1: a\nsrc/a.py:1: a"


def folder_to_link(folder: Path, outside: Path) -> None:
    folder.rename(folder.parent / "old")
    folder.symlink_to(outside)


def file_to_link(folder: Path, outside: Path) -> None:
    (folder / "x").unlink()
    (folder / "x").symlink_to(outside / "x")


def file_to_fifo(folder: Path, outside: Path) -> None:
    (folder / "x").unlink()
    os.mkfifo(folder / "x")


def file_to_second_name(folder: Path, outside: Path) -> None:
    (folder / "x").unlink()
    os.link(outside / "x", folder / "x")


@pytest.mark.parametrize("swap", [folder_to_link, file_to_link, file_to_fifo, file_to_second_name])
def test_what_is_swapped_between_judging_and_opening_is_refused(
    tmp_path: Path, swap: Callable[[Path, Path], None]
) -> None:
    tree, outside = tmp_path / "tree", tmp_path / "outside"
    (tree / "sub").mkdir(parents=True)
    (tree / "sub" / "x").write_text("inside\n")
    outside.mkdir()
    (outside / "x").write_text("outside\n")
    assert judge_path("sub/x", tree).decision == "allow"
    swap(tree / "sub", outside)
    with pytest.raises(PathRefused):
        beneath.content(tree, ("sub", "x"))
    for known in (b"inside\n", b"outside\n"):
        with pytest.raises(PathRefused):
            beneath.replace(tree, ("sub", "x"), b"new\n", known=known)
    if swap is folder_to_link:
        with pytest.raises(PathRefused):
            beneath.replace(tree, ("sub", "y", "z"), b"new\n", known=None)
        with pytest.raises(PathRefused):
            list(beneath.files_below(tree, ("sub",)))
    assert (outside / "x").read_text() == "outside\n"
    assert os.listdir(outside) == ["x"]
    assert os.listdir(tree / "sub") == ["x"]


async def test_the_rosters_own_files_are_closed_whatever_a_rule_says(bench: Bench) -> None:
    settings = bench.context.settings.model_copy(update={"roster": ("./agents/",)})
    allowed = bench.specialist.model_copy(update={"permission": (("read", (("agents/a.md", "allow"),)),)})
    bench = replace(bench, context=replace(bench.context, settings=settings), specialist=allowed)
    (bench.tree / "agents").mkdir()
    (bench.tree / "agents" / "a.md").write_text("x\n")
    assert await outcome(bench, "read", "agents/a.md") == "deny"
    assert await outcome(bench, "write", "agents/new.md") == "deny"


async def test_rules_bind_reading_searching_and_editing_apart(bench: Bench) -> None:
    (bench.tree / "secrets").mkdir()
    (bench.tree / "secrets" / "a.py").write_text("a\n")
    rules = (("read", (("secrets/**", "deny"),)), ("edit", (("app/**", "deny"),)))
    bench = replace(bench, specialist=bench.specialist.model_copy(update={"permission": rules}))
    assert [await outcome(bench, name, "secrets/a.py") for name in ("read", "grep", "edit")] == [
        "deny",
        "deny",
        "allow",
    ]
    assert await outcome(bench, "read", "app/main.py") == "allow"
    assert await outcome(bench, "write", "app/main.py") == "deny"
    assert "secrets" not in await TOOLS["list"](bench, {})


@pytest.mark.parametrize(
    ("path", "pattern", "fits"),
    [
        ("app/main.py", "app/**", True), ("app/a/b.py", "app/**/*.py", True), ("app/b.py", "app/**/*.py", True),
        ("b.py", "**/*.py", True), ("a/b.py", "*.py", False), ("docs", "docs/**", False), ("docs/x/y", "docs", True),
        ("ab.py", "?.py", False), ("a.py", "?.py", True), ("a+b.py", "a+b.py", True), ("aab.py", "a+b.py", False),
        ("a[1].py", "a[1].py", True), ("a1.py", "a[1].py", False), ("a*", "a[*]", True), ("ab", "a[*]", False),
        ("a[b", "a[[]b", True), ("a[", "a[", True),
    ],
)  # fmt: skip
def test_globs_mean_what_users_expect(path: str, pattern: str, fits: bool) -> None:
    assert matches(path, pattern) is fits


@pytest.mark.parametrize(
    ("path", "glob", "fitting"),
    [
        ("main.py", "*.py", True), ("app/a/main.py", "*.py", True), ("app/main.py", "main.py", True),
        ("app/a.sh", "*.{py,sh}", True), ("app/a.js", "*.{py,sh}", False), ("app/a.tsx", "app/*.{j,t}s{,x}", True),
        ("a/b.c", "{a,{b,c}}/*.c", True), ("c/b.c", "{a,{b,c}}/*.c", True), ("app/{slug}.py", "app/{slug}.py", True),
        ("app/main.py", "./app/*.py", True), ("app/a/main.py", "./app/*.py", False), ("main.py", "./*.py", True),
        ("app/main.py", "./*.py", False), ("app/main.py", "/*.py", False), ("app/main.py", "app", False),
        ("app/a/main.py", "app/", True), ("app/a/main.py", "app/*", False), ("app/a/b.py", "app/**/*.py", True),
        ("app/b.py", "app/**/*.py", True), ("app/main.py", "**", True), ("app/main.py", "*", True),
    ],
)  # fmt: skip
def test_globs_of_the_tools_mean_what_they_mean_to_ripgrep(path: str, glob: str, fitting: bool) -> None:
    assert fits(path, glob) is fitting


def backtracking(glob: str) -> str:
    """The glob as the plainest regular expression, which may take for ever."""
    plain = {"**/": "(?:.*/)?", "*": "[^/]*", "?": "[^/]"}
    found = re.findall(r"(?<![^/])(?:\*\*/)+|\*\*+|.", glob)
    return "".join(
        plain.get(each[:3] if each.startswith("**/") else each) or (".*" if "**" in each else each) for each in found
    )


@given(st.text("ab/", max_size=14), st.text("ab/*?", max_size=10) | st.text("a*/", max_size=12))
def test_a_glob_that_never_tries_twice_fits_what_one_that_does_fits(path: str, glob: str) -> None:
    pattern = glob.strip("/")
    assert matches(path, glob) is bool(re.fullmatch(backtracking(pattern) + "(?:/.*)?", path))


@pytest.mark.parametrize(
    "glob", ["*" * 16 + "z", "*a" * 30 + "z", "**a" * 30 + "z", "**/a*" * 30 + "z", "{a,b}" * 60, "**/" * 300 + "z"]
)
def test_no_glob_takes_long(glob: str) -> None:
    for path in ("a" * 250, "a/" * 60 + "a", "ab" * 100 + "/" + "a" * 200):
        assert not matches(path, glob)
        assert not fits(path, glob)


@pytest.mark.parametrize("name", ["read", "grep", "edit", "write"])
async def test_the_root_and_a_path_too_long_are_refused_in_words(hostile: Bench, name: str) -> None:
    more = {"write": {"content": "x"}, "edit": {"old": "a", "new": "b"}, "grep": {"pattern": "x"}}.get(name, {})
    tool = tools_of(hostile.specialist)[name]
    for path in () if name == "grep" else (".", str(hostile.tree)):
        with pytest.raises(ToolRefused, match="is a folder, no regular file"):
            await tool(hostile, {"path": path, **more})
    with pytest.raises(ToolRefused, match="too long"):
        await tool(hostile, {"path": "x" * 5000, **more})
