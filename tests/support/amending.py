"""Runs whose coordinator changes the plan while it is carried out."""

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path

from langchain_core.messages import AIMessage

from backend_coordinator.domain.objective import Objective
from backend_coordinator.domain.plan import Plan
from backend_coordinator.graph.coordinator import Run
from backend_coordinator.graph.runs import Runs, drive
from backend_coordinator.nodes.ledger import Ledger
from backend_coordinator.testing import Script, ScriptedModel
from tests.support.children import child, die, ending
from tests.support.department import Judgement, Told, Work, department, plan, task, write_own_file
from tests.support.runs import QUICK, coordinator

AMENDED = "write f1.txt in English"
AMEND = {"action": "amend", "text": "the language was missing", "amendment": {"objective": AMENDED}}
PARTS = [
    {"title": "First half", "objective": "write f1.txt", "writes": ["f1.txt"]},
    {"title": "Second half", "objective": "write more", "writes": ["more.txt"], "after": [1]},
]
SPLIT = {"action": "split", "text": "these are two things", "parts": PARTS}
WAIT = {"action": "wait", "text": "it comes back at noon", "minutes": 30}


def said(answer: Mapping[str, object]) -> Judgement:
    """A coordinator who always decides this."""
    return lambda told: answer


def first_refused(about: str = "external_block", *, go: Callable[[Told], bool]) -> Work:
    """Task 1 is handed back until `go`; the others write their files."""

    def work(told: Told) -> AIMessage:
        if told.task != "backend-T001" or go(told):
            return write_own_file(told)
        return told.calls("submit", summary="nothing", refusal="it cannot be done so", about=about)

    return work


def on_amendment(told: Told) -> bool:
    return AMENDED in told.text


THREE = plan(task(1), task(2, needs=[1]), task(3))


def script(made: Plan, decision: Mapping[str, object], work: Work | None = None) -> Script:
    return department(made, work or first_refused(go=on_amendment), review=said(decision))


def run_of(shop: Path, made: Plan, decision: Mapping[str, object], work: Work | None = None) -> Run:
    return coordinator(shop, script(made, decision, work)).start("files")


def killed_at_note(shop: Path, made: Script, name: str) -> str:
    """A run whose process was killed as soon as it had noted this."""
    runs = Runs(shop, ScriptedModel(script=made), QUICK)
    run, note = runs.create(Objective(text="files")), Ledger.note

    def noted(ledger: Ledger, each: str, value: str) -> None:
        note(ledger, each, value)
        if each == name:
            die()

    def work() -> None:
        Ledger.note = noted  # type: ignore[method-assign]
        asyncio.run(drive(runs, run))

    assert ending(child(work)) < 0
    return run
