"""A specialist's own list of steps: a note to itself that nothing else reads."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from backend_coordinator.nodes.tools.bench import Bench
from backend_coordinator.nodes.tools.registry import tool

_MARKS = {"pending": " ", "in_progress": ">", "completed": "x", "cancelled": "-"}


class Step(BaseModel):
    """One step; what else a model knows of such lists from elsewhere, such as a priority, is left aside."""

    content: str = Field(min_length=1, max_length=500)
    status: Literal["pending", "in_progress", "completed", "cancelled"] = "pending"


@tool(repeatable=True)
async def todo(
    bench: Bench, todos: Annotated[tuple[Step, ...], Field(max_length=50, description="the whole list, in order")]
) -> str:
    """Keeps your list of steps for this task, replacing the earlier one. It decides and approves nothing."""
    lines = [f"[{_MARKS[step.status]}] {' '.join(step.content.split())}" for step in todos]
    return "\n".join(lines) or "the list is empty"
