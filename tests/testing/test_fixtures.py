"""Each test has a cassette of its own, which is kept when it passed."""

from pathlib import Path

import pytest

from backend_coordinator.testing.fixtures import _name

TESTS = """
import pytest
from langchain_core.messages import AIMessage
from backend_coordinator.testing import ScriptedModel

pytest_plugins = ["backend_coordinator.testing.fixtures"]
ECHO = ScriptedModel(script=lambda messages, tools: AIMessage("heard"))

def test_passes(cassette):
    assert cassette(ECHO).invoke("a").text == cassette(ECHO).invoke("b").text

def test_fails(cassette):
    assert cassette(ECHO).invoke("a").text == ""

def test_is_interrupted(cassette):
    cassette(ECHO).invoke("a")
    raise KeyboardInterrupt
"""


def test_only_the_recording_of_a_test_that_passed_is_kept(tmp_path: Path) -> None:
    (tmp_path / "test_own.py").write_text(TESTS)
    options = ["-q", "--import-mode=importlib", "-p", "no:cacheprovider", "-p", "no:faulthandler", "-p", "no:asyncio"]
    assert pytest.main([*options, "--rootdir", str(tmp_path), str(tmp_path)]) == pytest.ExitCode.INTERRUPTED
    assert sorted(path.name for path in (tmp_path / "cassettes" / "test_own").iterdir()) == [
        "test_fails.jsonl.part",
        "test_is_interrupted.jsonl.part",
        "test_passes.jsonl",
    ]


def test_no_two_tests_have_one_name() -> None:
    tests = ["TestA::test_x", "TestB::test_x", "test_x", "test_x[a/b]", "test_x[a b]", "test_x[a-b]", "test_x[-a-b]"]
    tests += [f"test_x[{'a' * 300}]", f"test_x[{'a' * 301}]"]
    names = [_name(f"tests/test_a.py::{test}") for test in tests]
    assert len(set(names)) == len(tests)
    assert max(map(len, names)) < 120
    assert not any(set(name) & set("/ :[]") for name in names)


@pytest.mark.parametrize(
    ("test", "name"), [("TestA::test_x", "TestA.test_x"), ("test_x[get]", "test_x-get"), ("test_x", "test_x")]
)
def test_a_plain_name_stays_readable(test: str, name: str) -> None:
    assert _name(f"tests/test_a.py::{test}") == name
