"""A chat model whose answers come from a function instead of a server."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.runnables import Runnable
from langchain_core.tools import BaseTool
from langchain_core.utils.function_calling import convert_to_openai_tool


class ToolTaker(BaseChatModel):
    """A chat model that takes tools in every form that LangChain knows."""

    def bind_tools(
        self,
        tools: Sequence[dict[str, Any] | type | Callable[..., Any] | BaseTool],
        *,
        tool_choice: str | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """The model with these tools."""
        chosen = {} if tool_choice is None else {"tool_choice": tool_choice}
        return self.bind(tools=[convert_to_openai_tool(tool) for tool in tools], **chosen, **kwargs)


class RuleModel(ToolTaker):
    """The base of models that compute their answers; one of its two methods is to be defined."""

    def reply(self, messages: Sequence[BaseMessage], tools: Sequence[str]) -> AIMessage:
        """The answer to a conversation; `tools` are the names of the tools at hand."""
        raise NotImplementedError

    def answer(self, messages: Sequence[BaseMessage], options: Mapping[str, Any]) -> AIMessage:
        """The answer to a whole request; `options` are its keyword arguments, with the schemas of its tools."""
        return self.reply(messages, [tool["function"]["name"] for tool in options.get("tools", ())])

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        options = {**kwargs, "stop": stop} if stop else kwargs
        return ChatResult(generations=[ChatGeneration(message=self.answer(messages, options))])
