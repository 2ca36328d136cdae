"""One scene over and over: a run of four tasks is killed on its way, goes on in a new process, and is looked at."""

import asyncio
import hashlib
import json
import os
import signal
import sys
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from langchain_core.messages import AIMessage, AnyMessage, BaseMessage, ToolMessage, messages_to_dict

from backend_coordinator import Waiting
from backend_coordinator.domain import events as e
from backend_coordinator.domain.objective import Objective
from backend_coordinator.domain.question import Answer
from backend_coordinator.graph.runs import Runs, drive
from backend_coordinator.nodes.journal import Transcript
from backend_coordinator.nodes.points import Point, reached
from backend_coordinator.nodes.redaction import Redactor
from backend_coordinator.settings import Approval
from backend_coordinator.testing import Script, ScriptedModel, calls
from tests.support.department import Told, department, plan, refuse, task, write_own_file
from tests.support.runs import QUICK, git, merges, of

PLAN = plan(task(1), task(2, needs=[1]), task(3, needs=[1]), task(4, needs=[2, 3]))
TASKS = [each.id for each in PLAN.tasks]
SETTINGS = QUICK.model_copy(update={"approval": Approval(tools="ask")})
LINES = ("1", "2")
"""What task 2 appends to the effect file, each by a bash line that a person allows."""
_CHANGES = frozenset({"os.mkdir", "os.remove", "os.rename", "os.rmdir", "sqlite3.connect", "subprocess.Popen"})
"""What counts as a call of the system, beside opening a file to write."""


class Moment(NamedTuple):
    """When a process kills itself: at the `count`-th `point` (of that name, if any), `call` of the system, or second.

    With `amid` it counts only from where one task has ended while another is under way.
    """

    kind: str
    count: float
    point: Point | None = None
    amid: bool = False


class Kill(NamedTuple):
    """How a process died: the point it had passed last, and whether a task had ended while another was under way."""

    kind: str
    after: str
    amid: bool


class Kept(NamedTuple):
    """What ledger and transcripts hold, and how many answers the models had given by then."""

    events: list[e.Event]
    said: Mapping[str, Sequence[AnyMessage]]
    """Messages by the name of their transcript."""
    asked: int

    @property
    def answered(self) -> set[str]:
        """Digests of the prompts whose answers are recorded."""
        return {str(m.content) for each in self.said.values() for m in each if isinstance(m, AIMessage)}


def amid(events: Sequence[e.Event]) -> bool:
    """Whether one task has ended and another is under way."""
    ended = {event.task for event in of(e.TaskEnded, events)}
    return bool(ended) and not ended.issuperset(event.task for event in of(e.TaskStarted, events))


@dataclass(frozen=True)
class Scene:
    """A workspace with one run at the most; what the processes that drive it leave behind lies in `folder`."""

    shop: Path
    folder: Path

    def drive(self, moment: Moment | None) -> None:
        """Begins the run or goes on with it to its end, with people who answer; dies at the moment."""
        runs = Runs(self.shop, ScriptedModel(script=self._noting(department(PLAN, self.work))), SETTINGS)
        if moment is not None:
            Watch(self, moment).begin()
        reached.append(lambda point: self._answer(runs, "echo 1") if point == "question recorded" else None)
        (run,) = runs.ids() or (runs.create(Objective(text="four files")),)
        while True:
            try:
                asyncio.run(drive(runs, run))
                return
            except Waiting:
                self._answer(runs)

    def work(self, told: Told) -> AIMessage:
        """Task 2 has effects outside its tree, task 3 needs a person's guidance, all write their file."""
        if told.task == TASKS[1] and told.turn == 1:
            lines = [("bash", {"command": self.command(line)}) for line in LINES]
            return calls(*lines, turn=told.turn)
        if told.task == TASKS[2] and "GUIDANCE from lead" not in told.text:
            return refuse(told)
        return write_own_file(told)

    def command(self, line: str) -> str:
        """What appends a line to the effect file."""
        return f"echo {line} >> {self.folder}/effects"

    def lines(self, name: str) -> list[str]:
        """The lines of one of the files in the folder."""
        path = self.folder / name
        return path.read_text().splitlines() if path.exists() else []

    def note(self, name: str, line: str) -> None:
        """Appends a line to such a file."""
        with (self.folder / name).open("a") as file:
            file.write(f"{line}\n")

    def _noting(self, script: Script) -> Script:
        """The script, each answer holding the digest of its prompt, which is noted."""

        def noting(messages: Sequence[BaseMessage], tools: Sequence[str]) -> AIMessage:
            prompt = json.dumps(messages_to_dict(messages), sort_keys=True)
            digest = hashlib.sha256(prompt.encode()).hexdigest()[:16]
            self.note("asked", digest)
            return script(messages, tools).model_copy(update={"content": digest})

        return noting

    def _answer(self, runs: Runs, but: str | None = None) -> None:
        """Answers all open questions, as another process would; those with `but` in them are left."""
        for run in runs.ids():
            for question in runs.ledger(run).open_questions():
                if but is None or but not in question.text:
                    decision = "approve" if "approve" in question.choices else "guide"
                    runs.ledger(run).answer(question.id, Answer(decision=decision, text="do it", by="lead"))

    def events(self) -> list[e.Event]:
        """The ledger as it stands."""
        runs = Runs(self.shop)
        return [event for run in runs.ids() for _, event in runs.ledger(run).events()]

    def kept(self) -> Kept:
        """What is recorded now."""
        runs = Runs(self.shop)
        paths = [path for run in runs.ids() for path in (runs.place(run) / "transcripts").glob("*.jsonl")]
        said = {path.stem: Transcript(path, Redactor()).read().messages for path in paths}
        return Kept(self.events(), said, len(self.lines("asked")))


class Watch:
    """Counts what its process passes, ends it at its moment, and notes how far it came."""

    def __init__(self, scene: Scene, moment: Moment) -> None:
        self.scene, self.moment = scene, moment
        self.counts: Counter[str] = Counter()
        self.began: float | None = None
        self.looking = False

    def begin(self) -> None:
        """From now on; what is hooked stays for the rest of the process."""
        reached.append(self._point)
        sys.addaudithook(self._call)
        if not self.moment.amid:
            self._count()

    def _point(self, point: Point) -> None:
        self.looking = True
        self.scene.note("passed", point)
        now = not self.moment.amid or amid(self.scene.events())
        self.looking = False
        if now and self.began is None:
            self._count()
        if now and self.began is not None:
            counted = {**self.counts, "time": time.monotonic() - self.began}
            (self.scene.folder / "counted").write_text(json.dumps(counted))
        if self.moment.point in (None, point):
            self._pass("point")

    def _call(self, event: str, args: tuple[object, ...]) -> None:
        writes = event == "open" and isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR)
        if (writes or event in _CHANGES) and not self.looking:
            self._pass("call")

    def _count(self) -> None:
        self.began = time.monotonic()
        if self.moment.kind == "time":
            timer = threading.Timer(self.moment.count, _die)
            timer.daemon = True
            timer.start()

    def _pass(self, kind: str) -> None:
        if self.began is not None:
            self.counts[kind] += 1
            if kind == self.moment.kind and self.counts[kind] >= self.moment.count:
                _die()


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def forked(action: Callable[[], object]) -> int:
    """The exit code of a process of its own that does something; negative where a signal ended it."""
    sys.stdout.flush()
    if (process := os.fork()) == 0:
        code = 1
        try:
            action()
            code = 0
        finally:
            if code:
                traceback.print_exc()
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def play(scene: Scene, moments: Sequence[Moment]) -> tuple[list[Kill], list[str]]:
    """Kills the run at each moment that it comes to, lets it end, and says how it died and what is wrong then."""
    kills: list[Kill] = []
    looks: list[Kept] = []
    for moment in (*moments, None):
        code = forked(lambda moment=moment: scene.drive(moment))  # type: ignore[misc]
        if code == 0:
            break
        if moment is None or code != -signal.SIGKILL:
            return kills, [f"a process ended with {code}"]
        looks.append(scene.kept())
        kills.append(Kill(moment.kind, (scene.lines("passed") or ["none"])[-1], amid(looks[-1].events)))
    return kills, list(violations(scene, looks))


def violations(scene: Scene, looks: Sequence[Kept]) -> Iterator[str]:
    """What does not hold of an ended run; `looks` are what was kept at each of its kills."""
    runs, final = Runs(scene.shop), scene.kept()
    (run,) = runs.ids()
    report = runs.report(run)
    if report is None or not report.accepted:
        yield f"not accepted: {report and report.summary}"
        return
    for look in looks:
        yield from _repeated(scene, look, final)
    held = git(scene.shop, "ls-tree", "--name-only", report.branch).split()
    counts: dict[str, tuple[object, object]] = {
        "merges": (merges(scene.shop, report.branch), TASKS),
        "merges told": (sorted(event.task for event in of(e.Merged, final.events)), TASKS),
        "tasks": ({each.id: each.status for each in report.tasks}, dict.fromkeys(TASKS, "merged")),
        "files": (held, ["f1.txt", "f2.txt", "f3.txt", "f4.txt", "notes.txt"]),
        "task ends": (sorted(event.task for event in of(e.TaskEnded, final.events)), TASKS),
        "ends": (len(of(e.RunEnded, final.events)), 1),
        "doubts reported": (list(report.in_doubt), of(e.InDoubt, final.events)),
        "model calls": _accounts(final, e.ModelCalled, AIMessage),
        "tool calls": _accounts(final, (e.ToolCalled, e.InDoubt), ToolMessage),
    }
    yield from (f"{what}: {found}, not {right}" for what, (found, right) in counts.items() if found != right)
    asked, answered = of(e.Asked, final.events), of(e.Answered, final.events)
    if not len(asked) == len(answered) == len({event.question for event in answered}) == len(LINES) + 1:
        yield f"{len(asked)} questions, {len(answered)} answers"
    yield from _effects(scene, final)


def _repeated(scene: Scene, look: Kept, final: Kept) -> Iterator[str]:
    before = len(look.events)
    if final.events[:before] != look.events:
        yield "the ledger lost events"
    if again := look.answered.intersection(scene.lines("asked")[look.asked :]):
        yield f"{len(again)} recorded model calls were made again"
    ended = {event.task for event in of(e.TaskEnded, look.events)}
    for event in final.events[before:]:
        if isinstance(event, e.TaskStarted | e.ModelCalled | e.ToolCalled) and _whose(event) in ended:
            yield f"a finished task ran again: {event}"
    for name, messages in look.said.items():
        if final.said[name][: len(messages)] != messages:
            yield f"the transcript {name} lost messages"


def _whose(event: e.TaskStarted | e.ModelCalled | e.ToolCalled | e.InDoubt) -> str:
    return event.purpose if isinstance(event, e.ModelCalled) else event.task


def _accounts(final: Kept, kind: type | tuple[type, ...], message: type) -> tuple[Counter[str], Counter[str]]:
    """How often the ledger tells of each task and inquiry, and how often the transcripts hold it."""
    told = [_whose(event) for event in final.events if isinstance(event, kind)]
    names = {name: name[:-2] if name[:-2] in TASKS else name for name in final.said}
    held = [names[name] for name, said in final.said.items() for each in said if isinstance(each, message)]
    return Counter(name for name in told if name != "try-models"), Counter(held)


def _effects(scene: Scene, final: Kept) -> Iterator[str]:
    doubts = [doubt.subject for doubt in of(e.InDoubt, final.events)]
    found = Counter(scene.lines("effects"))
    for line in LINES:
        if found[line] > 1:
            yield f"effect {line} happened {found[line]} times"
        if not found[line] and not any(scene.command(line).startswith(subject) for subject in doubts):
            yield f"effect {line} is missing and in no doubt"
    if len(set(doubts)) < len(doubts):
        yield f"doubts reported twice: {doubts}"


def main(shop: str, folder: str, moments: str) -> None:
    """One round, told as JSON."""
    kills, wrong = play(Scene(Path(shop), Path(folder)), [Moment(*moment) for moment in json.loads(moments)])
    sys.stdout.write(json.dumps({"kills": kills, "wrong": wrong}))


if __name__ == "__main__":
    main(*sys.argv[1:])
