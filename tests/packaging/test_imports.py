"""Importing the package and asking for help stay cheap: no heavy library is loaded for them."""

import json
import subprocess
import sys

import pytest

import backend_coordinator

HEAVY = {"langgraph", "langchain", "langchain_core", "langchain_openai", "openai", "tiktoken", "numpy"}
HELP = "import sys; from backend_coordinator.cli import app; sys.argv[1:] = ['--help']; app(standalone_mode=False)"


@pytest.mark.parametrize("program", ["import backend_coordinator", "import backend_coordinator.cli", HELP])
def test_no_heavy_library_is_loaded(program: str) -> None:
    report = "import json, sys; print(); print(json.dumps(sorted({n.partition('.')[0] for n in sys.modules})))"
    command = [sys.executable, "-c", f"{program}\n{report}"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert HEAVY.isdisjoint(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize("name", backend_coordinator.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(backend_coordinator, name).__name__ == name


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Coordinatr'"):
        _ = backend_coordinator.Coordinatr
