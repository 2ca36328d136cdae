"""Whether the tests of a tree saw its application answer each operation as the contract says."""

from collections.abc import Sequence

from backend_coordinator.domain.base import Value
from backend_coordinator.nodes.gates.openapi import Document
from backend_coordinator.nodes.gates.testrun import TestRun, operation_of


class Integration(Value):
    """Operations of the written contracts: all, and those with an answer that the contract does not have, or none.

    `problem` says why nothing is known.
    """

    operations: tuple[str, ...] = ()
    open: tuple[str, ...] = ()
    problem: str = ""


def integrated(run: TestRun, documents: Sequence[Document]) -> Integration:
    """What a test run shows of contracts (API Contract Coordination, the integration test).

    An operation holds where a test got an answer with a status that it declares, and none with another one.
    """
    operations = [operation for document in documents for operation in document.operations]
    names = tuple(dict.fromkeys(map(str, operations)))
    if run.problem or not run.requests or not operations:
        unseen = "no test sent a request that could be seen" if operations else "there is no contract with operations"
        return Integration(operations=names, problem=run.problem or unseen)
    seen: dict[str, set[int]] = {}
    for request in run.requests:
        if (operation := operation_of(request, operations)) is not None:
            seen.setdefault(str(operation), set()).add(request.status)
    left = []
    for operation in operations:
        statuses = seen.get(str(operation), set())
        strange = sorted(status for status in statuses if not operation.declares(status))
        if not statuses:
            left.append(f"{operation} (not requested)")
        elif strange:
            left.append(f"{operation} (answered {', '.join(map(str, strange))}, which the contract does not have)")
    return Integration(operations=names, open=tuple(dict.fromkeys(left)))
