"""What of a conversation is sent: the packet always, old results as one line each, older turns as a summary."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import TYPE_CHECKING

from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, ToolMessage
from langchain_core.messages.tool import ToolCall

from backend_coordinator.nodes.firewall import estimate_tokens
from backend_coordinator.settings import ModelSettings

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

WINDOW = 128_000
"""Tokens, where neither the settings nor the model's profile say."""
SHRUNK = "The conversation was longer than your context window, so more of its older part is left out now."
"""Stands in the journal where a server refused a prompt as too long: from there on half of that prompt is allowed."""

_OPENING = 2
"""The system prompt and the packet, which are always sent as they are."""
_STUBS_AT, _SUMMARY_AT, _DOWN_TO = 0.6, 0.8, 0.3
_WORTH_IT = 0.1
"""Shares of the window. Every change costs the provider's prefix cache: few large ones beat many small ones."""
_MOST_FACTOR = 4.0
"""A server that counts more than this for the estimated tokens of a prompt counts something else."""
_FRAME = 16
"""Tokens that a message takes beside its text, ids of calls included."""
_SHORT = 160
"""Characters of a result that are not worth a stub."""


def window_of(model: "BaseChatModel", terms: ModelSettings) -> int:
    """Tokens of the model's context window: as set, as its profile says, or 128,000."""
    profile = getattr(model, "profile", None) or {}
    return terms.window or profile.get("max_input_tokens") or WINDOW


def fit(messages: Sequence[AnyMessage], window: int, *, tools: int = 0) -> list[AnyMessage]:
    """The messages to send for a conversation: system prompt, packet, and all that was said since.

    `window` is in tokens; `tools` are the estimated tokens of the tools sent along. The answer depends on nothing
    else, so that a resumed attempt sends the same: how it was shortened at each earlier turn is worked out again, by
    the counts of the server's that its answers carry. A fifth of the window is left for the answer.
    """
    shape = _Shape(messages, float(window), tools)
    for end in range(_OPENING, len(messages)):
        if not isinstance(messages[end], ToolMessage):
            shape.settle(end)
            shape.learn(end)
    shape.settle(len(messages))
    return shape.shown()


@dataclass
class _Shape:
    """What is shown of a conversation: a summary of what comes before `cut`, stubs before `stubbed`, then all."""

    messages: Sequence[AnyMessage]
    window: float
    tools: int
    cut: int = _OPENING
    stubbed: int = _OPENING
    factor: float = 1.0
    summary: str = ""
    calls: dict[str, str] = field(init=False)
    whole: list[int] = field(init=False)
    short: list[int] = field(init=False)

    def __post_init__(self) -> None:
        made = [call for m in self.messages if isinstance(m, AIMessage) for call in m.tool_calls]
        self.calls = {str(call["id"]): _subject(call) for call in made}
        self.whole = [0, *accumulate(_tokens(message) for message in self.messages)]
        self.short = [0, *accumulate(_tokens(self._stub(message)) for message in self.messages)]

    def settle(self, end: int) -> None:
        """Shortens what is shown of the first `end` messages, where it is too long."""
        answers = (n for n in range(end - 1, _OPENING, -1) if isinstance(self.messages[n], AIMessage))
        last = next(answers, _OPENING)
        if self._share(end) > _STUBS_AT:
            self._stub_until(last, end, _DOWN_TO)
        if self._share(end) > _SUMMARY_AT:
            self._sum_until(last, end)
        if self._share(end) > _SUMMARY_AT:
            self._stub_until(end, end, _SUMMARY_AT)
        if self._share(end) > _SUMMARY_AT:
            self._sum(end)

    def learn(self, end: int) -> None:
        """Takes from message `end`, the outcome of showing those before it, how long the prompt really was."""
        message, shown = self.messages[end], self._shown_tokens(end)
        if isinstance(message, AIMessage) and message.usage_metadata is not None:
            counted = message.usage_metadata["input_tokens"] / shown
            self.factor = min(max(counted, 1.0), _MOST_FACTOR)
        if isinstance(message, HumanMessage) and message.content == SHRUNK:
            self.window = min(self.window, shown * self.factor) / 2

    def shown(self) -> list[AnyMessage]:
        """The messages to send; neighbours from the user are one message, since some servers take them only so."""
        opening = list(self.messages[:_OPENING])
        rest = [
            self._stub(message) if number < self.stubbed else message
            for number, message in enumerate(self.messages[self.cut :], self.cut)
        ]
        said = [HumanMessage(self.summary)] if self.summary else []
        return _joined([*opening, *said, *rest])

    def _share(self, end: int) -> float:
        return self._shown_tokens(end) * self.factor / self.window

    def _shown_tokens(self, end: int) -> int:
        begun = max(self.cut, min(self.stubbed, end))
        stubs = self.short[begun] - self.short[self.cut]
        return (
            self.tools
            + self.whole[_OPENING]
            + estimate_tokens(self.summary)
            + stubs
            + self.whole[end]
            - self.whole[begun]
        )

    def _stub_until(self, limit: int, end: int, target: float) -> None:
        before, kept = self._share(end), self.stubbed
        while self._share(end) > target and self.stubbed < limit:
            self.stubbed += 1
        if before <= _SUMMARY_AT and before - self._share(end) < _WORTH_IT:
            self.stubbed = kept

    def _sum_until(self, limit: int, end: int) -> None:
        turns = (n for n in range(self.cut + 1, limit + 1) if isinstance(self.messages[n], AIMessage))
        for cut in turns:
            self._sum(cut)
            if self._share(end) <= _DOWN_TO:
                return

    def _sum(self, cut: int) -> None:
        self.cut = cut
        self.summary = _summary(self.messages[_OPENING:cut], self.calls, round(self.window * _WORTH_IT))

    def _stub(self, message: AnyMessage) -> AnyMessage:
        if not isinstance(message, ToolMessage) or len(str(message.content)) <= _SHORT:
            return message
        name = message.tool_call_id
        text = f"[left out: {self.calls.get(name, 'a call')}, {_size(message)}; {_again(name)}]"
        return message.model_copy(update={"content": text})


def _tokens(message: AnyMessage) -> int:
    said = estimate_tokens(str(message.content))
    if isinstance(message, AIMessage):
        said += sum(estimate_tokens(call["name"] + json.dumps(call["args"])) for call in message.tool_calls)
        said += sum(estimate_tokens(f"{call['name']}{call['args']}") for call in message.invalid_tool_calls)
    return said + _FRAME


def _subject(call: ToolCall) -> str:
    return " ".join(f"{call['name']} {next(iter(call['args'].values()), '')}".split())[:100]


def _size(message: ToolMessage) -> str:
    return f"{len(str(message.content))} characters"


def _again(name: str) -> str:
    return f'recall call="{name}" shows it'


def _summary(messages: Sequence[AnyMessage], calls: dict[str, str], most: int) -> str:
    """One line for each call that has a result, the newest where `most` tokens do not hold all."""
    results = [message for message in messages if isinstance(message, ToolMessage)]
    lines = [f"- {calls.get(m.tool_call_id, 'a broken call')}: {_outcome(m)}" for m in results]
    left = most
    kept: list[str] = []
    for line in reversed(lines):
        left -= estimate_tokens(f"{line}\n")
        if left < 0:
            break
        kept.insert(0, line)
    older = Counter(line.split()[1].rstrip(":") for line in lines[: len(lines) - len(kept)])
    if older:
        kept.insert(0, "- before that: " + ", ".join(f"{name} {times} times" for name, times in sorted(older.items())))
    return "\n".join(("WHAT YOU DID SO FAR, in order:", *kept)) if kept else ""


def _outcome(message: ToolMessage) -> str:
    text = " ".join(str(message.content).split())
    failed = "" if message.status == "success" else "failed: "
    return f"{failed}{text}" if len(text) <= _SHORT else f"{failed}{_size(message)}; {_again(message.tool_call_id)}"


def _joined(messages: Sequence[AnyMessage]) -> list[AnyMessage]:
    joined: list[AnyMessage] = []
    for message in messages:
        if joined and isinstance(message, HumanMessage) and isinstance(joined[-1], HumanMessage):
            joined[-1] = HumanMessage(f"{joined[-1].content}\n\n{message.content}")
        else:
            joined.append(message)
    return joined
