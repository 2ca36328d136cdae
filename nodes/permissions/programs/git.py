"""What git does with its arguments: many of its options and subcommands run other programs."""

import re
from collections.abc import Iterator, Mapping

from backend_coordinator.nodes.permissions.programs.effects import Concern, Effects
from backend_coordinator.nodes.permissions.programs.options import Read, grammar, read, words

_KNOWN = words(
    """
    add am annotate apply archive bisect blame branch bundle cat-file check-attr check-ignore check-mailmap
    check-ref-format checkout checkout-index cherry cherry-pick clean clone column commit commit-graph commit-tree
    config count-objects describe diff diff-files diff-index diff-tree fast-export fetch fmt-merge-msg for-each-ref
    format-patch fsck gc get-tar-commit-id grep hash-object help index-pack init log ls-files ls-remote ls-tree
    mailsplit merge merge-base merge-file merge-tree mktag mktree mv name-rev notes pack-objects pack-redundant
    pack-refs patch-id prune prune-packed pull push range-diff read-tree rebase reflog remote repack replace rerere
    reset restore rev-list rev-parse revert rm shortlog show show-branch show-index show-ref sparse-checkout stage
    stash status stripspace submodule switch symbolic-ref tag unpack-file unpack-objects update-index update-ref
    update-server-info var verify-pack version whatchanged worktree write-tree
    """
)
"""Subcommands that start no program of the caller's choice by themselves; any other is a concern, aliases too."""
_VERBS: Mapping[str, frozenset[str]] = {
    "config": frozenset({"edit"}),
    "bisect": frozenset({"run", "view", "visualize"}),
    "notes": frozenset({"edit"}),
    "submodule": frozenset({"foreach", "update"}),
}
_LEADING = grammar(
    "--no-pager -P --version -v --help -h --literal-pathspecs --glob-pathspecs --noglob-pathspecs --no-advice "
    "--icase-pathspecs --no-optional-locks --no-replace-objects --no-lazy-fetch --namespace= "
    "!-c= !-C= !--git-dir= !--work-tree= !--config-env= !--super-prefix= !--attr-source=",
    strict=True,
)
_COMMON = (
    "!--ext-diff !--textconv !--filters !--output= !--show-signature !--gpg-sign !--signed !--edit !--reedit-message= "
    "!--edit-description !--edit-todo !--interactive !--template= !--unsafe-paths !--remote= !--config= !--ext-grep "
    "$--upload-pack= $--receive-pack= $--exec= $--open-files-in-pager --message= --grep= --author= --committer= "
    "--trailer= --since= --until= --after= --before= --format --pretty --text --remotes"
)
_ROWS: Mapping[str, str] = {
    "add": "!-e",
    "am": "!-S? !-i",
    "cherry-pick revert": "!-S? !-e",
    "clone": "!-c= $-u=",
    "commit": "!-S? !-e !-c= -m=",
    "difftool": "$-x= $--extcmd=",
    "filter-branch": "$--setup= $--env-filter= $--tree-filter= $--index-filter= $--parent-filter= $--msg-filter= "
    "$--commit-filter= $--tag-name-filter=",
    "grep": "$-O? -e=",
    "log show diff whatchanged rev-list reflog format-patch": "-S= -G= -L=",
    "blame annotate": "/-S= -L=",
    "help": "!-w !--web !-i !--info",
    "merge": "!-S? !-e -m=",
    "pull": "!--rebase=interactive !--rebase=i",
    "rebase": "!-i !-S? $-x=",
    "notes replace": "!-e -m=",
    "stash": "-m=",
    "tag": "!-s !-u= !-v !-e !--sign !--local-user= !--verify -m=",
}
_ANY = grammar(_COMMON)
_SUBCOMMANDS = {sub: grammar(_COMMON, own) for subs, own in _ROWS.items() for sub in subs.split()}
_HARMLESS_KEY = re.compile(r"(?:color\.|advice\.|user\.(?:name|email)$|core\.quotepath$|init\.defaultbranch$)", re.I)
_READS = frozenset({"--get", "--get-all", "--get-regexp", "--get-urlmatch", "--list", "-l"})
_TRANSPORT = re.compile(r"[A-Za-z0-9+.-]+::")


def git(argv: tuple[str, ...]) -> Effects:
    """git, its leading options and its subcommand."""
    lead = read(argv[1:], _LEADING, leading=True)
    sub, *rest = lead.operands or ("help",)
    found = read(rest, _SUBCOMMANDS.get(sub, _ANY))
    text_first = sub == "grep" and found.value("-e", "-f") is None
    places = (*found.operands[1 if text_first else 0 :], *found.behind)
    here = (*lead.given, *(found.given if sub == "clone" else ()))
    settings = [given.value or "" for given in here if given.name in ("-c", "--config")]
    texts = ((word,) for word in rest if sub == "config" and " " in word)
    return Effects(
        (argv[0], *lead.operands),
        runs=tuple(_bisected(sub, rest)),
        lines=(*found.lines, *_foreach(sub, rest), *(line for each in settings for line in _line(each))),
        concerns=(*_leading(lead), *_subcommand(sub, found), *found.concerns("git", sub, operands=places)),
        perhaps=(*texts, *((argv[0], *_alias(each), *rest) for each in dict.fromkeys(settings) if _alias(each))),
    )


def _leading(lead: Read) -> tuple[Concern, ...]:
    harmless = tuple(each for each in lead.given if not (each.name == "-c" and _HARMLESS_KEY.match(_key(each.value))))
    return Read(harmless, ()).concerns("git")


def _subcommand(sub: str, found: Read) -> Iterator[Concern]:
    if sub not in _KNOWN:
        yield Concern(f"git {sub} runs other programs, or is not git's own", (sub,))
    verb = found.operands[0] if found.operands else ""
    if verb in _VERBS.get(sub, ()):
        yield Concern(f"git {sub} {verb} runs other programs", (sub, verb))
    if sub == "config" and _writes(found):
        yield Concern("git config may make later git commands run other programs", ("config", *found.operands[:1]))
    if sub not in ("grep", "log"):
        for word in (*found.operands, *found.behind):
            if _TRANSPORT.match(word):
                yield Concern(f"{word} names a program that carries the data", (word,))


def _writes(found: Read) -> bool:
    """Whether `git config` does more than read, or set what no program is started by."""
    if any(given.name in _READS for given in found.given) or (found.operands and found.operands[0] in ("get", "list")):
        return False
    scoped = all(given.name in ("--local", "--type") for given in found.given)
    operands = found.operands[1 if found.operands[:1] == ("set",) else 0 :]
    return not (scoped and operands and (len(operands) == 1 or _HARMLESS_KEY.match(operands[0])))


def _key(setting: str | None) -> str:
    return (setting or "").partition("=")[0]


def _line(setting: str) -> Iterator[str]:
    """The value of a setting, where it looks like a command line."""
    value = setting.partition("=")[2]
    if not _HARMLESS_KEY.match(_key(setting)) and (value.startswith("!") or " " in value):
        yield value.removeprefix("!")


def _alias(setting: str) -> list[str]:
    key, _, value = setting.partition("=")
    return value.split() if key.lower().startswith("alias.") and not value.startswith("!") else []


def _bisected(sub: str, rest: list[str]) -> Iterator[tuple[str, ...]]:
    if sub == "bisect" and rest[:1] == ["run"]:
        yield tuple(rest[1:])


def _foreach(sub: str, rest: list[str]) -> Iterator[str]:
    if sub == "submodule" and "foreach" in rest:
        yield " ".join(
            word for word in rest[rest.index("foreach") + 1 :] if word not in ("--recursive", "--quiet", "-q")
        )
