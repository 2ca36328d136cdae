"""The rule that every answer of the analysis is carried out by some task."""

import re
from collections.abc import Iterator, Mapping

from backend_coordinator.domain.plan import Finding, StepKind, Task
from backend_coordinator.nodes.plan_draft import DESIGNS, Draft

FITTING: Mapping[str, tuple[StepKind, ...]] = {
    "endpoint": ("write_code", "design_contract"),
    "schema": ("design_migration", "write_code"),
    "auth": ("write_code", "design_contract"),
    "performance": ("performance_test", "write_code", "design_migration"),
    "scalability": ("write_code", "performance_test", "design_migration"),
    "integration": ("write_code", "integration_test"),
    "monitoring": ("write_code", "monitoring"),
}
"""The steps that carry out an answer of each kind, the most fitting first."""
_WORD = re.compile(r"[a-z][a-z0-9_]{3,}")
_PATH = re.compile(r"/[a-z0-9_{}:/-]*[a-z0-9_}]", re.IGNORECASE)
_COMMON = re.compile(
    r"assumed|conflict|with|that|this|each|from|into|must|should|when|which|under|existing|tables?|columns?|index"
    r"|endpoints?|create|read|list|replace|update|delete|returns?|post|patch"
)
_LIKELY = 0.5


def coverage(draft: Draft) -> Iterator[Finding]:
    """Every answer to the seven questions is covered by a task whose steps carry it out (Backend Objective Analysis).

    What no such task names goes to those whose steps carry it out, among several to the one whose words name it; an id
    that the analysis does not have is dropped.
    """
    if draft.analysis is None:
        return
    answers = draft.analysis.answers
    for task in draft.open:
        if unknown := [name for name in task.covers if name not in answers]:
            draft.change(task.id, covers=tuple(name for name in task.covers if name in answers))
            reason = f"covers {', '.join(unknown)}, which the analysis does not have"
            yield Finding(rule="coverage", task=task.id, reason=reason, repair="that is dropped")
    named = {name for task in draft for name in task.covers if _carries_out(draft, task, name)}
    given: dict[str, list[str]] = {}
    for name, text in answers.items():
        if name in named:
            continue
        takers = _takers(draft, name, text)
        if not takers:
            yield Finding(rule="coverage", reason=f"no task covers {name}: {text}")
        for taker in takers:
            given.setdefault(taker, []).append(name)
    for taker, names in sorted(given.items()):
        draft.change(taker, covers=(*draft.tasks[taker].covers, *names))
        yield Finding(
            rule="coverage", task=taker, reason=f"nobody says who covers {', '.join(names)}", repair="this task does"
        )


def _takers(draft: Draft, name: str, text: str) -> list[str]:
    tasks = list(draft.open)
    fitting = [task for task in tasks if not task.steps]
    for step in reversed(_fitting(draft, name)):
        fitting = [task for task in tasks if step in task.steps] or fitting
    likeness = {task.id: _likeness(text, task) for task in fitting}
    best = max(likeness.values(), default=0.0)
    if best >= _LIKELY:
        return [task.id for task in fitting if likeness[task.id] == best][:1]
    return [task.id for task in fitting]


def _carries_out(draft: Draft, task: Task, name: str) -> bool:
    """Whether a task can: by a step that fits, or, without steps, perhaps."""
    return not task.steps or not set(_fitting(draft, name)).isdisjoint(task.steps)


def _fitting(draft: Draft, name: str) -> tuple[str, ...]:
    """The steps that carry out an answer, the most fitting first; where no task writes code any design does."""
    builds = any("write_code" in task.steps or not task.steps for task in draft)
    return (*FITTING.get(name.partition("-")[0], ()), *(() if builds else DESIGNS))


def _likeness(answer: str, task: Task) -> float:
    """The share of an answer's own words that a task has; a path that both name decides."""
    told = task.model_dump_json(
        include={"title", "objective", "requirements", "acceptance_criteria", "expected_output"}
    )
    if {path.lower() for path in _PATH.findall(answer)} & {path.lower() for path in _PATH.findall(told)}:
        return 1.0
    own = {word for word in _WORD.findall(answer.lower()) if not _COMMON.fullmatch(word)}
    return len(own.intersection(_WORD.findall(told.lower()))) / len(own) if own else 0.0
