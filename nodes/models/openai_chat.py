"""OpenAI's clients without what they lose or do on their own: refusals, pieces of tool calls, retries, shared loops."""

import asyncio
import json
import threading
from typing import Any
from weakref import WeakKeyDictionary

from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langchain_openai import ChatOpenAI
from langchain_openai.chat_models.base import BaseChatOpenAI
from openai import AsyncOpenAI, DefaultAsyncHttpxClient


class OpenAIChat(ChatOpenAI):
    """The client for every server that speaks OpenAI's protocol."""

    def _convert_chunk_to_generation_chunk(
        self, chunk: dict[str, Any], default_chunk_class: type, base_generation_info: dict[str, Any] | None
    ) -> ChatGenerationChunk | None:
        deltas = [choice.get("delta") or {} for choice in chunk.get("choices") or ()]
        for call in [call for delta in deltas for call in delta.get("tool_calls") or ()]:
            call.setdefault("index", None)  # without the key the whole call would be dropped
        made = super()._convert_chunk_to_generation_chunk(chunk, default_chunk_class, base_generation_info)
        if made is not None and (refusal := "".join(delta.get("refusal") or "" for delta in deltas)):
            made.message.additional_kwargs["refusal"] = refusal
        return made

    def _create_chat_result(self, response: Any, generation_info: dict[str, Any] | None = None) -> ChatResult:
        messages = [getattr(choice, "message", None) for choice in getattr(response, "choices", None) or ()]
        for call in [call for message in messages for call in getattr(message, "tool_calls", None) or ()]:
            function: Any = getattr(call, "function", None)
            if isinstance(getattr(function, "arguments", None), dict):  # some servers send them parsed
                function.arguments = json.dumps(function.arguments)
        return super()._create_chat_result(response, generation_info)


class _Clients:
    """The connections of one event loop, and the clients that use them by those that they are copies of."""

    def __init__(self) -> None:
        self.connections = DefaultAsyncHttpxClient()
        self.copies: WeakKeyDictionary[AsyncOpenAI, AsyncOpenAI] = WeakKeyDictionary()


_by_loop: dict[asyncio.AbstractEventLoop, _Clients] = {}
_changing = threading.Lock()


def for_this_loop(model: BaseChatOpenAI, *, counted: bool) -> BaseChatOpenAI:
    """A copy of the model that never retries and has connections of the running loop only; the model stays as it is.

    A connection of one loop cannot be used in another. An HTTP client that the user gave is kept. Without `counted`
    the server is not asked to count what a stream uses.
    """
    changes: dict[str, object] = {} if counted else {"stream_usage": False}
    if root := model.root_async_client:
        client = _client(root, own=model.http_async_client is not None)
        changes |= {"root_async_client": client, "async_client": client.chat.completions}
    return model.model_copy(update=changes)


def _client(root: AsyncOpenAI, *, own: bool) -> AsyncOpenAI:
    clients = _of_loop(asyncio.get_running_loop())
    if root not in clients.copies:
        http = None if own else clients.connections
        clients.copies[root] = root.with_options(max_retries=0, http_client=http)
    return clients.copies[root]


def _of_loop(loop: asyncio.AbstractEventLoop) -> _Clients:
    """A loop's own; what closed loops had is dropped, since their connections keep them alive."""
    with _changing:
        if loop not in _by_loop:
            for ended in [each for each in _by_loop if each.is_closed()]:
                del _by_loop[ended]
            _by_loop[loop] = _Clients()
        return _by_loop[loop]
