"""Whether each fault's tests need its protection: they pass with it, and fail once a patch has taken it out."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as Xml
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
TESTS = "tests/faults"
MODELS = "nodes/models"
TOOLS = "nodes/tools"
WORKSPACE = "nodes/workspace"
_FAILED = 1
"""pytest's exit code when tests ran and some failed; anything above says that they could not run."""

_ENDLESS = 124
_LONGEST = 1200
"""Seconds for one run of pytest."""


class Patch(NamedTuple):
    """What takes one protection out: in `file`, each old text, found exactly once, becomes the new one."""

    fault: str
    what: str
    file: str
    changes: tuple[tuple[str, str], ...]


def patch(fault: str, what: str, file: str, *changes: tuple[str, str]) -> Patch:
    """One row of the table."""
    return Patch(fault, what, file, changes)


_CUT_COUNTS = (('{"stop",', '{"length", "stop",'), ('fromkeys(("length", ', "fromkeys(("))
_LENIENT = (("tool_calls=calls,\n", "tool_calls=whole.tool_calls,\n"), ("invalid_tool_calls=broken,\n", ""))
_ANY_END = ("if end not in _WHOLE and (end or ends):", "if end not in _WHOLE and end:")
_UNREADABLE = 'return Fault(Kind.BROKEN, f"the server\'s answer could not be read ({name})")'

PATCHES = (
    patch(
        "F001",
        "a 429 closes the endpoint",
        f"{MODELS}/endpoint.py",
        ("self._close(passed, clock, _FIRST_COOLING, fault.wait)", "pass"),
    ),
    patch(
        "F002",
        "a wait beyond the deadline is refused at once",
        f"{MODELS}/endpoint.py",
        ("if math.isfinite(until) and until > deadline:", "if False:"),
    ),
    patch(
        "F003",
        "an empty account is told apart",
        f"{MODELS}/faults.py",
        ("return Fault(Kind.QUOTA, ", "return Fault(Kind.REQUEST, "),
    ),
    patch(
        "F004",
        "Retry-After as a date",
        f"{MODELS}/faults.py",
        ("return _sensible((parsedate_to_datetime(str(after)) - now).total_seconds())", "return None"),
    ),
    patch(
        "F005", "x-should-retry is obeyed", f"{MODELS}/faults.py", ('{"true": True, "false": False}', '{"true": True}')
    ),
    patch(
        "F006",
        "callers share one endpoint",
        f"{MODELS}/endpoint.py",
        ("return _endpoints.setdefault((server, model), Endpoint())", "return Endpoint()"),
    ),
    patch("F007", "the client's own retries are off", f"{MODELS}/openai_chat.py", ("max_retries=0", "max_retries=2")),
    patch(
        "F008",
        "errors are told in our own words",
        f"{MODELS}/faults.py",
        ("return _named(kind or _by_status(status), ", "return Fault(Kind.SERVER, str(error)) or ("),
    ),
    patch(
        "F009",
        "a refused request is not retried",
        f"{MODELS}/faults.py",
        ("_STATUS.get(status, Kind.REQUEST)", "_STATUS.get(status, Kind.SERVER)"),
    ),
    patch(
        "F010",
        "a prompt that is too long is shrunk once",
        "nodes/mishaps.py",
        ("return SHRUNK if begun and SHRUNK not in noted else None", "return None"),
    ),
    patch(
        "F011",
        "models are tried before work is handed out",
        "graph/build.py",
        ("await try_all(run, [task.specialist for task in plan.tasks])", "pass"),
    ),
    patch(
        "F012",
        "an unreadable answer is retried",
        f"{MODELS}/faults.py",
        ("{Kind.RATE_LIMITED, Kind.BROKEN, Kind.CUT}", "{Kind.RATE_LIMITED, Kind.CUT}"),
    ),
    patch("F013", "whatever a client raises is a fault", f"{MODELS}/faults.py", (_UNREADABLE, "raise error")),
    patch(
        "F014",
        "a body without an answer passes",
        f"{MODELS}/faults.py",
        (_UNREADABLE, "return Fault(Kind.REQUEST, '')"),
    ),
    patch(
        "F015",
        "an empty message is a failure",
        f"{MODELS}/completion.py",
        ("if not (called or str(message.text).strip()):", "if False:"),
    ),
    patch(
        "F016",
        "a refusal is recognised",
        f"{MODELS}/completion.py",
        ("if refused or _ENDS.get(end) is Kind.REFUSAL:", "if False:"),
    ),
    patch("F017", "the filter's reason is known", f"{MODELS}/completion.py", ('(("content_filter", ', "((")),
    patch("F018", "a message at the output limit is not whole", f"{MODELS}/completion.py", *_CUT_COUNTS),
    patch("F019", "arguments are parsed as they stand", f"{MODELS}/completion.py", *_LENIENT),
    patch("F020", "no call of a message at the output limit runs", f"{MODELS}/completion.py", *_CUT_COUNTS),
    patch("F021", "a stream has to say that it ended", f"{MODELS}/completion.py", _ANY_END),
    patch("F022", "a call runs only from an ended stream", f"{MODELS}/completion.py", _ANY_END, *_LENIENT),
    patch(
        "F023",
        "a lost connection is retried",
        f"{MODELS}/faults.py",
        ("{Kind.SERVER, Kind.CONNECTION, ", "{Kind.SERVER, "),
    ),
    patch(
        "F024",
        "silence is bounded",
        f"{MODELS}/call.py",
        ("self.clock.limit(self.terms.idle_seconds)", "self.clock.limit(1e9)"),
    ),
    patch("F025", "one deadline for a call", f"{MODELS}/call.py", ("clock.limit(terms.seconds):", "clock.limit(1e9):")),
    patch(
        "F026",
        "errors within a stream are classified",
        f"{MODELS}/call.py",
        ("        except Exception as error:\n", "        except OSError as error:\n"),
    ),
    patch(
        "F027",
        "arguments have to be an object",
        f"{MODELS}/completion.py",
        ('return (value, "") if isinstance(value, dict) else (None, "they are not a JSON object")', 'return value, ""'),
    ),
    patch(
        "F028",
        "ids are made unique",
        f"{MODELS}/replies.py",
        ('name if name and name not in taken else f"call-{otherwise}"', "name or otherwise"),
    ),
    patch(
        "F029",
        "surrogates are replaced",
        f"{MODELS}/replies.py",
        ('return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")', "return value"),
    ),
    patch(
        "F030",
        "a revoked key becomes a question",
        "graph/specialist_flow.py",
        (
            "await work_on(assigned(run, state.task.id), bench, specialist.prompt)\n    except ModelUnavailable as",
            "await work_on(assigned(run, state.task.id), bench, specialist.prompt)\n    except KeyError as",
        ),
    ),
    patch(
        "F031",
        "faults in a row close the endpoint",
        f"{MODELS}/endpoint.py",
        ("if self._faults >= _OPENS_AFTER or fault.wait is not None:", "if fault.wait is not None:"),
    ),
    patch(
        "F032",
        "the same outcome three times is the end",
        "nodes/mishaps.py",
        ("SAME_BEFORE_STUCK = 3\n", "SAME_BEFORE_STUCK = 3000\n"),
    ),
    patch(
        "F033",
        "a long result is cut and kept",
        "nodes/tools/recall.py",
        ("if len(text) <= bench.most:", "if text:"),
    ),
    patch(
        "F034",
        "a run is taken up where it stands",
        "graph/runs.py",
        ("begin = None if state is not None else _beginning(context)", "begin = _beginning(context)"),
    ),
    patch(
        "F035",
        "saving waits for no task",
        "graph/runs.py",
        ("recursion_limit=10_000, max_concurrency=10_000", "recursion_limit=10_000, max_concurrency=1"),
    ),
    patch("F036", "a step is saved before the next", "graph/runs.py", ('durability="sync"', 'durability="async"')),
    patch("F037", "steps are saved on the way", "graph/runs.py", ('durability="sync"', 'durability="exit"')),
    patch(
        "F038",
        "a tool's processes end with its step",
        f"{WORKSPACE}/processes.py",
        ("            watch.cancel()\n        await _end(transport, record)", "            watch.cancel()"),
    ),
    patch("F039", "the first answer stands", "nodes/ledger.py", ("and id = ? and answer is null", "and id = ?")),
    patch("F040", "one process drives a run", "graph/persistence.py", ("fcntl.LOCK_EX |", "fcntl.LOCK_SH |")),
    patch(
        "F041",
        "the kernel frees the lock of the dead",
        "graph/persistence.py",
        ("os.O_RDWR | os.O_CREAT,", "os.O_RDWR | os.O_CREAT | os.O_EXCL,"),
    ),
    patch(
        "F042",
        "an old fence is refused",
        "nodes/postgres_store.py",
        ("case when fence = %s then", "case when fence >= 0 * %s then"),
    ),
    patch(
        "F043",
        "a second answer is told",
        "nodes/ledger.py",
        ("if not self._keep(execute, question_id, answer):", "if self._keep(execute, question_id, answer) is None:"),
    ),
    patch(
        "F044",
        "a lost state does not begin again",
        "graph/standing.py",
        ("if any(not _early(event) for _, event in context.ledger.events()):", "if False:"),
    ),
    patch(
        "F045",
        "a checkpoint that was cut is named",
        "graph/persistence.py",
        ('raise damaged(self.path, f"holds checkpoint {row and row[0]}, which cannot be read") from error', "raise"),
    ),
    patch("F046", "SQLite's errors are told", "nodes/damage.py", ("raise _told(file, error) from error", "raise")),
    patch(
        "F047",
        "a ledger's file is closed after every look",
        "nodes/store.py",
        ("                db.close()\n", "                _open.append(db)\n"),
        ("SCHEMA_VERSION = 2\n", "SCHEMA_VERSION = 2\n_open: list[sqlite3.Connection] = []\n"),
    ),
    patch(
        "F048",
        "a write without room is told",
        "nodes/damage.py",
        ("if code in _UNWRITTEN:", "if False:"),
        ("if error.errno not in _NO_ROOM:", "if True:"),
    ),
    patch("F049", "a lock is waited for", "nodes/damage.py", ("PATIENCE = 30.0", "PATIENCE = 3.0")),
    patch("F050", "an effect's intent is recorded before it", "nodes/work.py", ("talk.journal.intend(name)", "pass")),
    patch("F051", "missing steps are named", "graph/standing.py", ("- _parts(app)):", "- _parts(app)) and False:")),
    patch(
        "F052",
        "a state is read anew",
        "graph/standing.py",
        ("except ValidationError as error:", "except ZeroDivisionError as error:"),
    ),
    patch(
        "F053", "a span is never negative", "nodes/report.py", ("seconds=max(0.0, round(", "seconds=max(-1e9, round(")
    ),
    patch(
        "F054",
        "a checkpoint takes the place of its parent",
        "graph/persistence.py",
        ("        await connection.executescript(_NEWEST)\n", ""),
    ),
    patch(
        "F055",
        "a run lives in its parent's checkpoints",
        "graph/embedding.py",
        ("if where.get(_SAVER) is None:", "if True:"),
    ),
    patch(
        "F056",
        "an answer goes to the question it names",
        "graph/embedding.py",
        ("        _take(ledger, question, value)\n", "        pass\n"),
    ),
    patch(
        "F057",
        "what a command leaves behind is ended",
        "nodes/workspace/launcher.py",
        ("os.waitpid(child, 0)\n    _end_descendants()", "os.waitpid(child, 0)"),
    ),
    patch(
        "F058",
        "there is nothing to read from",
        "nodes/workspace/processes.py",
        ("stdin=asyncio.subprocess.DEVNULL", "stdin=asyncio.subprocess.PIPE"),
    ),
    patch(
        "F059",
        "processes are counted",
        "nodes/workspace/watch.py",
        ("if _number(leader, bounds.processes) > bounds.processes:", "if False:"),
    ),
    patch(
        "F060",
        "a limit on files is named",
        "nodes/workspace/sandbox.py",
        ('if done.exit_code in _TOO_LARGE or "File too large" in done.output:', "if False:"),
    ),
    patch(
        "F060",
        "what is written has a quota",
        "nodes/workspace/watch.py",
        ("if filled > bounds.disk_bytes or start > due:", "if False:"),
    ),
    patch(
        "F065",
        "a missing sandbox needs consent",
        "nodes/workspace/sandbox.py",
        ('if found.level == "none" and mode == "auto" and not trusted:', "if False:"),
    ),
    patch(
        "F061",
        "what the disk refuses is told to the model",
        f"{TOOLS}/beneath.py",
        ("    except OSError as error:", "    except ZeroDivisionError as error:"),
    ),
    patch(
        "F062",
        "what was read is compared",
        f"{TOOLS}/files.py",
        ("if seen and data is not None", "if False and seen and data is not None"),
    ),
    patch("F062", "and once more right before writing", f"{TOOLS}/beneath.py", ("if there != known:", "if False:")),
    patch(
        "F063",
        "special files are not opened as text",
        f"{TOOLS}/beneath.py",
        ("if not stat.S_ISREG(found.st_mode):", "if False:"),
    ),
    patch(
        "F063",
        "line ends stay as they are",
        f"{TOOLS}/texts.py",
        ('_ended(new, crlf and "\\r" not in old)', "_ended(new, False)"),
    ),
    patch("F064", "a body ends", f"{TOOLS}/fetching.py", ("if max(len(body), packed) > MOST_BYTES:", "if False:")),
    patch(
        "F064",
        "a body does not unpack without bound",
        f"{TOOLS}/fetching.py",
        ("if len(body) > SMALL + MOST_RATIO * packed:", "if False:"),
    ),
    patch(
        "F064", "redirects end", f"{TOOLS}/fetching.py", ("if answer in seen or len(seen) > MOST_HOPS:", "if False:")
    ),
    patch("F064", "a page has its time", f"{TOOLS}/fetching.py", ("clock.limit(SECONDS)", "clock.limit(1e9)")),
    patch(
        "F064",
        "unknown letters are replaced",
        f"{TOOLS}/pages.py",
        ("except (LookupError, ValueError):", "except OSError:"),
    ),
    patch(
        "F066",
        "a conflict is no merge",
        f"{WORKSPACE}/merging.py",
        ("if done.returncode else tree", "if False else tree"),
    ),
    patch(
        "F067",
        "the merged tree is looked at",
        "nodes/merge.py",
        ("[v for v in verdicts if v.id not in waived]", "[]"),
    ),
    patch(
        "F068",
        "migrations in one place are seen",
        "nodes/conflicts.py",
        ("if other and _stem(other) != _stem(path):", "if False:"),
    ),
    patch(
        "F069",
        "a branch of the user's is not overwritten",
        f"{WORKSPACE}/repository.py",
        ('f"{self._ref}:{self._ref}")', 'f"+{self._ref}:{self._ref}")'),
        ('"--no-write-fetch-head", ', '"--no-write-fetch-head", "--update-head-ok", '),
    ),
    patch(
        "F070",
        "a checkout is whole or absent",
        f"{WORKSPACE}/trees.py",
        ('fresh = Path(name, "tree")', "fresh = folder"),
    ),
    patch(
        "F071",
        "work inside a submodule is not lost",
        f"{WORKSPACE}/repository.py",
        ("        refuse_submodule_work(self.git, folder, index)\n", ""),
    ),
    patch(
        "F072",
        "a lock in the way is named",
        f"{WORKSPACE}/git.py",
        ("if found else None", "if False else None"),
    ),
    patch(
        "F073",
        "every checkout has an index of its own",
        f"{WORKSPACE}/repository.py",
        ('return self.git.git_dir / "indexes" / name', 'return self.git.git_dir / "indexes" / "one"'),
    ),
    patch(
        "F074",
        "results of tools go through the screen",
        "nodes/work.py",
        ("await in_thread(bench.screen, context.redact(text))", "context.redact(text)"),
    ),
    patch(
        "F074",
        "what dependencies hand over goes through the screen",
        "nodes/brief.py",
        ("is_shared(item) else screen.value(item)", "is_shared(item) else item"),
        ("packet=screen(context.redact(told.text))", "packet=context.redact(told.text)"),
    ),
    patch(
        "F074",
        "guidance and failures go through the screen",
        "graph/updates.py",
        ("if person else screen_of(state, means)", "if person or means else screen_of(state, means)"),
    ),
    patch(
        "F074",
        "a peer is asked through its own screen",
        "nodes/levels.py",
        ("screen(peer)(context.redact(", "str(context.redact("),
    ),
)


class Row(NamedTuple):
    """What became of one fault's tests; `said` is the first that failed without the protection, or what is wrong."""

    fault: str
    what: str
    tests: int
    passes_with: bool
    fails_without: bool
    said: str

    @property
    def good(self) -> bool:
        return self.tests > 0 and self.passes_with and self.fails_without


def copied(folder: Path) -> Path:
    """The repository's files as they are now, without what git ignores."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    for name in filter(None, listed.stdout.decode().split("\0")):
        source, target = ROOT / name, folder / name
        if os.path.lexists(source):
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target, follow_symlinks=False)
    return folder


def tested(folder: Path, faults: Sequence[str], *options: str) -> tuple[int, dict[str, bool], str]:
    """pytest's exit code for these faults' tests, whether each passed, and the last lines."""
    names, report = [f"test_{fault.lower()}_" for fault in faults], folder / "report.xml"
    files = {path: path.read_text(encoding="utf-8") for path in sorted((folder / TESTS).glob("test_*.py"))}
    chosen = [str(path) for path, text in files.items() if any(name in text for name in names)]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={report}", *options]
    environment = {**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    command += ["-m", "slow or not slow", "-k", " or ".join(names), *(chosen or [TESTS])]
    try:
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=_LONGEST
        )
    except subprocess.TimeoutExpired:
        return _ENDLESS, {}, f"no end within {_LONGEST} s"
    results: dict[str, bool] = {}
    for case in Xml.parse(report).iter("testcase") if report.is_file() else ():
        name = str(case.get("name"))
        fine = all(child.tag not in ("failure", "error") for child in case)
        results[name] = fine and results.get(name, True)
    return done.returncode, results, done.stdout[-2000:]


def of(fault: str, results: dict[str, bool]) -> dict[str, bool]:
    """The results of one fault's tests."""
    return {name: passed for name, passed in results.items() if name.startswith(f"test_{fault.lower()}_")}


def taken_out(each: Patch, folder: Path) -> None:
    """Applies a patch to a copy. Raises LookupError where the old text is not there exactly once."""
    path = folder / each.file
    text = path.read_text(encoding="utf-8")
    for old, new in each.changes:
        if text.count(old) != 1:
            msg = f"{each.fault}: {each.file} holds {text.count(old)} times: {old!r}"
            raise LookupError(msg)
        text = text.replace(old, new)
    path.write_text(text, encoding="utf-8")


def row(each: Patch, whole: dict[str, bool]) -> Row:
    """Runs one fault's tests without their protection."""
    mine = of(each.fault, whole)
    with tempfile.TemporaryDirectory() as name:
        folder = copied(Path(name))
        try:
            taken_out(each, folder)
        except LookupError as error:
            return Row(each.fault, each.what, len(mine), all(mine.values()), False, str(error))
        code, results, said = tested(folder, [each.fault], "-x")
    failing = next((test for test, passed in of(each.fault, results).items() if not passed), None)
    fails = code == _FAILED and failing is not None
    told = failing or f"pytest ended with {code}: {said.strip().splitlines()[-1:]}"
    return Row(each.fault, each.what, len(mine), all(mine.values()), fails, told)


def rows(patches: Sequence[Patch]) -> list[Row]:
    """All rows; the tests with every protection in place run once."""
    with tempfile.TemporaryDirectory() as name:
        _, whole, _ = tested(copied(Path(name)), [each.fault for each in patches])
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(lambda each: row(each, whole), patches))


def main() -> int:
    """Prints the table, or JSON with `--json`; names of faults choose some. 1 when a row does not hold."""
    chosen = {argument for argument in sys.argv[1:] if not argument.startswith("-")}
    found = rows([each for each in PATCHES if not chosen or each.fault in chosen])
    if "--json" in sys.argv:
        sys.stdout.write(json.dumps([{**each._asdict(), "good": each.good} for each in found], indent=1) + "\n")
    else:
        for each in found:
            told = "ok " if each.good else "BAD"
            with_it = "pass" if each.passes_with else "FAIL"
            without = "fail" if each.fails_without else "PASS"
            sys.stdout.write(
                f"{told} {each.fault} {each.what:<48} {each.tests:>3} tests: {with_it} with, {without} without"
                f"{'' if each.good else ': ' + each.said}\n"
            )
    return 0 if found and all(each.good for each in found) else 1


if __name__ == "__main__":
    sys.exit(main())
