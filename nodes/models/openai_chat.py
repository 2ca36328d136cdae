"""ChatOpenAI without two of its losses: refusals in streams, and pieces of tool calls that carry no index."""

from typing import Any

from langchain_core.outputs import ChatGenerationChunk
from langchain_openai import ChatOpenAI


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
