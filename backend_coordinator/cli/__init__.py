"""The command line: `backend-coordinator COMMAND`, every answer also as `--json`."""

import sys

import typer

from backend_coordinator.cli import (
    batch,
    context,
    contract,
    gates,
    inspection,
    metrics,
    permissions,
    plan,
    roster,
    signals,
    work,
)
from backend_coordinator.cli.output import fail, say_json
from backend_coordinator.errors import CoordinatorError

app = typer.Typer(
    name="backend-coordinator",
    help="Coordinates backend work: a checked plan, specialists in their own worktrees, verdicts with evidence.",
    epilog="Exit codes: 0 accepted, 1 finished but not accepted, 2 usage or configuration, 3 waiting for an answer, "
    "130 stopped (143 by SIGTERM, 129 by SIGHUP).",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
USAGE = 2
work.add_to(app)
app.add_typer(plan.app, name="plan")
batch.add_to(app)
inspection.add_to(app)
metrics.add_to(app)
context.add_to(app)
app.add_typer(contract.app, name="contract")
app.add_typer(gates.app, name="gates")
app.add_typer(roster.app, name="roster")
app.add_typer(permissions.app, name="permissions")


def main() -> None:
    """Runs the command line; an expected error is one line and an exit code, never a traceback."""
    as_json = "--json" in sys.argv[1:]
    signals.listen()
    try:
        app()
    except CoordinatorError as error:
        sys.exit(fail(error, as_json=as_json))
    except SystemExit as ending:
        if as_json and ending.code == USAGE and not isinstance(ending.__context__, typer.Exit):
            say_json({"error": "the command line is not understood: standard error says why"})
        sys.exit(signals.exit_code(ending.code))
    except KeyboardInterrupt:
        sys.exit(signals.exit_code(signals.STOPPED))
