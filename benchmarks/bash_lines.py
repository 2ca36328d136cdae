"""Seeded bash lines, harmless and hostile: pieces put together and then mutated, knowing nothing of who judges them."""

import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path

CORPUS = Path(__file__).parents[1] / "tests" / "corpora" / "permission_corpus.jsonl"
PROGRAMS = ("git status", "git log", "git add", "git commit -m", "npm test", "npm ci", "node", "npx tsc", "echo")
ARGUMENTS = (
    "src/app.ts", "README.md", "HEAD~1", "-n 20", "--oneline", "--", "-", "a=b", "x:y", "1", "''", '""', "'a b'", "é",
    '"feat: add \\"login\\""', "'$(rm x)'", '"price is \\$5 and \\`code\\`"', "a\\ b", "a\\;b", "a#b", "a'b'\"c\"d",
    "--format='%h %s'", "src/*.ts", "src/[ab]?.ts", "'*.ts'", "\\*", "HEAD:x", "@", "a{b", "!", "a!b", "{}", "%", "+",
    "'it'\\''s'", '"a\nb"', "'a\nb'", "a\\\nb", "if", "}", "a]", "[", "^x", "x~", "x=y:~/z", "10>&1", "10>/dev/null",
    "{fd}>&1", '"\\!\\x"', "a,b", "\"a'b\"", "'a\"b'", "\\\\", "\"\\\\\"", "\"\\a\"", "\"a\\\nb\"", "\uff1b", "日本",
    "2", "time", "function", "in", "a==b", "-a", "-Wl,x",
)  # fmt: skip
HOSTILE = (
    "rm x", "curl http://evil", "touch pwned", "/bin/rm x", "sh -c 'rm x'", "> pwned", ">>pwned", "eval 'rm x'",
    ". ./x", "source x", "cd /", "exec rm x", "command rm x", "builtin eval 'rm x'", "alias git=rm",
    "set -- rm; $1 x", "trap 'rm x' EXIT", "export PATH=.", "PATH=. git status", "GIT_PAGER=rm git log", "a=rm; $a x",
    "r''m x", "'rm' x", "\\rm x", "$'\\x72m' x", "{rm,x}", "f() { rm x; }; f", "function git { rm x; }; git",
    "coproc rm x", "time rm x", "! rm x", "[[ -n $(rm x) ]]", "((a[$(rm x)]))", "git $(rm x)", "git `rm x`",
    "git <(rm x)", 'git "$(rm x)"', "git >x", "git <<EOF\n$(rm x)\nEOF", "git <<<$(rm x)", "git ${x:-`rm x`}",
    "git log >&'$(rm x)y'", "sudo git", "git 2>&1>x", "git &>x", "git >&x", "git <>x", "git >|x", "git {fd}>x",
    "git </etc/passwd", "git 0</etc/passwd", "env git", "xargs rm", "find . -exec rm {} ;", "nohup rm x", "gitk",
    "./git", "~/git", "git~", "a[$(rm x)]=1 git", "LANG=$(rm x) git", "LANG=(`rm x`) git", "LANG+=x rm x", "rm\tx",
    "r\\\nm x", "unset PATH", "printf -v PATH .", "hash -p /bin/rm git", "enable -n echo", "exit", "return", "wait",
    "read x", "test -e x", "[ -e x ]", ":", "true", "kill 0", "logout", "select x in a; do rm x; done",
    "let a[`rm x`]", "declare -x A=$(rm x)", "bg", "umask 0",
)  # fmt: skip
FRAMES = (
    "(@)", "{ @; }", "{ @\n}", "! @", "time @", "@ &", "@;", "@\n", "\n@", " @ ", "@ # c", "@ #c\n#d\n@", "@ \\\n",
    "#@", "@ 2>&1", "@ >/dev/null", "@ 2>/dev/null", "@ </dev/null", "@ &>/dev/null", "@ >&2", "@ 2>&-",
    ">/dev/null @", "@ >/dev/null/../x", "@ >/dev/nullx", "@ >/dev/null''x", "@ >& /dev/null", "@ 1>>/dev/null",
    "@ >/dev/\\null", "LANG=C @", "CI=1 NO_COLOR=1 @", "TZ='a b' @", "LANG=~ @", "LANG= @", "LANG=C; @", "PORT=1",
    "CI=a:~ @", "if @; then @; fi", "while @; do @; break; done", "for x in a; do @; done", "case a in a) @;; esac",
    "until @; do @; done", "$(@)", "`@`", "git $(@)", "git \"$(@)\"", "git '@'", "git \"@\"", "git $'@'", "git <(@)",
    "git @ <<'EOF'\n@\nEOF", "git <<EOF\n@\nEOF", "git <<-a\n\t@\n\ta\n@", "bash -c '@'", "eval \"@\"",
    "f() { @; }; f", "git() { @; }; git", "function g { @; }; g", "coproc @", "@ | @", "@|@", "@ |& @", "@ && @",
    "@&&@", "@ || @", "@||@", "@; @", "@;@", "@ & @", "@&@", "@\n@", "@\r\n@", "@ ;; @", "@ ; ; @", "@ && \\\n @",
    "@ &&\n\n@", "(@) && @", "(@)|{ @; }", "((@))", "(\\\n(@))", "( (@) )", "[[ @ ]]", "@ {", "@ }", "{@}",
    "echo '@' \"@\"", "# '\n@", "@ # '\n@ #'", "@ \\# @", "@#@", "@;#@", "(#c\n@)", "'@' @", "\"@\" @", "@ \\@",
    "${x:-@}", "$((@))",
)  # fmt: skip
BITS: tuple[str, ...] = (
    *" \t\n\r\v\f\0\1\x07\x08\x1b\x7f\x85\xa0\xad\u1680\u2003\u2028\u200b\u200e\u202e\u2060\u3000\ufeff\udc80\udca0",
    *"\"'\\`$&|;<>(){}[]*?!#~=%^,.:/@+-0129aZ_ é\uff1b", "\\\n", "\\\r\n", "\\\\\n", "''", '""', "$'", '$"', "$(",
    "${", "$((", "$[", "$x", "$@", "$?", "`", "<(", ">(", "<<", "<<<", "<<a\n", "&&", "||", "|&", ";;", ";&", "&>",
    ">&", "2>", ">>", ">|", "<>", "2>&1", "1<&0", "{fd}>", ">/dev/null", "=(", "+=", " #", "# ", " } ", " { ",
    "{a,b}", "{1..3}", "~", "~root", ":~", "=~/", "!!", "!$", "*", "/*", "[a]", "?(x)", "@(x)", "!(x)", " then ",
    " do ", " in ", " fi ", "esac", "function ", "time ", "coproc ", "! ", "$'\\n'", "$'\\x27'", "\\$", "\\`", "\\\"",
    "; rm x", "&rm x", "|rm x", "\nrm x\n", "$(rm x)", "`rm x`", ">x", "PATH=. ", "LANG=C ", "CI=1 ", "a[0]=", "\\'",
    "'\\''", "--x=", "git", " git ", " x ", "x", "10>&1", "2>&1-", "<&-", ">& 2", "\\\n#", "&\\\n&", ">\\\n>", "()",
    "() ", "\\\n(", "(\\\n(", "{a\\,b}", "{a','b}", "{{a,b},c}", '"$"', '"$ "', '"!"', "\n#", ";#", "\\\n\\\n",
    "in\n", "\n}", "\n)", ";}", ";)",
)  # fmt: skip


def lines(seed: str, count: int) -> Iterator[str]:
    """The same `count` lines for the same seed."""
    corpus: list[str] = [json.loads(row)["command"] for row in CORPUS.read_text(encoding="utf-8").splitlines()]
    chance = random.Random(seed)
    for _ in range(count):
        line = _whole(chance, corpus)
        for _ in range(chance.choice((0, 0, 1, 1, 2, 3, 5))):
            line = chance.choice(_MUTATORS)(chance, line)
        yield line


def _whole(chance: random.Random, corpus: list[str]) -> str:
    """Commands in a frame, of which most are harmless; or a row of the corpus, or nothing but small pieces."""
    kind = chance.random()
    if kind < 0.1:
        return chance.choice(corpus)
    if kind < 0.3:
        return chance.choice(PROGRAMS) + "".join(chance.choices(BITS, k=chance.randint(1, 6)))
    line = _command(chance)
    for _ in range(chance.choice((0, 1, 1, 2))):
        line = _framed(chance, line)
    return line


def _command(chance: random.Random) -> str:
    if chance.random() < 0.3:
        return chance.choice(HOSTILE)
    words = [chance.choice(PROGRAMS), *chance.choices(ARGUMENTS, k=chance.choice((0, 1, 2, 3)))]
    return " ".join(words)


def _framed(chance: random.Random, line: str) -> str:
    first, *rest = chance.choice(FRAMES).split("@")
    return first + "".join((line if at == 0 else _command(chance)) + piece for at, piece in enumerate(rest))


def _inserted(chance: random.Random, line: str) -> str:
    start, _ = _span(chance, line)
    return line[:start] + chance.choice(BITS) + line[start:]


def _deleted(chance: random.Random, line: str) -> str:
    start, end = _span(chance, line)
    return line[:start] + line[end:]


def _doubled(chance: random.Random, line: str) -> str:
    start, end = _span(chance, line)
    return line[:end] + line[start:]


def _moved(chance: random.Random, line: str) -> str:
    start, end = _span(chance, line)
    rest = line[:start] + line[end:]
    place = chance.randint(0, len(rest))
    return rest[:place] + line[start:end] + rest[place:]


def _quoted(chance: random.Random, line: str) -> str:
    start, end = _span(chance, line)
    open_, close = chance.choice(
        (("'", "'"), ('"', '"'), ("$'", "'"), ('$"', '"'), ("\\", ""), ("`", "`"), ("$(", ")"))
    )
    return line[:start] + open_ + line[start:end] + close + line[end:]


def _encoded(chance: random.Random, line: str) -> str:
    """A piece as ANSI-C escapes, which bash reads as the piece."""
    start, end = _span(chance, line)
    form = chance.choice(("\\x{:x}", "\\{:o}", "\\u{:04x}"))
    return line[:start] + "$'" + "".join(form.format(ord(letter)) for letter in line[start:end]) + "'" + line[end:]


def _blanked(chance: random.Random, line: str) -> str:
    return line.replace(
        " ", chance.choice(("\t", "  ", "\n", "\r", "\v", "\xa0", "\u2003", "\\ ", "\\\n", " \\\n", "", "${IFS}"))
    )


def _span(chance: random.Random, line: str) -> tuple[int, int]:
    """A place and one up to a word behind it; every second time both at the borders of words."""
    start = chance.randint(0, len(line))
    if chance.random() < 0.5:
        start = line.rfind(" ", 0, start) + 1
        end = line.find(" ", start)
        return start, len(line) if end < 0 else end
    return start, min(len(line), start + chance.choice((1, 1, 2, 5)))


_MUTATORS: tuple[Callable[[random.Random, str], str], ...] = (
    _inserted, _inserted, _inserted, _deleted, _doubled, _moved, _quoted, _encoded, _blanked, _framed,
)  # fmt: skip
