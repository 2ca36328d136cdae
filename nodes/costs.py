"""What a run's model calls took, summed by task and by the coordinator's verbs, as values and in words."""

import re
from collections.abc import Iterable, Iterator, Sequence

from backend_coordinator.domain.events import ModelCalled, ToolCalled
from backend_coordinator.domain.usage import Usage
from backend_coordinator.nodes.ledger import Ledger

HEADINGS = ("for", "calls", "retries", "tokens in", "of them cached", "tokens out", "money", "seconds")
_ABOUT = re.compile(r"-(backend-T\d{3}.*|\d+)$")
"""What a purpose says beside its verb."""


def calls_in(ledger: Ledger) -> tuple[ModelCalled, ...]:
    """A run's model calls, oldest first."""
    return tuple(event for _, event in ledger.events() if isinstance(event, ModelCalled))


def spent(ledger: Ledger) -> tuple[Usage, Usage]:
    """What all calls of a run took, and the part of it that coordination took."""
    calls = calls_in(ledger)
    tools = sum(isinstance(event, ToolCalled) for _, event in ledger.events())
    total = sum((call.usage for call in calls), Usage(tool_calls=tools))
    return total, sum((call.usage for call in calls if call.task is None), Usage())


def shares(calls: Iterable[ModelCalled]) -> dict[str, Usage]:
    """Usage by task, and by verb for all others, in the order in which they were first called."""
    found: dict[str, Usage] = {}
    for call in calls:
        name = call.task or _ABOUT.sub("", call.purpose)
        found[name] = found.get(name, Usage()) + call.usage
    return found


def rows(calls: Sequence[ModelCalled], total: Usage, coordination: Usage) -> Iterator[tuple[str, ...]]:
    """The table of a run's usage under HEADINGS: its shares, then coordination together, then all."""
    for name, used in {**shares(calls), "coordination": coordination, "all": total}.items():
        tokens = (_known(f"{n}", used, used.uncounted_calls) for n in _tokens(used))
        yield name, str(used.model_calls), str(used.retries), *tokens, money(used), f"{used.seconds:.1f}"


def remarks(calls: Sequence[ModelCalled], total: Usage) -> Iterator[str]:
    """What the table leaves open, a sentence each."""
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


def money(used: Usage) -> str:
    """US dollars."""
    return _known("$" + f"{used.money:.6f}".rstrip("0").rstrip("."), used, used.unpriced_calls)


def _tokens(used: Usage) -> tuple[int, int, int]:
    return used.input_tokens, used.cached_tokens, used.output_tokens


def _known(amount: str, used: Usage, unknown: int) -> str:
    if not unknown:
        return amount
    return "unknown" if unknown >= used.model_calls else f"{amount} + unknown"
