"""From failed verdicts to the class of failure that decides where the ladder starts; evidence alone decides."""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence

from backend_coordinator.domain.failure import Failure, FailureClass
from backend_coordinator.domain.verdict import Verdict

_SYNTAX = re.compile(r"(?:SyntaxError|IndentationError|TabError)\b")
_MISSING = re.compile(r"ModuleNotFoundError: No module named '([\w.]+)'")
_FRAME = re.compile(r"\s+File \".+\", line \d+")
_SECTION = re.compile(r"-{3,} Captured |[=_]{3,}|FAILED ")
_ITEMS = {"C5": FailureClass.TEST_FAILURE, "C1": FailureClass.STYLE}
MOST_DETAIL = 8_000
MOST_MESSAGE = 2_000
"""Characters of one test's message; its end, where the error stands."""


def classify(
    failed: Sequence[Verdict], tests: Mapping[str, str] | None = None, own: Collection[str] = ()
) -> Failure | None:
    """The failure that these failed verdicts make, or None where there is none.

    `tests` are the whole messages of newly failing tests, `own` the top-level modules that nobody has to install.
    """
    if not failed:
        return None
    detail = "\n\n".join(_told(verdict, tests or {}) for verdict in failed)[:MOST_DETAIL]
    kinds = {_ITEMS.get(verdict.id, FailureClass.GATE_FAILURE) for verdict in failed}
    kind = kinds.pop() if len(kinds) == 1 else FailureClass.GATE_FAILURE
    summary = "; ".join(f"{verdict.id}: {verdict.reason}" for verdict in failed)
    if syntax := next(filter(_SYNTAX.match, _errors(detail)), None):
        kind, summary = FailureClass.SYNTAX_ERROR, f"{syntax[:200]}; {summary}"
    elif missing := missing_modules(detail, own):
        kind, summary = FailureClass.MISSING_DEPENDENCY, f"no module named {', '.join(missing)}; {summary}"
    return Failure(kind=kind, summary=summary[:500], detail=detail, items=tuple(v.id for v in failed))


def missing_modules(text: str, own: Collection[str] = ()) -> tuple[str, ...]:
    """The modules that Python could not find, except those below a module of `own`."""
    names = [found[1] for found in map(_MISSING.match, _errors(text)) if found]
    return tuple(dict.fromkeys(name for name in names if name.partition(".")[0] not in own))


def _errors(text: str) -> Iterator[str]:
    """The lines that end a traceback, Python's or pytest's `E`: not what a message quotes or a log captured."""
    captured = marked = False
    frame = 0
    for line in text.splitlines():
        if section := _SECTION.match(line):
            captured = "Captured" in section[0]
        if captured:
            continue
        before, marked = marked, line.startswith("E  ")
        bare = f" {line[1:]}" if marked else line
        depth = len(bare) - len(bare.lstrip())
        if _FRAME.match(bare):
            frame = depth
        elif bare.strip() and (depth < frame or (marked and not before)):
            frame = 0
            yield bare.strip()


def _told(verdict: Verdict, tests: Mapping[str, str]) -> str:
    lines = [f"{verdict.id} failed: {verdict.reason}"]
    for evidence in verdict.evidence:
        lines.append(f"$ {' '.join(evidence.command)} -> exit {evidence.exit_code}: {evidence.summary}")
        places = [(f, tests.get(f.path)) for f in evidence.findings]
        lines += [f"{f.path}:{f.line}: {f.message}" for f, whole in places if whole is None]
    if verdict.id == "C5":
        lines += [f"FAILED {test}\n{message[-MOST_MESSAGE:]}" for test, message in tests.items()]
    return "\n".join(lines)
