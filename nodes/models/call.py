"""One model call: the only place that sends, waits and retries."""

from collections.abc import Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from langchain_core.messages import AIMessage, AIMessageChunk, AnyMessage
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, stop_after_attempt, wait_random_exponential

from backend_coordinator.domain.usage import Price, Usage
from backend_coordinator.nodes.models.clock import CLOCK, Clock
from backend_coordinator.nodes.models.completion import assembled, demand_whole, readable
from backend_coordinator.nodes.models.endpoint import Endpoint, Pass, Rates, endpoint_of
from backend_coordinator.nodes.models.faults import Fault, Kind, fault_of
from backend_coordinator.nodes.models.prices import money_of
from backend_coordinator.nodes.models.rules import RuleModel
from backend_coordinator.settings import ModelSettings

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

CHARACTERS_PER_TOKEN = 4
_BACKOFF = wait_random_exponential(multiplier=0.5, max=20)
_TRIES_OF_STRANGERS = 2
"""Requests to a server that never answered: more would only delay the message that it cannot be reached."""


@dataclass(frozen=True)
class Request:
    """What is sent: messages, and the tools or the form of the answer as the provider takes them."""

    messages: Sequence[AnyMessage]
    tools: Sequence[Mapping[str, object]] = ()
    options: Mapping[str, object] | None = None
    """More keyword arguments of the model's call, such as `extra_body`."""

    @property
    def tokens(self) -> int:
        """An estimate of its size, for limits per minute."""
        return 1 + sum(len(str(message.content)) for message in self.messages) // CHARACTERS_PER_TOKEN


async def call_model(
    model: "BaseChatModel", request: Request, terms: ModelSettings, *, clock: Clock = CLOCK
) -> tuple[AIMessage, Usage]:
    """One complete assistant message, and what it took to get it.

    Raises ModelUnavailable where only a person can help (key, account, model name, address), else ModelCallFailed
    with the kind of the fault: refused, filtered, cut off, empty, too long, out of time, or out of attempts.
    """
    server, name = place_of(model)
    endpoint, where = endpoint_of(server, name), f"model {name} at {server}"
    bound: Any = model.bind_tools([dict(tool) for tool in request.tools]) if request.tools else model
    ready = bound.bind(**request.options) if request.options else bound
    sender = _Sender(model, ready, endpoint, terms, clock, where)
    started, spent = clock.now(), Usage()
    fault: Fault | None = None
    attempts = AsyncRetrying(
        stop=stop_after_attempt(terms.attempts),
        wait=_pause,
        retry=retry_if_exception(lambda error: isinstance(error, Fault) and error.again),
        sleep=clock.sleep,
        reraise=True,
    )
    tried = 0
    try:
        async with clock.limit(terms.seconds):
            async for attempt in attempts:
                with attempt:
                    tried = attempt.retry_state.attempt_number
                    try:
                        reply, used = await sender.send(request, started + terms.seconds)
                    except Fault as error:
                        fault, spent = error, spent + error.usage
                        raise sender.told(error, tried) from error.__cause__
    except TimeoutError as error:
        said = f"no answer within {terms.seconds:g} s" + (f", {fault} before" if fault else "")
        raise Fault(Kind.LATE, said, usage=spent + Usage(retries=max(0, tried - 1))).error() from error
    except Fault as last:
        last.usage = spent + Usage(retries=tried - 1)
        raise last.error(tried) from last.__cause__
    return reply, spent + used + Usage(retries=tried - 1, seconds=clock.now() - started)


def _pause(state: RetryCallState) -> float:
    """Backs off, unless the endpoint keeps everybody waiting anyhow."""
    error = state.outcome.exception() if state.outcome else None
    return 0.0 if isinstance(error, Fault) and error.kind is Kind.RATE_LIMITED else _BACKOFF(state)


@dataclass(frozen=True)
class _Sender:
    model: "BaseChatModel"
    bound: Any
    endpoint: Endpoint
    terms: ModelSettings
    clock: Clock
    where: str

    async def send(self, request: Request, deadline: float) -> tuple[AIMessage, Usage]:
        """One request, once it may be sent, to its whole message. Raises Fault."""
        rates = Rates(self.terms.requests_per_minute, self.terms.tokens_per_minute)
        passed = await self.endpoint.admit(self.clock, deadline, request.tokens, rates)
        try:
            reply = await self._received(request.messages)
        except Exception as error:
            fault = fault_of(error, self.clock.wall(), self.where)
            self.endpoint.failed(passed, fault, self.clock)
            raise fault from error
        except BaseException:  # cancelled, or out of time
            self.endpoint.left()
            raise
        return self._settled(reply, passed)

    def _settled(self, reply: AIMessage, passed: Pass) -> tuple[AIMessage, Usage]:
        used = usage_of(self.model, reply, self.terms.prices)
        self.endpoint.succeeded(passed, used.input_tokens + used.output_tokens)
        try:
            return demand_whole(reply, ends=is_openai(self.model)), used
        except Fault as fault:
            fault.usage = used.model_copy(update={"model_calls": int(not fault.again)})
            raise

    async def _received(self, asked: Sequence[AnyMessage]) -> AIMessage:
        messages = list(asked)
        if not getattr(self.model, "streaming", False):
            reply = await self.bound.ainvoke(messages)
            return readable(reply) if isinstance(reply, AIMessage) else AIMessage(str(reply))
        chunks: list[AIMessageChunk] = []
        async with (
            self.clock.limit(self.terms.idle_seconds) as silence,
            aclosing(self.bound.astream(messages)) as stream,
        ):
            async for chunk in stream:
                silence.again()
                chunks.append(chunk)
        return assembled(chunks)

    def told(self, fault: Fault, tried: int) -> Fault:
        """The fault, or what it means of a server that nobody ever reached."""
        if fault.kind is not Kind.ABSENT or self.endpoint.answered or tried < _TRIES_OF_STRANGERS:
            return fault
        said = f"{self.where} cannot be reached: start the server, or correct OPENAI_BASE_URL"
        return Fault(Kind.UNREACHABLE, said)


def is_openai(model: "BaseChatModel") -> bool:
    """Whether the model speaks OpenAI's protocol, in which every message says why it ended."""
    return any(base.__name__ == "BaseChatOpenAI" for base in type(model).__mro__)


def place_of(model: "BaseChatModel") -> tuple[str, str]:
    """Server and model as people know them; a model without a server is a place of its own."""
    root = getattr(model, "root_async_client", None) or getattr(model, "async_client", None)
    address = getattr(root, "base_url", None) or getattr(model, "base_url", None)
    name = getattr(model, "model_name", None) or getattr(model, "model", None) or type(model).__name__
    return str(address or f"{type(model).__name__}-{id(model)}").rstrip("/"), str(name)


def usage_of(model: "BaseChatModel", reply: AIMessage, prices: Mapping[str, Price]) -> Usage:
    """What one answer used, as its provider counted; money where the price is known.

    Models of rules count only what they say, and cost nothing but by a price of the user's own.
    """
    counted, ruled = reply.usage_metadata, isinstance(model, RuleModel)
    if counted is None:
        return Usage(model_calls=1, uncounted_calls=int(not ruled), unpriced_calls=int(not ruled))
    used = Usage(
        model_calls=1,
        input_tokens=counted["input_tokens"],
        output_tokens=counted["output_tokens"],
        cached_tokens=counted.get("input_token_details", {}).get("cache_read", 0) or 0,
    )
    server, name = place_of(model)
    money = 0.0 if ruled and name not in prices else money_of(server, name, used, prices)
    return used.model_copy(update={"money": money or 0.0, "unpriced_calls": int(money is None)})
