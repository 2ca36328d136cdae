"""The checks there are: every `@check` function of the modules in `checks`."""

from backend_coordinator.nodes.gates.checks import (
    api_design,
    code_quality,
    cors,
    database,
    documentation,
    logs,
    performance,
    security,
    statuses,
    tables,
    testing,
    versioning,
)
from backend_coordinator.nodes.gates.registry import Check, Stage

# The modules that wait for the test run stand last: a waiting check holds a slot of the inspection.
_CATEGORIES = (
    *(security, cors, logs, database, tables, performance, api_design, versioning, documentation),
    *(statuses, code_quality, testing),
)

CHECKS: tuple[Check, ...] = tuple(
    value for module in _CATEGORIES for value in vars(module).values() if isinstance(value, Check)
)


def checks_of(stage: Stage) -> tuple[Check, ...]:
    """The checks that run at `stage`: all of them at acceptance."""
    return tuple(check for check in CHECKS if stage == "acceptance" or check.stage == "delivery")
