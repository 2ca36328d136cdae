"""`langgraph dev` serves the repository's own langgraph.json: schemas, the drawing, a stream, a question, its answer.

It is skipped where langgraph-cli[inmem] is not installed.
"""

import json
import os
import shlex
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from langgraph_sdk import get_client

from tests.support.parents import GUIDE
from tests.support.runs import ROOT

pytestmark = pytest.mark.slow
pytest.importorskip("langgraph_api")
SCENE = """
from pathlib import Path
from tests.support.department import department
from tests.support.parents import PLAN, guided, node
from tests.support.runs import coordinator

graph = node([coordinator(Path("shop"), department(PLAN, guided))]).compile()
"""
ASKING = '[approval]\nplan = "ask"\n'


@pytest.fixture
def served(shop: Path, tmp_path: Path) -> Iterator[str]:
    """The server's address: the repository's graph, and one with scripted models."""
    settings = json.loads((ROOT / "langgraph.json").read_text())
    (name,) = settings["graphs"].values()
    source = ROOT / name.partition(":")[0]
    (tmp_path / "notebooks").mkdir()
    shutil.copy(source, tmp_path / "notebooks")
    (tmp_path / "sample").mkdir()
    (tmp_path / "sample" / "backend-coordinator.toml").write_text(ASKING)
    (tmp_path / "scene.py").write_text(SCENE)
    settings["graphs"]["scene"] = "./scene.py:graph"
    (tmp_path / "langgraph.json").write_text(json.dumps(settings))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = f"-m langgraph_cli dev --host 127.0.0.1 --port {port} --no-browser --no-reload --allow-blocking"
    quiet = {"LANGSMITH_TRACING": "false", "LANGGRAPH_CLI_NO_ANALYTICS": "1", "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [sys.executable, *shlex.split(command)],
        cwd=tmp_path,
        env={**os.environ, **quiet},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as server:
        assert server.stdout is not None
        heard = []
        for line in server.stdout:
            heard.append(line)
            if "Application started up" in line:
                break
        else:
            pytest.fail("".join(heard))
        yield f"http://127.0.0.1:{port}"
        server.terminate()
        server.stdout.read()


async def test_schemas_the_drawing_a_stream_and_an_answer_over_http(served: str) -> None:
    reject = {"decision": "reject", "text": "later", "by": "lead"}
    for graph, wish, answer, end in (
        ("backend", "CRUD API for notes with title", reject, "not accepted: the plan was rejected by lead"),
        ("scene", "three files", GUIDE, "accepted, "),
    ):
        client = get_client(url=served)
        (assistant,) = await client.assistants.search(graph_id=graph)
        schemas = await client.assistants.get_schemas(assistant["assistant_id"])
        assert "messages" in schemas["input_schema"]["properties"]
        drawn = await client.assistants.get_graph(assistant["assistant_id"], xray=True)
        assert "backend" in [node["id"] for node in drawn["nodes"]]
        thread = (await client.threads.create())["thread_id"]
        asked: dict[str, Any] = {"messages": [{"role": "user", "content": wish}]}
        streamed = client.runs.stream(thread, graph, input=asked, stream_mode=["updates"], stream_subgraphs=True)
        parts = [part.event async for part in streamed]
        assert any(part.startswith("updates|backend:") for part in parts), parts
        (waiting,) = (await client.threads.get_state(thread))["tasks"][0]["interrupts"]
        ended = await client.runs.wait(thread, graph, command={"resume": {waiting["id"]: answer}})
        assert ended["messages"][-1]["content"].startswith(end)
