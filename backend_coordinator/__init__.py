"""backend-coordinator: a plan that is compiled, specialists in their own worktrees, verdicts with evidence."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from backend_coordinator.domain.plan import Plan, Task
    from backend_coordinator.domain.report import Report
    from backend_coordinator.errors import CoordinatorError, Waiting
    from backend_coordinator.graph.batch import Batch
    from backend_coordinator.graph.batch_files import Entry
    from backend_coordinator.graph.coordinator import Coordinator, Run
    from backend_coordinator.settings import Settings

_HOMES = {
    "Batch": "graph.batch",
    "Coordinator": "graph.coordinator",
    "CoordinatorError": "errors",
    "Entry": "graph.batch_files",
    "Plan": "domain.plan",
    "Report": "domain.report",
    "Run": "graph.coordinator",
    "Settings": "settings",
    "Task": "domain.plan",
    "Waiting": "errors",
}
__all__ = ["Batch", "Coordinator", "CoordinatorError", "Entry", "Plan", "Report", "Run", "Settings", "Task", "Waiting"]


def __getattr__(name: str) -> object:
    """Loads a public name when it is first used, so that importing the package costs next to nothing."""
    if name not in _HOMES:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
