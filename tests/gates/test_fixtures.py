"""Every check has a fixture it passes and one it fails."""

from pathlib import Path

import pytest

from backend_coordinator.domain.verdict import Outcome
from backend_coordinator.nodes.gates.catalogue import CHECKS
from backend_coordinator.nodes.gates.registry import Check
from backend_coordinator.nodes.workspace.environment import Environment
from tests.gates.trees import FIXTURES, MakeTree, changes, inside, read

CASES = [
    pytest.param(check, kind, outcome, id=f"{check.name}-{kind}")
    for check in CHECKS
    for kind, outcome in (("passing", Outcome.PASS), ("failing", Outcome.FAIL))
]


@pytest.mark.parametrize(("check", "kind", "outcome"), CASES)
async def test_each_check_decides_its_fixtures(
    check: Check, kind: str, outcome: Outcome, tree: MakeTree, environment: Environment
) -> None:
    folder = FIXTURES / check.name / kind
    base = tree(read(folder / "base")) if (folder / "base").is_dir() else None
    head = tree(read(folder / "head" if base else folder))
    verdict = await check.run(base, head, changes(base, head), inside(environment, head))
    assert (verdict.id, verdict.verdict) == (check.item, outcome), verdict.reason
    assert "\n" not in verdict.reason
    evidence = verdict.evidence[0]
    assert evidence.tool
    assert evidence.version
    assert evidence.command
    assert evidence.exit_code is not None
    assert len(evidence.output_sha256) == 64
    assert evidence.summary


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
def test_each_check_says_what_it_looks_at_why_and_by_which_rule(check: Check) -> None:
    text = check.run.__doc__ or ""
    assert check.summary.endswith(".") or text.strip()
    assert "Source: " in text
    assert len(text.strip().splitlines()) >= 3


def test_no_fixture_belongs_to_a_check_that_is_gone() -> None:
    assert {path.name for path in Path(FIXTURES).iterdir()} == {check.name for check in CHECKS}
