"""Laws of bash permissions, for any lines and rules."""

from random import Random

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from backend_coordinator.nodes.permissions.bash import judge_bash
from backend_coordinator.nodes.permissions.rules import Decision, Ruling

WORDS = st.sampled_from(["git", "log", "rm", "-rf", "pytest", "tests/a.py", "ls", "install", "x"])
LINES = st.lists(WORDS, min_size=1, max_size=4).map(" ".join)
PATTERNS = st.sampled_from(
    ["*", "git *", "git log *", "rm *", "pytest *", "ls", "git log", "[a-k]*", "git ?og", "[^g]*", "[z-a]", "[a--]"]
)
DECISIONS: st.SearchStrategy[Decision] = st.sampled_from(["allow", "ask", "deny"])
RULES = st.dictionaries(PATTERNS, DECISIONS)
GLUES = st.sampled_from(
    ["{};{}", "{} && {}", "{}||{}", "{} | {}", "{}|&{}", "{}\n{}", "{} & {}", "( {} ); {}", "{} # x; y\n{}"]
)
NESTS = st.sampled_from(["{}", "({})", "{{ {}; }}", "! {}", "({} &)", "({}) >/dev/null 2>&1", "( ({}) )"])
PIECES = st.sampled_from([
    *" \n\t;&|()<>{}'\"\\$`*?[]~#!=^:@", "$(", "&&", "<<E\n", "$'\\x72m'", "${x:-", "rm", "rm x", "git", "if ", "time ",
    "a=rm ", "$a", "\x00", "\r", "\u00a0", "\udc80", "\\\n", "bash -c ", "xargs ", "git push",
])  # fmt: skip
STRICTNESS = ["allow", "ask", "deny"]


@given(LINES, RULES, st.randoms(use_true_random=False))
def test_the_order_of_the_rules_has_no_meaning(line: str, rules: dict[str, Decision], random: Random) -> None:
    pairs = list(rules.items())
    random.shuffle(pairs)
    assert judge_bash(line, dict(pairs)) == judge_bash(line, rules)


@given(LINES | st.lists(PIECES, max_size=12).map("".join), RULES)
def test_without_a_rule_that_allows_nothing_is_allowed(line: str, rules: dict[str, Decision]) -> None:
    without = {pattern: decision for pattern, decision in rules.items() if decision != "allow"}
    assert judge_bash(line, without).decision != "allow"


@given(LINES, LINES, GLUES, NESTS, RULES)
def test_a_line_is_as_allowed_as_its_least_allowed_part(
    first: str, second: str, glue: str, nest: str, rules: dict[str, Decision]
) -> None:
    parts = (judge_bash(part, rules).decision for part in (first, second))
    assert judge_bash(glue.format(nest.format(first), second), rules).decision == max(parts, key=STRICTNESS.index)


@given(st.lists(PIECES, max_size=12).map("".join), st.sampled_from(["\n", ";", "&", "|", "$(", "`", "<("]))
def test_a_denied_command_is_denied_after_anything(hostile: str, glue: str) -> None:
    assume(not hostile.endswith("\\") and (glue == "\n" or "#" not in hostile))
    assert judge_bash(f"{hostile}{glue} rm x", {"*": "allow", "rm *": "deny"}).decision == "deny"


@given(st.text() | st.lists(PIECES, max_size=60).map("".join), RULES)
def test_every_text_has_a_ruling(line: str, rules: dict[str, Decision]) -> None:
    assert judge_bash(line, rules).reason


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
        ("CI=1 git log", "allow"),
        ("git log 'unclosed", "ask"),
        ("git log & git log -1", "allow"),
        ("", "ask"),
        ("# git log", "ask"),
        ("# rm x", "ask"),
        ("git log;" * 50, "allow"),
        ("git log;" * 51, "ask"),
        ("git log;" * 51 + "rm x", "deny"),
        ("git log " + "x" * 10_000, "ask"),
        ("git log " + "x" * 10_000 + "; rm x", "deny"),
        ("eval " * 40 + "rm x", "deny"),
        ("nohup " * 40 + "rm x", "deny"),
        ("nohup " * 1600 + "rm x", "ask"),
        ("find " + "-exec find " * 900, "ask"),
        ("git log " + "{" * 9990, "allow"),
        ("docker exec a " * 700, "ask"),
    ],
)
def test_the_most_specific_rule_decides(line: str, decision: Decision) -> None:
    rules: dict[str, Decision] = {"*": "ask", "git log *": "allow", "git *": "ask", "rm *": "deny"}
    assert judge_bash(line, rules).decision == decision


@pytest.mark.parametrize(
    ("pattern", "line", "fits"),
    [
        ("*a" * 30, "a" * 5000 + "b", False),
        ("*a" * 30, "b".join("a" * 30), True),
        ("a*a*a *", "aXaaYa b c", True),
        ("a*a*a *", "aa b a", True),
        ("a*b?[cd]*e", "a bbc f e", True),
        ("a*b?[cd]*e", "a b c e", False),
        ("a *", "a", True),
        ("a* *", "ab", True),
        ("*" * 60 + "z", "y" * 5000, False),
    ],
)
def test_stars_fit_any_words_and_are_tried_once(pattern: str, line: str, *, fits: bool) -> None:
    assert judge_bash(line, {pattern: "deny"}).decision == ("deny" if fits else "ask")


def test_an_allow_names_its_rule() -> None:
    assert judge_bash("CI=1 git status && git log", {"git *": "allow"}) == Ruling("allow", "rule 'git *'")
