"""Questions a run asks, and the answers they take."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import date
from typing import Literal, Protocol, runtime_checkable

from pydantic import Field

from backend_coordinator.domain.base import Value

Choice = Literal[
    "guide", "waive", "amend", "abandon", "abort", "approve", "approve_run", "approve_rule", "reject", "retry",
]  # fmt: skip
Subject = Literal[
    "plan",
    "architecture",
    "security",
    "schema",
    "api_contract",
    "infrastructure",
    "breaking_changes",
    "dependencies",
]
"""What the approval policy decides about, each by itself."""


class Answer(Value):
    """One answer; `text` is required for guide, waive and amend, `by` names who decided.

    `items` and `expires` belong to waive: which of the failed items (none named means all), and until which day.
    `approve` holds once, `approve_run` for the same request in the rest of the run, `approve_rule` for every run: its
    text is a pattern, none means exactly what was asked. `retry` says that what could not be used can be used now.
    """

    decision: Choice
    text: str = ""
    by: str = "user"
    items: tuple[str, ...] = ()
    expires: date | None = None


class Question(Value):
    """Something a person or a bound callable must answer: a row of the run's decisions table."""

    id: str = Field(pattern=r"^q-[0-9a-f]{8}$")
    run: str
    task: str | None = None
    asked_by: str
    to: str = "tech-lead-orchestrator"
    text: str
    choices: tuple[Choice, ...]
    items: tuple[str, ...] = ()
    """The failed items that a waiver can name."""
    subjects: tuple[Subject, ...] = ()
    """What the approval policy wants a person's word on; none where the question is about something else."""
    validates: tuple[str, ...] = ()
    """Files of a contract that its users are to validate (API Contract Coordination), below the run's folder."""
    answer: Answer | None = None

    def misfit(self, answer: Answer) -> str | None:
        """Why it does not take an answer; None where it does."""
        if answer.decision not in self.choices:
            return f"takes {', '.join(self.choices)}, not {answer.decision}"
        if not answer.by.strip():
            return "needs to know who decides"
        if answer.decision in ("guide", "waive", "amend") and not answer.text.strip():
            return f"waits for more: {answer.decision} needs a text: what to do, or why it may pass"
        if answer.decision == "reject" and self.validates and not answer.text.strip():
            return "waits for more: reject needs a text: what does not fit, which its author is told"
        if answer.decision != "waive" and (answer.items or answer.expires):
            return f"takes items and a last day with waive, not with {answer.decision}"
        if strangers := sorted(set(answer.items) - set(self.items)):
            return f"is not about {', '.join(strangers)}; its items: {', '.join(self.items) or 'none'}"
        if answer.expires is not None and answer.expires < date.today():
            return f"takes no waiver that ran out on {answer.expires}"
        return None


@runtime_checkable
class Asked(Protocol):
    """A compiled graph, or any other Runnable: takes `{"question": {...}}`, gives `{"answer": {...}}`."""

    def ainvoke(self, given: dict[str, object], config: dict[str, object], /) -> Awaitable[object]:
        """One call of it."""


Reply = Answer | Mapping[str, object] | str | None
Answerer = Asked | Callable[[Question], Reply | Awaitable[Reply]] | Literal["persona"]
"""Who answers in a person's place. A callable's None or "later" leaves it to a person, a string is a decision."""
