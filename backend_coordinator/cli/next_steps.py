"""Command lines to go on with, written so that they can be copied into a shell."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from backend_coordinator.cli.output import say

if TYPE_CHECKING:
    from backend_coordinator.domain.question import Question


def command(root: Path, *words: str) -> str:
    """A command on the repository at `root`."""
    return shlex.join(["backend-coordinator", *words, "--workspace", str(root)])


def say_questions(root: Path, run: str, questions: "Sequence[Question]") -> None:
    """Open questions of a run, each with the commands that answer it, and what to do then."""
    for question in questions:
        say(f"\n{question.id} for {question.to}:\n{question.text}\n")
        for choice in question.choices:
            text = ' --text "..."' if choice in ("guide", "waive", "amend", "approve_rule") else ""
            say(f"  {command(root, 'decide', run, question.id, choice)}{text}")
    say(f"then: {command(root, 'resume', run)}")
