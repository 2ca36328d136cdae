"""What code of the workspace leaves behind for the coordinator to stumble over once it has ended."""

import os
import socket
from pathlib import Path

import pytest

from backend_coordinator.nodes.gates.scratch import copied
from backend_coordinator.nodes.workspace.environment import Environment, Unit
from backend_coordinator.nodes.workspace.sandbox import Sandbox


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    tree = tmp_path / "tree"
    (tree / "app").mkdir(parents=True)
    (tree / "app" / "main.py").write_text("one = 1\n")
    return Environment((Unit("", "", None),), Sandbox("none"), (), tree)


async def test_special_files_in_a_tree_do_not_keep_it_from_being_copied(
    environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(environment.tree)
    os.mkfifo(environment.tree / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
        async with copied(environment.tree, environment) as scratch:
            assert sorted(os.listdir(scratch.tree)) == ["app"]
            assert (scratch.tree / "app" / "main.py").read_text() == "one = 1\n"


async def test_results_are_neither_links_nor_pipes(environment: Environment, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("untouched")
    async with copied(environment.tree, environment) as scratch:
        place = scratch.results
        command = f"mkdir {place}/d; mkfifo {place}/junit.xml; ln -s {victim} {place}/rehearse.py; echo 1 >{place}/a"
        assert (await scratch.run(["sh", "-c", command])).exit_code == 0
        assert sorted(os.listdir(place)) == ["a", "d"]
        scratch.script("rehearse")
    assert victim.read_text() == "untouched"


async def test_a_link_in_a_closed_folder_of_results_is_removed(environment: Environment, tmp_path: Path) -> None:
    async with copied(environment.tree, environment) as scratch:
        place = scratch.results
        command = f"mkdir -p {place}/d/e; ln -s {tmp_path} {place}/d/e/out; chmod 555 {place}/d/e; chmod 0 {place}/d"
        assert (await scratch.run(["sh", "-c", command])).exit_code == 0
        assert [folder.stat().st_mode & 0o700 for folder in (place / "d", place / "d/e")] == [0o700, 0o700]
        assert not os.listdir(place / "d" / "e")
