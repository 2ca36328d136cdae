"""A specialist's own list of steps: a note to itself that nothing else reads."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import BeforeValidator, Field

from backend_coordinator.nodes.tools.bench import Bench
from backend_coordinator.nodes.tools.registry import tool

_MARKS = {"pending": " ", "in_progress": ">", "completed": "x", "cancelled": "-"}


def _line(step: object) -> object:
    """A step as a line, also of the form that models know from elsewhere: content, status and what else there is."""
    if isinstance(step, Mapping) and isinstance(content := step.get("content"), str) and content:
        status = step.get("status", "pending")
        return f"[{_MARKS[status]}] {content}" if isinstance(status, str) and status in _MARKS else step
    return step


Step = Annotated[str, BeforeValidator(_line), Field(min_length=1, max_length=500)]


@tool(repeatable=True)
async def todo(bench: Bench, todos: Annotated[tuple[Step, ...], Field(max_length=50)]) -> str:
    """Replaces your steps."""
    return "\n".join(" ".join(step.split()) for step in todos) or "the list is empty"
