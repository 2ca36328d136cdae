"""A chat model behind OpenAI's Responses API: what a server of `tests.faults.server` plays."""

import json
from collections.abc import Iterator

from langchain_core.messages import AIMessage

from tests.faults.server import Asked, Response, json_body
from tests.support.openai_server import Json, answered


def responses(asked: Asked) -> Response:
    """The model's answer to a request for `/v1/responses`."""
    answer = answered(asked.model, _as_chat(asked.body))
    whole = _whole(answer, asked.body["model"])
    if not asked.streaming:
        return json_body(whole)
    events = [{**event, "sequence_number": number} for number, event in enumerate(_events(whole))]
    return Response([f"event: {e['type']}\ndata: {json.dumps(e)}\n\n" for e in events], kind="text/event-stream")


def _as_chat(body: Json) -> Json:
    """The same request as one for chat completions."""
    functions = [{name: value for name, value in tool.items() if name != "type"} for tool in body.get("tools", ())]
    chat: Json = {"messages": list(_messages(body["input"]))}
    if functions:
        chat["tools"] = [{"type": "function", "function": function} for function in functions]
    if form := body.get("text", {}).get("format"):
        chat["response_format"] = {"type": form["type"], "json_schema": form}
    return chat


def _messages(items: list[Json]) -> Iterator[Json]:
    """Calls that stand together are one message."""
    calls: list[Json] = []
    for item in items:
        if item["type"] == "function_call":
            function = {"name": item["name"], "arguments": item["arguments"]}
            calls.append({"id": item["call_id"], "type": "function", "function": function})
            continue
        if calls:
            yield {"role": "assistant", "content": "", "tool_calls": calls}
            calls = []
        if item["type"] == "function_call_output":
            yield {"role": "tool", "tool_call_id": item["call_id"], "content": item["output"]}
        else:
            text = item["content"]
            said = text if isinstance(text, str) else "".join(part["text"] for part in text)
            yield {"role": item["role"], "content": said}


def _whole(answer: AIMessage, model: str) -> Json:
    output: list[Json] = []
    if answer.text:
        content = [{"type": "output_text", "text": str(answer.text), "annotations": []}]
        output.append(
            {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": content}
        )
    for number, call in enumerate(answer.tool_calls):
        arguments = json.dumps(call["args"])
        item = {"type": "function_call", "id": f"fc_{number}", "call_id": call["id"], "name": call["name"]}
        output.append({**item, "arguments": arguments, "status": "completed"})
    details = {"input_tokens_details": {"cached_tokens": 0}, "output_tokens_details": {"reasoning_tokens": 0}}
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 0,
        "model": model,
        "status": "completed",
        "output": output,
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": {"input_tokens": 100, "output_tokens": 10, "total_tokens": 110, **details},
    }


def _events(whole: Json) -> Iterator[Json]:
    yield {"type": "response.created", "response": {**whole, "status": "in_progress", "output": [], "usage": None}}
    for number, item in enumerate(whole["output"]):
        at = {"output_index": number, "item_id": item["id"]}
        if item["type"] == "message":
            yield {"type": "response.output_item.added", "output_index": number, "item": {**item, "content": []}}
            text, event = item["content"][0]["text"], {**at, "type": "response.output_text.delta", "content_index": 0}
        else:
            yield {"type": "response.output_item.added", "output_index": number, "item": {**item, "arguments": ""}}
            text, event = item["arguments"], {**at, "type": "response.function_call_arguments.delta"}
        half = len(text) // 2
        yield from ({**event, "delta": part, "logprobs": []} for part in (text[:half], text[half:]))
        yield {"type": "response.output_item.done", "output_index": number, "item": item}
    yield {"type": "response.completed", "response": whole}
