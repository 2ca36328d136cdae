"""Every error this package raises on purpose, and the exit code each one means.

CoordinatorError
├── ConfigurationError          2   something the user can change before a run starts
│   ├── WorkspaceError              not a repository, no commit, detached HEAD, read-only, git too old
│   ├── ModelUnavailable            unknown model string, missing key, missing package
│   ├── RosterError                 a specialist's file is wrong
│   ├── UnknownSpecialist           a name nobody in the roster has
│   ├── InvalidPlan                 a plan that cannot be compiled
│   ├── UnknownRun                  no run of that id in this workspace
│   ├── RunLocked                   another process drives this run
│   ├── NewerDatabase               the run's files were written by a newer version
│   ├── DamagedRun                  a file of the run is lost, or cannot be read any more
│   └── BadAnswer                   an answer that is unknown, stale, doubled or not allowed
├── Waiting                     3   the run stands still until a question is answered
├── RunTaken                    another process took the run over from this one, which writes nothing more
├── Stopped                   130   the run was stopped from outside and can be resumed
├── ModelCallFailed                 a model call that did not lead to a complete message
└── ProcessRefused                  a process that must not run as asked
"""

from collections.abc import Sequence


class CoordinatorError(Exception):
    """Base of all errors of this package; `str(error)` is one line that names the way out."""

    exit_code = 1


class ConfigurationError(CoordinatorError):
    """The user asked for something that cannot start; nothing was changed."""

    exit_code = 2


class WorkspaceError(ConfigurationError):
    """The workspace is not a git repository this product can work in."""


class ModelUnavailable(ConfigurationError):
    """The model string, its key or its package cannot be used."""


class RosterError(ConfigurationError):
    """A specialist's file cannot be loaded."""


class UnknownSpecialist(ConfigurationError):
    """No specialist of the roster has this name or alias."""


class InvalidPlan(ConfigurationError):
    """A plan that cannot be made sound; `findings` says why, one line each."""

    def __init__(self, findings: Sequence[str]) -> None:
        self.findings = tuple(findings)
        super().__init__("the plan is not valid: " + "; ".join(self.findings))


class UnknownRun(ConfigurationError):
    """The workspace holds no run of this id."""


class RunLocked(ConfigurationError):
    """Another process drives this run."""


class NewerDatabase(ConfigurationError):
    """The run was written by a newer version of this package."""


class DamagedRun(ConfigurationError):
    """A file of the run is lost, or cannot be read any more."""


class BadAnswer(ConfigurationError):
    """An answer to a question that does not wait for it, or of a form it does not take."""


class Waiting(CoordinatorError):
    """The run cannot go on until its open questions are answered."""

    exit_code = 3


class RunTaken(CoordinatorError):
    """The lock under which this process drove the run was lost, and another process drives it now."""


class Stopped(CoordinatorError):
    """The run was stopped before it ended; resuming it goes on from there."""

    exit_code = 130


class ModelCallFailed(CoordinatorError):
    """The model gave no complete message within the retries and the deadline; `kind` names the fault."""

    kind = ""


class ProcessRefused(CoordinatorError):
    """A process was asked for that the confinement in force does not permit."""
