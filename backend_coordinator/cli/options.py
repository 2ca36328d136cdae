"""Options that several commands share, and the runs that they lead to."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from backend_coordinator.graph.runs import Runs

Workspace = Annotated[
    Path, typer.Option("--workspace", "-w", help="The git repository to work in, or a folder of it.", show_default=".")
]
AsJson = Annotated[bool, typer.Option("--json", help="Answer as JSON on standard output.")]
Init = Annotated[bool, typer.Option("--init", help="Make the workspace a git repository if it is none.")]
Base = Annotated[str | None, typer.Option("--base", help="Start from this revision instead of HEAD.")]
Model = Annotated[
    str | None,
    typer.Option("--model", "-m", help="openai:<name> or offline. Default: openai when a key or base URL is set."),
]
Slots = Annotated[int | None, typer.Option("--slots", min=1, help="How many specialists work at once.")]
SandboxMode = Annotated[
    Literal["auto", "required", "none"] | None, typer.Option("--sandbox", help="How processes are confined.")
]
Ask = Annotated[
    bool, typer.Option("--ask", help="Ask you about the plan and about tool calls no rule allows, instead of deciding.")
]
Approvals = Annotated[
    Literal["autonomous", "guarded", "strict"] | None,
    typer.Option("--approval", help="Which subjects need your word: a preset, instead of the workspace's settings."),
]

Context = Annotated[
    list[str] | None,
    typer.Option("--context", help="A file or folder to know, or KIND=PATH; reaches who sees its kind. Repeatable."),
]


def runs_of(workspace: Path, model: str | None = None) -> "Runs":
    """The runs of the repository that holds a folder."""
    from backend_coordinator.graph.runs import Runs
    from backend_coordinator.nodes.workspace.user_repository import root_of

    return Runs(root_of(workspace), model)
