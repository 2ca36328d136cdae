"""Runs of one task whose failures climb, and how they did."""

from collections.abc import Mapping
from pathlib import Path

from langchain_core.messages import AIMessage

from backend_coordinator.domain.plan import Task
from backend_coordinator.domain.report import Report
from backend_coordinator.graph.coordinator import Run
from backend_coordinator.settings import Approval
from backend_coordinator.testing import calls
from tests.support.department import Judgement, Told, Work, department, plan, task
from tests.support.runs import coordinator

Files = Mapping[str, str]
Judgements = Mapping[str, Judgement]


def author(*attempts: Files, told: list[str] | None = None) -> Work:
    """Attempt N writes the N-th files; a later one what the last wrote. `told` takes the packets."""

    def work(seen: Told) -> AIMessage:
        number = min(seen.text.count("GUIDANCE from"), len(attempts) - 1)
        if seen.turn == 0:
            if told is not None:
                told.append(seen.text)
            return calls(*(("write", {"path": path, "content": text}) for path, text in attempts[number].items()))
        return seen.calls("submit", summary="the work")

    return work


CODING = task(1, title="Versions", writes=("**",), steps=("write_code", "write_tests"))


def run_of(
    shop: Path, work: Work, made: Task = CODING, *, approval: str = "auto", judgements: Judgements | None = None
) -> Run:
    """A started run of one task; `approval` is the policy on new dependencies."""
    settings = {"required": ("C2", "C5"), "approval": Approval.model_validate({"dependencies": approval})}
    return coordinator(shop, department(plan(made), work, **(judgements or {})), **settings).start("versions")


def ladder(report: Report) -> list[tuple[int, str, str | None]]:
    """Level, class and action of every step."""
    return [(int(step.level), step.failure.value, step.action) for step in report.escalations]
