"""A model that does what a function says."""

from collections.abc import Callable, Mapping, Sequence

from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.messages.tool import tool_call

from backend_coordinator.nodes.models.rules import RuleModel

Script = Callable[[Sequence[BaseMessage], Sequence[str]], AIMessage]


class ScriptedModel(RuleModel):
    """A chat model whose every answer is `script(messages, tool_names)`.

    The script should decide by what it is shown and not by how often it was called, so that a resumed run sees the
    same answers.
    """

    script: Script

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def reply(self, messages: Sequence[BaseMessage], tools: Sequence[str]) -> AIMessage:
        """What the script says."""
        return self.script(messages, tools)


def calls(*made: tuple[str, Mapping[str, object]], turn: int = 0) -> AIMessage:
    """An assistant message that calls tools: `calls(("write", {"path": "a.py", "content": ""}))`."""
    return AIMessage(
        "", tool_calls=[tool_call(name=n, args=dict(a), id=f"{turn}-{i}") for i, (n, a) in enumerate(made)]
    )
