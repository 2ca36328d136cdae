"""Evidence alone decides the class of a failure, and the exact message goes into it."""

import pytest

from backend_coordinator.domain.failure import FailureClass
from backend_coordinator.domain.verdict import Evidence, Finding, Outcome, Verdict
from backend_coordinator.nodes.classify import MOST_MESSAGE, classify

LOGGED = """Traceback (most recent call last):
  File "cache.py", line 3, in connect
    import redis
    ^^^^^^^^^^^^
ModuleNotFoundError: No module named 'redis'"""
UNITTEST = """Traceback (most recent call last):
  File "tests/test_app.py", line 1, in <module>
    import app
  File "app.py", line 1
    def version() -> str
                        ^
SyntaxError: expected ':'"""
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
        ("AssertionError: assert 'ok' == 'SyntaxError: line 1'", "test_failure", "C5: "),
        ("assert 3 == 4\nWARNING redis off: ModuleNotFoundError: No module named 'redis'", "test_failure", "C5: "),
        ("AssertionError: assert 'a' == 'b'\nE     \nE       SyntaxError: in both\nE     - b", "test_failure", "C5: "),
        (f"assert 3 == 4\n--- Captured log call ---\n{LOGGED}", "test_failure", "C5: "),
        (
            f"assert 3 == 4\n--- Captured log call ---\n{LOGGED}\nFAILED b\n{UNITTEST}",
            "syntax_error",
            "SyntaxError: exp",
        ),
        (
            '  File "app.py", line 1\nE       x y\nE         ^\nE   SyntaxError: odd',
            "syntax_error",
            "SyntaxError: odd; C5",
        ),
        (f"no test\n{LOGGED}", "missing_dependency", "no module named redis; C5: "),
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
