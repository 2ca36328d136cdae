"""One model call: the only place that sends, waits and retries."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Any
from weakref import ref

from langchain_core.callbacks import BaseCallbackManager
from langchain_core.messages import AIMessage, AIMessageChunk, AnyMessage
from langchain_core.runnables.config import ensure_config, var_child_runnable_config
from langchain_core.tracers._streaming import _StreamingCallbackHandler, _V2StreamingCallbackHandler
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, stop_after_attempt, wait_random_exponential

from backend_coordinator.domain.usage import Price, Usage
from backend_coordinator.nodes.firewall import estimate_tokens
from backend_coordinator.nodes.models.clock import CLOCK, Clock
from backend_coordinator.nodes.models.completion import assembled, demand_whole, readable
from backend_coordinator.nodes.models.endpoint import Endpoint, Pass, Rates, endpoint_of
from backend_coordinator.nodes.models.faults import Fault, Kind, fault_of
from backend_coordinator.nodes.models.prices import money_of
from backend_coordinator.nodes.models.rules import RuleModel
from backend_coordinator.settings import ModelSettings

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

_STREAMS = (_StreamingCallbackHandler, _V2StreamingCallbackHandler)
_BACKOFF = wait_random_exponential(multiplier=0.5, max=20)
_COUNTING = "stream_options"
"""What asks for the tokens of a stream; some servers refuse it."""
_places: "dict[int, tuple[ref[BaseChatModel], str]]" = {}
_numbers = count()
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
        said = [f"{message.content}{getattr(message, 'tool_calls', '')}" for message in self.messages]
        return estimate_tokens("".join((*said, *map(str, self.tools), str(self.options or ""))))


async def call_model(
    model: "BaseChatModel", request: Request, terms: ModelSettings, *, clock: Clock = CLOCK
) -> tuple[AIMessage, Usage]:
    """One complete assistant message, and what it took to get it.

    Raises ModelUnavailable where only a person can help (key, account, model name, address), else ModelCallFailed
    with the kind of the fault: refused, filtered, cut off, empty, too long, out of time, or out of attempts.
    """
    sender = _Sender(model, request, endpoint_of(*place_of(model)), terms, clock)
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
                        reply, used = await sender.send(started + terms.seconds)
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
    request: Request
    endpoint: Endpoint
    terms: ModelSettings
    clock: Clock

    async def send(self, deadline: float) -> tuple[AIMessage, Usage]:
        """One request, once it may be sent, to its whole message. Raises Fault."""
        rates = Rates(self.terms.requests_per_minute, self.terms.tokens_per_minute)
        passed = await self.endpoint.admit(self.clock, deadline, self.request.tokens, rates)
        counted = self.endpoint.counts
        try:
            with _unstreamed():
                reply = await self._received(self._bound(counted))
        except Exception as error:
            fault = fault_of(error, self.clock.wall(), where_is(self.model))
            if counted and fault.kind is Kind.REQUEST and _COUNTING in str(fault):
                self.endpoint.counts, fault.again = False, True
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

    def _bound(self, counted: bool) -> Any:
        model: Any = self.model
        if is_openai(model):
            from backend_coordinator.nodes.models.openai_chat import for_this_loop  # loaded when first used

            model = for_this_loop(model, counted=counted)
        if self.request.tools:
            model = model.bind_tools([dict(tool) for tool in self.request.tools])
        return model.bind(**self.request.options) if self.request.options else model

    async def _received(self, bound: Any) -> AIMessage:
        messages = list(self.request.messages)
        if not getattr(self.model, "streaming", False) or self.model.disable_streaming:
            reply = await bound.ainvoke(messages)
            return readable(reply) if isinstance(reply, AIMessage) else AIMessage(str(reply))
        chunks: list[AIMessageChunk] = []
        async with (
            self.clock.limit(self.terms.idle_seconds) as silence,
            aclosing(bound.astream(messages)) as stream,
        ):
            async for chunk in stream:
                silence.again()
                chunks.append(chunk)
        return assembled(chunks, running=is_openai(self.model))

    def told(self, fault: Fault, tried: int) -> Fault:
        """The fault with its way out, or what it means of a server that nobody reached or understood yet."""
        own = _is_a(self.model, "ChatOpenAI")
        key, address = ("OPENAI_API_KEY", "OPENAI_BASE_URL") if own else ("its key", "its address")
        end = not fault.again or tried >= min(self.terms.attempts, _TRIES_OF_STRANGERS)
        odd = fault.kind is Kind.BROKEN or (fault.kind is Kind.REQUEST and not self.request.options)
        # With tools or options it may be those that the server does not take.
        strange = odd and end and not (self.endpoint.spoke or self.request.tools)
        if fault.kind is Kind.ABSENT and not self.endpoint.answered and tried >= _TRIES_OF_STRANGERS:
            kind, said = Kind.UNREACHABLE, f"{where_is(self.model)} cannot be reached: start the server"
        elif strange:
            kind, said = Kind.UNREACHABLE, f"{where_is(self.model)} cannot be used, {fault}: name another model"
        elif fault.kind is Kind.KEY:
            return Fault(fault.kind, f"{fault}: set {key} to a valid one")
        elif fault.kind is Kind.MODEL:
            kind, said = fault.kind, f"{fault}: name another model"
        else:
            return fault
        return Fault(kind, f"{said}, or correct {address}")


@contextmanager
def _unstreamed() -> Iterator[None]:
    """Hides those callbacks of a parent graph that would turn whole answers into streams, and complete cut ones."""
    config = ensure_config()
    around = config.get("callbacks")
    if isinstance(around, BaseCallbackManager):  # a copy
        for handler in [each for each in around.handlers if isinstance(each, _STREAMS)]:
            around.remove_handler(handler)
    before = var_child_runnable_config.set(config)
    try:
        yield
    finally:
        var_child_runnable_config.reset(before)


def is_openai(model: "BaseChatModel") -> bool:
    """Whether the model speaks OpenAI's protocol, in which every message says why it ended."""
    return _is_a(model, "BaseChatOpenAI")


def _is_a(model: "BaseChatModel", client: str) -> bool:
    return any(base.__name__ == client for base in type(model).__mro__)


def place_of(model: "BaseChatModel") -> tuple[str, str]:
    """Server and model as people know them; a model without a server is a place of its own."""
    name = getattr(model, "model_name", None) or getattr(model, "model", None) or type(model).__name__
    return _address(model) or _own_place(model), str(name)


def _own_place(model: "BaseChatModel") -> str:
    """A name that no other model of this process has, not even one that gets its place in memory later."""
    known = _places.get(id(model))
    if known is None or known[0]() is not model:
        known = _places[id(model)] = (ref(model), f"{type(model).__name__}-{next(_numbers)}")
    return known[1]


def where_is(model: "BaseChatModel") -> str:
    """Model and server in words for people."""
    name, address = place_of(model)[1], _address(model)
    return f"model {name} at {address}" if address else f"model {name}"


def _address(model: "BaseChatModel") -> str:
    root = getattr(model, "root_async_client", None) or getattr(model, "async_client", None)
    return str(getattr(root, "base_url", None) or getattr(model, "base_url", None) or "").rstrip("/")


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
