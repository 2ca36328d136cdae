"""Evidence alone decides the class of a failure, and the exact message goes into it."""

import pytest

from backend_coordinator.domain.failure import FailureClass
from backend_coordinator.domain.verdict import Evidence, Finding, Outcome, Verdict
from backend_coordinator.nodes.classify import MOST_MESSAGE, classify

TRACEBACK = "in <module>\n    {line}\nE   {error}"


def failed(item: str = "C5") -> Verdict:
    finding = Finding(path="tests.test_app", message="collection failure Traceback ...")
    evidence = Evidence(tool="pytest", command=("pytest",), exit_code=2, findings=(finding,))
    return Verdict(id=item, verdict=Outcome.FAIL, reason="tests.test_app fails: collection ...", evidence=(evidence,))


@pytest.mark.parametrize(
    ("error", "kind", "summary"),
    [
        ("ModuleNotFoundError: No module named 'jwt'", "missing_dependency", "no module named jwt; C5: "),
        ("ModuleNotFoundError: No module named 'app.models'", "test_failure", "C5: "),
        ("SyntaxError: invalid syntax", "syntax_error", "SyntaxError: invalid syntax; C5: "),
        ("AssertionError: 1 != 2", "test_failure", "C5: "),
    ],
)
def test_the_class_follows_from_the_whole_message(error: str, kind: str, summary: str) -> None:
    message = "long" * MOST_MESSAGE + TRACEBACK.format(line="import it", error=error)
    failure = classify([failed()], {"tests.test_app": message}, own={"app"})
    assert failure is not None
    assert failure.kind == kind
    assert failure.summary.startswith(summary)
    assert failure.detail.endswith(f"import it\nE   {error}")
    assert "collection failure Traceback" not in failure.detail


def test_items_of_several_classes_are_a_gate_failure() -> None:
    failure = classify([failed(), failed("S7")])
    assert failure is not None
    assert (failure.kind, failure.items) == (FailureClass.GATE_FAILURE, ("C5", "S7"))
    assert classify([]) is None
