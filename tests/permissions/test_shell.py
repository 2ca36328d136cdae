"""The recogniser reads a line as bash does, or not at all."""

import subprocess
from pathlib import Path

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from backend_coordinator.nodes.permissions.bash import judge_bash
from backend_coordinator.nodes.permissions.shell import Command, NotRecognised, recognise
from backend_coordinator.nodes.permissions.suspects import suspected

PLAIN = st.sampled_from([
    "a", "b-c", "--x=y", "'q r'", '"s  t"', "''", '""', r"\ ", r"\$u", r'"\$v\w\""', "d'e'\"f\"", "g#h", "#i", "=j",
    "k=l", "m\\\nn", "2", "!", "{", "}", "{}", "{o}", "@{1}", "p~", "./*.q", "r/[s]?", "'\n'", '"$ t$"', "ü", "^u",
    "v%", "]", "{{s}t}", "u}", "12", "if", "\\if", "-", "+x", "a:b", ",", "x..y", "\\\\", "\\#", "'#'", "\\~", "'~'",
])  # fmt: skip
BEFORE = st.sampled_from(["", "", "", "! ", "A=b ", "A= B='c d' ", "2>&1 ", ">/dev/null ", "# x' ;(\n", "\n \t\n"])
AFTER = st.sampled_from(
    ["", "", "", " 2>&1", ">/dev/null", " < /dev/null", " 2>> /dev/null", "&>/dev/null", " # y' ;("]
)
GLUE = st.sampled_from([";", "; ", "\n", "&", " & ", "|", "|&", "&&", "||", " && \\\n", " \\\n; ", "&&\n\n"])
NEST = st.sampled_from(["{}", "{}", "({})", "( {}\n)", "{{ {}\n}}", "{{\n{} & }}", "({}) 2>&1", "! ({} )"])
SPACE = st.sampled_from([" ", "  ", "\t", " \\\n "])
CALLS = st.builds(
    lambda before, words, space, after: f"{before}{space.join(words)}{after}",
    BEFORE, st.lists(PLAIN, min_size=1, max_size=4), SPACE, AFTER,
)  # fmt: skip
NESTED = st.builds(str.format, NEST, CALLS)
LINES = st.builds(lambda first, glue, second: first + glue + second, NESTED, GLUE, NESTED) | NESTED

PLAYED = r"""
PATH=/nowhere
command_not_found_handle() { local IFS=$'\x1f'; printf '%s\n' "${*//$'\n'/$'\x1e'}" >>"$SEEN"; }
while IFS= read -r -d '' line; do
  SEEN=$1/$((++number)); : >"$SEEN"
  (eval -- "$line"; wait) >/dev/null
done
"""
"""A bash that has no program at all, and writes down what it would have run for each of the lines it is given."""


@pytest.mark.parametrize(
    ("line", "commands"),
    [
        ("", []),
        (" \n # git log", []),
        ("git log", [Command(("git", "log"))]),
        ("gi''t\tl\\\no\"g\"", [Command(("git", "log"))]),
        ("a 'b  $c' \"d \\$e \\f\" g\\ h ''", [Command(("a", "b  $c", "d $e \\f", "g h", ""))]),
        ("A=1 B='x y' a A=2", [Command(("a", "A=2"), (("A", "1"), ("B", "x y")))]),
        ("A=*", [Command((), (("A", "*"),))]),
        ("a;b&&c\n(d|e);{ f&}", [Command((name,)) for name in "abcdef"]),
        ("! a 2>&1 | b >/dev/null # c", [Command(("a",)), Command(("b",))]),
        ("a ./*.b c/d[ef]", [Command(("a", "./*.b", "c/d[ef]"))]),
    ],
)
def test_a_line_of_the_safe_part_is_read_as_its_commands(line: str, commands: list[Command]) -> None:
    assert recognise(line) == tuple(commands)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("a $b", "an expansion"),
        ("a `b`", "a command substitution"),
        ('a "$b"', "in double quotes"),
        ("a 'b", "a quote that is not closed"),
        ("a > b", "a redirection"),
        ("a 12>/dev/null", "a redirection"),
        ("a \\", "a backslash at its end"),
        ("((a))", "an arithmetic command"),
        ("a ;; b", "';'"),
        ("a (b)", "'('"),
        ("if a", "keyword 'if'"),
        ("{ a }", "complete"),
        ("(a", "complete"),
        ("a &&", "complete"),
        ("a)", "closes a group"),
        ("(a) b", "a word follows"),
        ("2>&1", "without a command"),
        ("A+=b a", "adds to a variable"),
        ("a ~/b", "a home folder"),
        ("a {b,c}", "braces"),
        ("a *", "a pattern"),
        ("a b/.*", "the folder above"),
        ("a\rb", "U+000D"),
        ("a\u00a0b", "U+00A0"),
        ("a\u200bb", "U+200B"),
        ("a\u3164b", "U+3164"),
        ("a\udc80b", "U+DC80"),
        ("a\0b", "U+0000"),
        ("a " * 5001, "more than 10000 characters"),
    ],
)
def test_a_line_outside_it_is_told_by_what_it_holds(line: str, why: str) -> None:
    with pytest.raises(NotRecognised) as refused:
        recognise(line)
    assert why in str(refused.value)


@given(LINES)
def test_whatever_is_recognised_is_suspected_too(line: str) -> None:
    promised = [command.words for command in _read(line) if command.words]
    suspects = {words[: len(command)] for words in suspected(line) for command in promised}
    assert "$" in line or "if" in line or suspects >= {*promised}  # variables and keywords are taken away


@pytest.mark.parametrize(
    "piece",
    [
        *("$(", '"$(', ";a '\"", "; a 'x \" ", "${a", "${a:-", "{,", "! ", "a=1 ", "`", "\\", " ", "1", "a in ", "$"),
        *("$'\\x72", "(", "<(", "<<a\n", "a=$a$a;", "'", "é", "\udc80", "\n", "bash -c '", "\\\n", "# \\\n"),
    ],
)
def test_hostile_text_is_read_once_through(piece: str) -> None:
    line = piece * (20_000 // len(piece))
    assert sum(len(word) for words in suspected(line) for word in words) < 1_000_000
    assert judge_bash(f"{line}\nrm x", {"*": "allow", "rm *": "deny"}).decision == "deny"


@settings(max_examples=6, phases=[Phase.generate])
@given(st.lists(LINES, min_size=40, max_size=40))
def test_bash_runs_what_is_recognised_and_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str]
) -> None:
    seen = tmp_path_factory.mktemp("seen")
    known = [(line, commands) for line in lines if (commands := _read(line))]
    fed = "".join(f"{line}\0" for line, _ in known)
    done = subprocess.run(
        ["bash", "-c", PLAYED, "bash", seen], input=fed, text=True, capture_output=True, cwd=seen, env={}, check=True
    )
    assert "syntax error" not in done.stderr
    assert len(known) > 10
    for number, (line, commands) in enumerate(known, 1):
        ran = _ran(seen / str(number))
        promised = sorted(command.words for command in commands if command.words)
        assert all(ran.count(words) <= promised.count(words) for words in ran), (line, ran, promised)
        assert ran == promised or "!" in line or "||" in line, (line, ran, promised)


def _read(line: str) -> tuple[Command, ...]:
    try:
        return recognise(line)
    except NotRecognised:
        return ()


def _ran(file: Path) -> list[tuple[str, ...]]:
    rows = file.read_text(encoding="utf-8").split("\n")[:-1]
    return sorted(tuple(row.replace("\x1e", "\n").split("\x1f")) for row in rows)
