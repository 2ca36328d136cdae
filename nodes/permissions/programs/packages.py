"""What npm, pnpm, yarn, bun and npx do with their arguments."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from backend_coordinator.nodes.permissions.programs.effects import Concern, Effects
from backend_coordinator.nodes.permissions.programs.options import Read, grammar, read, words

_COMMON = (
    "/-C= !-g /--prefix= /--dir= /--cwd= /--cache= !--global --location= !--location=global !--script-shell= "
    "!--shell= !--node-options= !--registry= "
    "!--userconfig= !--globalconfig= !--global-dir= !--global-folder= "
    "!--modules-folder= !--use-yarnrc= !--git= !--viewer= !--editor= !--browser= !--proxy= !--https-proxy= "
    "!--http-proxy= !--cafile= !--strict-ssl !--init-module= !--allow-build= !--dangerously-allow-all-builds "
    "!--unsafe-perm !--preload= !--config= !--ignore-scripts=false !--pnpmfile= !--global-pnpmfile= "
    "!--virtual-store-dir= !--store-dir= -w= --workspace= --filter= -F= -m= --message= --loglevel= --tag= --access= "
    "--otp= --omit= --include= --depth= --user --pack --pre --prod --production --dev --ignore-scripts --script --all "
    "--yes --no --quiet --silent -y -q -s -r --recursive"
)
_OTHERS = grammar(_COMMON, "!-c !--shell-mode --package=")
_NPM = grammar(_COMMON, "$-c= $--call=")
_NPX = grammar(_COMMON, "$-c= $--call= -p= --package=")
_TOOL = grammar(
    "-t= -g= -k= --testNamePattern= --testPathPattern= --testPathPatterns= --testPathIgnorePatterns= --grep= "
    "--filter= --match= --ignore-pattern= --base= --url= --name="
)
"""What scripts and tools of a package are given: a pattern or a URL's path is no file."""
_COMMANDS = words("""
    access add adduser audit bin bugs cache ci completion config create dedupe deploy deprecate diff dist-tag docs
    doctor edit env explain explore fetch fund get global help hook i import info init install install-ci-test
    install-test licenses link list login logout ls org outdated owner pack patch ping pkg plugin policies prefix
    profile prune publish query rebuild remove repo rm root search self-update set setup shrinkwrap star store team
    token un uninstall unlink unpublish unstar up update upgrade version view whoami why workspaces
""")
"""Subcommands; of pnpm, yarn and bun any other word is a script of the package, or a tool."""
_RUNS = words("run run-script exec dlx x")
_SCRIPTS = frozenset({"run", "run-script", "watch", "script"})
"""Their words, or they themselves, name scripts, also where a program has the same name."""
_EACH = grammar("-j= --jobs= --from= --include= --exclude=")
_INSTALLS = frozenset({"add", "i", "install", "install-test", "up", "update", "upgrade"})
_FETCHES = frozenset({"create", "exec", "init"})
"""Their first word is a package, what follows is for its program."""
_ELSEWHERE = words("bugs docs edit env explore global link plugin policies repo self-update set setup unlink")
"""Subcommands that open other programs, or change what is installed or run outside the workspace or later."""
_ALIASES: Mapping[str, str] = {
    "i": "install", "in": "install", "add": "install", "isntall": "install", "it": "install-test", "t": "test",
    "tst": "test", "x": "exec", "run-script": "run", "rum": "run", "urn": "run", "c": "config", "ln": "link", "un":
    "uninstall", "r": "uninstall", "rm": "uninstall", "up": "update", "upgrade": "update", "udpate": "update",
    "create": "init", "innit": "init", "home": "docs", "issues": "bugs",
}  # fmt: skip
_NAME = re.compile(
    r"(?!.*\.(?:tgz|tar|tar\.gz)$)(?:@[\w~-][\w.~-]*/)?[A-Za-z0-9_][\w.~-]*(?:@[\w.^~<>=|* +-]*)?", re.ASCII
)


def npm(argv: tuple[str, ...]) -> Effects:
    """npm: its options may stand anywhere, and with one dash; its subcommands may be written short."""
    given = [_plain(word) for word in argv[1:]]
    lead, found = read(given, _NPM, leading=True), read(given, _NPM)
    sub, *rest = found.operands or found.behind or ("help",)
    sub, plain = _full(sub), (argv[0], _full(sub), *lead.operands[1:])
    if sub == "exec":
        found = read(given, _NPX)
        rest = [*found.operands[1:], *found.behind]
    elif sub in _INSTALLS and found.operands:
        rest += found.behind
    concerns = (*_subcommand("npm", sub, rest, found), *read(found.behind, _TOOL).concerns("npm"))
    return Effects(
        plain,
        (),
        found.lines,
        concerns,
        (*_guessed(argv[0], lead), *_texts(sub, rest)),
        tool=_program(rest) if sub == "exec" else (),
    )


def others(argv: tuple[str, ...]) -> Effects:
    """pnpm, yarn and bun: behind the name of a script or a tool all words are its own."""
    lead = read([_plain(word) for word in argv[1:]], _OTHERS, leading=True)
    sub, *rest = lead.operands or ("install",)
    plain, before = (argv[0], *lead.operands), (*lead.concerns(argv[0], operands=()), *_fetched(lead))
    if inner := _inner(sub, rest):
        done = Effects(plain, runs=((argv[0], *inner),))
    elif sub in _COMMANDS:
        found = read([_plain(word) for word in rest], _OTHERS)
        concerns = _subcommand(argv[0], sub, (*found.operands, *found.behind), found)
        done = Effects(plain, concerns=concerns, perhaps=_texts(sub, rest))
    else:
        done = _tool((argv[0], sub), rest if sub in _RUNS else lead.operands, fetched=sub in ("dlx", "x"))
    tool = () if sub in _SCRIPTS else done.tool
    concerns, perhaps = (*before, *done.concerns), (*_guessed(argv[0], lead), *done.perhaps)
    return Effects(plain, done.runs, done.lines, concerns, perhaps, tool=tool)


def npx(argv: tuple[str, ...]) -> Effects:
    """npx and its like: the tool's name must be a plain one; the words behind it are the tool's own."""
    return _tool(argv[:1], [*map(_plain, argv[1:])], fetched=True)


def _tool(names: tuple[str, ...], argv: Sequence[str], *, fetched: bool) -> Effects:
    """A tool or script behind options of its runner; one that may be `fetched` must have a plain name."""
    lead = read(argv, _NPX, leading=True)
    specs = (*_fetched(lead), *_specs(lead.operands[:1] if fetched else ()))
    concerns = (*lead.concerns(*names, operands=()), *specs, *read(lead.operands, _TOOL).concerns(*names))
    perhaps = (*_guessed(names[0], lead), lead.operands)
    return Effects((*names, *lead.operands), (), lead.lines, concerns, perhaps, tool=_program(lead.operands))


def _program(tool: Sequence[str]) -> tuple[str, ...]:
    """A tool without the version that is asked for."""
    return (tool[0].partition("@")[0] or tool[0], *tool[1:]) if tool else ()


def _inner(sub: str, rest: Sequence[str]) -> tuple[str, ...]:
    """The command that is run in one or all packages."""
    if sub in ("recursive", "multi", "m"):
        return tuple(rest)
    if sub == "workspaces" and rest[:1] in (["foreach"], ["run"]):
        words = read(rest[1:], _EACH, leading=True).operands
        return words if rest[0] == "foreach" else ("run", *words)
    return tuple(rest[1:]) if sub == "workspace" else ()


def _texts(sub: str, rest: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    """Scripts that are set."""
    return tuple((word.partition("=")[2],) for word in rest if sub == "pkg" and "=" in word)


def _fetched(lead: Read) -> Iterator[Concern]:
    return _specs(given.value or "" for given in lead.given if given.name in ("-p", "--package"))


def _subcommand(program: str, sub: str, rest: Sequence[str], found: Read) -> tuple[Concern, ...]:
    concerns = list(found.concerns(program, operands=(sub, *(() if sub in _INSTALLS | _FETCHES else rest))))
    concerns += _fetched(found)
    sets = sub == "config" and rest[:1] and rest[0] not in ("get", "list", "ls")
    if sets or sub in _ELSEWHERE or (program, sub) == ("bun", "upgrade"):
        concerns.append(Concern(f"{program} {sub} runs other programs, or changes later installs", (sub, *rest[:1])))
    if sub == "pkg" and rest[:1] and rest[0] != "get":
        concerns.append(Concern(f"{program} pkg {rest[0]} may change what scripts run", ("pkg", rest[0])))
    return (*concerns, *_specs(rest if sub in _INSTALLS else rest[: sub in _FETCHES]))


def _specs(names: Iterable[str]) -> Iterator[Concern]:
    for name in names:
        if not _NAME.fullmatch(name):
            yield Concern(f"{name} is not the plain name of a package", (name,))


def _guessed(program: str, lead: Read) -> Iterator[tuple[str, ...]]:
    """The reading in which the last option, known to nobody, takes the word that seems to be the subcommand."""
    if lead.given and lead.given[-1].kind is None and lead.given[-1].value is None:
        yield program, *lead.operands[1:]


def _full(sub: str) -> str:
    """A subcommand of npm that may be written short."""
    commands = _COMMANDS | {"run", "exec", "test", "start", "stop", "restart"}
    found = [command for command in commands if command.startswith(sub)]
    return _ALIASES.get(sub, found[0] if len(found) == 1 else sub)


def _plain(word: str) -> str:
    """npm reads `-prefix=x` as `--prefix=x`; an option of one registry, or of pnpm's settings, means the option."""
    word = re.sub(r"^--(?:config\.|[@/][^=]*:)", "--", word)
    return f"-{word}" if word[:1] == "-" and f"-{word.partition('=')[0]}" in _NPX.kinds else word
