"""The records of the two protocols: kept by task as they are made, gathered for the report."""

from collections.abc import Iterator, Mapping, Sequence
from typing import get_args

from pydantic import TypeAdapter

from backend_coordinator.domain.plan import StepKind, Task
from backend_coordinator.domain.protocol import Protocol, ProtocolStep, Status
from backend_coordinator.domain.report import TaskResult
from backend_coordinator.nodes.gates.integration import Integration
from backend_coordinator.nodes.ledger import Ledger
from backend_coordinator.nodes.metrics import Measured

_STEPS = TypeAdapter(tuple[ProtocolStep, ...])
_SHARED: tuple[StepKind, ...] = ("share_contract", "validate_contract")


def keep_steps(ledger: Ledger, task: str, protocol: Protocol, steps: Sequence[ProtocolStep]) -> None:
    """Keeps what is known of a task's steps in one protocol, in place of what was known before."""
    ledger.note(f"protocol {protocol} {task}", ledger.redact(_STEPS.dump_json(tuple(steps)).decode()))


def kept_steps(ledger: Ledger, task: str) -> tuple[ProtocolStep, ...]:
    """What is known of a task's steps in both protocols."""
    noted = (ledger.noted(f"protocol {protocol} {task}") for protocol in get_args(Protocol))
    return tuple(step for text in noted if text for step in _STEPS.validate_json(text))


def steps_of(
    ledger: Ledger, tasks: Sequence[Task], results: Mapping[str, TaskResult], measured: Measured | None
) -> Iterator[ProtocolStep]:
    """The records of all tasks; a contract that never came to be shared is told as not shared."""
    for task in tasks:
        yield from (kept := kept_steps(ledger, task.id))
        ended = results[task.id].status if task.id in results else "not begun"
        for step in _SHARED:
            if step in task.steps and step not in {each.step for each in kept}:
                yield _step(task, step, "not_done", f"the task is {ended.replace('_', ' ')}")
        if "integration_test" in task.steps:
            yield _integration(task, ended, measured)


def _integration(task: Task, ended: str, measured: Measured | None) -> ProtocolStep:
    """What the tests of the merged tree show of its contracts; the frontend's own tests are not known here."""
    step: StepKind = "integration_test"
    if ended != "merged":
        return _step(task, step, "not_done", f"the task is {ended.replace('_', ' ')}")
    found = measured.integration if measured else Integration(problem="no merged tree was measured")
    if found.problem:
        return _step(task, step, "unknown", found.problem)
    held = len(found.operations) - len(found.open)
    told = f"{held} of {len(found.operations)} operations answered in tests with a status the contract has"
    if found.open:
        return _step(task, step, "not_done", f"{told}; not {', '.join(found.open)}")
    return _step(task, step, "done", told)


def _step(task: Task, step: StepKind, status: Status, evidence: str) -> ProtocolStep:
    return ProtocolStep(
        task=task.id, protocol="api_contract", step=step, status=status, by=task.specialist, evidence=evidence
    )
