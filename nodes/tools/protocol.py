"""Speaking to the coordinator: reporting a need, and handing the work in."""

from typing import Annotated

from pydantic import Field

from backend_coordinator.domain.base import Value
from backend_coordinator.domain.delivery import Claim, Decision, Need, Topic
from backend_coordinator.nodes.tools.bench import Bench
from backend_coordinator.nodes.tools.registry import tool

_DECISIONS = "for later tasks; kind: api_contract, ..."
_ABOUT = "its class: database_design, ..."


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
    what: Annotated[str, Field(min_length=1)],
    why: Annotated[str, Field(min_length=1)],
    who: str | None = None,
) -> str:
    """Asks for help or further work."""
    return f"noted for the coordinator: {Need(what=what, why=why, who=who).what}"


@tool(repeatable=True)
async def submit(
    bench: Bench,
    *,
    summary: Annotated[str, Field(min_length=1)],
    decisions: Annotated[tuple[Decision, ...], Field(description=_DECISIONS)] = (),
    claims: Annotated[tuple[Claim, ...], Field(description="one per criterion")] = (),
    refusal: Annotated[str | None, Field(description="why you cannot do it")] = None,
    about: Annotated[Topic | None, Field(description=_ABOUT)] = None,
) -> str:
    """Hands the work in."""
    return "handed in"
