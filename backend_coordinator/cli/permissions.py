"""The command that judges commands, paths and URLs by rules, and carries nothing out."""

import json
import math
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from backend_coordinator.cli.options import AsJson
from backend_coordinator.cli.output import say, say_json
from backend_coordinator.cli.roster import roster_of

if TYPE_CHECKING:
    from backend_coordinator.domain.roster import Decision
    from backend_coordinator.nodes.permissions.rules import Ruling

app = typer.Typer(help="What specialists may run, touch and fetch.", no_args_is_help=True)
Kind = Literal["bash", "path", "url"]
Judge = Callable[[str], "Ruling"]
FIELDS = {"bash": "command", "path": "path", "url": "url"}
BAD_LINES = 2


@app.callback()
def _group() -> None: ...


@app.command()
def check(
    text: Annotated[
        str | None, typer.Argument(help="What to judge; with --jsonl it comes from standard input.")
    ] = None,
    kind: Annotated[
        Kind, typer.Option("--kind", help="What it is. A URL is judged without resolving its name.")
    ] = "bash",
    specialist: Annotated[str | None, typer.Option("--specialist", help="By the rules of this member.")] = None,
    rules: Annotated[
        Path | None, typer.Option("--rules", help="By the `permission:` of a YAML file or of a specialist's file.")
    ] = None,
    jsonl: Annotated[
        bool, typer.Option("--jsonl", help='Lines {"id", "command"|"path"|"url"} in, {"id", "decision", "reason"} out.')
    ] = False,
    workspace: Annotated[
        Path | None,
        typer.Option(
            "--workspace",
            "-w",
            exists=True,
            file_okay=False,
            help="Look at a path's files there, and find its specialists.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Says whether something would be allowed, asked about or denied; with --jsonl, exit code 2 for lines not read."""
    if (text is None) is not jsonl or (specialist and rules):
        raise typer.BadParameter("give either one text or --jsonl, and at most one of --specialist and --rules")
    judge = _judge(kind, _rules(specialist, rules, workspace), workspace)
    if text is None:
        raise typer.Exit(_answer(sys.stdin.buffer, FIELDS[kind], judge))
    ruling = judge(text)
    if as_json:
        say_json({"decision": ruling.decision, "reason": ruling.reason})
    else:
        say(f"{ruling.decision}: {ruling.reason}")


def _rules(specialist: str | None, file: Path | None, workspace: Path | None) -> "dict[str, dict[str, Decision]]":
    if specialist:
        from backend_coordinator.nodes.permissions.added import with_added
        from backend_coordinator.nodes.workspace.user_repository import root_of
        from backend_coordinator.prompts.specialist_file import JUDGED

        root = root_of(workspace or Path())
        member = roster_of(root).get(specialist)
        own = dict(member.permission)
        return {kind: with_added(dict(own.get(kind, ())), root, member.name, kind) for kind in JUDGED}
    if file is None:
        return {}
    from backend_coordinator.errors import ConfigurationError
    from backend_coordinator.prompts.frontmatter import read_bare
    from backend_coordinator.prompts.specialist_file import rules_in

    try:
        return rules_in(read_bare(file.read_text(encoding="utf-8"), str(file)))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{file} cannot be read: {error}") from error


def _judge(kind: Kind, rules: "dict[str, dict[str, Decision]]", tree: Path | None) -> Judge:
    from backend_coordinator.nodes.permissions.bash import judge_bash
    from backend_coordinator.nodes.permissions.rules import strictest
    from backend_coordinator.nodes.permissions.urls import judge_url
    from backend_coordinator.nodes.tools.paths import judge_path

    if kind == "bash":
        return lambda line: judge_bash(line, rules.get("bash", {}))
    if kind == "url":
        return lambda url: judge_url(url, rules.get("webfetch"))
    root = tree.resolve() if tree else None
    both = [rules[each] for each in ("read", "edit") if each in rules] or [{}]
    return lambda path: strictest([judge_path(path, root, each) for each in both])


def _finite(text: str) -> float:
    """A number as JSON has them. Raises ValueError for NaN and infinity."""
    if math.isfinite(number := float(text)):
        return number
    raise ValueError(f"{text} is no finite number")


def _answer(lines: Iterable[bytes], field: str, judge: Judge) -> int:
    """Answers line by line; the exit code."""
    code = 0
    for line in filter(bytes.strip, lines):
        name: object = None
        try:
            row = json.loads(line, parse_float=_finite, parse_constant=_finite)
            if not isinstance(row, dict) or not isinstance(row.get(field), str):
                name = row.get("id") if isinstance(row, dict) else None
                raise ValueError(f"a line is a JSON object with the text {field!r}")
            ruling = judge(row[field])
            said = {"id": row.get("id"), "decision": ruling.decision, "reason": ruling.reason}
        except (ValueError, RecursionError) as error:
            said, code = {"id": name, "error": " ".join(str(error).split())}, BAD_LINES
        sys.stdout.write(f"{json.dumps(said)}\n")
        sys.stdout.flush()
    return code
