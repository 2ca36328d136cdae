"""Programs whose options are code, or name programs to run: node, python, test runners, make, editors and others."""

import re
from collections.abc import Iterator, Mapping

from backend_coordinator.nodes.permissions.programs.effects import Concern, Effects
from backend_coordinator.nodes.permissions.programs.installs import installer
from backend_coordinator.nodes.permissions.programs.options import Grammar, grammar, outside, read

_ANSWERS = frozenset({"-h", "--help", "-v", "-V", "--version", "--test", "--run", "-c"})
"""Options by which an interpreter needs no script."""
_INTERPRETERS: Mapping[str, str] = {
    "node nodejs tsx ts-node": "!-e= !--eval= !-p= !--print= !-pe= !-i !--interactive !--inspect !--inspect-brk "
    "!--inspect-wait !--inspect-port= --test-name-pattern= --title= /-r= /--require= /--import= /--loader= "
    "/--experimental-loader= /--env-file= /-C= /--conditions= --test /--run= -c --version --help",
    "python pypy": "!-c== !-i -W= -X= -m==",
    "perl": "!-e= !-E= !-i? !-d? !-s -0? -l? -C? /-I=",
    "ruby": "!-e= !-i? !-s /-I= /-r= /-C=",
    "php": "!-r= !-B= !-R= !-E= !-F= !-a !-d= !-S= /-c= /-f= /-t=",
    "lua Rscript": "!-e= !-i /-l=",
}
_OTHERS: Mapping[str, str] = {
    "pytest py.test": "!-p= !-o= !--override-ini= !--pdbcls= !--debug !--pastebin= !--trace --pdb -k= -m= -n= -r? "
    "--durations= --tb= --maxfail= /-c= /--config-file= /--rootdir= /--basetemp= /--confcutdir= -W=",
    "make gmake": "!--eval= !-E= !-I= !--include-dir= !-C= !--directory= -j? -l? --jobs /-f= /--file= /-o= /-W=",
    "mypy pylint": "!--python-executable= !--install-types !--init-hook= !--load-plugins=",
    "tar bsdtar": "!-I= $--use-compress-program= $--to-command= !--checkpoint-action= $--rsh-command= !--rmt-command= "
    "!-F= !-P !--info-script= !--new-volume-script= !--absolute-names /-f= /-C= /--file= /--directory=",
    "rsync scp sftp": "$-e= $--rsh= !--rsync-path= !--daemon !-S= !-o= !-F= !-D=",
    "nodemon": "$-x= $--exec= -e= --ext= -w= --watch= -i= --ignore=",
    "sort": "$--compress-program= -k= -t=",
    "concurrently": "-n= --names= -c= --prefix-colors= -p= --prefix= -m= --max-processes= -s= --success=",
    "fd fdfind": "!-x !-X !--exec !--exec-batch",
    "man vim vi view nvim ex emacs less gdb": "!-P= !-H !-c= !--cmd= !-S= !-s= !-u= !--eval= !-x= !-ex= !--args",
    "curl wget": "!-K= !--config= !--use-askpass= !--execute= -H= -A= -e= -X= -w= /-o= /-d= /-T= /-O=",
    "psql mysql sqlite": "!-c= !-e= !--command= !--execute= !--init-command= !--pager !--cmd= !-init=",
}
GRAMMARS: Mapping[str, Grammar] = {
    name: grammar(options) for names, options in {**_INTERPRETERS, **_OTHERS}.items() for name in names.split()
}
_STARTS = frozenset(name for names in _INTERPRETERS for name in names.split())
_SEARCH = grammar(
    "!--pre= !--hostname-bin= -e= --regexp= --expression= -A= -B= -C= -m= -g= --glob= --include --exclude "
    "--exclude-dir -t= -T= --replace= /-f= /--file="
)
_MAKE_SETTING = re.compile(r"(?!\.?SHELL|MAKE)[A-Z_]+=[\w.,:@-]*", re.ASCII)
_SCRIPT = re.compile(r"(?:npm|yarn|pnpm|bun|node):")
_SED = re.compile(r"s([/|,#@])(?:(?!\1).)*\1(?:(?!\1).)*\1[gIip0-9]*|(?:[\d$]+(?:,[\d$]+)?)?[pdq=]")
_QUOTED = re.compile(r"""(["'`])(.+?)\1""")
_AWK = re.compile(r"system|getline|[|>@]|load")


def interpreter(argv: tuple[str, ...]) -> Effects:
    """A program by its options alone, an interpreter as well by where its code comes from."""
    name = bare(argv[0])
    found = read(argv[1:], GRAMMARS[name], leading=name in _STARTS)
    concerns = [*found.concerns(argv[0])]
    answers = any(given.kind == "ask" or given.name in _ANSWERS for given in found.given)
    if name in _STARTS and found.operands[:1] in ((), ("-",), ("/dev/stdin",), ("inspect",)) and not answers:
        concerns.append(Concern(f"{argv[0]} runs whatever comes in"))
    if "make" in name:
        settings = (word for word in found.operands if "=" in word and not _MAKE_SETTING.fullmatch(word))
        concerns += (Concern(f"{word} may change what {argv[0]} runs", (word,)) for word in settings)
    codes = (given.value or "" for given in found.given if given.kind == "ask")
    perhaps = (each for code in codes for each in ((code.lstrip(":! "),), *_quoted(code)))
    return Effects(argv, lines=found.lines, concerns=tuple(concerns), perhaps=tuple(perhaps))


def concurrently(argv: tuple[str, ...]) -> Effects:
    """concurrently: each word is a line, or the name of a script."""
    found = read(argv[1:], GRAMMARS["concurrently"])
    return Effects(argv, lines=tuple(word for word in found.operands if not _SCRIPT.match(word)))


def python(argv: tuple[str, ...]) -> Effects:
    """python: a module behind `-m` does what its own program does."""
    found = read(argv[1:], GRAMMARS["python"], leading=True)
    module = found.value("-m")
    if not module:
        return interpreter(argv)
    command = (module, *found.operands)
    program = interpreter if module in GRAMMARS else installer if module == "pip" else None
    does = program(command).concerns if program else outside(*found.operands)
    return Effects(argv, concerns=(*found.concerns(argv[0], operands=()), *does), perhaps=(command,))


def search(argv: tuple[str, ...]) -> Effects:
    """grep, rg and sed: the pattern is text, in sed safe where it is a plain substitution, print or deletion."""
    found = read(argv[1:], _SEARCH)
    patterns = [given.value or "" for given in found.given if given.name in ("-e", "--regexp", "--expression")]
    skip = 0 if patterns or found.value("-f", "--file") else 1
    scripts = patterns or found.operands[:skip] if bare(argv[0]) == "sed" else ()
    acts = (_acts(argv[0], script) for script in scripts if not _SED.fullmatch(script))
    places = (*found.operands, *found.behind)[skip:]
    perhaps = tuple((re.sub(r"^[\d$,]*e\s*", "", script),) for script in scripts)
    return Effects(argv, concerns=(*acts, *found.concerns(argv[0], operands=places)), perhaps=perhaps)


def awk(argv: tuple[str, ...]) -> Effects:
    """awk: a program that names a command, a pipe or a file."""
    acts = (_acts(argv[0], word) for word in argv if _AWK.search(word))
    concerns = (*acts, *outside(*(word for word in argv[1:] if " " not in word)))
    return Effects(argv, concerns=concerns, perhaps=tuple(_quoted(*argv[1:])))


def bare(program: str) -> str:
    """A program's name without its folder and its version."""
    return re.sub(r"(?<=[a-z])[\d.]+$", "", program.rpartition("/")[2])


def _quoted(*codes: str) -> Iterator[tuple[str, ...]]:
    """What stands in quotes in a piece of code and may be a command line."""
    for code in codes:
        yield from (tuple(text.split()) for _, text in _QUOTED.findall(code))


def _acts(program: str, script: str) -> Concern:
    return Concern(f"the script of {program} may run programs or write files", (script,))
