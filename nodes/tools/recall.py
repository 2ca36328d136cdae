"""Results too long for a prompt: kept whole in the run's folder, shown by head and tail, read by range."""

import hashlib
import os
import re
from pathlib import Path
from typing import Annotated

from langchain_core.messages import ToolMessage
from pydantic import Field

from backend_coordinator.nodes.context import RunContext
from backend_coordinator.nodes.tools.bench import Bench, ToolRefused
from backend_coordinator.nodes.tools.registry import tool

MOST_KEPT = 2_000_000
"""Bytes of one result."""
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_MARKER = 200
"""Characters, at the most, of the line that says what is left out."""


def kept(bench: Bench, text: str) -> str:
    """A result, redacted, as it goes into the conversation: as it is, or its head and tail where it is too long.

    The whole of it is then kept in the run's folder. Characters that no terminal shows and no protocol takes are
    replaced.
    """
    text = _CONTROL.sub("\ufffd", text).encode("utf-8", errors="replace").decode()
    if len(text) <= bench.most:
        return text
    keep(bench.context, _attempt_of(bench), bench.call, text)
    half = (bench.most - _MARKER) // 2
    left = len(text) - 2 * half
    marker = f'[... {left} of {len(text)} characters left out: recall call="{bench.call}" offset={half} reads on ...]'
    return f"{text[:half]}\n{marker}\n{text[-half:]}"


def keep(context: RunContext, attempt: str, name: str, text: str) -> None:
    """Keeps the first 2 MB of a text where `recall` with this name finds it; `attempt` is such as `backend-T001-1`."""
    place = _place(context, attempt, name)
    place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with os.fdopen(os.open(place, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(text.encode()[:MOST_KEPT].decode(errors="ignore").encode())


@tool(repeatable=True)
async def recall(
    bench: Bench,
    call: str,
    offset: Annotated[int, Field(ge=0)] = 0,
    limit: Annotated[int, Field(ge=1)] = 8000,
) -> str:
    """Shows a result again, by its note's call id."""
    place = _place(bench.context, _attempt_of(bench), call)
    text = place.read_text(encoding="utf-8") if place.is_file() else _said(bench, call)
    end = offset + min(limit, bench.most - _MARKER)
    rest = len(text) - end
    more = f"\n[{rest} more characters: recall on from {end}]" if rest > 0 else ""
    return (text[offset:end] or "[nothing more]") + more


def _said(bench: Bench, call: str) -> str:
    past = bench.context.transcript(_attempt_of(bench)).read()
    found = [m for m in past.messages if isinstance(m, ToolMessage) and m.tool_call_id == call]
    if not found:
        raise ToolRefused(f"no call {call!r} of this attempt has a result")
    return str(found[0].content)


def _attempt_of(bench: Bench) -> str:
    """The name of what an attempt leaves, such as `backend-T001-1`."""
    return f"{bench.task.id}-{bench.attempt}"


def _place(context: RunContext, attempt: str, call: str) -> Path:
    """Ids come from the model's server, so none becomes a path."""
    return context.folder / "results" / attempt / f"{hashlib.sha256(call.encode()).hexdigest()[:16]}.txt"
