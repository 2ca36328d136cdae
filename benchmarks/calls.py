"""What a model call costs beside ChatOpenAI's own ainvoke: CPU seconds of this process, the server in another."""

import asyncio
import json
import os
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, SystemMessage

from backend_coordinator.nodes.models.call import Request, call_model
from backend_coordinator.nodes.models.resolve import resolve_model
from backend_coordinator.settings import ModelSettings

BOUND = 1.5
ROUNDS, CALLS, WARM_UP = 9, 10, 3
PIECE = 24
"""Characters of a chunk."""
TEXT = "I write the module and its tests now. "
CALLED = [
    {"id": f"call_{n}", "name": "write", "arguments": json.dumps({"path": f"app/{n}.py", "content": "x = 1\n" * 330})}
    for n in range(2)
]
USAGE = {"prompt_tokens": 900, "completion_tokens": 1100, "total_tokens": 2000}
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": name,
            "description": f"{name.capitalize()}s a file of the workspace.",
            "parameters": {
                "type": "object",
                "properties": {key: {"type": "string", "description": key} for key in ("path", "content", "pattern")},
                "required": ["path"],
            },
        },
    }
    for name in ("read", "grep", "glob", "list", "write", "edit", "bash", "submit")
]
ASKED: list[AnyMessage] = [
    SystemMessage("You are python-pro. " * 50),
    HumanMessage("Add an endpoint for notes. " * 80),
    AIMessage("I look at what is there first. " * 10),
    HumanMessage("Go on. " * 10),
]


def _frame(kind: str, choice: dict[str, Any] | None, usage: dict[str, int] | None = None) -> str:
    choices = [choice] if choice else []
    head = {"id": "chatcmpl-1", "object": kind, "created": 0, "model": "test-model"}
    return json.dumps({**head, "choices": choices, "usage": usage})


def _body() -> bytes:
    calls = [
        {"id": each["id"], "type": "function", "function": {"name": each["name"], "arguments": each["arguments"]}}
        for each in CALLED
    ]
    message = {"role": "assistant", "content": TEXT, "tool_calls": calls}
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls"}
    return _frame("chat.completion", choice, USAGE).encode()


def _events() -> bytes:
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": TEXT}]
    for index, call in enumerate(CALLED):
        text = call["arguments"]
        first = {"index": index, "id": call["id"], "type": "function", "function": {"name": "write", "arguments": ""}}
        deltas.append({"tool_calls": [first]})
        pieces = [text[at : at + PIECE] for at in range(0, len(text), PIECE)]
        deltas += [{"tool_calls": [{"index": index, "function": {"arguments": piece}}]} for piece in pieces]
    kind = "chat.completion.chunk"
    frames = [_frame(kind, {"index": 0, "delta": delta, "finish_reason": None}) for delta in deltas]
    frames += [_frame(kind, {"index": 0, "delta": {}, "finish_reason": "tool_calls"}), _frame(kind, None, USAGE)]
    return "".join(f"data: {frame}\n\n" for frame in [*frames, "[DONE]"]).encode()


def serve(ready: Connection) -> None:
    """Answers every request with the same message; sends its port through `ready` first."""
    whole, events = _body(), _events()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            streaming = json.loads(self.rfile.read(int(self.headers["Content-Length"]))).get("stream")
            body = events if streaming else whole
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream" if streaming else "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    ready.send(server.server_port)
    server.serve_forever()


class Row(NamedTuple):
    """CPU milliseconds of one call, the median of all rounds, and of the rounds' ratios."""

    mode: str
    own: float
    ainvoke: float
    ratio: float


async def _spent(call: Callable[[], Awaitable[object]]) -> float:
    began = time.process_time()
    for _ in range(CALLS):
        await call()
    return (time.process_time() - began) / CALLS * 1000


async def measured(*, streaming: bool) -> Row:
    """Rounds of both ways in turn."""
    from langchain_openai import ChatOpenAI

    terms = ModelSettings(streaming=streaming)
    model, request = resolve_model("openai:test-model", terms), Request(ASKED, tools=TOOLS)
    plain = ChatOpenAI(
        model="test-model",
        streaming=streaming,
        stream_usage=streaming,
        use_responses_api=False,
        max_retries=0,
        stream_chunk_timeout=None,
    ).bind_tools(TOOLS)

    async def ours() -> None:
        reply, _ = await call_model(model, request, terms)
        assert len(reply.tool_calls) == len(CALLED)

    async def theirs() -> None:
        reply = await plain.ainvoke(ASKED)
        assert len(reply.tool_calls) == len(CALLED)

    for _ in range(WARM_UP):
        await ours()
        await theirs()
    rounds = [(await _spent(ours), await _spent(theirs)) for _ in range(ROUNDS)]
    own, other = (statistics.median(column) for column in zip(*rounds, strict=True))
    return Row("streaming" if streaming else "whole", own, other, statistics.median(a / b for a, b in rounds))


async def both() -> list[Row]:
    """Streaming and not; in one loop, since connections are shared and belong to it."""
    return [await measured(streaming=streaming) for streaming in (True, False)]


def main() -> int:
    """Prints the table, or JSON with `--json`; 1 when either mode is above the bound."""
    here, there = get_context("spawn").Pipe(duplex=False)
    server = get_context("spawn").Process(target=serve, args=(there,), daemon=True)
    server.start()
    os.environ.update(OPENAI_BASE_URL=f"http://127.0.0.1:{here.recv()}/v1", OPENAI_API_KEY="local-test-key")
    try:
        rows = asyncio.run(both())
    finally:
        server.terminate()
        server.join()
    good = all(row.ratio <= BOUND for row in rows)
    if "--json" in sys.argv:
        told = {"bound": BOUND, "rows": [row._asdict() for row in rows], "good": good}
        sys.stdout.write(json.dumps(told, indent=1) + "\n")
    else:
        for row in rows:
            sys.stdout.write(f"{row.mode:<10} {row.own:6.2f} ms  ainvoke {row.ainvoke:6.2f} ms  {row.ratio:.2f}\n")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
