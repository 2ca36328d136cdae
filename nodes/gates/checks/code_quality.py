"""Checks of code quality."""

import ast
import asyncio
from collections.abc import Sequence
from difflib import SequenceMatcher

from backend_coordinator.domain.verdict import Finding, Outcome, Verdict
from backend_coordinator.nodes.gates.evidence import (
    MOST_FINDINGS,
    fails,
    introduced,
    not_applicable,
    one_line,
    passes,
    read_evidence,
    says,
    unknown,
)
from backend_coordinator.nodes.gates.files import is_code, is_measured, is_shell, is_test
from backend_coordinator.nodes.gates.linters import run_linters
from backend_coordinator.nodes.gates.lost import Lost, Weakened, lost_tests, may_lose_tests, weakened_tests
from backend_coordinator.nodes.gates.project import run_tests
from backend_coordinator.nodes.gates.registry import check
from backend_coordinator.nodes.gates.scripts import LINTS, TESTS, scripts_verdict
from backend_coordinator.nodes.gates.secrets import secrets_in
from backend_coordinator.nodes.gates.source import parse
from backend_coordinator.nodes.gates.testrun import FileCoverage, TestRun, hidden_failures, is_within, old_failures
from backend_coordinator.nodes.workspace.environment import Environment
from backend_coordinator.nodes.workspace.trees import Tree

LEAST_COVERAGE = 0.80
NAMED = 5
"""Tests or files one reason names at most."""


@check("C1")
async def style_follows_configuration(
    base: Tree | None, head: Tree, changed: frozenset[str], environment: Environment
) -> Verdict:
    """The linters and the type checker the project itself configures have nothing new to say on changed files.

    A project's style is what it configured, not our taste. Source: Code quality, project style guide.
    """
    if not any(is_code(head, path) for path in changed if path in head.files):
        return not_applicable("C1", "no code changed")
    node = await scripts_verdict("C1", LINTS, (base, head), changed, environment)
    if node and node.verdict is Outcome.FAIL:
        return node
    tools = await run_linters(head.path, environment)
    evidence = tuple(tool.evidence for tool in tools)
    if not tools:
        return node or unknown("C1", "the project configures no linter: configure ruff in pyproject.toml")
    findings = [f for tool in tools for f in tool.findings if f.path in changed and is_code(head, f.path)]
    if findings and base:
        before = await run_linters(base.path, environment)
        findings = list(introduced(findings, [f for tool in before for f in tool.findings]))
    if findings:
        return fails("C1", findings, "follow the project's own configuration", *evidence)
    if problem := next((tool.problem for tool in tools if tool.problem), None):
        return unknown("C1", problem, *evidence)
    return node or passes("C1", f"{', '.join(tool.tool for tool in tools)} have no new findings", *evidence)


@check("C2")
async def no_secrets_in_code(
    base: Tree | None, head: Tree, changed: frozenset[str], environment: Environment
) -> Verdict:
    """No changed file holds a key, token or password that its old version did not hold.

    What is committed once is known for ever. Source: Code quality, no hardcoded secrets or credentials.
    """
    paths = sorted(path for path in changed if path in head.files)
    if not paths:
        return not_applicable("C2", "no file was added or changed")
    findings, skipped = await asyncio.to_thread(_new_secrets, base, head, paths)
    evidence = read_evidence(findings, f"{len(paths)} files read", tool="detect-secrets")
    if findings:
        return fails("C2", findings, "revoke it and read it from the environment", evidence)
    if skipped:
        return unknown("C2", f"{skipped[0]} is too large or no UTF-8 text: look at it", evidence)
    return passes("C2", f"no secrets in {len(paths)} changed files", evidence)


def _new_secrets(base: Tree | None, head: Tree, paths: Sequence[str]) -> tuple[list[Finding], list[str]]:
    known = {secret.value for path in paths for secret in secrets_in(path, (base and base.read(path)) or "")}
    findings, skipped = [], []
    for path in paths:
        text = head.read(path)
        if text is None:
            skipped += [path] if is_code(head, path) or path.endswith((".env", ".yaml", ".yml", ".json")) else []
            continue
        for secret in secrets_in(path, text):
            if secret.value not in known:
                findings.append(Finding(path=path, line=secret.line, message=f"looks like {secret.kind}"))
    return findings, skipped


@check("C5")
async def tests_pass_and_cover_the_change(
    base: Tree | None, head: Tree, changed: frozenset[str], environment: Environment
) -> Verdict:
    """The project's tests pass, and at least 80 % of the lines the change introduced run under them.

    Failures the base tree has too are named, not blamed. A failing test whose unchanged file could not be imported
    there leaves the item unknown; a test that passed there must not vanish. Source: Code quality, code is tested
    (coverage).
    """
    node = await scripts_verdict("C5", TESTS, (base, head), changed, environment)
    if node and node.verdict is Outcome.FAIL:
        return node
    verdict = await _python_tests(base, head, changed, environment)
    if node is None or verdict.verdict is Outcome.FAIL:
        return verdict
    return node.model_copy(update={"evidence": (*verdict.evidence, *node.evidence)})


async def _python_tests(base: Tree | None, head: Tree, changed: frozenset[str], environment: Environment) -> Verdict:
    code = sorted(path for path in changed if is_code(head, path) or (base and is_code(base, path)))
    run = await run_tests(head.path, environment)
    if run.problem:
        return unknown("C5", run.problem, run.evidence)
    before, comparing = TestRun("none"), base is not None and may_lose_tests(base, head, changed)
    if base and (run.failing or comparing):
        before = await run_tests(base.path, environment)
    hidden = hidden_failures(run, before, changed)
    if new := sorted(run.failing.keys() - {*old_failures(run, before), *hidden}):
        return _blamed(run, new, before)
    lost = lost_tests(base, head, before, run) if base else Lost()
    weakened = weakened_tests(base, head, changed, before) if base else Weakened()
    if reason := _missing(lost, weakened):
        return says("C5", Outcome.FAIL, reason, run.evidence)
    verdict = _judge(base, head, code, run, before)
    if weakened.fewer:
        verdict = verdict.model_copy(
            update={"reason": f"{verdict.reason}; fewer assertions than before: {_first(weakened.fewer)}"}
        )
    if verdict.verdict is Outcome.FAIL:
        return verdict
    if hidden:
        reason = f"fails, and could not be imported before the change to compare: {_first(hidden)}; make it pass"
        return unknown("C5", reason, *verdict.evidence)
    if lost.moved:
        reason = f"look at whether these tests are still needed, moved or deleted with their code: {_first(lost.moved)}"
        return unknown("C5", reason, *verdict.evidence)
    if comparing and before.problem:
        reason = f"tests were changed and those of before cannot be run to compare: {before.problem}"
        return unknown("C5", reason, *verdict.evidence)
    return verdict


def _missing(lost: Lost, weakened: Weakened) -> str:
    if lost.removed:
        return f"no longer run, but passed before the change: {_first(lost.removed)}; bring them back"
    if weakened.emptied:
        return f"no longer asserts anything: {_first(weakened.emptied)}; bring the assertions back"
    return ""


def _blamed(run: TestRun, new: Sequence[str], before: TestRun) -> Verdict:
    told, more = one_line(run.failing[new[0]], 200), f" (and {len(new) - 1} more)" if len(new) > 1 else ""
    if before.problem:
        reason = f"{new[0]} fails{more}, and the tests of before cannot be run to compare: {before.problem}"
        return unknown("C5", reason, run.evidence)
    findings = tuple(Finding(path=test, message=one_line(run.failing[test])) for test in new[:MOST_FINDINGS])
    evidence = run.evidence.model_copy(update={"findings": findings})
    return says("C5", Outcome.FAIL, f"{new[0]} fails{more}: {told}; make it pass", evidence)


def _old(run: TestRun, before: TestRun) -> str:
    """What failed before the change, by name: what still does, and what no longer does."""
    mended = [test for test in before.failing if any(is_within(other, (test,)) for other in run.passing)]
    old = old_failures(run, before)
    note = f"; failed before too: {_first(old)}" if old else ""
    return note + (f"; mended: {_first(mended)}" if mended else "")


def _first(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


def _judge(base: Tree | None, head: Tree, code: Sequence[str], run: TestRun, before: TestRun) -> Verdict:
    other = [path for path in code if not path.endswith(".py")]
    foreign = other
    if any(map(is_measured, code)):
        foreign = [path for path in other if not is_shell(head if path in head.files or not base else base, path)]
    if run.runner == "none":
        return _without_tests(head, code, foreign, run)
    if not run.green and (not run.failing or run.exit_code != 1):
        reason = f"{run.runner} ended with exit code {run.exit_code} and {run.summary}: make the tests run"
        outcome = Outcome.FAIL if code else Outcome.UNKNOWN
        return says("C5", outcome, reason, run.evidence)
    if code and not run.passed:
        return unknown("C5", f"no test passes: {run.summary}", run.evidence)
    measured = [path for path in code if path in head.files and is_measured(path)]
    note = _old(run, before)
    note += f"; not measured: {_first(other)}" if other else ""
    verdict = _covered(base, head, measured, run, note)
    if verdict.verdict is Outcome.PASS and foreign:
        return unknown("C5", f"{foreign[0]} is not Python: nothing here measures its tests", *verdict.evidence)
    if verdict.verdict is Outcome.PASS and not code and not run.green:
        return not_applicable("C5", "no code changed" + note, *verdict.evidence)
    return verdict


def _without_tests(head: Tree, code: Sequence[str], foreign: Sequence[str], run: TestRun) -> Verdict:
    if not code:
        return not_applicable("C5", "no code changed and the project has no tests", run.evidence)
    if foreign:
        return unknown("C5", f"{foreign[0]} is not Python: nothing here runs its tests", run.evidence)
    first = next((path for path in code if not is_test(path) and _statements(head.read(path) or "")), None)
    if first is None:
        return unknown("C5", "the project has no tests", run.evidence)
    return fails("C5", [Finding(path=first, message="no test runs this code")], "add tests", run.evidence)


def _covered(base: Tree | None, head: Tree, paths: Sequence[str], run: TestRun, note: str) -> Verdict:
    executed, missing = 0, []
    for path in paths:
        text = head.read(path)
        if text is None:
            return unknown("C5", f"{path} is too large or no UTF-8 text", run.evidence)
        new = _new_lines((base and base.read(path)) or "", text)
        lines = run.coverage.get(path) or FileCoverage(frozenset(), _statements(text))
        executed += len(new & lines.executed)
        missing += [Finding(path=path, line=n, message="no test runs this line") for n in sorted(new & lines.missing)]
    total = executed + len(missing)
    share = executed / total if total else 1.0
    summary = f"{executed} of {total} introduced lines run under the tests"
    shown = {"summary": summary, "findings": tuple(missing[:MOST_FINDINGS])}
    evidence = run.evidence.model_copy(update={"tool": "coverage", "version": run.coverage_version, **shown})
    if share < LEAST_COVERAGE:
        fix = f"test the change: {share:.0%} of its {total} lines are covered, {LEAST_COVERAGE:.0%} are needed"
        return fails("C5", missing, fix + note, run.evidence, evidence)
    reason = f"{run.passed} tests pass and cover {share:.0%} of {total} introduced lines{note}"
    return passes("C5", reason, run.evidence, evidence)


def _new_lines(before: str, after: str) -> frozenset[int]:
    old, new = before.splitlines(), after.splitlines()
    blocks = SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
    return frozenset(n + 1 for tag, _, _, start, end in blocks if tag != "equal" for n in range(start, end))


def _statements(text: str) -> frozenset[int]:
    """Lines on which statements begin, docstrings apart; all lines of what is no Python."""
    try:
        nodes = list(ast.walk(parse(text)))
    except SyntaxError:
        return frozenset(range(1, len(text.splitlines()) + 1))
    return frozenset(
        node.lineno
        for node in nodes
        if isinstance(node, ast.stmt) and not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
    )
