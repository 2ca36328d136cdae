"""What the bash tool shows of a tree from which files are withheld."""

from dataclasses import replace

import pytest

from backend_coordinator.nodes.tools.bench import Bench, NeedsConsent
from backend_coordinator.nodes.tools.masks import MOST, withheld
from backend_coordinator.nodes.tools.project import bash
from backend_coordinator.nodes.workspace.sandbox import Sandbox, SandboxLevel, probe
from backend_coordinator.settings import Approval


def allowed(bench: Bench, level: SandboxLevel = "bubblewrap") -> Bench:
    """The bench of a specialist whose file allows bash lines, where a person is asked about the rest."""
    permission = (("bash", (("*", "allow"),)),)
    specialist = bench.specialist.model_copy(update={"permission": permission})
    settings = bench.context.settings.model_copy(update={"approval": Approval(tools="ask")})
    context = replace(bench.context, sandbox=Sandbox(level), settings=settings)
    return replace(bench, specialist=specialist, context=context)


@pytest.fixture
async def boxed(bench: Bench) -> Bench:
    if (await probe("auto")).level != "bubblewrap":
        pytest.skip("bubblewrap does not work on this machine")
    (bench.tree / "web" / "deep").mkdir(parents=True)
    for path in ("web/page.html", "web/deep/style.css", "app/view.vue", ".env"):
        (bench.tree / path).write_text("withheld text\n")
    (bench.tree / "node_modules").mkdir()
    (bench.tree / "node_modules" / "index.html").write_text("of a package\n")
    (bench.tree / "empty").mkdir()
    return allowed(bench)


def test_a_folder_that_holds_nothing_else_stands_for_its_files(boxed: Bench) -> None:
    found = {path.relative_to(boxed.tree).as_posix() for path in withheld(boxed)}
    assert found == {"web", "app/view.vue", "web.html", "README.md", ".env"}


async def test_bash_finds_withheld_files_empty_and_all_others_as_they_are(boxed: Bench) -> None:
    said = await bash(boxed, "grep -rs -e withheld -e hello -e package .")
    assert "withheld" not in said
    assert "./app/main.py:print('hello')" in said
    assert "./node_modules/index.html:of a package" in said


@pytest.mark.parametrize("command", ["mv web shown", "rm -f web.html", "cp app/main.py web/page.html"])
async def test_what_is_hidden_can_be_neither_moved_nor_replaced(boxed: Bench, command: str) -> None:
    assert "[exit 1]" in await bash(boxed, command)
    assert (boxed.tree / "web" / "page.html").read_text() == "withheld text\n"
    assert (boxed.tree / "web.html").read_text() == "<p>markup</p>\n"


async def test_there_is_no_repository_that_would_tell(boxed: Bench) -> None:
    for command in ("git log", "git cat-file --batch-all-objects --batch-check"):
        assert "not a git repository" in await bash(boxed, command)


@pytest.mark.parametrize("level", ["landlock", "none"])
async def test_a_weaker_sandbox_asks_before_withheld_files_can_be_read(boxed: Bench, level: SandboxLevel) -> None:
    with pytest.raises(NeedsConsent, match="withheld from this specialist" if level == "landlock" else "no sandbox"):
        await bash(allowed(boxed, level), "ls")


async def test_too_many_withheld_files_are_asked_about(boxed: Bench) -> None:
    for number in range(MOST):
        (boxed.tree / f"page{number}.html").write_text("x")
    with pytest.raises(NeedsConsent, match="withheld from this specialist"):
        await bash(boxed, "ls")


async def test_as_many_as_there_may_be_are_hidden(boxed: Bench) -> None:
    for number in range(MOST - len(withheld(boxed))):
        (boxed.tree / f"page{number}.html").write_text("x")
    assert "[exit 0]" in await bash(boxed, "ls")


@pytest.mark.parametrize(
    "command",
    [
        "mv app app2",
        "mv app app2 && mkdir app && touch app/view.vue",
        "mv app node_modules/app",
        "mkdir deeper && mv app deeper/app && mv deeper app",
    ],
)
async def test_what_moves_with_its_folder_is_put_back(boxed: Bench, command: str) -> None:
    said = await bash(boxed, command)
    assert "[app/view.vue is withheld from this specialist and was put back]\n[exit 0]" in said
    assert (boxed.tree / "app/view.vue").read_text() == "withheld text\n"
    assert [path.relative_to(boxed.tree).as_posix() for path in boxed.tree.rglob("view.vue")] == ["app/view.vue"]
    assert len(list(boxed.tree.rglob("main.py"))) == 1
