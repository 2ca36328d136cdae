"""An open question of a run in the hands of a program."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from pydantic import ValidationError

from backend_coordinator.domain.question import Answer, Choice, Question
from backend_coordinator.errors import BadAnswer
from backend_coordinator.nodes.ledger import Ledger


@dataclass(frozen=True)
class OpenQuestion:
    """A question of a run with the means to answer it."""

    question: Question
    ledger: Ledger

    @property
    def id(self) -> str:
        """The question's id."""
        return self.question.id

    @property
    def text(self) -> str:
        """What is asked, with the dossier."""
        return self.question.text

    @property
    def choices(self) -> tuple[Choice, ...]:
        """The decisions it takes."""
        return self.question.choices

    def answer(
        self,
        decision: Choice,
        text: str = "",
        *,
        by: str = "user",
        items: Sequence[str] = (),
        expires: date | None = None,
    ) -> None:
        """Answers it; `items` and `expires`, the last day it holds, are for waive.

        Raises BadAnswer when it does not take that, or nothing waits for an answer any more.
        """
        given = {"decision": decision, "text": text, "by": by, "items": tuple(items), "expires": expires}
        try:
            answer = Answer.model_validate(given)
        except ValidationError as error:
            wrong = ", ".join(f"{found['loc'][0]} {found['input']!r}" for found in error.errors())
            msg = f"{self.id} takes {', '.join(self.choices)}, not {wrong}"
            raise BadAnswer(msg) from error
        self.ledger.answer(self.id, answer)
