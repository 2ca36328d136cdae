"""A chat model around another one."""

from abc import abstractmethod
from collections.abc import Callable
from typing import Any

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult

from backend_coordinator.nodes.models.call import is_openai, place_of
from backend_coordinator.nodes.models.completion import assembled, demand_whole
from backend_coordinator.nodes.models.faults import Fault, Kind
from backend_coordinator.nodes.models.rules import ToolTaker

Then = Callable[[AIMessage], AIMessage]


class Wrapper(ToolTaker):
    """Asks `inner`, as whose server and name it goes."""

    inner: BaseChatModel

    @abstractmethod
    def _begin(self, messages: list[BaseMessage], options: dict[str, Any]) -> Then:
        """What is done with the answer to this request; it may raise instead of letting it be sent."""

    @property
    def _llm_type(self) -> str:
        return type(self).__name__.lower()

    @property
    def base_url(self) -> str:
        """The server of the inner model."""
        return place_of(self.inner)[0]

    @property
    def model(self) -> str:
        """The name of the inner model."""
        return place_of(self.inner)[1]

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        bound, then = self._ready(messages, stop, kwargs)
        if getattr(self.inner, "streaming", False):
            return self._result(assembled(list(bound.stream(messages)), running=is_openai(self.inner)), then)
        return self._result(bound.invoke(messages), then)

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        bound, then = self._ready(messages, stop, kwargs)
        if getattr(self.inner, "streaming", False):
            chunks = [chunk async for chunk in bound.astream(messages)]
            return self._result(assembled(chunks, running=is_openai(self.inner)), then)
        return self._result(await bound.ainvoke(messages), then)

    def _ready(self, messages: list[BaseMessage], stop: list[str] | None, more: dict[str, Any]) -> tuple[Any, Then]:
        options = {**more, "stop": stop} if stop else more
        others = {name: value for name, value in options.items() if name != "tools"}
        then = self._begin(messages, options)
        return (self.inner.bind_tools(more["tools"], **others) if "tools" in more else self.inner.bind(**others)), then

    def _result(self, reply: AIMessage, then: Then) -> ChatResult:
        """Raises Fault for a message that was cut, which only the inner model's protocol can tell."""
        try:
            demand_whole(reply, ends=is_openai(self.inner))
        except Fault as fault:
            if fault.kind is Kind.CUT:
                raise
        return ChatResult(generations=[ChatGeneration(message=then(reply))])
