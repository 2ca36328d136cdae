"""Taking a run up: the ledger learns what the journals hold, and of each call whose outcome nobody knows, once."""

from langchain_core.messages import ToolMessage

from backend_coordinator.domain.events import InDoubt, TaskEnded, ToolCalled
from backend_coordinator.nodes.doubts import IN_DOUBT, doubts_in, settle
from backend_coordinator.nodes.tools.bench import Bench
from backend_coordinator.testing import calls

OPEN = calls(("write", {"path": "a.md", "content": "a\n"}), ("bash", {"command": "make it"}))
DOUBT = InDoubt(task="backend-T001", tool="bash", subject="make it")


def test_a_call_in_doubt_is_told_to_model_and_ledger_once(bench: Bench) -> None:
    journal = bench.context.transcript("backend-T001-1")
    journal.add(OPEN)
    journal.intend("0-0")  # what may be repeated is in no doubt
    journal.intend("0-1")
    for _ in range(2):
        settle(bench.context)
    assert doubts_in(bench.context.ledger) == (DOUBT,)
    results = [(m.tool_call_id, m.content) for m in journal.read().messages if isinstance(m, ToolMessage)]
    assert results == [("0-1", IN_DOUBT)]


def test_what_a_journal_holds_and_the_ledger_misses_is_recorded_once(bench: Bench) -> None:
    context = bench.context
    called = ToolCalled(task="backend-T001", tool="write", subject="a.md", ok=True)
    journal = context.transcript("backend-T001-1")
    for number in ("0-0", "0-1"):  # two calls of which the ledger tells alike
        journal.add(ToolMessage("done", tool_call_id=number), event=called)
    context.ledger.record(called)
    for _ in range(2):
        settle(context)
    assert [event for _, event in context.ledger.events() if isinstance(event, ToolCalled)] == [called, called]


def test_a_task_that_ended_is_not_looked_at_again(bench: Bench) -> None:
    journal = bench.context.transcript("backend-T001-1")
    journal.add(OPEN)
    journal.intend("0-1")
    bench.context.ledger.record(TaskEnded(task="backend-T001", status="merged"))
    settle(bench.context)
    assert doubts_in(bench.context.ledger) == ()
