"""Short ways to state verdicts with complete evidence."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache
from importlib import metadata

from backend_coordinator.domain.verdict import Evidence, Finding, Outcome, Verdict

MOST_FINDINGS = 50


@cache  # every verdict names it, and reading it parses a file
def version_of(distribution: str) -> str:
    """The installed version of `distribution` beside this program, or `unreleased`."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "unreleased"


def digest(text: str) -> str:
    """sha256 of `text` as hexadecimal digits."""
    return hashlib.sha256(text.encode()).hexdigest()


def read_evidence(findings: Sequence[Finding], summary: str, *, tool: str = "backend-coordinator") -> Evidence:
    """Evidence of a check that reads files in this process; its output is the list of its findings."""
    output = "\n".join(f"{place(finding)}: {finding.message}" for finding in findings)
    return Evidence(
        tool=tool,
        version=version_of(tool),
        command=("backend-coordinator", "gates", "check", "."),
        exit_code=1 if findings else 0,
        output_sha256=digest(output),
        summary=one_line(summary),
        findings=tuple(findings[:MOST_FINDINGS]),
    )


def place(finding: Finding) -> str:
    """`path:line`, or the path alone where the whole file is meant."""
    return f"{finding.path}:{finding.line}" if finding.line else finding.path


def one_line(text: str, limit: int = 400) -> str:
    """`text` without line breaks, cut at `limit` characters."""
    flat = " ".join(text.split())
    return flat if len(flat) <= limit else flat[: limit - 1] + "…"


def introduced(head: Iterable[Finding], base: Iterable[Finding]) -> tuple[Finding, ...]:
    """Findings of `head` that `base` does not have; lines may have moved, so path and message decide."""
    known = Counter((finding.path, finding.message) for finding in base)
    new = []
    for finding in head:
        key = (finding.path, finding.message)
        known[key] -= 1
        if known[key] < 0:
            new.append(finding)
    return tuple(new)


def fails(item: str, findings: Sequence[Finding], fix: str, *evidence: Evidence) -> Verdict:
    """A fail that names the first finding and the fix."""
    first, more = findings[0], len(findings) - 1
    others = f" (and {more} more)" if more else ""
    reason = one_line(f"{place(first)}: {first.message}{others}; {fix}")
    told = evidence if any(e.findings for e in evidence) else (read_evidence(findings, reason), *evidence)
    return says(item, Outcome.FAIL, reason, *told)


def says(item: str, outcome: Outcome, reason: str, *evidence: Evidence) -> Verdict:
    """A verdict with the evidence given, or with the reading that led to `reason`."""
    reason = one_line(reason)
    return Verdict(id=item, verdict=outcome, reason=reason, evidence=evidence or (read_evidence((), reason),))


def passes(item: str, reason: str, *evidence: Evidence) -> Verdict:
    """A pass."""
    return says(item, Outcome.PASS, reason, *evidence)


def unknown(item: str, reason: str, *evidence: Evidence) -> Verdict:
    """An answer that could not be found."""
    return says(item, Outcome.UNKNOWN, reason, *evidence)


def not_applicable(item: str, reason: str, *evidence: Evidence) -> Verdict:
    """An item this change does not touch."""
    return says(item, Outcome.NOT_APPLICABLE, reason, *evidence)
