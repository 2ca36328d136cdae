"""Whole runs in which each text has a canary, a dependency tells all it knows, and a reader looks for it everywhere."""

import base64
import json
import re
import sqlite3
import urllib.parse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from langchain_core.messages import AIMessage, BaseMessage

from backend_coordinator import Coordinator, Plan, Settings, Task
from backend_coordinator.domain.context import ContextItem, ContextKind
from backend_coordinator.domain.report import Report
from backend_coordinator.domain.roster import Specialist
from backend_coordinator.nodes.kinds import rule_for
from backend_coordinator.nodes.tools.catalogue import roster_with
from backend_coordinator.settings import Approval, cache_folder
from backend_coordinator.testing import ScriptedModel, calls
from tests.support.canaries import canary, forms
from tests.support.department import Told, department
from tests.support.runs import git, statuses

PEER = "backend-architect"
OWN = ("transcripts", "results", "manifests")
"""Folders of a run with what belongs to one attempt."""
ROLE = """---
name: {name}
description: d
sees: [{sees}]
never_sees: [{never}]
tools: {{read: true, grep: true, glob: true, list: true, write: true, edit: true, bash: true, check: true}}
permission: {{bash: {{"*": allow}}}}
---
{prompt}
"""
PROBE = """import glob, os, subprocess

for command in ("git log --all --format=%B", "git cat-file --batch-all-objects --batch", "git show-ref", "git reflog",
                "find / -name .git -not -path /proc", "find / -name *.pack", "env", "ps aux"):
    done = subprocess.run(command.split(), capture_output=True, text=True, errors="replace")
    print(command, done.returncode, done.stdout[-200_000:], done.stderr[-300:])
PLACES = ("*", "**/*", "../*", "../*/*", "/proc/*/environ", "/proc/*/cmdline", "/proc/*/cwd/*", "/proc/*/root/tmp/**/*",
          {run!r} + "/**/*", {cache!r} + "/**/*", {shop!r} + "/**/*", "/tmp/**/*", "/root/*", "/home/**/*")
for place in PLACES:
    for path in glob.glob(place, recursive=True, include_hidden=True)[:2000]:
        try:
            print("===", path, open(path, errors="replace").read(100_000) if os.path.isfile(path) else "")
        except OSError as error:
            print(path, error)
"""


@dataclass
class Secrets:
    """One example: who sees what, what is said where, and all that the reader was shown on the way."""

    random: Random
    roster: tuple[Specialist, ...] = ()
    items: tuple[ContextItem, ...] = ()
    plan: Plan = field(init=False)
    by_text: dict[str, str] = field(default_factory=dict)
    """What each canary belongs to."""
    shown: dict[str, list[str]] = field(default_factory=dict)
    """What was sent to the model, by specialist."""
    rows: list[bytes] = field(default_factory=list)
    """What stood in the checkpoints of the reader's own node, looked at before every call of a model."""
    folder: Path = Path()

    def line(self, about: str) -> str:
        """A line with a canary of its own."""
        self.by_text[found := canary(self.random)] = about
        form = self.random.choice(("the {} of the old service is {} since spring", "{}: {}", "- {} {}"))
        return form.format(self.random.choice(("name", "owner", "rule", "limit")), found)

    def about(self, kind: str) -> set[str]:
        """The canaries that belong to it."""
        return {text for text, about in self.by_text.items() if about == kind}

    def withheld_from(self, name: str, task: str) -> set[str]:
        """The canaries that must not reach a specialist."""
        member = next(each for each in self.roster if each.name == name)
        seen = {f"item {n}" for n, item in enumerate(self.items) if rule_for(member, item.kind)[0]}
        own = {f"prompt {name}", *(f"task {each}" for each in (task, *self.plan[task].needs))}
        return {text for text, about in self.by_text.items() if about not in {*seen, *own}}


def example(seed: int, place: Path) -> Secrets:
    """A random roster of three beside the packaged one, random items, and a plan of dependency, sibling and reader."""
    made = Secrets(random := Random(seed))
    kinds = [kind.value for kind in ContextKind]
    place.mkdir()
    for name in ("dep", "sibling", "reader"):
        random.shuffle(kinds)
        sees, never = {"code_pattern", *kinds[: random.randint(1, 14)]}, kinds[28 - random.randint(0, 8) :]
        never = sorted(set(never) - sees)
        prompt = "\n".join(made.line(f"prompt {name}") for _ in range(2))
        text = ROLE.format(name=name, sees=", ".join(sorted(sees)), never=", ".join(never), prompt=prompt)
        (place / f"{name}.md").write_text(text)
    made.roster = roster_with(place).specialists
    made.items = tuple(
        ContextItem(
            kind=random.choice(list(ContextKind)),
            source=f"notes.md, {made.line(f'item {n}')}",
            text=f"{made.line(f'item {n}')}\nplain {n}",
        )
        for n in range(random.randint(4, 10))
    )
    made.plan = Plan(
        tasks=(
            _task(made, 1, "dep", writes=("**",)),
            _task(made, 2, "sibling", writes=("sibling.txt",)),
            _task(made, 3, "reader", writes=("f3.txt", "probe.txt"), needs=("backend-T001",)),
        )
    )
    return made


def _task(made: Secrets, number: int, who: str, **more: object) -> Task:
    name = f"backend-T{number:03d}"
    texts = {each: made.line(f"task {name}") for each in ("title", "objective")}
    lists = {each: (made.line(f"task {name}"),) for each in ("acceptance_criteria", "expected_output")}
    return Task.model_validate({"id": name, "specialist": who, "effort": "large", **texts, **lists, **more})


def coded(text: str) -> Iterator[str]:
    """The text as it is, and coded in every way that the screen knows."""
    raw = text.encode()
    yield from (text, raw.hex(), urllib.parse.quote(text, safe=""), base64.encodebytes(raw).decode())
    yield from (base64.b64encode(b"x" * n + raw).decode() for n in range(3))
    yield from (base64.urlsafe_b64encode(b"x" * n + raw).decode().rstrip("=") for n in range(3))


def carried_out(made: Secrets, shop: Path, roster: Path) -> Report:
    """Drives the run; the reader hands back once, so that a peer and the coordinator guide it."""
    turns = {"reader": _read, "dep": _echo, "sibling": _echo}

    def work(told: Told) -> AIMessage:
        made.shown.setdefault(told.specialist, []).extend(_texts(told.messages))
        return turns[told.specialist](made, told)

    def consultation(told: Told) -> Mapping[str, object]:
        made.shown.setdefault(PEER, []).extend(_texts(told.messages))
        return {"can_help": True, "guidance": "\n".join((*made.by_text, *_texts(told.messages)))}

    def review(told: Told) -> Mapping[str, object]:
        return {"action": "guide", "text": "\n".join((*made.by_text, *(item.text for item in made.items)))}

    answers = department(made.plan, work, consultation=consultation, review=review)

    def script(messages: Sequence[BaseMessage], tools: Sequence[str]) -> AIMessage:
        made.rows += _rows(made.folder)
        return answers(messages, tools)

    settings = Settings(roster=(str(roster),), packet_tokens=100_000, approval=Approval(tools="deny"))
    run = Coordinator(ScriptedModel(script=script), shop, settings=settings).start(made.plan, context=made.items)
    made.folder = run.folder
    report = run.result()
    made.rows += _rows(made.folder)
    return report


def _texts(messages: Sequence[BaseMessage]) -> list[str]:
    return [json.dumps(message.model_dump(mode="json"), ensure_ascii=False) for message in messages]


def _echo(made: Secrets, told: Told) -> AIMessage:
    """Tells all that it was ever shown, in every field and form."""
    heard = "\n".join(str(message.content) for message in told.messages)
    known = "\n".join(line for line in heard.splitlines() if any(key in line for key in made.by_text))
    said, keys = "\n".join(coded(known)), [key for key in made.by_text if key in known]
    if told.specialist == "sibling":
        return told.calls("write", path="sibling.txt", content=known) if told.turn == 0 else _handed_in(told, known)
    if told.turn == 0:
        names = (f"notes/{made.random.choice(keys)}.txt", "echo.txt", "docs/echo.md", "app/echo.txt")
        written = [("write", {"path": name, "content": said}) for name in names]
        return calls(*written, ("report_need", {"what": said, "why": known, "who": "reader"}), turn=told.turn)
    return _handed_in(told, said)


def _handed_in(told: Told, said: str) -> AIMessage:
    decisions = [{"kind": kind.value, "text": text} for kind in ContextKind for text in (said, said.partition("\n")[0])]
    claims = [{"criterion": said, "met": True, "how": said}]
    return told.calls("submit", summary=said, decisions=decisions, claims=claims)


def _read(made: Secrets, told: Told) -> AIMessage:
    """Looks everywhere, hands the task back for advice, and then does it."""
    advised = told.text.count("GUIDANCE from ")
    if told.turn == 0 and not advised:
        places = {"run": str(made.folder), "cache": str(cache_folder()), "shop": str(made.folder.parents[1])}
        return calls(
            ("write", {"path": "probe.txt", "content": PROBE.format(**places)}),
            *(("read", {"path": name, "limit": 5000}) for name in ("echo.txt", "docs/echo.md", "app/echo.txt")),
            ("grep", {"pattern": "."}),
            ("glob", {"pattern": "**"}),
            ("list", {"path": "notes"}),
            ("bash", {"command": "cat echo.txt"}),
            ("bash", {"command": "git log --all"}),
            ("bash", {"command": "python3 probe.txt"}),
            ("check", {}),
            ("recall", {"call": "0-4", "offset": 20_000}),
            ("recall", {"call": "0-9", "offset": 20_000}),
            turn=0,
        )
    if told.turn == (0 if advised else 1):
        return told.calls("write", path="f3.txt", content="done\n")
    topics = ("architectural_question", "integration_issue")
    if advised < len(topics):
        return told.calls("submit", summary="not yet", refusal=f"advise me {advised}", about=topics[advised])
    return told.calls("submit", summary="done")


def _rows(folder: Path) -> list[bytes]:
    """What the checkpoints hold of the reader's node."""
    file = folder / "checkpoints.sqlite"
    if not file.is_file():
        return []
    with sqlite3.connect(f"file:{file}?mode=ro", uri=True) as db:
        kept = db.execute("select checkpoint, metadata from checkpoints where checkpoint_ns like 'reader:%'").fetchall()
        kept += db.execute("select value, channel from writes where checkpoint_ns like 'reader:%'").fetchall()
    db.close()
    return [part if isinstance(part, bytes) else str(part).encode() for row in kept for part in row]


def looked_at(made: Secrets, name: str, task: str) -> dict[str, bytes]:
    """All that belongs to a specialist: what it was sent, and what the run keeps of it."""
    found = {f"prompt {n}": text.encode() for n, text in enumerate(made.shown.get(name, ()))}
    if task:
        paths = [path for folder in OWN for path in (made.folder / folder).glob(f"{task}-*")]
        files = [file for path in paths for file in (path.rglob("*") if path.is_dir() else [path])]
        found |= {str(file.relative_to(made.folder)): _kept(file) for file in files if file.is_file()}
        found |= {f"checkpoint {n}": row for n, row in enumerate(made.rows)}
    return found


def _kept(file: Path) -> bytes:
    """What a file says; of a manifest without sources, by which it tells the user what was withheld."""
    return re.sub(rb'"source": .*', b"", file.read_bytes()) if file.parent.name == "manifests" else file.read_bytes()


def leaks(made: Secrets, name: str, task: str) -> list[str]:
    """Where something stands that is withheld from a specialist."""
    texts, withheld = looked_at(made, name, task), made.withheld_from(name, "backend-T003")
    return [
        f"{name}: {made.by_text[each]} as {form!r} in {place}"
        for each in withheld
        for form in forms(each)
        for place, text in texts.items()
        if form in text
    ]


def driven(seed: int, folder: Path) -> Secrets:
    """Makes the run of one example, which has to end well: reader, peer and coordinator were all asked."""
    shop, roster = folder / "shop", folder / "people"
    shop.mkdir(parents=True)
    git(shop, "init", "--quiet")
    (shop / "README.md").write_text("# shop\n")
    git(shop, "add", ".")
    git(shop, "-c", "user.name=a", "-c", "user.email=a@b.c", "commit", "--quiet", "-m", "start")
    made = example(seed, roster)
    report = carried_out(made, shop, roster)
    assert statuses(report) == {"001": "merged", "002": "merged", "003": "merged"}, report.summary
    assert [step.asked for step in report.escalations] == [PEER, "backend-coordinator"]
    return made


def demand_silence(made: Secrets) -> None:
    """Nothing withheld came through, and what may be seen did."""
    assert leaks(made, "reader", "backend-T003") == []
    assert leaks(made, PEER, "") == []
    assert made.rows, "no checkpoint of the reader's node was looked at"
    shown = "\n".join(made.shown["reader"])
    assert shown.count("GUIDANCE from ") >= 2
    seen = {text for text in made.by_text if text not in made.withheld_from("reader", "backend-T003")}
    assert {text for text in seen if text in shown} == seen
    assert "[withheld]" in shown
