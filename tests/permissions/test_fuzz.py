"""Real bash does nothing for an allowed line but what was read from it; how the fuzz looks at that."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from backend_coordinator.nodes.workspace.sandbox import probe

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
pytestmark = pytest.mark.skipif(not BENCHMARKS.is_dir(), reason="the benchmarks stand beside the sources alone")


@pytest.fixture(autouse=True)
def benchmarks(monkeypatch: pytest.MonkeyPatch) -> None:
    """The scripts of the benchmarks import one another by name."""
    monkeypatch.syspath_prepend(BENCHMARKS)


@pytest.fixture
async def confined() -> None:
    """Hostile lines run under bubblewrap or not at all."""
    if (await probe("auto")).level != "bubblewrap" or not shutil.which("bash"):
        pytest.skip("bubblewrap or bash does not work here")


@pytest.mark.usefixtures("confined")
@pytest.mark.parametrize("count", [2_000, pytest.param(50_000, marks=pytest.mark.slow)])
def test_no_allowed_line_does_more_than_was_read_from_it(count: int) -> None:
    command = [sys.executable, f"{BENCHMARKS}/bash_fuzz.py", "--json", "--lines", str(count), "--seed", "tests"]
    done = subprocess.run(command, capture_output=True, text=True)
    told = json.loads(done.stdout)
    assert told["holes"] == []
    assert told["allowed"] >= count * 0.05
    assert told["control_holes"] >= min(100, count // 100)
    assert done.returncode == 0


@pytest.mark.usefixtures("confined")
def test_what_real_bash_does_is_seen() -> None:
    from bash_runs import Deed, run

    did = run(
        [
            "git log 'a b' \"\" \\\n&& (npm test >/dev/null 2>&1 &)",
            "git $(rm x)",
            "test -e x",
            "git log > f",
            "git log < /etc/passwd",
            "kill -9 $PPID",
            "$'\\x67it' \udc80",
            "(((",
        ],
        "C.UTF-8",
    )
    program = {number: [deed.words for deed in deeds if deed.kind == "program"] for number, deeds in did.items()}
    assert sorted(program[0]) == [("git", "log", "a b", ""), ("npm", "test")]
    assert program[1] == [("rm", "x"), ("git",)]
    assert did[2] == [Deed("traced", ("test",))]
    assert Deed("file", ("f",)) in did[3]
    assert Deed("file", ("fd 0",)) in did[4]
    assert Deed("hang") in did[5]
    assert program[6] == [("git", "\udc80")]
    assert 7 not in did


def test_the_lines_are_the_seed_s_and_know_nothing_of_the_judge() -> None:
    code = "import sys, bash_lines; print(ascii([*bash_lines.lines(sys.argv[1], 500)])); print(*sys.modules)"
    command = [sys.executable, "-c", code]
    ran = [subprocess.run([*command, seed], cwd=BENCHMARKS, capture_output=True, text=True) for seed in "001"]
    first, again, other = (done.stdout.splitlines() for done in ran)
    assert first[0] == again[0] != other[0]
    assert "backend_coordinator" not in first[1].split()
