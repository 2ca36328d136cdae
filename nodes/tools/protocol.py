"""Speaking to the coordinator: reporting a need, and handing the work in."""

from typing import Annotated

from pydantic import Field

from backend_coordinator.domain.base import Value
from backend_coordinator.domain.delivery import Claim, Decision, Need, Topic
from backend_coordinator.nodes.tools.bench import Bench
from backend_coordinator.nodes.tools.registry import tool


class Submission(Value):
    """What a specialist says when it ends; nothing in it is evidence."""

    summary: str
    decisions: tuple[Decision, ...] = ()
    claims: tuple[Claim, ...] = ()
    refusal: str | None = None
    about: Topic | None = None
    needs: tuple[Need, ...] = ()


@tool(repeatable=True)
async def report_need(
    bench: Bench,
    what: Annotated[str, Field(min_length=1, description="the help or further work needed")],
    why: Annotated[str, Field(min_length=1, description="why it is needed and outside this task")],
    who: Annotated[str | None, Field(description="the specialist you would ask")] = None,
) -> str:
    """Reports a need to the coordinator, who may make it a task. You never delegate yourself."""
    return f"noted for the coordinator: {Need(what=what, why=why, who=who).what}"


@tool(repeatable=True)
async def submit(
    bench: Bench,
    *,
    summary: Annotated[str, Field(min_length=1, description="what was done, in plain sentences")],
    decisions: Annotated[tuple[Decision, ...], Field(description="decisions later tasks depend on")] = (),
    claims: Annotated[tuple[Claim, ...], Field(description="one per acceptance criterion")] = (),
    refusal: Annotated[str | None, Field(description="why this task cannot be done by you; else leave out")] = None,
    about: Annotated[
        Topic | None, Field(description="with a refusal: what a peer should advise on, or what has to go up")
    ] = None,
) -> str:
    """Hands the work in and ends the attempt. Must be the only call of its message."""
    return "handed in"
