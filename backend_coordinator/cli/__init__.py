"""The command line: `backend-coordinator COMMAND`, every answer also as `--json`."""

import sys

import typer

from backend_coordinator.cli import gates, inspection, work
from backend_coordinator.cli.output import fail
from backend_coordinator.errors import CoordinatorError

app = typer.Typer(
    name="backend-coordinator",
    help="Coordinates backend work: a checked plan, specialists in their own worktrees, verdicts with evidence.",
    epilog="Exit codes: 0 accepted, 1 finished but not accepted, 2 usage or configuration, 3 waiting for an answer.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
work.add_to(app)
inspection.add_to(app)
app.add_typer(gates.app, name="gates")


def main() -> None:
    """Runs the command line; an expected error is one line and an exit code, never a traceback."""
    try:
        app()
    except CoordinatorError as error:
        sys.exit(fail(error))
    except KeyboardInterrupt:
        sys.exit(130)
