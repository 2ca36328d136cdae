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
