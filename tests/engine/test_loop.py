"""The one loop of a process: made once, made anew after a fork, and silent at the end."""

from pathlib import Path

import pytest

from tests.support.runs import python

FORKED = """
import os
from backend_coordinator.graph.loop import in_loop

async def answer():
    return "answered"

print(in_loop(answer()).result(20), flush=True)
if child := os.fork():
    os.waitpid(child, 0)
print(in_loop(answer()).result(20), flush=True)
"""
AT_ONCE = """
import asyncio, threading
from contextlib import suppress
from backend_coordinator.graph.loop import in_loop

make, all_here = asyncio.new_event_loop, threading.Barrier(4)

def make_together():
    with suppress(threading.BrokenBarrierError):
        all_here.wait(1)
    return make()

async def here():
    return asyncio.get_running_loop()

asyncio.new_event_loop = make_together
found = set()
threads = [threading.Thread(target=lambda: found.add(in_loop(here()).result(20))) for _ in range(4)]
for each in threads:
    each.start()
for each in threads:
    each.join()
print(len(found))
"""
LEFT = """
import os, sys
from http.server import BaseHTTPRequestHandler
from backend_coordinator import Coordinator
from backend_coordinator.testing import ScriptedModel
from tests.support.batches import SCRIPT
from tests.support.openai_server import serving

BaseHTTPRequestHandler.protocol_version = "HTTP/1.1"
with serving(ScriptedModel(script=SCRIPT)) as env:
    os.environ.update(env)
    coordinator = Coordinator("openai:test-model", sys.argv[1], init=True)
    coordinator.plan("files of good-1")
    next(iter(coordinator.start("files of good-2").events()))
print("left")
"""


@pytest.mark.parametrize(
    ("program", "printed"),
    [(FORKED, "answered\n" * 3), (AT_ONCE, "1\n"), (LEFT, "left\n")],
    ids=["fork", "once", "end"],
)
@pytest.mark.slow
def test_a_process_has_one_loop_that_works_and_ends_without_a_word(program: str, printed: str, tmp_path: Path) -> None:
    done = python("-W", "default::ResourceWarning", "-c", program, str(tmp_path / "new"))
    assert (done.stdout, done.returncode) == (printed, 0), done.stderr
    assert "ResourceWarning" not in done.stderr
