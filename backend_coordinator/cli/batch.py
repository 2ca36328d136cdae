"""The command for many objectives: one line of a results file for each."""

import shlex
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from backend_coordinator.cli.next_steps import command
from backend_coordinator.cli.options import Approvals, AsJson, Init, Model, Workspace
from backend_coordinator.cli.output import plain, say, tell, terminal
from backend_coordinator.cli.signals import STOPPED
from backend_coordinator.errors import ConfigurationError, ModelUnavailable, Waiting

if TYPE_CHECKING:
    from rich.console import Group

    from backend_coordinator.graph.batch import Batch
    from backend_coordinator.graph.batch_files import Result

HERE = Path()
_PAUSE = 5.0


def add_to(app: typer.Typer) -> None:
    """Adds the command to the command line."""
    app.command()(batch)


def batch(
    file: Annotated[Path, typer.Argument(help='Lines such as {"objective": "..."}; `-` is standard input.')],
    workspace: Workspace = HERE,
    concurrency: Annotated[int, typer.Option("--concurrency", min=1, help="How many objectives at once.")] = 8,
    out: Annotated[Path | None, typer.Option("--out", help="The results. Default: FILE.results.jsonl")] = None,
    model: Model = None,
    init: Init = False,
    approval: Approvals = None,
    as_json: AsJson = False,
) -> None:
    """Carries many objectives out, one result line each; the same command again goes on where it stopped.

    Nobody is asked for approval meanwhile: what the policy would ask about is refused, and told in the line.
    """
    from backend_coordinator.graph.batch import Batch
    from backend_coordinator.graph.batch_files import read_entries

    if out is None and file == Path("-"):
        msg = "objectives from standard input need a place for their results: name it with --out"
        raise ConfigurationError(msg)
    entries = read_entries(file, workspace)
    results = out or file.with_suffix(".results.jsonl")
    if results.resolve() == file.resolve():
        msg = f"{file} holds the objectives: name another file for the results with --out"
        raise ConfigurationError(msg)
    going = Batch(entries, results, model=model, concurrency=concurrency, init=init, approval=approval)
    if model is None and going.model == "offline":
        tell("no key and no base URL is set: working with the offline model (see --model)")
    _finish(going, as_json)


def _finish(going: "Batch", as_json: bool) -> None:
    board = _Board(going)
    again = shlex.join(["backend-coordinator", *sys.argv[1:]])
    waiting = []
    refused: ModelUnavailable | None = None
    try:
        with closing(iter(going)) as results, board.shown(quiet=as_json):
            for result in results:
                board.count(result)
                if as_json:
                    say(result.model_dump_json())
                if result.status == "waiting":
                    waiting.append(result)
    except ModelUnavailable as error:
        refused = error  # told last
    except KeyboardInterrupt:
        with suppress(OSError):  # the terminal may be gone
            tell(f"stopped, {board.head()}; to go on: {again}")
        raise typer.Exit(STOPPED) from None
    for result in waiting:
        told = result.summary if result.run is None else command(result.workspace, "show", result.run)
        tell(f"{result.id} waits: {told}")
    if waiting:
        tell(f"then: {again}")
    if not as_json:
        say(f"{board.head()}; results {going.results}")
    if refused is not None:
        raise refused
    raise typer.Exit(Waiting.exit_code if waiting else int(board.ended["accepted"] < len(going.entries)))


class _Board:
    """How many have ended how, and what the others do."""

    def __init__(self, going: "Batch") -> None:
        self.going = going
        self.ended: Counter[str] = Counter()
        self._begun = time.monotonic()
        self._seen: dict[str, int] = {}
        self._doing: dict[str, str] = {}
        self._tell = tell

    def head(self) -> str:
        """The counts in one line."""
        each = ", ".join(f"{number} {_words(status)}" for status, number in sorted(self.ended.items()))
        return f"{self.ended.total()} of {len(self.going.entries)} objectives" + (f": {each}" if each else "")

    def count(self, result: "Result") -> None:
        """Takes a result in."""
        from backend_coordinator.nodes.costs import parts_in_words

        self.ended[result.status] += 1
        words = _words(result.status)
        text = f"{result.id} {words}: {result.summary.removeprefix(words).lstrip(',: ')}"
        text += f"; refused: {', '.join(result.refused)}" if result.refused else ""
        took = f" ({parts_in_words(result.coordination, result.work)})" if result.coordination and result.work else ""
        self._tell(f"{self._clock()} {self.ended.total()}/{len(self.going.entries)} {text}{took}")

    @contextmanager
    def shown(self, *, quiet: bool) -> Iterator[None]:
        """Shows it meanwhile: a live table in a terminal, else a line now and then."""
        if quiet:
            self._tell = lambda text: None
            yield
        elif sys.stderr.isatty():
            with self._live():
                yield
        else:
            over = threading.Event()
            teller = threading.Thread(target=self._repeat, args=(over,), daemon=True)
            teller.start()
            try:
                yield
            finally:
                over.set()
                teller.join()

    def _repeat(self, over: threading.Event) -> None:
        before: list[tuple[str, str]] = []
        while not over.wait(_PAUSE):
            if (rows := self._rows()) != before:
                tell(f"{self._clock()} under way: " + "; ".join(": ".join(row) for row in rows))
            before = rows

    @contextmanager
    def _live(self) -> Iterator[None]:
        from rich.live import Live

        console = terminal()
        self._tell = lambda text: console.print(plain(text))
        with Live(get_renderable=self._table, console=console, refresh_per_second=2):
            yield

    def _table(self) -> "Group":
        from rich.console import Group
        from rich.table import Table

        table = Table(box=None, pad_edge=False)
        for heading in ("objective", "doing"):
            table.add_column(heading, no_wrap=True, overflow="ellipsis")
        for row in self._rows():
            table.add_row(*map(plain, row))
        return Group(self.head(), table)

    def _rows(self) -> list[tuple[str, str]]:
        """Each running objective with the last that was told of it."""
        from backend_coordinator.cli.progress import line

        running = list(self.going.running.items())
        for name, ledger in running:
            for number, event in ledger.events(after=self._seen.get(name, 0)):
                self._seen[name] = number
                self._doing[name] = line(event) or self._doing.get(name, "")
        return [(name, self._doing.get(name, "begins")) for name, _ in running]

    def _clock(self) -> str:
        return f"[{time.monotonic() - self._begun:6.1f} s]"


def _words(status: str) -> str:
    return status.replace("_", " ")
