"""The typed questions of Level 2, filled from evidence, attempts and dossier (Communication Formats)."""

import re
from collections.abc import Iterable

from backend_coordinator.domain.base import Value
from backend_coordinator.domain.failure import Dossier, FailureClass
from backend_coordinator.domain.plan import Task

_F = FailureClass
_OPERATION = re.compile(r"\b(?:GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS) /[^\s:,;]*")
_CONTRACT = re.compile(r"(?<![\w./-])[\w./-]+\.(?:ya?ml|json|graphqls?|gql)(?![\w-])")
_WITH_FRONTEND = frozenset({_F.API_CONTRACT_MISMATCH, _F.API_DESIGN_CONFLICT})
_NEEDS = {
    _F.PERFORMANCE_ISSUE: "which change of design, query or index meets the target",
    _F.DATABASE_DESIGN: "which schema, constraint or migration is sound here",
    _F.API_CONTRACT_MISMATCH: "which side is right, the contract or the code, and what the other has to become",
    _F.API_DESIGN_CONFLICT: "a design of the interface that serves both sides",
    _F.ARCHITECTURAL_QUESTION: "which of the possible designs to build, and what it follows from",
}
_ANY_NEED = "guidance that lets the author finish the task"


class ArchitecturalQuestion(Value):
    """A question about design, schema or speed (Communication Formats, architectural questions); empty is "none"."""

    question: str
    context: str = ""
    reference: str = ""
    tried: str = ""
    need: str = ""


class FrontendCoordination(Value):
    """A question about the interface that two sides share (Communication Formats, frontend coordination)."""

    issue: str
    endpoint: str = ""
    contract: str = ""
    error_details: str = ""
    request: str = ""


def typed_question(task: Task, dossier: Dossier) -> ArchitecturalQuestion | FrontendCoordination:
    """The question that a dossier makes: about a contract in the format for it, about all else the architect's."""
    failure = dossier.failure
    asked, need = f"{failure.kind}: {failure.summary}", _NEEDS.get(failure.kind, _ANY_NEED)
    evidence = failure.detail
    if failure.kind in _WITH_FRONTEND:
        known = "\n".join((evidence, task.objective, *task.requirements.technical, *task.acceptance_criteria))
        return FrontendCoordination(
            issue=asked,
            endpoint=_each(_OPERATION.findall(known)),
            contract=_each(
                (*_CONTRACT.findall(evidence), *(path for path in task.writes if _CONTRACT.fullmatch(path)))
            ),
            error_details=evidence,
            request=f"{need}\nTried so far:\n{_tried(dossier) or 'none'}",
        )
    wanted = task.requirements
    return ArchitecturalQuestion(
        question=asked,
        context=f"{task.objective}\n{evidence}".strip(),
        reference=_each((*wanted.technical, *wanted.performance, *wanted.scalability, *task.acceptance_criteria)),
        tried=_tried(dossier),
        need=need,
    )


def rendered(question: ArchitecturalQuestion | FrontendCoordination) -> str:
    """Every field under its name; an empty one says `none`."""
    fields = ((name.replace("_", " ").upper(), value) for name, value in question.model_dump().items())
    return "\n".join(f"{name}: {value.strip() or 'none'}" for name, value in fields)


def _tried(dossier: Dossier) -> str:
    tried = [f"attempt {a.number} by {a.specialist}: {a.failure.kind}: {a.failure.summary}" for a in dossier.attempts]
    told = [f"{step.asked} advised: {step.answer}" for step in dossier.escalations if step.action == "guide"]
    return "\n".join((*tried, *told))


def _each(values: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(values))
