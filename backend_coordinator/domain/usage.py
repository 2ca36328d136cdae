"""What a run used and what it may use."""

from backend_coordinator.domain.base import Value


class Usage(Value):
    """Counts of one call, attempt, task or run; `seconds` is time spent waiting for models."""

    model_calls: int = 0
    tool_calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    seconds: float = 0.0

    def __add__(self, other: "Usage") -> "Usage":
        mine, theirs = self.model_dump(), other.model_dump()
        return Usage(**{name: mine[name] + theirs[name] for name in mine})


class Limits(Value):
    """Upper bounds of one task over all its attempts; None means none.

    `seconds` is wall time of work, tools included; waiting for a turn or for a person does not count.
    """

    model_calls: int | None = 200
    tool_calls: int | None = 600
    total_tokens: int | None = None
    seconds: float | None = 3600.0

    def exceeded_by(self, usage: Usage, seconds: float = 0.0) -> str | None:
        """A sentence naming the first limit that `usage` or `seconds` of work reached, or None."""
        used = {
            "model_calls": usage.model_calls,
            "tool_calls": usage.tool_calls,
            "total_tokens": usage.input_tokens + usage.output_tokens,
            "seconds": seconds,
        }
        for name, amount in used.items():
            bound = getattr(self, name)
            if bound is not None and amount >= bound:
                return f"{name.replace('_', ' ')}: {amount:g} of {bound:g} used"
        return None
