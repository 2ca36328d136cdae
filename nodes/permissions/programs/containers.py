"""What docker and docker compose do with their arguments: what of the host they reach."""

import re
from collections.abc import Iterator, Sequence

from backend_coordinator.nodes.permissions.programs.effects import Concern, Effects
from backend_coordinator.nodes.permissions.programs.options import REMOTE, Read, grammar, read, words

_LEADING = grammar(
    "!-H= !--host= !-c= !--context= !--config= -D --debug -l= --log-level= -v --version --help",
    strict=True,
)
_COMPOSE = grammar(
    "!-H= !--host= !-c= !--context= !-f=- !--file=- /-f= /--file= /--env-file= /--project-directory= -p= "
    "--project-name= --profile= --ansi= --progress= --parallel= --compatibility --dry-run --all-resources -v "
    "--version --verbose --help",
    strict=True,
)
_RUN = grammar(
    "/--env-file= -w= --workdir= -e= --env= -u= --user= --name= -p= --publish= -h= --hostname= -l= --label= -m= "
    "--memory= --cap-drop= --platform= --restart= --cpus= --ulimit= --shm-size= --expose= --entrypoint= --tmpfs= "
    "--link= --dns= --add-host= --network-alias= --pull= --stop-signal= --stop-timeout= --health-cmd= "
    "--health-interval= --health-timeout= --health-retries= --health-start-period= --no-healthcheck --detach-keys= "
    "--index= --pids-limit= -v= --volume= --mount= --net= --network= !--net=host !--network=host -d --detach -i "
    "--interactive -t --tty -T --no-TTY --rm --init --read-only -q --quiet -P --publish-all --no-deps --build "
    "--service-ports --use-aliases --remove-orphans --help -a= --attach= --memory-swap= --cpuset-cpus= --ip=",
    strict=True,
)
_BUILD = grammar(
    "!--allow= !--ssh= --network= !--network=host !--security-opt= !--cgroup-parent= !--add-host= !--builder= !--set= "
    "/-f= /--file= /-o= /--output= /--build-context= /--secret= /--cache-to= /--cache-from= /--iidfile= "
    "/--metadata-file= -t= --tag= --build-arg= --label= --target= --platform= --progress= --pull"
)
_BUILDS = frozenset({"build", "bake"})
_VOLUME = re.compile(
    r"(?:(?:^|,)(?:type=(?:volume|tmpfs)|(?:source|src)=[\w.-]+|(?:target|dst|destination)=[^,\"]+|readonly|ro"
    r"|tmpfs-(?:size|mode)=\w+))+"
)
"""A mount that is no folder of this machine."""
_OTHER = grammar("--filter= --format= --since= --until= --tail= --name= --label= --scale=")
_GROUPS = frozenset({"container", "image", "builder", "buildx"})
_IN_CONTAINER = frozenset({"run", "exec", "create"})
_READS = frozenset({("context", "ls"), ("context", "show"), ("context", "inspect")})
_KNOWN = words(
    """
    attach build bake commit compose config cp create diff down du events exec export help history image images
    imagetools import info inspect kill load login logout logs ls network pause port prune ps pull push rename restart
    rm rmi run save scale search start stats stop system tag top unpause up update version volume volumes wait watch
    """
)


def docker(argv: tuple[str, ...]) -> Effects:
    """docker, with its options and its groups of subcommands."""
    lead = read(argv[1:], _LEADING, leading=True)
    words = lead.operands
    if words[1:] and words[0] in _GROUPS and words[:2] != ("buildx", "create"):
        words = words[1:]
    plain, given = (argv[0], *words), lead.concerns(argv[0], operands=())
    if words[:1] == ("compose",):
        return _composed((*plain[:1], "compose"), words[1:], given)
    return _does(plain, words, given)


def docker_compose(argv: tuple[str, ...]) -> Effects:
    """docker compose under its old name."""
    return _composed(argv[:1], argv[1:], ())


def _composed(program: tuple[str, ...], words: tuple[str, ...], before: tuple[Concern, ...]) -> Effects:
    lead = read(words, _COMPOSE, leading=True)
    given = lead.concerns(*program, operands=())
    return _does((*program, *lead.operands), lead.operands, (*before, *given))


def _does(plain: tuple[str, ...], words: tuple[str, ...], before: tuple[Concern, ...]) -> Effects:
    sub, *rest = words or ("help",)
    perhaps = [(plain[0], *words[1:])] if before else []
    if sub in _IN_CONTAINER:
        found = read(rest, _RUN, leading=True)
        perhaps += [found.operands[1:], (*(found.value("--entrypoint") or "").split(), *found.operands[1:])]
        concerns = (*found.concerns(plain[0], sub, operands=()), *_bound(found, sub))
    else:
        found = read(rest, _BUILD if sub in _BUILDS else _OTHER)
        concerns = (
            *found.concerns(plain[0], sub),
            *(_context(found) if sub in _BUILDS else ()),
            *_unknown(plain[0], sub, rest),
        )
    return Effects(plain, concerns=(*before, *concerns), perhaps=tuple(perhaps), guesses=found.guesses)


def _bound(found: Read, sub: str) -> Iterator[Concern]:
    """Folders of the host that a container is given."""
    for given in found.given:
        source, colon, _ = (given.value or "").partition(":")
        volume = given.name in ("-v", "--volume") and colon and ("/" in source or source[:1] in (".", "~"))
        if volume or (given.name == "--mount" and not _VOLUME.fullmatch(given.value or "")):
            yield Concern(f"{given.value} gives a folder of this machine to a container", (sub, given.word))


def _context(found: Read) -> Iterator[Concern]:
    """A build from somewhere else."""
    for word in found.operands:
        if word == "-" or "://" in word or REMOTE.match(word):
            yield Concern(f"{word} is built, which is not the workspace's", (word,))


def _unknown(program: str, sub: str, rest: Sequence[str]) -> Iterator[Concern]:
    if sub not in _KNOWN and (sub, *rest[:1]) not in _READS:
        yield Concern(f"{program} {sub} is a plugin, or changes the machine", (sub,))
