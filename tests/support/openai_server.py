"""A chat model behind the HTTP interface of OpenAI's chat completions, on this machine only."""

import json
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, convert_to_messages

Json = dict[str, Any]
PROMPT_TOKENS, COMPLETION_TOKENS = 100, 10
USAGE = {
    "prompt_tokens": PROMPT_TOKENS,
    "completion_tokens": COMPLETION_TOKENS,
    "total_tokens": PROMPT_TOKENS + COMPLETION_TOKENS,
}


class Listening(ThreadingHTTPServer):
    """Takes many connections at once; with the usual five, the rest wait for the kernel to send again."""

    daemon_threads = True
    request_queue_size = 128


@contextmanager
def serving(model: BaseChatModel) -> Iterator[dict[str, str]]:
    """Serves `model`; the value is the environment that leads a client there."""

    kept: list[socket.socket] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"  # connections are kept, as those of real servers are

        def setup(self) -> None:
            super().setup()
            kept.append(self.connection)

        def do_POST(self) -> None:
            asked: Json = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if self.path != "/v1/chat/completions":
                self._send(404, "application/json", json.dumps({"error": {"message": "no such path"}}))
                return
            answer = answered(model, asked)
            if asked.get("stream"):
                lines = [f"data: {json.dumps(chunk)}\n\n" for chunk in chunks(answer, asked["model"])]
                self._send(200, "text/event-stream", "".join(lines) + "data: [DONE]\n\n")
            else:
                self._send(200, "application/json", json.dumps(completion(answer, asked["model"])))

        def _send(self, status: int, kind: str, text: str) -> None:
            body = text.encode()
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None: ...

    server = Listening(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield {"OPENAI_BASE_URL": f"http://127.0.0.1:{server.server_port}/v1", "OPENAI_API_KEY": "local-test-key"}
    finally:
        server.shutdown()
        server.server_close()
        for connection in kept:
            with suppress(OSError):  # the client has closed it
                connection.shutdown(socket.SHUT_RDWR)
        thread.join()


def answered(model: BaseChatModel, body: Json) -> AIMessage:
    """What the model says to a request; a `response_format` becomes a tool, and its arguments the text."""
    form = body.get("response_format", {}).get("json_schema")
    tools = [{"type": "function", "function": {"name": form["name"], "parameters": form["schema"]}}] if form else []
    bound = model.bind_tools([*body.get("tools", []), *tools]) if tools or body.get("tools") else model
    answer = bound.invoke(convert_to_messages(body["messages"]))
    assert isinstance(answer, AIMessage)
    if form and [call["name"] for call in answer.tool_calls] == [form["name"]]:
        return AIMessage(json.dumps(answer.tool_calls[0]["args"]))
    return answer


def _calls(answer: AIMessage) -> list[Json]:
    return [
        {
            "index": number,
            "id": call["id"],
            "type": "function",
            "function": {"name": call["name"], "arguments": json.dumps(call["args"])},
        }
        for number, call in enumerate(answer.tool_calls)
    ]


def _frame(model: str, kind: str, choices: list[Json], usage: Mapping[str, int] | None) -> Json:
    return {"id": "chatcmpl-1", "object": kind, "created": 0, "model": model, "choices": choices, "usage": usage}


def _ending(answer: AIMessage) -> str:
    return "tool_calls" if answer.tool_calls else "stop"


def completion(answer: AIMessage, model: str) -> Json:
    """The answer as one body."""
    message: Json = {"role": "assistant", "content": str(answer.text) or None}
    if answer.tool_calls:
        message["tool_calls"] = _calls(answer)
    choice = {"index": 0, "message": message, "finish_reason": _ending(answer)}
    return _frame(model, "chat.completion", [choice], USAGE)


def chunks(answer: AIMessage, model: str) -> Iterator[Json]:
    """The answer in pieces: arguments are cut in two, as a real server does at any place."""
    deltas: list[Json] = [{"role": "assistant", "content": str(answer.text)}]
    for call in _calls(answer):
        text = call["function"]["arguments"]
        half = len(text) // 2
        first = {**call, "function": {**call["function"], "arguments": text[:half]}}
        deltas.append({"tool_calls": [first]})
        deltas.append({"tool_calls": [{"index": call["index"], "function": {"arguments": text[half:]}}]})
    for delta in deltas:
        yield _frame(model, "chat.completion.chunk", [{"index": 0, "delta": delta, "finish_reason": None}], None)
    last = {"index": 0, "delta": {}, "finish_reason": _ending(answer)}
    yield _frame(model, "chat.completion.chunk", [last], None)
    yield _frame(model, "chat.completion.chunk", [], USAGE)
