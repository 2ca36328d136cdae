"""What a run's model calls took, summed by task and by the coordinator's verbs, as values and in words."""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from backend_coordinator.domain.events import ModelCalled, ToolCalled
from backend_coordinator.domain.report import Report
from backend_coordinator.domain.usage import Usage
from backend_coordinator.nodes.ledger import Ledger

HEADINGS = ("for", "calls", "retries", "tokens in", "of them cached", "tokens out", "money", "seconds")
_ABOUT = re.compile(r"-(backend-T\d{3}.*|\d+)$")
"""What a purpose says beside its verb."""


def calls_in(ledger: Ledger) -> tuple[ModelCalled, ...]:
    """A run's model calls, oldest first."""
    return tuple(event for _, event in ledger.events() if isinstance(event, ModelCalled))


class Spent(NamedTuple):
    """What a run took, and its two parts: coordination is every model call that belongs to no task."""

    total: Usage
    coordination: Usage
    work: Usage


def spent(ledger: Ledger) -> Spent:
    """What the model calls and the tools of a run took."""
    calls = calls_in(ledger)
    tools = [event.seconds for _, event in ledger.events() if isinstance(event, ToolCalled)]
    begun = Usage(tool_calls=len(tools), tool_seconds=sum(tools))
    coordination = sum((call.usage for call in calls if call.task is None), Usage())
    work = sum((call.usage for call in calls if call.task is not None), begun)
    return Spent(coordination + work, coordination, work)


def of(report: Report) -> Spent:
    """What a report says of it."""
    return Spent(report.usage, report.coordination, report.work)


def shares(calls: Iterable[ModelCalled]) -> dict[str, Usage]:
    """Usage by task, and by verb for all others, in the order in which they were first called."""
    found: dict[str, Usage] = {}
    for call in calls:
        name = call.task or _ABOUT.sub("", call.purpose)
        found[name] = found.get(name, Usage()) + call.usage
    return found


def rows(calls: Sequence[ModelCalled], took: Spent) -> Iterator[tuple[str, ...]]:
    """The table of a run's usage under HEADINGS: its shares, then coordination and work, then all."""
    sums = {"coordination": took.coordination, "work": took.work, "all": took.total}
    for name, used in {**shares(calls), **sums}.items():
        parts = (_known(f"{n}", used, used.uncounted_calls) for n in _tokens(used))
        yield name, str(used.model_calls), str(used.retries), *parts, money(used), f"{used.seconds:.1f}"


def remarks(calls: Sequence[ModelCalled], total: Usage) -> Iterator[str]:
    """What the table leaves open, a sentence each."""
    if total.tool_calls:
        yield f"seconds are those of model calls; {total.tool_calls} tool calls took another {total.tool_seconds:.1f}"
    if failed := [call.failed for call in calls if call.failed]:
        yield f"{len(failed)} calls brought no answer: {', '.join(dict.fromkeys(failed))}"
    if total.uncounted_calls:
        yield f"of {total.uncounted_calls} calls the server did not say how many tokens they took"
    if total.unpriced_calls:
        names = ", ".join(dict.fromkeys(call.model for call in calls if call.usage.unpriced_calls))
        yield f"what {total.unpriced_calls} calls cost is unknown: model.prices may name the price of {names}"


def in_words(used: Usage) -> str:
    """Calls, tokens and money in a line; what nobody counted is unknown, never 0."""
    came, _, went = (_known(f"{n}", used, used.uncounted_calls) for n in _tokens(used))
    paid = f", cost {money(used)}" if used.money or used.unpriced_calls else ""
    return f"{used.model_calls} model calls, {came} tokens in, {went} out{paid}"


def parts_in_words(coordination: Usage, work: Usage) -> str:
    """Tokens and seconds of coordination and of work in a line; those of tools are told apart."""
    told = []
    for name, used in (("coordination", coordination), ("work", work)):
        tools = f", tools {used.tool_seconds:.1f} s" if used.tool_calls else ""
        told.append(f"{name} {tokens(used)} tokens, {used.seconds:.1f} s{tools}")
    return "; ".join(told)


def money(used: Usage) -> str:
    """US dollars."""
    return _known("$" + f"{used.money:.6f}".rstrip("0").rstrip("."), used, used.unpriced_calls)


def tokens(used: Usage) -> str:
    """Tokens in and out; what nobody counted is unknown."""
    return _known(f"{used.input_tokens + used.output_tokens}", used, used.uncounted_calls)


def _tokens(used: Usage) -> tuple[int, int, int]:
    return used.input_tokens, used.cached_tokens, used.output_tokens


def _known(amount: str, used: Usage, unknown: int) -> str:
    if not unknown:
        return amount
    return "unknown" if unknown >= used.model_calls else f"{amount} + unknown"
