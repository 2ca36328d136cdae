"""What a run used and what it may use."""

from pydantic import Field

from backend_coordinator.domain.base import Value


class Usage(Value):
    """Counts of one call, attempt, task or run.

    `model_calls` are complete answers, `retries` the requests it took beyond those; `turns` are the answers within a
    specialist's loop. `cached_tokens` are a part of `input_tokens`. `money` is in US dollars and holds only calls
    whose price is known; `unpriced_calls` are the others. `seconds` is time spent waiting for models.
    """

    model_calls: int = 0
    retries: int = 0
    turns: int = 0
    tool_calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    money: float = 0.0
    unpriced_calls: int = 0
    seconds: float = 0.0

    def __add__(self, other: "Usage") -> "Usage":
        mine, theirs = self.__dict__, other.__dict__
        return Usage(**{name: mine[name] + theirs[name] for name in mine})


class Limits(Value):
    """Upper bounds; None means none. `money` is in US dollars, `turns` counts a specialist's answers.

    `seconds` is wall time of work, tools included; waiting for a turn or for a person does not count.
    """

    model_calls: int | None = Field(default=None, ge=1)
    turns: int | None = Field(default=None, ge=1)
    tool_calls: int | None = Field(default=None, ge=1)
    input_tokens: int | None = Field(default=None, ge=1)
    output_tokens: int | None = Field(default=None, ge=1)
    total_tokens: int | None = Field(default=None, ge=1)
    money: float | None = Field(default=None, gt=0)
    seconds: float | None = Field(default=None, gt=0)

    def exceeded_by(self, usage: Usage, seconds: float = 0.0) -> str | None:
        """A sentence naming the first limit that `usage` or `seconds` of work reached, or None."""
        used = {
            **{name: getattr(usage, name) for name in Limits.model_fields if name in Usage.model_fields},
            "total_tokens": usage.input_tokens + usage.output_tokens,
            "seconds": seconds,
        }
        for name, amount in used.items():
            bound = getattr(self, name)
            if bound is not None and amount >= bound:
                return f"{name.replace('_', ' ')}: {amount:g} of {bound:g} used"
        return None


class Price(Value):
    """US dollars for a million tokens; `cached` is the price of input tokens that the provider had in its cache."""

    input: float = Field(ge=0)
    output: float = Field(ge=0)
    cached: float | None = Field(default=None, ge=0)
