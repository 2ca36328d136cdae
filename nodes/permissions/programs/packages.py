"""What npm, pnpm, yarn, bun and npx do with their arguments."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from backend_coordinator.nodes.permissions.programs.effects import Concern, Effects
from backend_coordinator.nodes.permissions.programs.options import Grammar, Read, grammar, read, words

_COMMON = (
    "!-C= !-g !--prefix= !--dir= !--cwd= !--global !--location=global !--script-shell= !--shell= !--node-options= "
    "!--registry= !--userconfig= !--globalconfig= !--global-dir= !--global-folder= !--modules-folder= !--use-yarnrc= "
    "!--git= !--viewer= !--editor= !--browser= !--proxy= !--https-proxy= !--http-proxy= !--cafile= !--strict-ssl "
    "!--init-module= !--allow-build= !--dangerously-allow-all-builds !--unsafe-perm !--preload= !--config= "
    "!--ignore-scripts=false !--pnpmfile= !--global-pnpmfile= !--virtual-store-dir= !--store-dir= -w= --workspace= "
    "--filter= -F= -m= --message= --loglevel= --tag= --access= --otp= --omit= --include= --depth= --user --pack --pre "
    "--prod --production --dev --ignore-scripts --script --all"
)
_OTHERS = grammar(_COMMON, "!-c !--shell-mode")
_NPM = grammar(_COMMON, "$-c= $--call=")
_NPX = grammar(_COMMON, "$-c= $--call= !-p= !--package=")
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
_RUNS = frozenset({"run", "run-script", "exec", "dlx", "x", "node", "workspace"})
_INSTALLS = frozenset({"add", "i", "install", "install-test", "up", "update"})
_FETCHES = frozenset({"create", "exec", "init"})
"""Their first word is a package, what follows is for its program."""
_ELSEWHERE = words("bugs docs edit env explore global link plugin policies repo self-update set setup unlink upgrade")
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
    given = [_two_dashes(word) for word in argv[1:]]
    lead, found = read(given, _NPM, leading=True), read(given, _NPM)
    sub, *rest = found.operands or ("help",)
    sub = _full(sub)
    rest += found.behind if sub in _INSTALLS else ()
    concerns = (*_subcommand("npm", sub, rest, found), *read(found.behind, _TOOL).concerns("npm"))
    run = [(*rest, *found.behind)] if sub == "exec" else []
    plain = (argv[0], sub, *lead.operands[1:])
    return Effects(plain, lines=found.lines, concerns=concerns, perhaps=(*_guessed(argv[0], lead), *run))


def others(argv: tuple[str, ...]) -> Effects:
    """pnpm, yarn and bun: behind the name of a script or a tool all words are its own."""
    lead = read(argv[1:], _OTHERS, leading=True)
    sub, *rest = lead.operands or ("install",)
    plain, before = (argv[0], *lead.operands), lead.concerns(argv[0], operands=())
    if sub not in _COMMANDS:
        named = sub in _RUNS
        done = _tool((argv[0], sub), rest if named else lead.operands, _NPX, fetched=sub in ("dlx", "x"))
    else:
        found = read(rest, _OTHERS)
        done = Effects(plain, concerns=_subcommand(argv[0], sub, (*found.operands, *found.behind), found))
    return Effects(plain, (), done.lines, (*before, *done.concerns), (*_guessed(argv[0], lead), *done.perhaps))


def npx(argv: tuple[str, ...]) -> Effects:
    """npx and its like: the tool's name must be a plain one; the words behind it are the tool's own."""
    return _tool(argv[:1], [_two_dashes(word) for word in argv[1:]], _NPX, fetched=True)


def _tool(names: tuple[str, ...], argv: Sequence[str], known: Grammar, *, fetched: bool) -> Effects:
    """A tool or script behind options of its runner; one that may be `fetched` must have a plain name."""
    lead = read(argv, known, leading=True)
    specs = _specs(lead.operands[:1] if fetched else ())
    concerns = (*lead.concerns(*names, operands=()), *specs, *read(lead.operands, _TOOL).concerns(*names))
    return Effects((*names, *lead.operands), (), lead.lines, concerns, (*_guessed(names[0], lead), lead.operands))


def _subcommand(program: str, sub: str, rest: Sequence[str], found: Read) -> tuple[Concern, ...]:
    concerns = list(found.concerns(program, operands=() if sub in _INSTALLS | _FETCHES else rest))
    if sub in _ELSEWHERE or (sub == "config" and rest[:1] and rest[0] not in ("get", "list", "ls")):
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


def _two_dashes(word: str) -> str:
    """npm reads `-prefix=x` as `--prefix=x`."""
    return f"-{word}" if f"-{word.partition('=')[0]}" in _NPX.kinds else word
