"""Results too long for a prompt: kept whole in the run's folder, shown by head and tail, read by range."""

import hashlib
import os
import re
from pathlib import Path
from typing import Annotated

from langchain_core.messages import ToolMessage
from pydantic import Field

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
    place = _place(bench, bench.call)
    place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with os.fdopen(os.open(place, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(text.encode()[:MOST_KEPT].decode(errors="ignore").encode())
    half = (bench.most - _MARKER) // 2
    left = len(text) - 2 * half
    marker = f'[... {left} of {len(text)} characters left out: recall call="{bench.call}" offset={half} reads on ...]'
    return f"{text[:half]}\n{marker}\n{text[-half:]}"


@tool(repeatable=True)
async def recall(
    bench: Bench,
    call: Annotated[str, Field(description="the call's id, as the note in its place gives it")],
    offset: Annotated[int, Field(ge=0, description="first character, counted from 0")] = 0,
    limit: Annotated[int, Field(ge=1, description="number of characters")] = 8000,
) -> str:
    """Shows again what was left out of the result of an earlier call of yours."""
    place = _place(bench, call)
    text = place.read_text(encoding="utf-8") if place.is_file() else _said(bench, call)
    end = offset + min(limit, bench.most - _MARKER)
    rest = len(text) - end
    more = f"\n[{rest} more characters: recall on from {end}]" if rest > 0 else ""
    return (text[offset:end] or "[nothing more]") + more


def _said(bench: Bench, call: str) -> str:
    past = bench.context.transcript(f"{bench.task.id}-{bench.attempt}").read()
    found = [m for m in past.messages if isinstance(m, ToolMessage) and m.tool_call_id == call]
    if not found:
        raise ToolRefused(f"no call {call!r} of this attempt has a result")
    return str(found[0].content)


def _place(bench: Bench, call: str) -> Path:
    """Ids come from the model's server, so none becomes a path."""
    name = hashlib.sha256(call.encode()).hexdigest()[:16]
    return bench.context.folder / "results" / f"{bench.task.id}-{bench.attempt}" / f"{name}.txt"
