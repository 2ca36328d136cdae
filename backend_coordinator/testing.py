"""Test doubles for flows built on this package: a model that does what a function says."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.messages.tool import tool_call
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.runnables import Runnable
from langchain_core.tools import BaseTool

Script = Callable[[Sequence[BaseMessage], Sequence[str]], AIMessage]


class ScriptedModel(BaseChatModel):
    """A chat model whose every answer is `script(messages, tool_names)`.

    The script should decide by what it is shown and not by how often it was called, so that a resumed run sees the
    same answers.
    """

    script: Script

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def bind_tools(
        self,
        tools: Sequence[dict[str, Any] | type | Callable[..., Any] | BaseTool],
        *,
        tool_choice: str | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """The model with these tools; only the dictionary form is taken."""
        return self.bind(tools=tools, **kwargs)

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        names = [tool["function"]["name"] for tool in kwargs.get("tools", ())]
        return ChatResult(generations=[ChatGeneration(message=self.script(messages, names))])


def calls(*made: tuple[str, Mapping[str, object]], turn: int = 0) -> AIMessage:
    """An assistant message that calls tools: `calls(("write", {"path": "a.py", "content": ""}))`."""
    return AIMessage(
        "", tool_calls=[tool_call(name=n, args=dict(a), id=f"{turn}-{i}") for i, (n, a) in enumerate(made)]
    )
