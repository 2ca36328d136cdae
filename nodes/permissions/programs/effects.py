"""The words for what a command line does beyond its own program."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Concern:
    """Why an allow of the bare program is not enough.

    A rule whose literal words hold all of `named_by` allows it nevertheless; where that is empty only a rule without
    any wildcard does.
    """

    reason: str
    named_by: tuple[str, ...] = ()


@dataclass(frozen=True)
class Effects:
    """What one argv does: `plain` is the argv without options that stand before the subcommand, for rules to fit.

    `runs` are command lines that it starts itself, `lines` texts that it gives to a shell. `perhaps` are command
    lines that count only where a rule denies them: run in a container, found as a package's own script, or read off
    an option that nobody knows. `guesses` are such ones that count only in a command that is sure to run. `tool` is
    what a package's runner runs: the package's own, or a program of the system.
    """

    plain: tuple[str, ...]
    runs: tuple[tuple[str, ...], ...] = ()
    lines: tuple[str, ...] = ()
    concerns: tuple[Concern, ...] = ()
    perhaps: tuple[tuple[str, ...], ...] = ()
    guesses: tuple[tuple[str, ...], ...] = ()
    tool: tuple[str, ...] = ()
