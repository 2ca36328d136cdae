"""The page on plans, held to the compiler."""

from backend_coordinator.nodes.plan_rules import BY_STEP, RULES
from tests.support.runs import ROOT


def test_the_page_on_plans_tells_every_rule() -> None:
    page = (ROOT / "docs" / "plans.md").read_text(encoding="utf-8")
    rows = [line.split("`")[1] for line in page.splitlines() if line.startswith("| `")]
    assert rows == ["doubled-id", *RULES]
    assert all(name in page for name in BY_STEP.values())
