"""What a run used and what it may use."""

from pydantic import Field

from backend_coordinator.domain.base import Value


class Usage(Value):
    """Counts of one call, attempt, task or run.

    `model_calls` are complete answers, `retries` the requests it took beyond those; `turns` are the answers within a
    specialist's loop, `tool_calls` those that ran. `cached_tokens` are a part of `input_tokens`; `uncounted_calls` are
    answers whose server did not say how many tokens they took. `money` is in US dollars and holds only calls whose
    price is known; `unpriced_calls` are the others. `seconds` is time spent waiting for models,
    `tool_seconds` the time in which tools ran; both are sums over parallel tasks, and neither is part of the other.
    """

    model_calls: int = 0
    retries: int = 0
    turns: int = 0
    tool_calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    uncounted_calls: int = 0
    money: float = 0.0
    unpriced_calls: int = 0
    seconds: float = 0.0
    tool_seconds: float = 0.0

    def __add__(self, other: "Usage") -> "Usage":
        mine, theirs = self.__dict__, other.__dict__
        return Usage(**{name: mine[name] + theirs[name] for name in mine})


_TOKENS = ("input_tokens", "output_tokens", "total_tokens")


class Limits(Value):
    """Upper bounds; None means none. `money` is in US dollars, `turns` counts a specialist's answers.

    `seconds` of a task or a specialist are those of its model calls and tools, of a run those in which a process drove
    it; waiting for people does not count.
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
        """A sentence naming the first limit that `usage` or `seconds` of work reached, or None.

        A limit of something that could not be counted is reached with the first such call.
        """
        unknown = {**dict.fromkeys(_TOKENS, usage.uncounted_calls), "money": usage.unpriced_calls}
        used = {
            **{name: getattr(usage, name) for name in Limits.model_fields if name in Usage.model_fields},
            "total_tokens": usage.input_tokens + usage.output_tokens,
            "seconds": seconds,
        }
        for name, amount in used.items():
            bound, told = getattr(self, name), name.replace("_", " ")
            if bound is not None and unknown.get(name):
                return f"{told}: {unknown[name]} model calls used an unknown amount"
            if bound is not None and amount >= bound:
                return f"{told}: {amount:.10g} of {bound:.10g} used"
        return None


class Price(Value):
    """US dollars for a million tokens; `cached` is the price of input tokens that the provider had in its cache."""

    input: float = Field(ge=0)
    output: float = Field(ge=0)
    cached: float | None = Field(default=None, ge=0)
