"""Laws of bash permissions, for any lines and rules."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend_coordinator.nodes.tools.permissions import Decision, judge_bash

WORDS = st.sampled_from(["git", "log", "rm", "-rf", "pytest", "tests/a.py", "ls", "pip", "install", "x"])
LINES = st.lists(WORDS, min_size=1, max_size=4).map(" ".join)
PATTERNS = st.sampled_from(["*", "git *", "git log *", "rm *", "pytest *", "pip install *", "ls", "git log"])
DECISIONS: st.SearchStrategy[Decision] = st.sampled_from(["allow", "ask", "deny"])
RULES = st.dictionaries(PATTERNS, DECISIONS)
META = st.sampled_from([*";&|<>$`(){}\n\\*?[]~#!^", "$(", "&&", ">&", "<<", "\r", "\x00", "\u2028"])


@given(LINES, LINES, META, st.booleans())
def test_a_line_with_a_shell_metacharacter_is_never_allowed(first: str, second: str, meta: str, spaced: bool) -> None:
    line = f"{first} {meta} {second}" if spaced else f"{first}{meta}{second}"
    assert judge_bash(line, {"*": "allow"}).decision != "allow"


@given(st.text(max_size=40))
def test_whatever_is_allowed_consists_of_harmless_characters(line: str) -> None:
    if judge_bash(line, {"*": "allow"}).decision == "allow":
        assert not set(line) & set(";&|<>$`(){}\n\\*?[]~#!^\r\0")


@given(LINES, RULES, st.randoms(use_true_random=False))
def test_the_order_of_the_rules_has_no_meaning(line: str, rules: dict[str, Decision], random: Random) -> None:
    pairs = list(rules.items())
    random.shuffle(pairs)
    assert judge_bash(line, dict(pairs)) == judge_bash(line, rules)


@given(LINES, RULES)
def test_without_a_rule_that_allows_nothing_is_allowed(line: str, rules: dict[str, Decision]) -> None:
    without = {pattern: decision for pattern, decision in rules.items() if decision != "allow"}
    assert judge_bash(line, without).decision != "allow"


@given(LINES, LINES, st.sampled_from([";", "&&", "||", "|", "\n", "&"]), RULES)
def test_a_denied_part_denies_the_whole_line(first: str, second: str, glue: str, rules: dict[str, Decision]) -> None:
    parts = {judge_bash(part, rules).decision for part in (first, second)}
    whole = judge_bash(f"{first} {glue} {second}", rules).decision
    assert whole == ("deny" if "deny" in parts else "ask")


@pytest.mark.parametrize(
    ("line", "decision"),
    [
        ("git log", "allow"),
        ("git log --oneline", "allow"),
        ("git push origin", "ask"),
        ("rm -rf x", "deny"),
        ("git log; rm x", "deny"),
        ("git log >&'$(rm x)y'", "deny"),
        ("X=1 git log", "ask"),
        ("git log 'unclosed", "ask"),
        ("", "ask"),
    ],
)
def test_the_most_specific_rule_decides(line: str, decision: Decision) -> None:
    rules: dict[str, Decision] = {"*": "ask", "git log *": "allow", "git *": "ask", "rm *": "deny"}
    assert judge_bash(line, rules).decision == decision
