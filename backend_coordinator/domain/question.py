"""Questions a run asks, and the answers they take."""

from datetime import date
from typing import Literal

from pydantic import Field

from backend_coordinator.domain.base import Value

Choice = Literal["guide", "waive", "abandon", "abort", "approve", "approve_run", "approve_rule", "reject", "retry"]


class Answer(Value):
    """One answer; `text` is required for guide and waive, `by` names who decided.

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
    answer: Answer | None = None

    def misfit(self, answer: Answer) -> str | None:
        """Why it does not take an answer; None where it does."""
        if answer.decision not in self.choices:
            return f"takes {', '.join(self.choices)}, not {answer.decision}"
        if not answer.by.strip():
            return "needs to know who decides"
        if answer.decision in ("guide", "waive") and not answer.text.strip():
            return f"waits for more: {answer.decision} needs a text: what to do, or why it may pass"
        if answer.decision != "waive" and (answer.items or answer.expires):
            return f"takes items and a last day with waive, not with {answer.decision}"
        if strangers := sorted(set(answer.items) - set(self.items)):
            return f"is not about {', '.join(strangers)}; its items: {', '.join(self.items) or 'none'}"
        if answer.expires is not None and answer.expires < date.today():
            return f"takes no waiver that ran out on {answer.expires}"
        return None
